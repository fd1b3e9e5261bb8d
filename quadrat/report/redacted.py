"""Addresses without what only their owner may know: a camera's address often holds its password."""

from __future__ import annotations

import re

from quadrat.types import Source

_ADDRESS = re.compile(r"(\w[\w+.-]*://)([^\s'\"<>]+)")
_LOGIN = re.compile(r"^(?:[^/?#@]*(?:@[^/?#@]*)*@|[^/?#@:]*:(?!\d+/)[^@]*@)")
_PAIR = re.compile(r"([?&;/#])([^=&;/?#]*)=([^&;#]*)|([?#&;])([^=&;/?#]+)(?=[&;#]|$)")
_SECRET = re.compile(
    r"pass|pwd|pw$|user|login|auth|token|key|secret|sig|cred|session|jwt|code", re.IGNORECASE
)
_LONG = 12
"""A value longer than this is more likely a key than the number of a channel."""


def redacted(text: str) -> str:
    """Leave out the login, and every value that may be secret, of each address in a text.

    What tells one channel of a camera from another stays.
    """
    return _ADDRESS.sub(_without, text)


def shown(text: str, source: Source) -> str:
    """Give a text about a source as anybody may read it."""
    return redacted(text) if source.media == "stream" else text


def _without(address: re.Match[str]) -> str:
    return address[1] + _PAIR.sub(_hidden, _LOGIN.sub("***@", address[2]))


def _hidden(pair: re.Match[str]) -> str:
    if pair[1] is None:
        return f"{pair[4]}***" if len(pair[5]) > _LONG else pair[0]
    secret = _SECRET.search(pair[2]) or len(pair[3]) > _LONG
    return f"{pair[1]}{pair[2]}=***" if secret else pair[0]
