"""Addresses as anybody may read them; loads no arrays, as every --help does it."""

from __future__ import annotations

import re

SECRETS = re.compile(r"(?i)(?:user(?:name)?|pass(?:word|wd)?|pwd|token|key|auth)=")


class Addresses(str):
    """A text of addresses that is shown without their passwords: the SDK logs every parameter as it starts."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Give the text as it may be shown."""
        return repr(" ".join(public(part) for part in self.split()))


def public(address: str) -> str:
    """Give an address without user, password, query and fragment.

    Some cameras take them in the path: it ends before the first of them. A password may hold anything, so all is
    left out up to the last @.
    """
    parts = re.match(r"([A-Za-z][\w+.-]*://)?(.*)", address, re.DOTALL)
    kind, rest = (parts[1] or "", parts[2]) if parts else ("", address)
    if not kind and not re.match(r"[^/]*:[^/]*@", rest):
        return address  # a path
    return kind + re.split(r"[?#]", SECRETS.split(rest.rpartition("@")[2])[0])[0]
