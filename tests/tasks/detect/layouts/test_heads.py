"""Objects laid out as the raw head of each family gives them are read as the same objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import ClassesError, EngineRunError, LayoutError
from quadrat.package.detectors import DetectWords
from quadrat.tasks.detect.layouts import DetectorSpec, choose, guess
from quadrat.types import OutputSpec
from tests.heads import HEADS, encode_head

HW = (192, 256)
WORDS: dict[str, dict[str, Any]] = {
    "ssd": {"background": 0, "stated": True, "unit": "fractions"},
    "centernet": {"activation": "sigmoid"},
}
"""What an archive states beside the layout."""
ONE = ("scrfd", "centerface")
"""Layouts that have a single class here."""


def network(
    layout: str, arrays: dict[str, np.ndarray], classes: int | None = 3, **words: Any
) -> DetectorSpec:
    """Make the spec of a network that gives these arrays for each input of a batch."""
    outputs = tuple(
        OutputSpec(name, str(array.dtype), (None, *array.shape)) for name, array in arrays.items()
    )
    count = 1 if classes and layout in ONE else classes
    return DetectorSpec(
        "tiny", outputs, {}, count, DetectWords(layout, **(WORDS.get(layout, {}) | words)), input_hw=HW
    )


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw up to six objects whose centres lie in different cells of 32 pixels, none at a cell's border."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    count = draw(st.integers(0, 6))
    places = rng.permutation(HW[0] // 32 * HW[1] // 32)[:count]
    centres = np.stack([places % (HW[1] // 32), places // (HW[1] // 32)], axis=1) * 32 + rng.uniform(
        9, 15, (count, 2)
    )
    half = rng.uniform(8, 20, (count, 2))
    boxes = np.concatenate([centres - half, centres + half], axis=1)
    return boxes, rng.uniform(0.3, 0.95, count), rng.integers(0, 3, count)


@pytest.mark.parametrize("layout", HEADS)
@given(scenes(), st.sampled_from([0.25, 0.6]))
def test_what_was_laid_out_is_read(
    layout: str, scene: tuple[np.ndarray, np.ndarray, np.ndarray], floor: float
) -> None:
    """Exactly the objects above the threshold are returned, each with its box, score and class."""
    boxes, scores, classes = scene
    classes = classes * 0 if layout in ONE else classes
    arrays = encode_head(layout, boxes, scores, classes, num_classes=1 if layout in ONE else 3, hw=HW)
    got = choose(network(layout, arrays)).read(arrays, HW, floor)
    due = np.flatnonzero(scores.astype(np.float32) >= np.float32(floor))
    order = np.lexsort(got.boxes.T)
    due = due[np.lexsort(boxes[due].T)]

    np.testing.assert_allclose(got.boxes[order], boxes[due], atol=0.02)
    np.testing.assert_allclose(got.scores[order], scores[due], atol=1e-4)
    np.testing.assert_array_equal(got.classes[order], classes[due])
    assert (np.float32, np.float32, np.int64) == (got.boxes.dtype, got.scores.dtype, got.classes.dtype)


@pytest.mark.parametrize("layout", HEADS)
def test_the_roles_that_an_archive_states_suffice(layout: str) -> None:
    """Shapes may be open and names mean nothing: the roles that the export wrote find every tensor."""
    arrays = encode_head(layout, [[20, 20, 44, 60]], [0.5], [0], num_classes=1 if layout in ONE else 3, hw=HW)
    found = choose(network(layout, arrays))
    renamed = {name: f"t{index}" for index, name in enumerate(arrays)}
    spec = replace(
        network(layout, arrays),
        outputs=tuple(OutputSpec(renamed[n], "float32", (None,) * (a.ndim + 1)) for n, a in arrays.items()),
        roles={role: renamed[name] for role, name in zip(found.roles, found.wanted, strict=True)},
        input_hw=(None, None),
    )
    again = choose(spec)
    got = again.read({renamed[name]: array for name, array in arrays.items()}, HW, 0.25)
    np.testing.assert_allclose(got.boxes, [[20, 20, 44, 60]], atol=0.02)


@pytest.mark.parametrize("layout", HEADS)
def test_the_usual_head_is_told_apart(layout: str) -> None:
    """By shapes, names and the size of the input; YOLOX and PicoDet need a look at values, or a word."""
    arrays = encode_head(layout, [], [], [], num_classes=1 if layout in ONE else 3, hw=HW)
    spec = network(layout, arrays)
    doubtful = {"yolox": "yolox or yolov5", "picodet": "nanodet or picodet"}
    if layout in doubtful:
        with pytest.raises(LayoutError, match=doubtful[layout]):
            guess(spec.outputs, spec.num_classes, HW)
    else:
        assert layout == guess(spec.outputs, spec.num_classes, HW)[0]


def test_rows_per_cell_tell_yolov5_from_yolox() -> None:
    """YOLOv5 has three anchors for each cell."""
    rows = 3 * (32 * 24 + 16 * 12 + 8 * 6)
    assert "yolov5" == guess((OutputSpec("o", "float32", (1, rows, 8)),), 3, HW)[0]


def grid_rows(*, decoded: bool) -> np.ndarray:
    """Make the rows of a YOLOX without objects: centres and sizes in pixels, or relative to cells."""
    rng = np.random.default_rng(0)
    rows = encode_head("yolox", [], [], [], num_classes=3, hw=HW)["output"]
    rows[:, :2] = rng.uniform(0, HW[::-1], (len(rows), 2)) if decoded else rng.normal(0.5, 1, (len(rows), 2))
    rows[:, 2:4] = rng.uniform(20, 80, (len(rows), 2)) if decoded else rng.normal(1, 0.5, (len(rows), 2))
    return rows


def test_an_undecoded_yolox_does_not_pass_for_yolov5() -> None:
    """Its boxes would all lie in the upper left corner; the error says which layout it is."""
    arrays = {"output": grid_rows(decoded=False)}
    with pytest.raises(LayoutError, match=r"upper left corner.*state the layout yolox"):
        choose(network("yolov5", arrays)).read(arrays, HW, 0.25)
    choose(network("yolox", arrays)).read(arrays, HW, 0.25)


def test_a_decoded_yolox_does_not_pass_for_yolox() -> None:
    """Its sizes in pixels are no logarithms."""
    arrays = {"output": grid_rows(decoded=True)}
    with pytest.raises(LayoutError, match=r"in pixels already.*State the layout yolov5"):
        choose(network("yolox", arrays)).read(arrays, HW, 0.25)
    choose(network("yolov5", arrays)).read(arrays, HW, 0.25)


@pytest.mark.parametrize("layout", HEADS)
def test_another_number_of_classes_is_refused(layout: str) -> None:
    """Before any image, where the shape is known."""
    arrays = encode_head(layout, [], [], [], num_classes=1 if layout in ONE else 3, hw=HW)
    spec = replace(network(layout, arrays), num_classes=5)
    with pytest.raises((ClassesError, LayoutError)):
        choose(spec).read(arrays, HW, 0.25)


@pytest.mark.parametrize("layout", HEADS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_no_detections(layout: str, value: float) -> None:
    """Such outputs give an error, and no objects at all."""
    arrays = encode_head(layout, [[20, 20, 44, 60]], [0.5], [0], num_classes=1 if layout in ONE else 3, hw=HW)
    for array in arrays.values():
        array[:] = value
    with pytest.raises((EngineRunError, LayoutError)):
        choose(network(layout, arrays)).read(arrays, HW, 0.25)


@pytest.mark.parametrize("layout", [name for name in HEADS if name != "centernet"])
def test_raw_logits_are_no_scores(layout: str) -> None:
    """Unless the archive states an activation, scores outside 0..1 are refused."""
    arrays = encode_head(layout, [[20, 20, 44, 60]], [0.5], [0], num_classes=1 if layout in ONE else 3, hw=HW)
    spec = network(layout, arrays)
    arrays = {name: array - 7 for name, array in arrays.items()}
    with pytest.raises(LayoutError, match="must lie in 0 to 1"):
        choose(spec).read(arrays, HW, 0.25)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_an_activation_makes_scores(activation: str) -> None:
    """SSD gives a softmax with a class for the background, others a sigmoid for each class."""
    arrays = encode_head("ssd", [[20, 20, 44, 60]], [0.75], [1], num_classes=3, hw=HW)
    scores = np.clip(arrays["scores"], 1e-6, 1 - 1e-6)
    arrays["scores"] = np.log(scores) if activation == "softmax" else np.log(scores / (1 - scores))
    got = choose(network("ssd", arrays, activation=activation)).read(arrays, HW, 0.25)
    np.testing.assert_allclose(got.scores, [0.75], atol=1e-4)
    assert [1] == got.classes.tolist()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("form", "unit"), [("corners", "pixels"), ("centres", "pixels"), ("centres", "fractions")]
)
def test_boxes_and_scores_apart_have_several_forms(form: str, unit: str, turned: bool) -> None:
    """The archive states corners or centres, pixels or fractions; scores may have their axes in the other order."""
    arrays = encode_head("ssd", [[20, 20, 44, 60]], [0.75], [1], num_classes=3, hw=HW)
    boxes = arrays["boxes"]
    if form == "centres":
        boxes = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)
    arrays["boxes"] = boxes * (np.array([256, 192] * 2, np.float32) if unit == "pixels" else np.float32(1))
    if turned:
        arrays["scores"] = arrays["scores"].T
    got = choose(network("ssd", arrays, boxes=form, unit=unit)).read(arrays, HW, 0.25)
    np.testing.assert_allclose(got.boxes, [[20, 20, 44, 60]], atol=1e-3)


def test_a_peak_is_one_object() -> None:
    """Of neighbouring cells of a heat map only the largest is an object."""
    arrays = encode_head("centernet", [[20, 20, 44, 60]], [0.9], [2], num_classes=3, hw=HW)
    _, y, x = np.argwhere(arrays["hm"] == arrays["hm"].max())[0]
    arrays["hm"][2, y, x + 1] = arrays["hm"][2, y, x] - 0.1
    assert 1 == len(choose(network("centernet", arrays)).read(arrays, HW, 0.25).scores)


@given(
    st.sampled_from(HEADS),
    st.lists(
        st.tuples(
            st.sampled_from(["output", "boxes", "scores", "hm", "wh", "cls_8", "bbox_8", "obj_8"]),
            st.sampled_from(["float32", "float16", "int64", "bool", "str"]),
            st.lists(st.sampled_from([0, 1, 2, 4, 5, 8, 24, 36]), max_size=4),
        ),
        max_size=4,
        unique_by=lambda one: one[0],
    ),
    st.booleans(),
)
def test_any_outputs_are_read_or_refused(
    layout: str, given_outputs: list[tuple[str, str, list[int]]], free: bool
) -> None:
    """Outputs of any shape and dtype, of zero length or of texts, give objects or one of our errors."""
    outputs = tuple(
        OutputSpec(name, dtype, tuple(None if free else side for side in shape))
        for name, dtype, shape in given_outputs
    )
    spec = DetectorSpec("tiny", outputs, {}, None, DetectWords(layout), input_hw=(48, 64))
    try:
        reader = choose(spec)
        arrays = {name: np.full(shape[1:], 0.5).astype(dtype) for name, dtype, shape in given_outputs}
        got = reader.read(arrays, (48, 64), 0.25)
        assert got.boxes.shape == (len(got.scores), 4)
    except (LayoutError, ClassesError, EngineRunError):
        return
