"""Addresses without what only their owner may know: a camera's address often holds its password."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(\w[\w+.-]*://)[^/\s@]*@")
_QUERY = re.compile(r"(\w[\w+.-]*://[^\s?#]*)[?#][^\s,;)'\"]*")


def redacted(text: str) -> str:
    """Leave out the login, query and fragment of every address in a text."""
    return _QUERY.sub(r"\1?***", _LOGIN.sub(r"\1***@", text))
