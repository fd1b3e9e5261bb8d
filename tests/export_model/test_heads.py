from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from export_model import heads
from export_model.from_onnx import complete
from tests.networks import brightness_onnx

ANY = (2, 3, 24, 40)


def network(tail=(), *, channels=3, output="y", opset=17, scale=1):
    """Make a small network: a 3x3 convolution to `channels`, then `tail`, from x to `output`."""
    rng = np.random.default_rng(channels)
    weights = rng.normal(0, 1, (channels, 3, 3, 3)).astype(np.float32)
    names = ["conv", *(f"t{i}" for i in range(len(tail)))]
    names[-1] = output
    nodes = [helper.make_node("Conv", ["x", "w"], [names[0]], pads=[1, 1, 1, 1], strides=[scale, scale])]
    for (kind, attributes), before, after in zip(tail, names, names[1:], strict=False):
        nodes.append(helper.make_node(kind, [before], [after], **attributes))
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", channels, "a", "b"])],
        [helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def outputs(graph, image):
    """Run the three outputs."""
    run = heads.Runner(graph.data)
    return {role: run(image, name) for role, name in graph.roles.items()}


@pytest.fixture
def image():
    """A batch of two."""
    return np.random.default_rng(0).normal(0, 1, ANY).astype(np.float32)


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
@pytest.mark.parametrize("output", ["y", "logits", "labels"])
def test_three_outputs_of_one_network(image, opset, output):
    """The labels are the argmax, confidence the largest softmax, logits the scores, whatever they were called."""
    body = network(opset=opset, output=output)
    scores = heads.Runner(body)(image, output)
    given = outputs(complete(body, "net"), image)

    assert (given["logits"] == scores).all()
    assert given["labels"].dtype == np.uint8
    assert (given["labels"] == scores.argmax(1)).all()
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    assert np.allclose(given["confidence"], shares.max(1), atol=1e-6)


def test_probabilities_are_known(image):
    """A network that ends in softmax has those probabilities as its confidence, not their softmax."""
    body = network([("Softmax", {"axis": 1})])
    shares = heads.Runner(body)(image, "y")
    given = outputs(complete(body, "net"), image)
    assert np.allclose(given["confidence"], shares.max(1), atol=1e-5)
    assert (given["labels"] == shares.argmax(1)).all()


@pytest.mark.parametrize("sigmoid", [False, True])
def test_one_channel_is_two_classes(image, sigmoid):
    """A binary network calls class 1 where its score is above zero, or its sigmoid above a half."""
    body = network([("Sigmoid", {})] if sigmoid else [], channels=1)
    plain = heads.Runner(network(channels=1))(image, "y")[:, 0]
    given = outputs(complete(body, "net"), image)
    assert (given["labels"] == (plain > 0)).all()
    assert given["logits"].shape == (2, 2, 24, 40)
    assert np.allclose(given["confidence"], 1 / (1 + np.exp(-np.abs(plain))), atol=1e-4)


def test_small_scores_are_brought_to_the_inputs_size(image):
    """Scores at a quarter of the size are interpolated; the masks are as large as the picture."""
    given = outputs(complete(network(scale=4), "net"), image)
    assert given["labels"].shape == (2, 24, 40)
    assert given["logits"].shape == (2, 3, 24, 40)


def test_a_network_that_has_all_three_is_kept():
    """Outputs that are there already are not made again."""
    body = brightness_onnx()
    graph = complete(body, "net")
    assert set(graph.roles) == set(heads.ROLES)
    assert len(heads.load(graph.data, "").graph.node) == len(heads.load(body, "").graph.node)


def test_the_slow_runner_agrees(image, monkeypatch):
    """Without onnxruntime the reference runs the same network, to the last bits but few."""
    body = complete(network(scale=2), "net").data
    quick = heads.Runner(body)(image, "logits")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    assert np.allclose(heads.Runner(body)(image, "logits"), quick, atol=1e-4)
