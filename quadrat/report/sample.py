"""A few sources of an order, chosen by the digests of their names: the same ones in any order and after any interruption."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path


class Sample:
    """Decides for each source, as it is measured, whether it may be one of the `most` with the smallest digests.

    Of N sources it accepts about most * (1 + ln(N / most)), always with the `most` smallest of all among them. The
    digests so far are in a file, because collectors of one model share nothing else. A file that cannot be written
    only makes it accept more.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most

    def forget(self) -> None:
        """Forget the sources of an earlier order."""
        self._path.unlink(missing_ok=True)

    def accepts(self, name: str) -> bool:
        """Return True if a name's digest is one of the smallest so far."""
        known: set[str] = set()
        with suppress(OSError, UnicodeDecodeError):
            known = set(self._path.read_text("ascii").split())
        smallest = sorted({*known, digest_of(name)})[: self._most]
        with suppress(OSError):
            self._path.write_text("\n".join(smallest), "ascii")
        return digest_of(name) in smallest


def digest_of(name: str) -> str:
    """Return the digest that decides which sources are chosen."""
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
