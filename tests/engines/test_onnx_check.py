from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quadrat.engines.onnx_check import check
from quadrat.errors import GraphError
from tests.engines import graphs

BAD = [
    (graphs.foreign_operator, "unknown domain 'evil.example'"),
    (graphs.hidden_operator, "unknown domain 'evil.example'"),
    (graphs.own_function, "a function of its own"),
    (graphs.outside_weights, "lies in another file"),
    (graphs.other_program, "carries a program"),
    (graphs.two_inputs, "2 inputs"),
    (graphs.unknown_operator, "no valid ONNX network"),
]


@pytest.mark.parametrize("outputs", [("labels",), ("labels", "confidence", "logits")])
def test_a_plain_network_passes_and_its_input_is_named(tmp_path: Path, outputs: tuple[str, ...]) -> None:
    """Whether it has one output or three."""
    assert check(graphs.write(graphs.network(outputs), tmp_path / "model.onnx")) == "x"


@pytest.mark.parametrize(("make", "said"), BAD, ids=[make.__name__ for make, _ in BAD])
def test_what_a_network_has_no_need_of_is_refused(tmp_path: Path, make: Callable[[], Any], said: str) -> None:
    """Each with one line that says what it is."""
    with pytest.raises(GraphError, match=said) as caught:
        check(graphs.write(make(), tmp_path / "model.onnx"))
    assert "\n" not in caught.value.line


def test_most_refusals_go_beyond_what_onnx_checks() -> None:
    """ONNX's own checker takes a foreign operator and a function, so ours must not rest on it."""
    assert graphs.valid(graphs.foreign_operator())
    assert graphs.valid(graphs.network())
    assert not graphs.valid(graphs.unknown_operator())


@pytest.mark.parametrize("body", [b"", b"\x00" * 64, b"rubbish" * 100])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, body: bytes) -> None:
    """Empty and foreign files are the model's fault."""
    path = tmp_path / "model.onnx"
    path.write_bytes(body)
    with pytest.raises(GraphError):
        check(path)
