from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from quadrat.errors import GraphError
from quadrat.package import open_archive
from quadrat.package.onnx_scan import check_graph
from tests import archives

IMAGE = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3, None, None])
LABELS = helper.make_tensor_value_info("labels", TensorProto.FLOAT, None)
OPSETS = [helper.make_opsetid("", 17)]


def _model(*nodes, weights=(), **changes):
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Relu", ["x"], ["labels"])], "g", [IMAGE], [LABELS], list(weights)
    )
    return helper.make_model(graph, opset_imports=OPSETS, **changes)


def _elsewhere():
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def _branch(tensor):
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=tensor)],
        "b",
        [],
        [helper.make_tensor_value_info("c", 1, None)],
    )
    return helper.make_node("If", ["x"], ["labels"], then_branch=inner, else_branch=inner)


def _with_function():
    function = helper.make_function(
        "own", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], OPSETS
    )
    return _model(functions=[function])


def _with_training():
    model = _model()
    model.training_info.add().algorithm.CopyFrom(_model(weights=[_elsewhere()]).graph)
    return model


def _sparse():
    return helper.make_sparse_tensor(_elsewhere(), numpy_helper.from_array(np.zeros(4, np.int64)), [9])


def _with_opset():
    model = _model()
    model.opset_import.append(helper.make_opsetid("evil.example", 1))
    return model


def _in_branch(node):
    inner = helper.make_graph([node], "b", [], [helper.make_tensor_value_info("y", 1, [1])])
    return helper.make_node("If", ["x"], ["labels"], then_branch=inner, else_branch=inner)


GOOD = {
    "relu": _model(),
    "weights": _model(weights=[numpy_helper.from_array(np.ones((64, 64), np.float32), "w")]),
    "quantised": _model(helper.make_node("QLinearAdd", ["x"], ["labels"], domain="com.microsoft")),
    "branch": _model(_branch(numpy_helper.from_array(np.ones(3, np.float32)))),
}
BAD = {
    "external": (_model(weights=[_elsewhere()]), "another file"),
    "external-in-branch": (_model(_branch(_elsewhere())), "another file"),
    "external-sparse": (
        _model(helper.make_node("Constant", [], ["labels"], sparse_value=_sparse())),
        "another file",
    ),
    "external-in-training": (_with_training(), "another file"),
    "domain": (
        _model(helper.make_node("Own", ["x"], ["labels"], domain="ai.onnx.contrib")),
        "ai.onnx.contrib",
    ),
    "domain-in-branch": (
        _model(_in_branch(helper.make_node("Run", [], ["y"], domain="evil.example"))),
        "evil.example",
    ),
    "domain-of-an-opset": (_with_opset(), "evil.example"),
    "python": (_model(helper.make_node("PyOp", ["x"], ["labels"], domain="com.microsoft")), "PyOp"),
    "compiled-in-branch": (
        _model(_in_branch(helper.make_node("EPContext", [], ["y"], domain="com.microsoft"))),
        "EPContext",
    ),
    "compiled": (
        _model(helper.make_node("EPContext", ["x"], ["labels"], domain="com.microsoft")),
        "EPContext",
    ),
    "function": (_with_function(), "functions"),
}


@pytest.mark.parametrize("model", GOOD.values(), ids=GOOD)
def test_ordinary_graphs_pass(model, tmp_path, into):
    """Weights inside, standard and quantised operators, and branches open as an ONNX-only archive."""
    files = archives.contents(network=("model.onnx", model.SerializeToString()), params=None)
    package = open_archive(archives.build(tmp_path / "m.tgz", files), into)

    assert ["onnx"] == list(package.engines)
    assert package.params is None


@pytest.mark.parametrize(("model", "said"), BAD.values(), ids=BAD)
def test_graphs_that_reach_outside_are_refused(model, said, tmp_path, refused):
    """Other files, other operators, compiled programs and own functions are refused, in branches too."""
    files = archives.contents(network=("model.onnx", model.SerializeToString()), params=None)

    assert said in refused(archives.build(tmp_path / "m.tgz", files), "E_MODEL_GRAPH").what


@pytest.mark.parametrize("body", [b"", b"<html>503</html>", b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 40])
def test_rubbish_is_refused(body, tmp_path, refused):
    """What is no protobuf is an error of the graph."""
    files = archives.contents(network=("model.onnx", body), params=None)

    refused(archives.build(tmp_path / "m.tgz", files), "E_MODEL_GRAPH")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_bytes_pass_or_are_refused(data, tmp_path_factory):
    """A damaged graph never fails in another way than GraphError, and one that onnx reads is never called rubbish."""
    body = bytearray(GOOD["branch"].SerializeToString())
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("any") / "model.onnx"
    path.write_bytes(body)
    try:
        check_graph(path)
        said = ""
    except GraphError as error:
        said = error.line

    assert said.isprintable()
    if said == "":
        read = onnx.load(path, load_external_data=False) if _parses(bytes(body)) else onnx.ModelProto()
        assert not any(tensor.external_data for tensor in read.graph.initializer)
        assert not read.functions


def _parses(body: bytes) -> bool:
    from google.protobuf.message import DecodeError

    try:
        onnx.ModelProto.FromString(body)
    except DecodeError:
        return False
    return True


def field(number: int, wire: int, body: bytes) -> bytes:
    """Encode one field of a protobuf."""
    tag, out = number << 3 | wire, bytearray()
    while tag > 127:
        out.append(tag & 127 | 128)
        tag >>= 7
    return bytes([*out, tag]) + body


def message(number: int, body: bytes) -> bytes:
    """Encode a message in a field, of at most 127 bytes."""
    return field(number, 2, bytes([len(body)]) + body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (message(7, message(5, field(14, 0, b"\x01"))), "its weights are in another file"),
        (field(1 << 29, 0, b"\x01"), "a field number is too large"),
        (field(9, 1, b"1234567"), "it ends early"),
        (field(9, 5, b"123"), "it ends early"),
        (field(9, 2, b"\x04abc"), "it ends early"),
        (field(9, 3, b""), "wire type 3"),
        (field(9, 0, b"\xff" * 10 + b"\x01"), "a number is too long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_field_that_no_graph_has_is_refused(body, says, tmp_path):
    """Each with its reason."""
    (tmp_path / "m.onnx").write_bytes(body)
    with pytest.raises(GraphError) as caught:
        check_graph(tmp_path / "m.onnx")
    assert says in caught.value.what


@pytest.mark.parametrize(
    "body",
    [
        field(9, 1, b"12345678"),
        field(9, 5, b"1234"),
        field(9, 2, b"\x03abc"),
        field((1 << 29) - 1, 0, b"\x01"),
        message(7, message(5, field(14, 0, b"\x00"))),
        field(9, 1, b"12345678") + field(9, 5, b"1234") + message(7, message(1, message(4, b"Relu"))),
    ],
)
def test_fields_of_every_kind_are_walked_over(body, tmp_path):
    """What the check does not know is not its concern."""
    (tmp_path / "m.onnx").write_bytes(body)
    check_graph(tmp_path / "m.onnx")


def nested(levels: int) -> bytes:
    """Encode a graph in a branch of a graph, and so on."""
    body = b""
    for _ in range(levels):
        for number in (6, 5, 1):
            size, length = len(body), bytearray()
            while size > 127:
                length.append(size & 127 | 128)
                size >>= 7
            body = field(number, 2, bytes([*length, size]) + body)
    return field(7, 2, bytes([len(body) & 127 | 128, len(body) >> 7]) + body)


def test_branches_have_a_limit(tmp_path):
    """21 branches in each other are walked, 22 are too many."""
    (tmp_path / "m.onnx").write_bytes(nested(21))
    check_graph(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes(nested(22))
    with pytest.raises(GraphError, match="nested too deeply"):
        check_graph(tmp_path / "m.onnx")


@pytest.mark.parametrize("path", [(5,), (6, 5), (10,), (11, 5), (22, 1), (22, 2), (23, 1)], ids=str)
def test_every_place_of_a_tensor_is_looked_at(path, tmp_path):
    """Weights may hide in attributes: in tensors, graphs and sparse tensors, single or in lists."""
    body = field(14, 0, b"\x01")
    for number in (7, 1, 5, *path)[::-1]:
        body = message(number, body)
    (tmp_path / "m.onnx").write_bytes(body)
    with pytest.raises(GraphError, match="its weights are in another file"):
        check_graph(tmp_path / "m.onnx")
