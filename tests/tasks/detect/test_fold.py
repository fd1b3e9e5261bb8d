"""A frame's objects do not depend on the order of its parts, nor on other frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import ParameterError, QuadratError
from quadrat.geometry import Geometry, Window
from quadrat.parameters import Settings
from quadrat.tasks.detect.task import Detect, make
from quadrat.types import Detections, Frame, Part
from tests.detectors import encode, package, specs
from tests.tasks.detect.test_task import frame
from tests.tasks.folding import interleave, predict
from tests.values import settings_of

TILED = settings_of(tile_size=64, tile_overlap=16, full_frame=True)


def task(values: Settings = TILED) -> Detect:
    """Make the task for an archive that needs NMS."""
    return make(package("yolov8", 2), specs("yolov8", 2), values)


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
    task_ = task()
    frames = [frame(100, 150, source=(200, 450)), frame(130, 64), frame(60, 64)]
    made = [parts_of(task_, of, seed + number) for number, of in enumerate(frames)]
    for of, parts, found in zip(frames, made, interleave(task_, frames, made, random), strict=True):
        expected = predict(task_, of, parts)
        assert len(expected)
        same_bytes(expected, found)


@pytest.mark.parametrize(
    ("hw", "windows"),
    [
        ((64, 64), (None,)),
        ((10, 64), (None,)),
        ((65, 64), (Window(0, 0, 64, 64), Window(1, 0, 64, 64), None)),
    ],
)
def test_a_frame_no_larger_than_a_tile_is_one_part(
    hw: tuple[int, int], windows: tuple[Window | None, ...]
) -> None:
    """Its longer side decides, and with full-frame the whole frame comes last; without tile-size it comes alone."""
    assert windows == task().start(frame(*hw)).windows
    assert (None,) == task(settings_of()).start(frame(*hw)).windows


def test_too_many_tiles_are_refused_at_the_start() -> None:
    """Before anything is run."""
    with pytest.raises(ParameterError, match="too many"):
        task(settings_of(tile_size=64, tile_overlap=63)).start(frame(1200, 1200))


@pytest.mark.parametrize("hw", [(100, 150), (64, 64)])
def test_a_missing_part_is_an_internal_error(hw: tuple[int, int]) -> None:
    """Objects of a part of the frame are never returned for the whole."""
    of = frame(*hw)
    fold = task().start(of)
    for number, part in enumerate(parts_of(task(), of, 0)[1:], 1):
        fold.add(number, part)
    with pytest.raises(QuadratError, match=r"1 of .* parts are missing, the first is part 0") as caught:
        fold.finish()
    assert "E_INTERNAL" == caught.value.code
