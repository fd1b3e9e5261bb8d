"""Exchange messages between host and child process: JSON and raw arrays over a socket, without pickle.

A message consists of the length of its JSON (4 bytes, little endian), the JSON, and the bytes of its arrays in C
order. With an arena, the arrays are in shared memory, and the JSON states their offsets. Messages from the child are
untrusted, as a model may have compromised it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.engines.arena import Arena
from quadrat.engines.limits import fits

INLINE = -1
"""Offset of an array whose bytes follow the JSON."""
MAX_HEADER = 1 << 20
MAX_ARRAY = 1 << 35
INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
DTYPES = frozenset((*INTEGERS, "bool", "float16", "float32", "float64"))


def send(
    sock: socket.socket,
    message: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    arena: Arena | None = None,
) -> None:
    """Send a JSON-serialisable message and named arrays of the types in DTYPES; others raise TypeError."""
    for name, array in arrays.items():
        if array.dtype.name not in DTYPES:
            raise TypeError(f"{name!r} is an array of {array.dtype.name}, not of numbers")
    offsets = [INLINE] * len(arrays)
    if arena is not None:
        with suppress(
            MemoryError
        ):  # the file may not grow, as with RLIMIT_FSIZE: the socket has no such limit
            offsets = arena.write(arrays)
    listed = [
        (name, array.dtype.name, array.shape, offset)
        for (name, array), offset in zip(arrays.items(), offsets, strict=True)
    ]
    text = json.dumps({"message": message, "arrays": listed}).encode()
    sock.sendall(len(text).to_bytes(4, "little") + text)
    for array, offset in zip(arrays.values(), offsets, strict=True):
        if offset == INLINE:
            sock.sendall(np.asarray(array, order="C").reshape(-1).view(np.uint8).data)


def receive(
    sock: socket.socket, arena: Arena | None = None, *, copy: bool = True
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Receive one message; raise EOFError if the connection is closed, ValueError for an invalid message.

    Without `copy`, arrays in the arena are valid until the other side sends again. Raises MemoryError for an array
    that does not fit into memory.
    """
    size = int.from_bytes(_receive_bytes(sock, 4), "little")
    if size > MAX_HEADER:
        raise ValueError(f"message header of {size} bytes")
    header = json.loads(_receive_bytes(sock, size))
    if not isinstance(header, dict) or not isinstance(header.get("message"), dict):
        raise ValueError("malformed message")
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype, shape, offset in header.get("arrays", ()):
        kind, sizes = _checked(dtype, shape)
        if arena is None or offset == INLINE:
            array = np.empty(sizes, kind)
            _receive_into(sock, array.reshape(-1).view(np.uint8).data)
        elif type(offset) is not int or offset < 0:
            raise ValueError(f"an array at {offset}")
        else:
            view = arena.view(kind, sizes, offset)
            if copy and not fits(view.nbytes):
                raise MemoryError(f"there is no memory for an array of {view.nbytes} bytes")
            array = view.copy() if copy else view
        arrays[str(name)] = array
    return header["message"], arrays


def _checked(dtype: object, shape: object) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the type and shape of an array; ValueError for an invalid or too large one."""
    sizes = shape if isinstance(shape, list) else [-1]
    if dtype not in DTYPES or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"invalid array of {dtype} with shape {shape}")
    kind = np.dtype(str(dtype))
    bytes_needed = kind.itemsize
    for size in sizes:
        bytes_needed *= size
    if bytes_needed > MAX_ARRAY:
        raise ValueError(f"array of {bytes_needed} bytes")
    return kind, tuple(sizes)


def _receive_bytes(sock: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    _receive_into(sock, memoryview(data))
    return bytes(data)


def _receive_into(sock: socket.socket, view: memoryview) -> None:
    received = 0
    while received < len(view):
        count = sock.recv_into(view[received:])
        if count == 0:
            raise EOFError("the connection was closed")
        received += count
