"""Whether an ONNX file is a plain network: only known operators, nothing outside the file, no code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quadrat.engines.common import last_words
from quadrat.errors import GraphError

DOMAINS = frozenset(("", "ai.onnx", "ai.onnx.ml", "com.microsoft"))
REFUSED = frozenset(("EPContext", "PyOp"))
"""Operators of allowed domains that carry another library's program."""


def check(path: Path) -> str:
    """Give the name of the network's input.

    Raises GraphError unless the file is whole, valid, self-contained, of known operators, and has
    exactly one input.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's error would be one more import
        raise GraphError(f"it is no ONNX file: {last_words(error)}", where=path.name) from error
    _refuse(path, model)
    try:
        onnx.checker.check_model(str(path))
    except Exception as error:  # ValidationError, and what its C++ side lets through
        raise GraphError(f"it is no valid ONNX network: {last_words(error)}", where=path.name) from error
    weights = {tensor.name for tensor in model.graph.initializer}
    names = [entry.name for entry in model.graph.input if entry.name not in weights]
    if len(names) != 1:
        raise GraphError(f"the network has {len(names)} inputs and must have one", where=path.name)
    return str(names[0])


def _refuse(path: Path, model: Any) -> None:
    """Raise GraphError for what a network has no need of."""
    if model.functions:
        raise GraphError(f"it defines a function of its own ({model.functions[0].name})", where=path.name)
    for opset in model.opset_import:
        _known(path, opset.domain, "opset")
    for graph in _graphs(model.graph):
        for tensor in _tensors(graph):
            if tensor.external_data or tensor.data_location == tensor.EXTERNAL:
                raise GraphError(
                    f"tensor {tensor.name!r} lies in another file", where=path.name,
                    hint="Save the network as one file (no external data)",
                )  # fmt: skip
        for node in graph.node:
            _known(path, node.domain, node.op_type)
            if node.op_type in REFUSED:
                raise GraphError(f"operator {node.op_type} carries a program", where=path.name)


def _known(path: Path, domain: str, what: str) -> None:
    if domain not in DOMAINS:
        raise GraphError(f"{what} is of the unknown domain {domain!r}", where=path.name)


def _graphs(graph: Any) -> Iterator[Any]:
    """Yield the graph and all graphs inside its nodes (loops, branches)."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from _graphs(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield every constant of the graph: initialisers, sparse ones, and those in attributes."""
    yield from graph.initializer
    sparse = list(graph.sparse_initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor"):
                sparse.append(attribute.sparse_tensor)
            sparse.extend(attribute.sparse_tensors)
    for tensor in sparse:
        yield tensor.values
        yield tensor.indices
