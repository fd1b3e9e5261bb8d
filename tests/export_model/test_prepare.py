"""Every form in which authors ship a segmentation network becomes one input (N, 3, H, W), with the same outputs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export_model import heads, prepare
from export_model.from_onnx import complete
from export_model.scores import ScoreOptions
from quadrat.errors import GraphError, ParameterError

W3 = np.array([[-1, -1, -1], [1, 1, 1], [1, -1, 0]], np.float32).reshape(3, 3, 1, 1)
FIRST, LAST = ["n", 3, "h", "w"], ["n", "h", "w", 3]
TO_FIRST = helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])
TO_LAST = helper.make_node("Transpose", ["s"], ["y"], perm=[0, 2, 3, 1])


def network(nodes, *, taken=FIRST, given=FIRST, kinds=(TensorProto.FLOAT,) * 2, opset=17, held=(), ir=8):
    """Make a network from x to y that classifies by colour; `held` are initializers also listed as inputs."""
    weights = [numpy_helper.from_array(W3, "w"), *(numpy_helper.from_array(v, n) for n, v in held)]
    inputs = [helper.make_tensor_value_info("x", kinds[0], taken)]
    listed = [*held, *([("w", W3)] if ir < 4 else [])]
    inputs += [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in listed]
    outputs = [helper.make_tensor_value_info("y", kinds[1], given)]
    graph = helper.make_graph(nodes, "net", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    return model.SerializeToString()


def conv(taken="x", given="y"):
    """Make the only layer that counts."""
    return helper.make_node("Conv", [taken, "w"], [given])


PLAIN = network([conv()])
FORMS = {
    "channels last": network([TO_FIRST, conv("t", "s"), TO_LAST], taken=LAST, given=LAST),
    "input last": network([TO_FIRST, conv("t")], taken=LAST),
    "output last": network([conv("x", "s"), TO_LAST], given=LAST),
    "all axes open": network(
        [TO_FIRST, conv("t", "s"), TO_LAST], taken=["a", "b", "c", "d"], given=["a", "b", "c", "k"]
    ),
    "axes of -1": network([conv()], taken=[-1, 3, -1, -1]),
    "axes of 0": network([conv()], taken=[0, 3, 0, 0]),
    "listed initializer": network(
        [conv("x", "s"), helper.make_node("Add", ["s", "b"], ["y"])],
        held=[("b", np.zeros((1, 3, 1, 1), np.float32))],
    ),
    "version 3 of the format": network([conv()], opset=9, ir=3),
    "opset 9": network([conv()], opset=9),
    "opset 11": network([conv()], opset=11),
    "opset 12": network([conv()], opset=12),
    "open output": network([conv()], given=["a", "b", "c", "d"]),
    "fixed batch": network([conv()], taken=[4, 3, "h", "w"]),
    "fixed size": network([TO_FIRST, conv("t")], taken=[1, 40, 56, 3], given=[1, 3, 40, 56]),
}


def run(graph, image):
    """Run all roles of a completed graph."""
    every = heads.Runner(graph.data).every(image)
    return {role: every[name] for role, name in graph.roles.items()}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_what_the_plain_one_gives(form):
    """Labels, confidence and scores are those of the network whose channels come first."""
    graph = complete(FORMS[form], form)
    shape = tuple(size or fill for size, fill in zip(graph.shape, (1, 3, 40, 56), strict=True))
    image = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    found, plain = run(graph, image), run(complete(PLAIN, "plain"), image)

    assert graph.shape[1] == 3
    assert found.keys() == plain.keys() == set(heads.ROLES)
    np.testing.assert_array_equal(found["labels"], plain["labels"])
    np.testing.assert_allclose(found["confidence"], plain["confidence"], atol=1e-6)
    np.testing.assert_allclose(found["logits"], plain["logits"], atol=1e-5)


def test_what_was_changed_is_told():
    """A transpose is never silent."""
    notes = " ".join(complete(FORMS["channels last"], "net").notes)
    assert "input x is channels-last" in notes
    assert "output y is channels-last" in notes


def test_float16_is_cast_at_both_ends():
    """The archive's input and scores are float32."""
    half = onnx.load_model_from_string(network([conv()], kinds=(TensorProto.FLOAT16,) * 2))
    half.graph.initializer[0].CopyFrom(numpy_helper.from_array(W3.astype(np.float16), "w"))
    graph = complete(half.SerializeToString(), "half")
    image = np.random.default_rng(0).random((1, 3, 40, 56), np.float32)
    found, plain = run(graph, image), run(complete(PLAIN, "plain"), image)
    assert found["logits"].dtype == np.float32
    np.testing.assert_allclose(found["logits"], plain["logits"], atol=2e-3)


@pytest.mark.parametrize(
    ("tail", "given", "kind"),
    [
        ([helper.make_node("ArgMax", ["s"], ["y"], axis=1, keepdims=0)], ["n", "h", "w"], TensorProto.INT64),
        (
            [helper.make_node("ArgMax", ["s"], ["y"], axis=1, keepdims=1)],
            ["n", 1, "h", "w"],
            TensorProto.INT64,
        ),
        (
            [
                helper.make_node("ArgMax", ["s"], ["a"], axis=1, keepdims=1),
                helper.make_node("Transpose", ["a"], ["y"], perm=[0, 2, 3, 1]),
            ],
            ["n", "h", "w", 1],
            TensorProto.INT64,
        ),
        (
            [
                helper.make_node("ArgMax", ["s"], ["a"], axis=1, keepdims=1),
                helper.make_node("Cast", ["a"], ["y"], to=TensorProto.FLOAT),
            ],
            ["n", 1, "h", "w"],
            TensorProto.FLOAT,
        ),
    ],
)
@pytest.mark.parametrize("opset", [11, 17])
def test_classes_in_every_form(tail, given, kind, opset):
    """Labels with an axis of one, at its end, or as floats, become integers (N, H, W)."""
    body = network([conv("x", "s"), *tail], given=given, kinds=(TensorProto.FLOAT, kind), opset=opset)
    graph = complete(body, "net")
    image = np.random.default_rng(0).normal(0, 1, (2, 3, 24, 32)).astype(np.float32)
    labels = run(graph, image)["labels"]
    assert list(graph.roles) == ["labels"]
    assert labels.shape == (2, 24, 32)
    assert labels.dtype.kind in "iu"
    np.testing.assert_array_equal(labels, run(complete(PLAIN, "plain"), image)["labels"])


def test_old_opsets_are_converted_and_compared(monkeypatch):
    """A converter that changes the results is caught, and the network is refused with what to do."""
    old = onnx.load_model_from_string(network([conv()], opset=7))
    new, note = prepare.upgraded(old, heads.LEAST, "net")
    assert heads.opset(new) >= heads.LEAST
    assert "opset 7 was converted" in note
    assert prepare.upgraded(new, heads.LEAST, "net") == (new, "")

    other = onnx.load_model_from_string(PLAIN)
    other.graph.initializer[0].CopyFrom(numpy_helper.from_array(W3 * 1.04, "w"))
    monkeypatch.setattr("onnx.version_converter.convert_version", lambda *_: other)
    with pytest.raises(GraphError, match=r"outputs change by 4\.0%"):
        prepare.upgraded(old, heads.LEAST, "net")


def test_a_wrong_transpose_would_be_caught():
    """The proof compares the prepared graph with the original, on the same picture."""
    body = FORMS["input last"]
    model = heads.load(body, "net")
    image = prepare.image_first(model, model.graph.input[0], "net")
    heads.with_shape(model, image.shape)
    prepare.prove(body, model.SerializeToString(), image, "net")
    model.graph.node[0].attribute[0].ints[:] = [0, 3, 2, 1]
    with pytest.raises(GraphError):
        prepare.prove(body, model.SerializeToString(), image, "net")


@pytest.mark.parametrize(
    ("shape", "last"),
    [
        ((None, 3, None, None), False), ((1, 257, 257, 3), True), ((None, None, None, 3), True),
        ((1, 3, 640, 3), False), ((None, None, None, None), False), ((1, 224, 224, 1), True),
    ],
)  # fmt: skip
def test_channels_last_is_told_by_the_threes(shape, last):
    """Three channels come last and not second; where nothing tells, channels come first."""
    assert prepare.is_channels_last(shape) is last


def test_what_cannot_be_prepared():
    """Other inputs, sizes and dtypes are refused by name."""
    with pytest.raises(ParameterError, match="fixed"):
        complete(FORMS["fixed size"], "net", shape=(1, 3, 64, 64))
    with pytest.raises(GraphError, match="neither float32 nor float16"):
        complete(network([helper.make_node("Identity", ["x"], ["y"])], kinds=(TensorProto.UINT8,) * 2), "net")
    pooled = network([helper.make_node("GlobalAveragePool", ["x"], ["y"])], given=["n", 3, 1, 1])
    with pytest.raises(GraphError, match="classifier"):
        complete(pooled, "net")


def test_a_picture_is_no_mask_unless_classes_are_named():
    """Three channels like the input's are asked about; with names they are what the user says."""
    same = network([helper.make_node("Identity", ["x"], ["y"])])
    asked = complete(same, "net").meaning.questions
    assert "enhancement network" in asked[0].what
    named = complete(same, "net", options=ScoreOptions(names=("a", "b", "c"), multi_label=True))
    assert not named.meaning.questions


@pytest.mark.parametrize(
    "shape", [(1, 3, 100_000, 100_000), (None, None, 10**9, None), (10**9, 3, None, None)]
)
def test_an_input_that_fills_the_memory_is_refused(shape):
    """Whether the network is fixed to it or --input-shape asks for it."""
    with pytest.raises(GraphError, match="300 million are the most"):
        prepare.noise(shape)
    assert prepare.noise((1, 3, 100, None)).shape == (1, 3, 100, prepare.SIDE)
