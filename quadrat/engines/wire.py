"""Messages between a host and its child: JSON and raw arrays over a socket, and no pickle.

A message is the length of its JSON (4 bytes, little endian), the JSON, and the bytes of its arrays
in C order. What comes from the child is checked as foreign: a model may have taken it over.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_HEADER = 1 << 20
MAX_ARRAY = 1 << 35
INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
DTYPES = frozenset((*INTEGERS, "bool", "float16", "float32", "float64"))


def send(sock: socket.socket, message: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Send a JSON-able message and arrays by name."""
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    listed = [(name, array.dtype.name, array.shape) for name, array in whole.items()]
    text = json.dumps({"message": message, "arrays": listed}).encode()
    sock.sendall(len(text).to_bytes(4, "little") + text)
    for array in whole.values():
        sock.sendall(array.reshape(-1).view(np.uint8).data)


def receive(sock: socket.socket) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Receive one message; EOFError when the other side is gone, ValueError when it sends nonsense."""
    size = int.from_bytes(_exactly(sock, 4), "little")
    if size > MAX_HEADER:
        raise ValueError(f"a message header of {size} bytes")
    header = json.loads(_exactly(sock, size))
    if not isinstance(header, dict) or not isinstance(header.get("message"), dict):
        raise ValueError("a message of a wrong form")
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype, shape in header.get("arrays", ()):
        array = _empty(dtype, shape)
        _fill(sock, array.reshape(-1).view(np.uint8).data)
        arrays[str(name)] = array
    return header["message"], arrays


def _empty(dtype: object, shape: object) -> NDArray[Any]:
    sizes = shape if isinstance(shape, list) else [-1]
    if dtype not in DTYPES or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"an array of {dtype} and shape {shape}")
    kind = np.dtype(str(dtype))
    bytes_needed = kind.itemsize
    for size in sizes:
        bytes_needed *= size
    if bytes_needed > MAX_ARRAY:
        raise ValueError(f"an array of {bytes_needed} bytes")
    return np.empty(sizes, kind)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    _fill(sock, memoryview(data))
    return bytes(data)


def _fill(sock: socket.socket, view: memoryview) -> None:
    done = 0
    while done < len(view):
        got = sock.recv_into(view[done:])
        if got == 0:
            raise EOFError("the other side is gone")
        done += got
