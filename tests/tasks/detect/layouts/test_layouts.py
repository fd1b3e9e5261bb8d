"""One scene, encoded in eight layouts, is always read as the same objects."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import ClassesError, EngineRunError, LayoutError
from quadrat.package.detectors import LAYOUTS as STATED
from quadrat.package.detectors import DetectWords
from quadrat.tasks.detect.layouts import LAYOUTS, Candidates, DetectorSpec, choose
from quadrat.types import OutputSpec
from tests.detectors import LAYOUTS as KNOWN
from tests.detectors import encode, specs

HW = (256, 320)
SHARES = {"yolov5", "yolov8", "rtdetr-ultralytics", "rfdetr"}
"""Layouts whose boxes are computed, so that they are equal only within float32 rounding."""
BACKGROUND = ("rtdetr", "boxes")
PLACES = {"paddledet": {"score": 1, "box": 2, "class": 0}, "yolov10": {"score": 4, "box": 0, "class": 5}}
"""Columns of class, score and box in layouts of rows; in the others the box comes first and the score fifth."""


def network(
    layout: str | None,
    outputs: tuple[OutputSpec, ...] | None = None,
    *,
    classes: int | None = 3,
    roles: dict[str, str] | None = None,
    **words: Any,
) -> DetectorSpec:
    """Make the spec of a detector; by default with the usual outputs of the layout."""
    given = specs(layout or "yolov8", classes or 3) if outputs is None else outputs
    return DetectorSpec("tiny", given, roles or {}, classes, DetectWords(layout, **words))


def read(layout: str, arrays: dict[str, np.ndarray], floor: float = 0.25, **more: Any) -> Candidates:
    """Read arrays by a layout of three classes."""
    return choose(network(layout, **more)).read(arrays, HW, floor)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Objects in an input of HW: boxes with an area, scores in 0.01..0.99, classes 0..2."""
    count = draw(st.integers(0, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    low = rng.uniform(0, [HW[1] - 20, HW[0] - 20], (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(2, 20, (count, 2))], axis=1).astype(np.float32)
    return boxes, rng.uniform(0.01, 0.99, count).astype(np.float32), rng.integers(0, 3, count)


def test_every_layout_that_an_archive_may_state_has_a_reader() -> None:
    """The manifest's names and the readers are the same."""
    assert sorted(STATED) == sorted(LAYOUTS)


@pytest.mark.parametrize("layout", KNOWN)
@given(scenes(), st.sampled_from([0.0, 0.25, 0.5]))
def test_what_was_laid_out_is_read(
    layout: str, scene: tuple[np.ndarray, np.ndarray, np.ndarray], floor: float
) -> None:
    """Exactly the objects above the threshold are returned, each with its box, score and class."""
    boxes, scores, classes = scene
    got = read(layout, encode(layout, boxes, scores, classes, num_classes=3, hw=HW, slots=None), floor)
    due = scores >= np.float32(floor)
    if layout == "rfdetr" and floor == 0:
        assert len(got.scores) >= due.sum()  # a logit is never quite 0
        return

    np.testing.assert_allclose(got.boxes, boxes[due], atol=2e-4 if layout in SHARES else 0)
    np.testing.assert_allclose(got.scores, scores[due], atol=1e-6)
    np.testing.assert_array_equal(got.classes, classes[due])
    assert (np.float32, np.float32, np.int64) == (got.boxes.dtype, got.scores.dtype, got.classes.dtype)


@pytest.mark.parametrize("layout", KNOWN)
def test_float16_is_read_in_float32(layout: str) -> None:
    """float16 outputs are converted to float32 before any computation; integers may have any dtype."""
    whole = encode(layout, [[10, 20, 50, 60], [100, 8, 300, 200]], [0.75, 0.5], [0, 2], num_classes=3, hw=HW)
    half = {
        n: a.astype(np.float16) if a.dtype == np.float32 else a.astype(np.int32) for n, a in whole.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = read(layout, half)

    assert np.float32 == got.boxes.dtype
    np.testing.assert_allclose(got.boxes, [[10, 20, 50, 60], [100, 8, 300, 200]], atol=0.2)
    assert [0, 2] == got.classes.tolist()


@pytest.mark.parametrize("layout", KNOWN)
def test_nothing_is_no_detection(layout: str) -> None:
    """Zero objects are an empty table, not an error."""
    assert 0 == len(read(layout, encode(layout, [], [], [], num_classes=3, hw=HW)).scores)


@pytest.mark.parametrize("layout", KNOWN)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["score", "box"])
def test_nan_and_infinity_are_no_detections(layout: str, value: float, what: str) -> None:
    """Such an input gives an error, and no objects at all."""
    arrays = encode(layout, [[10, 20, 50, 60]] * 2, [0.75, 0.5], [0, 2], num_classes=3, hw=HW)
    single = arrays.get("output0")
    if single is not None:
        rows = single.T if layout == "yolov8" else single
        rows[1, PLACES.get(layout, {"score": 4, "box": 0})[what]] = value
    else:
        arrays[
            {
                "score": "labels" if layout == "rfdetr" else "scores",
                "box": "dets" if layout == "rfdetr" else "boxes",
            }[what]
        ][1] = value

    with pytest.raises(EngineRunError, match="NaN or infinite"):
        read(layout, arrays)


@pytest.mark.parametrize("layout", ["yolov5", "yolov8", "yolov10", "rtdetr", "paddledet", "boxes"])
def test_a_box_beyond_all_bounds_is_cut(layout: str) -> None:
    """Huge coordinates are clipped before they can overflow, without a warning."""
    arrays = encode(layout, [[-1e30, -1e30, 1e30, 1e30]], [0.75], [0], num_classes=3, hw=HW)
    assert 1 == len(read(layout, arrays).scores)


@pytest.mark.parametrize("layout", [name for name in KNOWN if name != "rfdetr"])
def test_raw_logits_are_no_scores(layout: str) -> None:
    """Scores outside 0..1 mean that the sigmoid is missing, or that the layout is another one."""
    arrays = encode(layout, [[10, 20, 50, 60]], [0.75], [0], num_classes=3, hw=HW)
    array = arrays.get("output0", arrays.get("scores"))
    assert array is not None
    column = PLACES.get(layout, {"score": 4})["score"]
    target = array if "scores" in arrays else (array[4:] if layout == "yolov8" else array[:, column])
    target -= 7
    with pytest.raises(LayoutError, match=r"must lie in 0 to 1.*raw logits"):
        read(layout, arrays)


def test_scores_in_place_of_logits_are_refused() -> None:
    """RF-DETR's layout applies a sigmoid; applied to scores, it would make objects everywhere."""
    arrays = encode("rfdetr", [[10, 20, 50, 60]], [0.75], [0], num_classes=3, hw=HW)
    arrays["labels"] = 1 / (1 + np.exp(-arrays["labels"]))
    with pytest.raises(LayoutError, match="scores already"):
        read("rfdetr", arrays)


@pytest.mark.parametrize("layout", ["yolov5", "yolov8", "yolov10", "rtdetr", "paddledet", "boxes"])
def test_shares_in_place_of_pixels_are_refused(layout: str) -> None:
    """If all boxes are smaller than a pixel, they are in another unit."""
    boxes = np.array([[10, 20, 50, 60], [60, 60, 90, 99], [5, 5, 99, 99]]) / 256
    with pytest.raises(LayoutError, match="within one pixel"):
        read(layout, encode(layout, boxes, [0.5, 0.6, 0.7], [0, 1, 2], num_classes=3, hw=HW))


@pytest.mark.parametrize("layout", ["rtdetr-ultralytics", "rfdetr"])
def test_pixels_in_place_of_shares_are_refused(layout: str) -> None:
    """A box at 30 times the picture's width is in another unit."""
    with pytest.raises(LayoutError, match="fractions of the input"):
        read(layout, encode(layout, [[10, 20, 50, 60]], [0.5], [0], num_classes=3, hw=(1, 1)))


@pytest.mark.parametrize("layout", KNOWN)
def test_boxes_without_area_are_dropped(layout: str) -> None:
    """Boxes with no or negative width or height are dropped."""
    boxes = [[10, 20, 10, 60], [10, 20, 50, 20], [50, 60, 10, 20], [10, 20, 50, 60]]
    got = read(layout, encode(layout, boxes, [0.5, 0.6, 0.7, 0.8], [0] * 4, num_classes=3, hw=HW))

    np.testing.assert_allclose(got.scores, [0.8], atol=1e-6)


def test_yolov5_scores_by_objectness_and_class() -> None:
    """The score is their product, and the class of the highest counts."""
    rows = np.zeros((1200, 8), np.float32)
    rows[0] = [30, 30, 20, 20, 0.8, 0.1, 0.9, 0.2]
    rows[1] = [30, 30, 20, 20, 0.4, 0.1, 0.5, 0.2]
    got = read("yolov5", {"output0": rows})

    np.testing.assert_allclose(got.scores, [0.72], atol=1e-6)
    assert [1] == got.classes.tolist()


def test_an_anchor_is_one_object() -> None:
    """Two classes over the threshold at one anchor are one object of the better class."""
    columns = np.zeros((7, 1200), np.float32)
    columns[:, 5] = [30, 30, 20, 20, 0.6, 0.5, 0.7]
    got = read("yolov8", {"output0": columns})

    assert ([2], 1) == (got.classes.tolist(), len(got.scores))


@pytest.mark.parametrize(
    ("layout", "value"),
    [
        ("yolov10", 1.5),
        ("yolov10", -1.0),
        ("paddledet", 1.5),
        ("yolov10", 1e30),
        ("paddledet", 1e30),
        ("yolov10", 10_000),
        ("boxes", 2**40),
        ("rtdetr", -(2**62)),
    ],
)
def test_a_class_that_is_no_number_is_another_layout(layout: str, value: float) -> None:
    """1.5 is not a class, so the numbers mean something else; 1e30 must not count as class 0 either."""
    arrays = encode(layout, [[10, 20, 50, 60]], [0.5], [0], num_classes=3)
    if "labels" in arrays:
        arrays["labels"][0] = value
    else:
        arrays["output0"][0, PLACES[layout]["class"]] = value
    for classes in (3, None):
        with pytest.raises(LayoutError, match="not a class number"):
            read(layout, arrays, classes=classes)


def test_a_class_that_is_nan_is_no_filler() -> None:
    """Only rows of class -1 are padding."""
    arrays = encode("paddledet", [[10, 20, 50, 60]], [0.5], [0], num_classes=3)
    arrays["output0"][0, 0] = np.nan
    with pytest.raises(EngineRunError, match="NaN or infinite classes"):
        read("paddledet", arrays)


@pytest.mark.parametrize("layout", BACKGROUND)
def test_the_background_of_labels_is_left_out(layout: str) -> None:
    """If background 0 is stated, as for torchvision's labels, 1 is the first class and 0 is no object."""
    arrays = encode(layout, [[10, 20, 50, 60]] * 3, [0.9, 0.8, 0.7], [0, 1, 3], num_classes=4)
    assert [0, 2] == read(layout, arrays, background=0, stated=True).classes.tolist()
    assert [0, 1] == read(layout, arrays, background=3, stated=True).classes.tolist()
    assert [0, 1, 3] == read(layout, arrays).classes.tolist()


@pytest.mark.parametrize(
    ("channels", "words", "classes", "want"),
    [
        (3, {}, 3, [0, 1, 2]),
        (4, {}, 3, [0, 1, 2]),
        (4, {"background": 0, "stated": True}, 3, [0, 1, 2]),
        (3, {"background": None, "stated": True}, 3, [0, 1, 2]),
        (5, {}, None, [0, 1, 4]),
    ],
    ids=str,
)
def test_the_background_of_rfdetr_is_where_the_archive_says(
    channels: int, words: dict[str, Any], classes: int | None, want: list[int]
) -> None:
    """The background's logit never wins. If not stated, it is the last one if there is one more than classes."""
    first = 1 if words.get("background") == 0 else 0
    given = [first + one for one in want]
    arrays = encode("rfdetr", [[10, 20, 50, 60]] * 3, [0.6, 0.7, 0.8], given, num_classes=channels, hw=HW)
    if channels > len(want) and classes is not None:
        arrays["labels"][:3, words.get("background", channels - 1)] = 6
    outputs = specs("rfdetr", channels)
    got = choose(network("rfdetr", outputs, classes=classes, **words)).read(arrays, HW, 0.25)

    assert want == got.classes.tolist()
    np.testing.assert_allclose(got.scores, [0.6, 0.7, 0.8], atol=1e-5)


def test_rfdetr_is_matched_by_name() -> None:
    """With three classes and a background both outputs are (N, 300, 4): their order must not matter."""
    arrays = encode("rfdetr", [[10, 20, 50, 60]], [0.6], [2], num_classes=4, hw=HW)
    for outputs in (specs("rfdetr", 4), specs("rfdetr", 4)[::-1]):
        got = choose(network("rfdetr", outputs)).read(arrays, HW, 0.25)
        np.testing.assert_allclose(got.boxes, [[10, 20, 50, 60]], atol=1e-3)
        assert [2] == got.classes.tolist()


@pytest.mark.parametrize(
    ("layout", "channels", "classes"),
    [("yolov5", 85, 79), ("yolov8", 84, 79), ("rtdetr-ultralytics", 84, 81), ("rfdetr", 91, 80)],
)
def test_classes_that_disagree_with_the_channels_are_refused(
    layout: str, channels: int, classes: int
) -> None:
    """If the shape is fixed, before any image; otherwise at the first batch."""
    fixed, free = {
        "yolov8": [(None, channels, 8400), (None, None, None)],
        "rfdetr": [(None, 300, channels), (None, None, None)],
    }.get(layout, [(None, 300, channels), (None, None, None)])
    name = "labels" if layout == "rfdetr" else "output0"
    boxes = (OutputSpec("dets", "float32", (None, 300, 4)),) if layout == "rfdetr" else ()
    with pytest.raises(ClassesError, match=f"{classes} classes, but the network gives scores for"):
        choose(network(layout, (*boxes, OutputSpec(name, "float32", fixed)), classes=classes))
    late = choose(network(layout, (*boxes, OutputSpec(name, "float32", free)), classes=classes))
    shape = [300 if side is None else side for side in fixed[1:]]
    with pytest.raises(ClassesError):
        late.read({name: np.full(shape, -1, np.float32), "dets": np.zeros((300, 4))}, HW, 0.25)


@given(
    st.sampled_from([*KNOWN, None]),
    st.lists(
        st.tuples(
            st.sampled_from(["output0", "boxes", "labels", "scores", "dets", "x"]),
            st.sampled_from(["float32", "float16", "int64", "bool", "str"]),
            st.lists(st.sampled_from([0, 1, 4, 5, 6, 7, 8]), max_size=4),
        ),
        max_size=4,
        unique_by=lambda one: one[0],
    ),
    st.lists(st.sampled_from([0, 1, 4, 7]), max_size=3),
    st.booleans(),
)
def test_any_outputs_are_read_or_refused(
    layout: str | None, given_outputs: list[tuple[str, str, list[int]]], other: list[int], free: bool
) -> None:
    """Outputs of any shape and dtype give objects or one of our errors."""
    outputs = tuple(
        OutputSpec(name, dtype, tuple(None if free else side for side in shape))
        for name, dtype, shape in given_outputs
    )
    try:
        reader = choose(network(layout, outputs))
        for shapes in ([shape[1:] for *_, shape in given_outputs], [other] * len(outputs)):
            arrays = {
                one.name: np.full(shape, 0.5).astype(one.dtype)
                for one, shape in zip(outputs, shapes, strict=True)
            }
            got = reader.read(arrays, HW, 0.25)
            assert got.boxes.shape == (len(got.scores), 4)
            assert got.classes.shape == got.scores.shape
    except (LayoutError, ClassesError, EngineRunError):
        return


@pytest.mark.parametrize(("value", "fits"), [(1.005, True), (-0.005, True), (1.02, False), (-0.02, False)])
def test_scores_may_leave_0_to_1_only_by_rounding(value: float, fits: bool) -> None:
    """bf16 rounds a little over 1, which is cut to 1; more is another layout."""
    arrays = encode("yolov10", [[10, 20, 50, 60]], [value], [0], num_classes=3)
    if fits:
        scores = read("yolov10", arrays, -1.0).scores
        assert np.isin(np.clip(np.float32(value), 0, 1), scores)
        assert ((scores >= 0) & (scores <= 1)).all()
    else:
        with pytest.raises(LayoutError, match="must lie in 0 to 1"):
            read("yolov10", arrays)


@pytest.mark.parametrize(("count", "hw"), [(2, HW), (3, (63, 320))])
def test_few_boxes_or_a_tiny_input_say_nothing_about_the_unit(count: int, hw: tuple[int, int]) -> None:
    """Two boxes of less than a pixel may be two odd boxes, and in a tiny input many boxes are small."""
    boxes = np.array([[0.1, 0.1, 0.5, 0.6]] * count)
    arrays = encode("yolov10", boxes, [0.5] * count, [0] * count, num_classes=3)

    assert count == len(choose(network("yolov10")).read(arrays, hw, 0.25).scores)


def test_rows_that_pad_paddledets_output_are_no_objects() -> None:
    """They have the class -1, and would pass a threshold of 0."""
    rows = np.array([[-1, 0.0, 0, 0, 9, 9], [1, 0.5, 10, 20, 50, 60]], np.float32)

    assert [1] == read("paddledet", {"output0": rows}, 0.0).classes.tolist()


@pytest.mark.parametrize("layout", ["boxes", "paddledet"])
def test_a_fixed_batch_needs_a_batch_axis(layout: str) -> None:
    """Without one, the objects of two inputs could not be told apart."""
    outputs = specs(layout, 3, batched=False)
    assert not choose(replace(network(layout, outputs), batch=1)).batched
    with pytest.raises(LayoutError, match="takes 2 inputs at once"):
        choose(replace(network(layout, outputs), batch=2))


def test_dets_of_mmdeploy_hold_their_scores() -> None:
    """Five numbers and a label; rows of label -1 pad the output."""
    arrays = {
        "dets": np.array([[10, 20, 50, 60, 0.75], [1, 1, 9, 9, 0.1], [0, 0, 5, 5, 0.9]], np.float32),
        "labels": np.array([2, 0, -1]),
    }
    outputs = (OutputSpec("dets", "float32", (None, None, 5)), OutputSpec("labels", "int64", (None, None)))
    got = choose(network(None, outputs)).read(arrays, HW, 0.25)
    np.testing.assert_allclose(got.boxes, [[10, 20, 50, 60]])
    assert ([2], [0.75]) == (got.classes.tolist(), got.scores.tolist())


@pytest.mark.parametrize("layout", ["rtdetr", "boxes"])
def test_boxes_may_be_fractions_and_may_have_y_first(layout: str) -> None:
    """The archive states it, as for the models of TensorFlow."""
    sides = np.array([[10 / 320, 20 / 256, 50 / 320, 60 / 256]], np.float32)
    words = {"unit": "fractions", "boxes": "corners-yx"}
    got = read(layout, encode(layout, sides[:, [1, 0, 3, 2]], [0.5], [1], num_classes=3), **words)
    np.testing.assert_allclose(got.boxes, [[10, 20, 50, 60]], atol=1e-4)
