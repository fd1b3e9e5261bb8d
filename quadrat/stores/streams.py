"""Sources for the addresses of live streams, with names that contain no passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from quadrat.errors import ParameterError
from quadrat.stores.addresses import public
from quadrat.types import Source


def list_streams(text: str) -> list[Source]:
    """Return a source for each address in a text, in which spaces, or commas and spaces, separate them.

    Names and URNs contain no user, password or query; equal names get numbers. Raises ParameterError if there is no
    address, or if one is neither an address nor an existing path (of a pipe, for example).
    """
    addresses = [part.strip(",") for part in text.split() if part.strip(",")]
    if not addresses:
        raise ParameterError("no address is given", where="streams", hint="Give --streams rtsp://host/path")
    for address in addresses:
        if "://" not in address and not address.startswith("file:") and not Path(address).exists():
            raise ParameterError(
                f"{public(address)!r} is neither an address nor an existing path",
                where="streams",
                hint="Give --streams rtsp://host/path",
            )
    return list(_named(addresses))


def _named(addresses: list[str]) -> Iterator[Source]:
    seen: dict[str, int] = {}
    for address in addresses:
        name = public(address)
        seen[name] = seen.get(name, 0) + 1
        name = name if seen[name] == 1 else f"{name} ({seen[name]})"
        yield Source(f"urn:stream:{re.sub(' ', '-', name)}", name, "stream", address)
