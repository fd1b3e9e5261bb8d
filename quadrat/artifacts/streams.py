"""Addresses of live streams, as sources whose names keep their passwords to themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from quadrat.errors import ParameterError
from quadrat.types import Source

SECRETS = re.compile(r"(?i)(?:user(?:name)?|pass(?:word|wd)?|pwd|token|key|auth)=")


def list_streams(text: str) -> list[Source]:
    """Give a source for each address of a text in which they are separated by spaces, or commas and spaces.

    Its name and URN lack user, password and query; equal names get numbers. ParameterError where there is none.
    """
    addresses = [part.strip(",") for part in text.split() if part.strip(",")]
    if not addresses:
        raise ParameterError("no address is named", where="streams", hint="Give --streams rtsp://host/path")
    return list(_named(addresses))


def _named(addresses: list[str]) -> Iterator[Source]:
    seen: dict[str, int] = {}
    for address in addresses:
        name = public(address)
        seen[name] = seen.get(name, 0) + 1
        name = name if seen[name] == 1 else f"{name} ({seen[name]})"
        yield Source(f"urn:stream:{re.sub(' ', '-', name)}", name, "stream", address)


def public(address: str) -> str:
    """Give an address without user, password, query and fragment.

    Some cameras take them in the path: it ends before the first of them.
    """
    text = SECRETS.split(address.partition("?")[0])[0]
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return text.rpartition("@")[2]
    if not parts.scheme or not host:
        return re.sub(r"^[^/]*:[^/]*@", "", text)
    host = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, f"{host}{port}", parts.path, "", ""))
