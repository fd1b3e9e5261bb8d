"""Exchange messages between host and child process: JSON and raw arrays over a socket, without pickle.

A message consists of the length of its JSON (4 bytes, little endian), the JSON, and the bytes of its arrays
in C order. Messages from the child are untrusted, as a model may have compromised it.
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
    """Send a JSON-serialisable message and named arrays."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    listed = [(name, array.dtype.name, array.shape) for name, array in contiguous.items()]
    text = json.dumps({"message": message, "arrays": listed}).encode()
    sock.sendall(len(text).to_bytes(4, "little") + text)
    for array in contiguous.values():
        sock.sendall(array.reshape(-1).view(np.uint8).data)


def receive(sock: socket.socket) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Receive one message; raise EOFError if the connection is closed, ValueError for an invalid message."""
    size = int.from_bytes(_receive_bytes(sock, 4), "little")
    if size > MAX_HEADER:
        raise ValueError(f"message header of {size} bytes")
    header = json.loads(_receive_bytes(sock, size))
    if not isinstance(header, dict) or not isinstance(header.get("message"), dict):
        raise ValueError("malformed message")
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype, shape in header.get("arrays", ()):
        array = _allocate(dtype, shape)
        _receive_into(sock, array.reshape(-1).view(np.uint8).data)
        arrays[str(name)] = array
    return header["message"], arrays


def _allocate(dtype: object, shape: object) -> NDArray[Any]:
    sizes = shape if isinstance(shape, list) else [-1]
    if dtype not in DTYPES or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"invalid array of {dtype} with shape {shape}")
    kind = np.dtype(str(dtype))
    bytes_needed = kind.itemsize
    for size in sizes:
        bytes_needed *= size
    if bytes_needed > MAX_ARRAY:
        raise ValueError(f"array of {bytes_needed} bytes")
    return np.empty(sizes, kind)


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
