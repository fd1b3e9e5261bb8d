from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper

from export_model.from_onnx import agrees, complete, load
from export_model.heads import Runner
from export_model.selftest import labels_of, picture
from quadrat.errors import GraphError, ParameterError
from tests.networks import brightness_onnx

ANY = (None, 3, None, None)


def network(*, outputs=("a", "b"), dims=("n", 3, "h", "w"), kind=TensorProto.FLOAT, inputs=("x",), opset=17):
    """Make a network that hands its input on to every output."""
    graph = helper.make_graph(
        [helper.make_node("Identity", [inputs[0]], [name]) for name in outputs], "net",
        [helper.make_tensor_value_info(name, kind, dims) for name in inputs],
        [helper.make_tensor_value_info(name, kind, dims) for name in outputs],
    )  # fmt: skip
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8
    ).SerializeToString()


def test_scores_must_be_named_where_several_could_be_meant():
    """Two outputs of the form of scores: the question lists both, and a name settles it."""
    (asked,) = complete(network(), "net").questions
    assert "a, b" in asked.what
    assert "--onnx-output NAME" in asked.options
    assert complete(network(), "net", output="b").roles["labels"] == "labels"
    with pytest.raises(ParameterError, match="no such output"):
        complete(network(), "net", output="c")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"rubbish", "not a valid ONNX"),
        (network(inputs=("x", "y")), "one input"),
        (network(dims=("n", 3, "h"), outputs=("a",)), "float32"),
        (network(kind=TensorProto.INT64, outputs=("a",)), "float32"),
        (network(dims=("n", 4, "h", "w"), outputs=("a",)), "4 channels"),
    ],
)
def test_what_cannot_serve_is_refused(body, said):
    """Each graph that is no segmentation network of RGB pictures is refused by name."""
    with pytest.raises(GraphError, match=said):
        complete(body, "net")


def test_a_detector_is_told_its_option():
    """A network whose output is a list of boxes may be packed as what it is."""
    rows = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        net (float[1, 3, 64, 96] images) => (float[1, 3, 6144] rows)
        <int64[3] shape = {1, 3, 6144}>
        { rows = Reshape (images, shape) }
    """)
    with pytest.raises(GraphError, match="--task detect"):
        complete(rows.SerializeToString(), "net")


def test_labels_only_is_enough():
    """A network that gives nothing but classes makes an archive without confidence."""
    graph = complete(brightness_onnx(("labels",)), "net")
    assert dict(graph.roles) == {"labels": "labels"}


@pytest.mark.parametrize("shape", [(1, 3, 64, 96), (4, 3, None, None)])
def test_a_shape_is_fixed_on_request(shape):
    """--input-shape closes axes that the graph leaves open; batches are fixed too."""
    graph = complete(brightness_onnx(("logits",)), "net", shape=shape)
    assert graph.shape == shape
    image = picture(0, shape).astype(np.float32)
    plain = labels_of(Runner(brightness_onnx(("logits",)))(image, "logits"))
    assert agrees(graph, image, plain) == 0
    with pytest.raises(ParameterError, match="fixed"):
        complete(graph.data, "net", shape=(2, 3, 32, 32))


def test_disagreement_is_counted():
    """Pixels whose label is another are counted, and a wrong size counts as all."""
    graph = complete(brightness_onnx(("logits",)), "net")
    image = picture(0, ANY).astype(np.float32)
    labels = labels_of(Runner(graph.data)(image, "logits"))
    labels[0, 0, :3] ^= 1
    assert agrees(graph, image, labels) == 3
    assert agrees(graph, image, labels[:, :2]) == labels[:, :2].size


def test_files_outside_the_folder_are_refused(tmp_path):
    """Weights named by a path that leaves the folder are not read."""
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Conv", ["x", "w"], ["y"])], "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2, "h", "w"])],
        ),
        ir_version=8,
    )  # fmt: skip
    weights = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[2, 3, 1, 1])
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../secret.bin")
    (tmp_path / "secret.bin").write_bytes(bytes(24))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(GraphError):
        load(tmp_path / "in" / "m.onnx", None, None)
