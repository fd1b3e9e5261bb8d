from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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
