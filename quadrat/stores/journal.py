"""A file of values that only grows, and that a process killed at any moment leaves readable."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import struct
import zlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any

_HEAD = struct.Struct(">QI")
_PLAIN = {
    "builtins": {"set", "frozenset", "bytearray", "complex", "slice"},
    "collections": {"Counter", "OrderedDict"},
    "pathlib": {"PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"},
    "pathlib._local": {"PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.numeric": {"_frombuffer"},
    "quadrat.errors": {"_rebuild"},
}
"""What a pickled value may name beside the dataclasses and errors of quadrat: nothing that acts."""


class Journal:
    """Pickled values, each with its length and checksum; `add` appends one and returns its offset.

    A value that was cut when its process was killed is dropped, with everything after it. Reading is safe: a folder
    of results may come from anywhere, and a pickle could otherwise run code.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._own: int | None = None  # the offset of the first value that this process added

    def add(self, value: object) -> int:
        """Append a value; OSError if it cannot be written, and the file is then as before."""
        body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        with self.path.open("ab") as file:
            offset = file.tell()
            try:
                file.write(_HEAD.pack(len(body), zlib.crc32(body)) + body)
                file.flush()
            except OSError:
                file.truncate(offset)
                raise
        if self._own is None:
            self._own = offset
        return offset

    def read(self, offset: int) -> Any:
        """Return the value at an offset; pickle.UnpicklingError if it is not one that a journal may hold."""
        with self.path.open("rb") as file:
            file.seek(offset)
            body = _body(file)
            if body is None:
                raise pickle.UnpicklingError("there is no value at this place")
        if self._own is not None and offset >= self._own:
            return pickle.loads(body)  # noqa: S301 - added by this process
        return load(io.BytesIO(body))

    def scan(self, start: int = 0, *, repair: bool = False) -> Iterator[tuple[int, Any]]:
        """Yield the values from an offset on, each with its own; with `repair`, cut off an incomplete end.

        A value that a journal may not hold, such as one of a later version, is left out.
        """
        if not self.path.exists():
            return
        with self.path.open("r+b" if repair else "rb") as file:
            end = file.seek(start)
            while (body := _body(file)) is not None:
                try:
                    value = load(io.BytesIO(body))
                except Exception:  # noqa: BLE001 - a foreign pickle may raise anything
                    value = None
                if value is not None:
                    yield end, value
                end = file.tell()
            if repair:
                file.truncate(end)


def load(file: IO[bytes]) -> Any:
    """Unpickle a value that consists of plain values, arrays, and dataclasses and errors of quadrat.

    Raises pickle.UnpicklingError for anything else, and what unpickling raises for a damaged file.
    """
    return _Loader(file).load()


class _Loader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a class or function that a value may name; UnpicklingError for any other."""
        if name in _PLAIN.get(module, ()):
            return super().find_class(module, name)
        if module.startswith("quadrat.") and "." not in name:
            found = getattr(import_module(module), name, None)
            if isinstance(found, type) and (dataclasses.is_dataclass(found) or issubclass(found, Exception)):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def _body(file: IO[bytes]) -> bytes | None:
    """Read the next value's bytes; None at the end, and at a value that is cut or damaged."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    size, checksum = _HEAD.unpack(head)
    if size > os.fstat(file.fileno()).st_size:
        return None
    body = file.read(size)
    return body if len(body) == size and zlib.crc32(body) == checksum else None
