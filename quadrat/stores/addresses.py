"""Addresses without their secrets: the address of a camera often holds its password.

This module imports no arrays, because `--help` imports it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quadrat.types import Source

_IN_PATH = re.compile(r"(?i)(?:user(?:name)?|pass(?:word|wd)?|pwd|token|key|auth)=")
_ADDRESS = re.compile(r"(\w[\w+.-]*://)([^\s'\"<>]+)")
_LOGIN = re.compile(r"^(?:[^/?#@]*(?:@[^/?#@]*)*@|[^/?#@:]*:(?!\d+/)[^@]*@)")
_PAIR = re.compile(r"([?&;/#])([^=&;/?#]*)=([^&;#]*)|([?#&;])([^=&;/?#]+)(?=[&;#]|$)")
_SECRET = re.compile(
    r"pass|pwd|pw$|user|login|auth|token|key|secret|sig|cred|session|jwt|code", re.IGNORECASE
)
_LONG = 12
"""A value longer than this is more likely a key than the number of a channel."""


class Addresses(str):
    """A text of addresses whose `repr` has no passwords: the SDK logs every parameter when it starts."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the text without the secrets of its addresses."""
        return repr(" ".join(public(part) for part in self.split()))


def public(address: str) -> str:
    """Return an address without user, password, query and fragment, fit to name its source; a path is unchanged.

    Some cameras take the login in the path, which is then cut before it. A password may hold any character, so
    everything up to the last @ is left out. `redacted` changes nothing in what is left.
    """
    parts = re.match(r"([A-Za-z][\w+.-]*://)?(.*)", address, re.DOTALL)
    kind, rest = (parts[1] or "", parts[2]) if parts else ("", address)
    if not kind and not re.match(r"[^/]*:[^/]*@", rest):
        return address  # a path
    return redacted(kind + re.split(r"[?#]", _IN_PATH.split(rest.rpartition("@")[2])[0])[0])


def redacted(text: str) -> str:
    """Replace the login, and every value that may be secret, of each address in a text by asterisks.

    What distinguishes one channel of a camera from another stays.
    """
    return _ADDRESS.sub(_without, text)


def shown(text: str, source: Source) -> str:
    """Return a text about a source; if that is a stream, without the secrets of its addresses."""
    return redacted(text) if source.media == "stream" else text


def _without(address: re.Match[str]) -> str:
    return address[1] + _PAIR.sub(_hidden, _LOGIN.sub("***@", address[2]))


def _hidden(pair: re.Match[str]) -> str:
    if pair[1] is None:
        return f"{pair[4]}***" if len(pair[5]) > _LONG else pair[0]
    secret = _SECRET.search(pair[2]) or len(pair[3]) > _LONG
    return f"{pair[1]}{pair[2]}=***" if secret else pair[0]
