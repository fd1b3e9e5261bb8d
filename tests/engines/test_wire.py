from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from quadrat.engines.arena import Arena, shared_file
from quadrat.engines.wire import DTYPES, MAX_ARRAY, MAX_HEADER, receive, send

ARRAYS = st.dictionaries(
    st.text(max_size=5),
    hnp.arrays(st.sampled_from(sorted(DTYPES)), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0)),
    max_size=3,
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets."""
    left, right = socket.socketpair()
    with left, right:
        yield left, right


@given(arrays=ARRAYS, message=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9)))
def test_what_is_sent_is_received(arrays: dict[str, np.ndarray], message: dict[str, object]) -> None:
    """Messages and arrays of every allowed dtype and shape, including empty ones, arrive unchanged."""
    left, right = socket.socketpair()
    with left, right:
        send(left, message, arrays)
        got, results = receive(right)
    assert got == message
    assert list(results) == list(arrays)
    for name, array in arrays.items():
        assert results[name].dtype == array.dtype
        assert results[name].shape == array.shape
        assert results[name].tobytes() == np.ascontiguousarray(array).tobytes()


def test_an_array_larger_than_the_sockets_buffer_crosses(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """A non-contiguous array of twelve megabytes arrives unchanged."""
    big = np.arange(3_000_000, dtype=np.float32).reshape(1000, 3000).T
    writer = threading.Thread(target=send, args=(pair[0], {}, {"big": big}))
    writer.start()
    _, results = receive(pair[1])
    writer.join()
    np.testing.assert_array_equal(results["big"], big)


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"message": 3},
        {"message": {}, "arrays": [["a", "object", [1]]]},
        {"message": {}, "arrays": [["a", "float32", [-1]]]},
        {"message": {}, "arrays": [["a", "float32", [1 << 40]]]},
        {"message": {}, "arrays": [["a", "float64", [1, MAX_ARRAY // 8 + 1]]]},
        {"message": {}, "arrays": [["a", "float32", [True]]]},
        {"message": {}, "arrays": [["a", "float32", "x"]]},
        {"message": {}, "arrays": [["a", "float32"]]},
    ],
)
def test_nonsense_from_the_other_side_is_an_error(
    pair: tuple[socket.socket, socket.socket], header: object
) -> None:
    """Object arrays and negative or huge sizes are rejected before allocation."""
    text = json.dumps(header).encode()
    pair[0].sendall(len(text).to_bytes(4, "little") + text)
    with pytest.raises(ValueError, match=r"array|form|unpack"):
        receive(pair[1])


def test_a_giant_header_and_an_early_end_are_errors(pair: tuple[socket.socket, socket.socket]) -> None:
    """A length above the limit is rejected before reading; a partial message raises EOFError."""
    pair[1].settimeout(10)
    pair[0].sendall((MAX_HEADER + 1).to_bytes(4, "little"))
    with pytest.raises(ValueError, match="header"):
        receive(pair[1])
    pair[0].sendall((50).to_bytes(4, "little") + b"{")
    pair[0].close()
    with pytest.raises(EOFError):
        receive(pair[1])


def test_arrays_go_over_the_socket_if_the_shared_file_may_not_grow() -> None:
    """As with a limit on the size of files (RLIMIT_FSIZE)."""

    class Full(Arena):
        """A shared file that cannot grow."""

        def write(self, arrays: Mapping[str, NDArray[Any]]) -> list[int]:
            """Refuse."""
            raise MemoryError

    handle = shared_file()
    assert handle is not None
    mine, other = Full(handle), Arena(os.dup(handle))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sent = {"a": np.arange(6.0).reshape(2, 3), "empty": np.zeros((0, 4), np.int64)}
        send(ours, {"op": "run"}, sent, mine)
        message, arrays = receive(theirs, other)

    assert {"op": "run"} == message
    for name, array in sent.items():
        np.testing.assert_array_equal(array, arrays[name])


def test_arrays_in_shared_memory_arrive_as_they_are() -> None:
    """Of every type, also empty ones, and in any order of memory."""
    handle = shared_file()
    assert handle is not None
    mine, other = Arena(handle), Arena(os.dup(handle))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for size in (3, 5000, 7):
            grid = np.arange(size * 4).reshape(size, 4)
            sent = {name: grid.astype(name).T for name in sorted(DTYPES)} | {"none": np.zeros((0, 2))}
            send(ours, {}, sent, mine)
            _, arrays = receive(theirs, other)
            for name, array in sent.items():
                assert (array.dtype, array.shape) == (arrays[name].dtype, arrays[name].shape)
                np.testing.assert_array_equal(array, arrays[name])


def test_an_array_outside_the_shared_file_is_refused() -> None:
    """The child may lie about its answer."""
    handle = shared_file()
    assert handle is not None
    ours, theirs = socket.socketpair()
    with ours, theirs:
        text = json.dumps({"message": {}, "arrays": [["a", "float32", [10**6], 0]]}).encode()
        ours.sendall(len(text).to_bytes(4, "little") + text)
        with pytest.raises(ValueError, match="shared file"):
            receive(theirs, Arena(handle))
