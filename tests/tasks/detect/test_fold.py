"""From the outputs of all parts of a frame to its objects; the order of parts and other frames do not matter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat import transforms
from quadrat.errors import ClassesError, QuadratError
from quadrat.geometry import Geometry, Window
from quadrat.parameters import Settings
from quadrat.predictions import Detections
from quadrat.tasks.detect import fold as module
from quadrat.tasks.detect.fold import best_first
from quadrat.tasks.detect.task import Detect
from quadrat.transforms.letterbox import Letterbox
from quadrat.types import Frame, Part, TransformSpec
from tests.detectors import LAYOUTS, encode, package, specs
from tests.tasks.detect.frames import found, frame, task
from tests.tasks.folding import interleave, make_task, predict
from tests.values import settings_of

TILED = settings_of(tile_size=64, tile_overlap=16, full_frame=True)


def tiled_task(values: Settings = TILED) -> Detect:
    """Make the task for an archive that needs NMS."""
    return make_task(package("yolov8", 2), specs("yolov8", 2), values)


def parts_of(task_: Detect, of: Frame, seed: int) -> list[Part]:
    """Draw objects in every part of a frame."""
    rng, made = np.random.default_rng(seed), []
    start = Geometry.identity(of.source_hw).resized(of.pixels.shape[:2])
    for window in task_.start(of).windows:
        geometry = start if window is None else start.cropped(window)
        low = rng.uniform(0, 40, (8, 2))
        boxes = np.concatenate([low, low + rng.uniform(5, 30, (8, 2))], axis=1)
        arrays = encode("yolov8", boxes, rng.uniform(0.3, 1, 8), rng.integers(0, 2, 8), num_classes=2)
        made.append(Part(arrays, geometry))
    return made


def same_bytes(one: Detections, other: Detections) -> None:
    """Check that two tables have equal bytes."""
    for name in ("boxes", "scores", "classes"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert one.capped == other.capped


@given(st.randoms(use_true_random=False), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_any_order_of_parts_and_frames_gives_the_same_bytes(random, seed: int) -> None:
    """Parts of three frames, in any order and interleaved, give the objects that they give one after the other."""
    task_ = tiled_task()
    frames = [frame(100, 150, source=(200, 450)), frame(130, 64), frame(60, 64)]
    made = [parts_of(task_, of, seed + number) for number, of in enumerate(frames)]
    for of, parts, got in zip(frames, made, interleave(task_, frames, made, random), strict=True):
        expected = predict(task_, of, parts)
        assert len(expected)
        same_bytes(expected, got)


@pytest.mark.parametrize("hw", [(100, 150), (64, 64)])
def test_a_missing_part_is_an_internal_error(hw: tuple[int, int]) -> None:
    """Objects of a part of the frame are never returned for the whole."""
    of = frame(*hw)
    fold = tiled_task().start(of)
    for number, part in enumerate(parts_of(tiled_task(), of, 0)[1:], 1):
        fold.add(number, part)
    with pytest.raises(QuadratError, match=r"1 of .* parts are missing, the first is part 0") as caught:
        fold.finish()
    assert "E_INTERNAL" == caught.value.code


@given(
    st.tuples(st.integers(40, 900), st.integers(40, 900)),
    st.tuples(st.integers(64, 512), st.integers(64, 512)),
    st.sampled_from(LAYOUTS),
    st.booleans(),
)
def test_boxes_are_in_source_pixels(
    hw: tuple[int, int], size: tuple[int, int], layout: str, stretch: bool
) -> None:
    """Objects drawn in the source are found where they were drawn, letterboxed or stretched, in any layout."""
    step = {"target_size": size} if stretch else {"size": size}
    chain = transforms.build(
        [TransformSpec("Resize" if stretch else "Letterbox", {k: [*v] for k, v in step.items()})]
    )
    of = frame(*hw)
    _, geometry = chain(of.pixels, Geometry.identity(hw))
    boxes = np.array([[0.1, 0.2, 0.4, 0.5], [0.5, 0.5, 1.0, 1.0]]) * [hw[1], hw[0], hw[1], hw[0]]
    inside = geometry.to_tensor(boxes.reshape(-1, 2)).reshape(-1, 4)
    arrays = encode(layout, inside, [0.5, 0.75], [1, 0], num_classes=2, hw=geometry.tensor_hw)
    got = predict(task(layout), of, [Part(arrays, geometry)])

    np.testing.assert_allclose(got.boxes, boxes[::-1], atol=1e-3 * max(1, max(hw) / min(size)))
    np.testing.assert_allclose(got.scores, [0.75, 0.5], atol=1e-6)
    assert [0, 1] == got.classes.tolist()
    assert (np.float32, np.float32, np.int32) == (got.boxes.dtype, got.scores.dtype, got.classes.dtype)
    assert (got.boxes >= 0).all()
    assert (got.boxes <= [hw[1], hw[0]] * 2).all()


@given(st.permutations(range(12)), st.sampled_from(["yolov8", "yolov10"]))
def test_the_order_of_anchors_does_not_matter(order: list[int], layout: str) -> None:
    """Ties of score are broken by the box, so that the same objects come in the same order, always."""
    low = np.array([[20 * (i % 3), 15 * (i // 3)] for i in range(12)], float)
    boxes = np.concatenate([low, low + 10], axis=1)
    scores, classes = np.repeat([0.5, 0.7], 6), np.array([0, 1] * 6)
    first = found(layout, boxes, scores, classes)
    again = found(layout, boxes[order], scores[order], classes[order])

    np.testing.assert_array_equal(first.boxes, again.boxes)
    np.testing.assert_array_equal(first.classes, again.classes)
    assert (np.diff(first.scores) <= 0).all()
    np.testing.assert_array_equal(
        first.boxes[:4], found(layout, boxes, scores, classes, max_detections=4).boxes
    )


@pytest.mark.parametrize(
    ("box", "seen"),
    [
        ([-10, -10, 20, 30], [0, 0, 20, 30]),
        ([50, 40, 90, 80], [50, 40, 64, 64]),
        ([-5, -5, 99, 99], [0, 0, 64, 64]),
        ([70, 10, 90, 30], None),
        ([-30, 10, 0, 30], None),
        ([10, -30, 30, -1], None),
    ],
    ids=str,
)
def test_boxes_outside_the_picture_are_dropped_and_at_its_border_cut(
    box: list[int], seen: list[int] | None
) -> None:
    """No box reaches beyond the image."""
    got = found("yolov10", [box], [0.5], [0])

    assert ([] if seen is None else [seen]) == got.boxes.tolist()


def test_what_is_found_in_the_padding_is_dropped() -> None:
    """A box in the letterbox's padding is dropped, and one that reaches into it is clipped to the image."""
    of = frame(32, 64)
    _, geometry = Letterbox((64, 64), 114, scale_up=True, center=True)(of.pixels, Geometry.identity((32, 64)))
    arrays = encode("yolov10", [[2, 1, 20, 14], [10, 8, 30, 40]], [0.9, 0.8], [0, 1], num_classes=2)

    assert [[10, 0, 30, 24]] == predict(task("yolov10"), of, [Part(arrays, geometry)]).boxes.tolist()


def test_rows_that_fill_up_are_nothing_even_at_0() -> None:
    """Rows that pad the output give no objects: their boxes have no area, or their class is -1."""
    assert 1 == len(found("yolov10", [[10, 10, 20, 20]], [0.5], [0], min_score=0.0))
    nothing = Part({"output0": np.array([[-1, 0, 0, 0, 0, 0]], np.float32)}, Geometry.identity((64, 64)))
    assert 0 == len(predict(task("paddledet", min_score=0.0), frame(), [nothing]))


@pytest.mark.parametrize(
    ("layout", "count"),
    [("yolov5", 1), ("yolov8", 1), ("yolov10", 2), ("rtdetr", 2), ("paddledet", 2), ("boxes", 2)],
)
def test_only_networks_of_anchors_are_suppressed(layout: str, count: int) -> None:
    """Networks that output objects need no NMS: two of their boxes in one place are two objects."""
    assert count == len(found(layout, [[10, 10, 30, 30], [11, 10, 31, 30]], [0.9, 0.8], [1, 1]))
    assert 2 == len(found(layout, [[10, 10, 30, 30], [11, 10, 31, 30]], [0.9, 0.8], [0, 1]))


@pytest.mark.parametrize(("threshold", "count"), [(0.5, 1), (0.59, 1), (0.61, 2), (0.7, 2)])
def test_nms_threshold_says_which_boxes_are_one(threshold: float, count: int) -> None:
    """Two boxes with an IoU of 0.6 are one object if the threshold is lower, and two if it is higher."""
    boxes = [[10, 10, 50, 30], [20, 10, 60, 30]]

    assert count == len(found("yolov8", boxes, [0.9, 0.8], [1, 1], nms_threshold=threshold))


def test_candidates_beyond_what_nms_considers_are_not_lost_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NMS takes bounded time; if it considers too few candidates to fill max-detections, the frame is partial."""
    monkeypatch.setattr(module, "MAX_CANDIDATES", 3)
    same = [[10, 10, 30, 30]] * 4
    boxes, scores = [*same, [40, 10, 50, 20]], [0.9, 0.8, 0.7, 0.6, 0.5]
    got = found("yolov8", boxes, scores, [0] * 5, max_detections=2)
    assert (1, True) == (len(got), got.capped)
    assert not found("yolov8", boxes[:3], scores[:3], [0] * 3, max_detections=2).capped


@pytest.mark.parametrize("layout", ["yolov8", "yolov10"])
def test_as_many_objects_are_kept_as_max_detections_allows(
    layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few candidates NMS considers usually."""
    monkeypatch.setattr(module, "MAX_CANDIDATES", 3)
    boxes = [[i * 6, 10, i * 6 + 5, 20] for i in range(10)]
    got = found(layout, boxes, np.linspace(0.3, 0.9, 10), [0] * 10, max_detections=10)
    assert (10, False) == (len(got), got.capped)


def test_classes_that_the_archive_does_not_have_end_the_order() -> None:
    """A class number beyond the archive's list is an error; if the archive lists no classes, any number is allowed."""
    with pytest.raises(ClassesError, match="class 2, but there are 2 classes"):
        predict(task("boxes"), frame(), [Part(_beyond(), Geometry.identity((64, 64)))])
    nameless = predict(task("boxes", None), frame(), [Part(_beyond(), Geometry.identity((64, 64)))])

    assert [2] == nameless.classes.tolist()


def _beyond() -> dict[str, np.ndarray]:
    return {"boxes": np.float32([[1, 2, 30, 40]]), "scores": np.float32([0.5]), "labels": np.array([2])}


def test_parts_are_read_as_they_come_and_joined() -> None:
    """Four tiles of an image at half its size each see a piece of one object; the result is one box in source pixels."""
    of = frame(96, 96, source=(192, 192))
    whole = np.array([40.0, 40.0, 60.0, 60.0])
    seen: list[int] = []

    def parts() -> Iterator[Part]:
        for number, (top, left) in enumerate([(0, 0), (0, 32), (32, 0), (32, 32)]):
            window = Window(top, left, 64, 64)
            local = np.clip(whole - [left, top, left, top], 0, 64)
            arrays = encode("yolov10", [local], [0.5 + number / 10], [1], num_classes=2)
            seen.append(number)
            yield Part(arrays, Geometry.identity((192, 192)).resized((96, 96)).cropped(window), window)

    got = predict(task("yolov10", tile_size=64, tile_overlap=32), of, parts())

    assert [0, 1, 2, 3] == seen
    np.testing.assert_allclose(got.boxes, [whole * 2], atol=1e-4)
    np.testing.assert_allclose(got.scores, [0.8], atol=1e-6)


ONE, OTHER, PIECE = [44, 20, 60, 36], [40, 20, 56, 36], [48, 20, 64, 36]


@pytest.mark.parametrize(
    ("left", "merge", "threshold", "boxes"),
    [
        (OTHER, "ios", 0.5, [ONE]),
        (OTHER, "ios", 0.7, [ONE, OTHER]),
        (OTHER, "wbf", 0.5, [[42.4, 20, 58.4, 36]]),
        (PIECE, "ios", 0.7, [ONE]),
        (PIECE, "iou", 0.7, [ONE, PIECE]),
        (PIECE, "iou", 0.5, [ONE]),
    ],
)
def test_merge_and_its_threshold_say_which_boxes_of_tiles_are_one_and_how(
    left: list[int], merge: str, threshold: float, boxes: list[list[float]]
) -> None:
    """Whether two boxes with an IoU of 0.6 become one, and which one, depends on merge and its threshold."""
    of, parts = frame(64, 96), []
    for start, box, score in ((0, left, 0.6), (32, ONE, 0.9)):
        window = Window(0, start, 64, 64)
        local = np.array(box) - [start, 0, start, 0]
        arrays = encode("yolov10", [local], [score], [1], num_classes=2)
        parts.append(Part(arrays, Geometry.identity((64, 96)).cropped(window), window))
    got = predict(task("yolov10", tile_size=64, merge=merge, merge_threshold=threshold), of, parts)

    np.testing.assert_allclose(got.boxes, boxes, atol=1e-4)


def test_a_tile_sees_nothing_beyond_its_border() -> None:
    """A box that reaches beyond its tile is clipped, so that it is recognised as cut by the seam."""
    of, window = frame(64, 128), Window(0, 0, 64, 64)
    arrays = encode("yolov10", [[30, 10, 90, 30]], [0.5], [0], num_classes=2)
    nothing = encode("yolov10", [], [], [], num_classes=2)
    start = Geometry.identity((64, 128))
    fold = task("yolov10", tile_size=64, tile_overlap=0).start(of)
    assert fold.windows == (window, Window(0, 64, 64, 64))
    fold.add(0, Part(arrays, start.cropped(window)))
    fold.add(1, Part(nothing, start.cropped(Window(0, 64, 64, 64))))
    got = fold.finish()

    assert [[30, 10, 64, 30]] == got.boxes.tolist()


@pytest.mark.parametrize(("limit", "capped"), [(2, True), (3, False)])
@pytest.mark.parametrize("layout", ["yolov8", "yolov10"])
def test_objects_beyond_the_limit_make_the_frame_capped(layout: str, limit: int, capped: bool) -> None:
    """With NMS and without; an object of exactly min-score counts."""
    boxes = [[i * 12, 10, i * 12 + 10, 20] for i in range(3)]
    got = found(layout, boxes, [0.9, 0.5, 0.25], [0] * 3, min_score=0.25, max_detections=limit)

    assert (limit, capped) == (len(got), got.capped)


def test_equal_scores_are_ordered_by_place_and_class() -> None:
    """By x0, then y0, x1, y1, then class."""
    boxes = np.array([[5, 0, 9, 9], [1, 7, 9, 9], [1, 3, 9, 9], [1, 3, 9, 9], [1, 3, 8, 9]], np.float32)
    order = best_first(boxes, np.full(5, 0.5, np.float32), np.array([0, 0, 1, 0, 0]))

    assert [4, 3, 2, 1, 0] == order.tolist()


@pytest.mark.parametrize(
    ("layout", "words", "hinted"),
    [("boxes", {}, True), ("boxes", {"background": 0}, False), ("yolov10", {}, False)],
)
def test_a_class_too_many_may_be_a_background(layout: str, words: dict[str, object], hinted: bool) -> None:
    """The hint speaks of a background only if the layout may have one that is not stated."""
    detector = make_task(package(layout, 3, **words), specs(layout, 3), settings_of())
    arrays = encode(layout, [[10, 10, 30, 30]], [0.9], [4], num_classes=5)
    with pytest.raises(ClassesError) as caught:
        predict(detector, frame(), [Part(arrays, Geometry.identity((64, 64)))])
    assert hinted == ('state "background": 0' in caught.value.hint)
