"""Addresses of live streams, as sources whose names keep their passwords to themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from quadrat.errors import ParameterError
from quadrat.stores.addresses import public
from quadrat.types import Source


def list_streams(text: str) -> list[Source]:
    """Give a source for each address of a text in which they are separated by spaces, or commas and spaces.

    Its name and URN lack user, password and query; equal names get numbers. ParameterError where there is none, or
    where one is neither an address nor a path (a pipe, say) that is here: nothing would ever come of it.
    """
    addresses = [part.strip(",") for part in text.split() if part.strip(",")]
    if not addresses:
        raise ParameterError("no address is named", where="streams", hint="Give --streams rtsp://host/path")
    for address in addresses:
        if "://" not in address and not address.startswith("file:") and not Path(address).exists():
            raise ParameterError(
                f"{public(address)!r} is neither an address nor a path that is here",
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
