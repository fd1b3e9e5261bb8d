from __future__ import annotations

from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_model.heads import Runner
from export_model.labels import from_metadata
from export_model.onnx_detector import adapt
from quadrat.errors import GraphError, ParameterError


def model(text: str) -> bytes:
    """Read a network in ONNX's text form."""
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}').SerializeToString()


def scaled(
    sizes: str = "orig_target_sizes",
    kind: str = "int64",
    batch: str = "n",
    hw: str = "h, w",
    order: str = "0, 1",
) -> bytes:
    """Make an RT-DETR of one box in shares, scaled by the pictures' sizes as its own exporter does.

    `order` says where in `sizes` the width and the height are.
    """
    return model(f"""
        net (float[{batch}, 3, {hw}] images, {kind}[{batch}, 2] {sizes})
            => (float[{batch}, 1, 4] boxes)
        <float[1, 1, 4] shares = {{0.25, 0.25, 0.75, 0.5}}, int64[1] one = {{1}}, float[1] none = {{0}},
         int64[2] order = {{{order}}}>
        {{
            turned = Gather <axis = 1> ({sizes}, order)
            wide = Cast <to = 1> (turned)
            pair = Unsqueeze (wide, one)
            both = Concat <axis = 2> (pair, pair)
            given = Mul (shares, both)
            axes = Constant <value_ints: ints = [1, 2, 3]> ()
            most = ReduceMax <axes: ints = [1, 2, 3], keepdims = 0> (images)
            zero = Mul (most, none)
            shape = Constant <value_ints: ints = [-1, 1, 1]> ()
            added = Reshape (zero, shape)
            boxes = Add (given, added)
        }}
    """)


@pytest.mark.parametrize("kind", ["int64", "int32", "float"])
@pytest.mark.parametrize(("batch", "hw"), [("n", "h, w"), ("2", "48, 96")])
def test_the_input_for_sizes_is_folded_in(kind, batch, hw):
    """Boxes come out in the tensor's own pixels, width first, for every size and batch the network takes."""
    made = adapt(scaled("orig_target_sizes", kind, batch, hw), "net.onnx", None)
    assert [i.name for i in onnx.load_model_from_string(made.data).graph.input] == ["images"]
    assert made.notes == (
        "input orig_target_sizes is computed as width, height: boxes are in pixels of the tensor",
    )
    for size in [(48, 96)] if batch == "2" else [(48, 96), (100, 60)]:
        boxes = Runner(made.data).every(np.zeros((2, 3, *size), np.float32))["boxes"]
        expected = [0.25 * size[1], 0.25 * size[0], 0.75 * size[1], 0.5 * size[0]]
        assert np.allclose(boxes, [[expected]] * 2)


@pytest.mark.parametrize(("sizes", "order"), [("orig_target_sizes", "0, 1"), ("target_sizes", "1, 0")])
@pytest.mark.parametrize("hw", ["h, w", "64, 128"])
def test_sizes_are_in_the_order_of_their_name(sizes, order, hw):
    """RT-DETR's name is (width, height), Hugging Face's is (height, width): no box of either is turned."""
    made = adapt(scaled(sizes, hw=hw, order=order), "net.onnx", None)
    boxes = Runner(made.data).every(np.zeros((2, 3, 64, 128), np.float32))["boxes"]
    assert np.allclose(boxes, [[[32, 16, 96, 32]]] * 2)


@pytest.mark.parametrize("sizes", ["orig_size", "image_size"])
@pytest.mark.parametrize("order", ["0, 1", "1, 0"])
def test_sizes_of_no_known_order_need_a_square(sizes, order):
    """Where a name does not state one side is first, only a square input is taken, by which no box can be turned."""
    for hw in ("64, 128", "h, w", "64, w"):
        with pytest.raises(GraphError, match=f"its input {sizes} is .width, height. or") as caught:
            adapt(scaled(sizes, hw=hw, order=order), "net.onnx", None)
        assert "orig_target_sizes is (width, height)" in caught.value.hint
    for hw, wanted in (("64, 64", None), ("h, w", (None, 3, 64, 64))):
        made = adapt(scaled(sizes, hw=hw, order=order), "net.onnx", wanted)
        boxes = Runner(made.data).every(np.zeros((1, 3, 64, 64), np.float32))["boxes"]
        assert np.allclose(boxes, [[[16, 16, 48, 32]]])


def test_another_input_is_refused():
    """An input that no picture gives is named, with the names that are known."""
    with pytest.raises(GraphError, match="it has the input im_info") as caught:
        adapt(scaled("im_info", "float"), "net.onnx", None)
    assert "orig_target_sizes" in caught.value.hint


PADDLE = """
    net (float[n, 2] im_shape, float[n, 3, h, w] image, float[n, 2] scale_factor)
        => (float[m, 6] rows, int32[1] count)
    <float[1, 4] shares = {0.25, 0.25, 0.75, 0.5}, float[1, 2] head = {1, 0.9}, float[1] half = {0.5},
     int64[4] order = {1, 0, 1, 0}, float[1] none = {0}>
    {
        own = Div (im_shape, scale_factor)
        more = Add (own, half)
        sides = Floor (more)
        four = Gather <axis = 1> (sides, order)
        box = Mul (shares, four)
        axes = Constant <value_ints: ints = [1, 2, 3]> ()
        most = ReduceMax <axes: ints = [1, 2, 3], keepdims = 0> (image)
        nothing = Mul (most, none)
        shape = Constant <value_ints: ints = [-1, 1]> ()
        added = Reshape (nothing, shape)
        boxes = Add (box, added)
        size = Shape <start = 0, end = 1> (image)
        two = Constant <value_ints: ints = [2]> ()
        batched = Concat <axis = 0> (size, two)
        start = Expand (head, batched)
        rows = Concat <axis = 1> (start, boxes)
        long = Shape <start = 0, end = 1> (rows)
        count = Cast <to = 6> (long)
    }
"""
"""What PaddleDetection's RT-DETR does at its end: shares of the photograph's sides, which are im_shape / scale_factor."""


def test_both_inputs_of_paddledetection_are_folded_in():
    """Its boxes are in pixels of the photograph; with a scale of 1 they are in pixels of the tensor."""
    made = adapt(model(PADDLE), "net.onnx", None)
    assert [i.name for i in onnx.load_model_from_string(made.data).graph.input] == ["image"]
    assert made.notes == (
        "input im_shape is computed as height, width: boxes are in pixels of the tensor",
        "input scale_factor is computed as 1, 1: boxes are in pixels of the tensor",
    )
    for height, width in ((48, 96), (100, 60)):
        rows = Runner(made.data).every(np.zeros((1, 3, height, width), np.float32))["rows"]
        assert np.allclose(rows, [[1, 0.9, 0.25 * width, 0.25 * height, 0.75 * width, 0.5 * height]])


HALF = """
    net (float16[n, 3, h, w] images) => (float16[n, 3, h, w] output0)
    { output0 = Add (images, images) }
"""


def test_a_half_precision_input_gets_a_cast():
    """The archive's input is float32, the network's own and its outputs stay float16."""
    made = adapt(model(HALF), "net.onnx", None)
    graph = onnx.load_model_from_string(made.data).graph
    assert [(i.name, i.type.tensor_type.elem_type) for i in graph.input] == [
        (made.image, onnx.TensorProto.FLOAT)
    ]
    assert made.outputs[0].dtype == "float16"
    given = Runner(made.data).every(np.full((1, 3, 2, 2), 1.5, np.float32))["output0"]
    assert given.dtype == np.float16
    assert (given == 3).all()


def test_both_at_once():
    """A half-precision network with an input for sizes: both are mended, in an order that runs."""
    half = scaled().replace(b"images", b"images")
    loaded = onnx.load_model_from_string(half)
    loaded.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for node in loaded.graph.node:
        if node.op_type == "ReduceMax":
            node.input[0] = "wide_images"
    loaded.graph.node.insert(0, onnx.helper.make_node("Cast", ["images"], ["wide_images"], to=1))
    made = adapt(loaded.SerializeToString(), "net.onnx", None)
    assert len(made.notes) == 2
    boxes = Runner(made.data).every(np.zeros((1, 3, 40, 80), np.float32))["boxes"]
    assert np.allclose(boxes, [[[20, 10, 60, 20]]])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "net (uint8[n, 3, h, w] images) => (uint8[n, 3, h, w] y) { y = Identity (images) }",
            "neither float32",
        ),
        (
            "net (float[n, 1, h, w] images) => (float[n, 1, h, w] y) { y = Identity (images) }",
            "1 channels, not 3",
        ),
        (
            "net (float[n, 3] images) => (float[n, 3] y) { y = Identity (images) }",
            "one input \\(N, 3, H, W\\)",
        ),
    ],
)
def test_what_is_no_picture_is_refused(text, what):
    """An input of another kind or form is an error that says so."""
    with pytest.raises(GraphError, match=what):
        adapt(model(text), "net.onnx", None)


def test_an_old_opset_is_kept_or_converted():
    """From opset 8 on the network stays as it is; an older one is converted, with the same outputs."""
    old = onnx.load_model_from_string(
        model("net (float[n, 3, h, w] x) => (float[n, 3, h, w] y) { y = Identity (x) }")
    )
    for opset, notes in ((9, 0), (7, 1)):
        old.opset_import[0].version = opset
        made = adapt(old.SerializeToString(), "net.onnx", None)
        assert len(made.notes) == notes
        kept = onnx.load_model_from_string(made.data).opset_import[0].version
        assert kept == opset if not notes else kept >= 13
        assert Runner(made.data).every(np.ones((1, 3, 8, 8), np.float32))["y"].sum() == 192


def test_a_channels_last_detector_is_turned():
    """Its image becomes (N, 3, H, W), and sizes of images are those of that tensor."""
    text = """net (float[n, h, w, 3] images, int64[n, 2] orig_target_sizes) => (float[n, 3] y, int64[n, 2] sizes) {
        y = ReduceMean <axes: ints = [1, 2], keepdims = 0> (images)
        sizes = Identity (orig_target_sizes)
    }"""
    made = adapt(model(text), "net.onnx", None)
    assert made.shape == (None, 3, None, None)
    assert made.notes[0] == "input images is channels-last (N, H, W, C); a transpose was added"
    image = np.zeros((1, 3, 20, 30), np.float32)
    image[:, 1] = 1
    given_ = Runner(made.data).every(image)
    assert given_["y"].tolist() == [[0, 1, 0]]
    assert given_["sizes"].tolist() == [[30, 20]]


def test_axes_stored_as_minus_one_are_open():
    """Of the input and of outputs; initializers listed as inputs are left out, as in files of IR version 3."""
    old = onnx.load_model_from_string(
        model("net (float[n, 3, h, w] x) => (float[n, 3, h, w] y) <float[1] two = {2}> { y = Mul (x, two) }")
    )
    old.ir_version = 3
    held = old.graph.initializer[0]
    old.graph.input.append(onnx.helper.make_tensor_value_info("two", held.data_type, held.dims))
    for value in (old.graph.input[0], old.graph.output[0]):
        for axis in (0, 2, 3):
            value.type.tensor_type.shape.dim[axis].dim_value = -1
    made = adapt(old.SerializeToString(), "net.onnx", None)
    assert made.shape == (None, 3, None, None)
    assert made.outputs[0].shape == (None, 3, None, None)


def test_the_shape_can_be_fixed():
    """--input-shape fixes what is open, and cannot change what is fixed."""
    assert adapt(model(HALF), "net.onnx", (1, 3, 64, 96)).shape == (1, 3, 64, 96)
    fixed = scaled(batch="2", hw="48, 96")
    with pytest.raises(ParameterError, match="fixed to"):
        adapt(fixed, "net.onnx", (1, 3, 48, 96))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{0: 'fish', 1: 'sea urchin'}", ("fish", "sea urchin")),
        ("{1: 'b', 0: 'a'}", ("a", "b")),
        ("['a', 'b']", ("a", "b")),
        ("{0: ''}", ("class 0",)),
        ("{0: 'a', 2: 'c'}", ()),
        ("{'0': 'a'}", ("a",)),
        ("{0: 1}", ()),
        ("{True: 'a', 0: 'b'}", ()),
        ("__import__('os').abort()", ()),
        ("[" * 5000, ()),
        ("['" + "a" * 200_000 + "']", ()),
        ("", ()),
    ],
)
def test_class_names_are_read_and_never_run(text, names):
    """A dict of numbers from 0 or a list of texts are names; all else is none, and no code runs."""
    assert from_metadata({"names": text}) == names


@given(
    st.one_of(
        st.text(), st.lists(st.text()).map(repr), st.dictionaries(st.integers(-1, 3), st.text()).map(repr)
    )
)
def test_any_text_can_be_read(text):
    """Whatever the file holds, the answer is a tuple of texts that are not empty, or a line that says what is odd."""
    with suppress(ParameterError):
        assert all(isinstance(name, str) and name for name in from_metadata({"names": text}))
