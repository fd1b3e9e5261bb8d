"""The task of a detector: which networks it refuses, how it plans parts, and that it runs on every engine."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat import engines, transforms
from quadrat.errors import LayoutError, ParameterError, QuadratError
from quadrat.geometry import Geometry, Window
from quadrat.package import open_archive
from quadrat.parameters import Settings
from quadrat.tasks.detect.task import Detect
from quadrat.types import Frame, FrameKey, OutputSpec, Part
from tests.detectors import LAYOUTS, detector_archive, package, specs
from tests.tasks.detect.frames import found, frame, task
from tests.tasks.folding import make_task, predict
from tests.values import settings_of

ALONE = " without a batch"
LOG = logging.getLogger("test")


@pytest.mark.parametrize(
    ("time_s", "settings", "scores"),
    [
        (None, {}, [0.9, 0.3]),
        (0.0, {}, [0.9, 0.3, 0.22]),
        (0.0, {"tracker": "sort"}, [0.9, 0.3]),
        (0.0, {"tracker": "none"}, [0.9, 0.3]),
        (0.0, {"min_score": 0.1}, [0.9, 0.3, 0.22, 0.15]),
        (None, {"min_score": 0.3}, [0.9, 0.3]),
        (None, {"min_score": 0.91}, []),
    ],
    ids=str,
)
def test_min_score_and_what_bytetrack_needs(
    time_s: float | None, settings: dict[str, Any], scores: list[float]
) -> None:
    """Objects of exactly min-score are kept; in videos that ByteTrack follows, also weaker ones, down to 0.2."""
    boxes = [[i * 12, 10, i * 12 + 10, 20] for i in range(5)]
    got = found("yolov10", boxes, [0.9, 0.3, 0.22, 0.15, 0.07], [0] * 5, frame(time_s=time_s), **settings)

    np.testing.assert_allclose(got.scores, scores, atol=1e-6)


@pytest.mark.parametrize("layout", ["boxes", "paddledet"])
def test_objects_of_several_inputs_are_not_mixed(layout: str) -> None:
    """Outputs without a batch axis cannot say which of two inputs an object belongs to."""
    one = replace(package(layout), input_shape=(2, 3, 64, 64))
    with pytest.raises(LayoutError, match="takes 2 inputs at once, but its outputs do not say"):
        make_task(one, specs(layout, 2, batched=False), settings_of())


@pytest.mark.parametrize(
    ("layout", "classes", "precision"), [("yolov10", 365, "bf16"), ("yolov10", 3000, "fp16")]
)
def test_class_numbers_that_a_precision_cannot_hold_are_refused(
    layout: str, classes: int, precision: str
) -> None:
    """bf16 would round class 257 to 256; layouts that encode the class as an index are not affected."""
    with pytest.raises(ParameterError, match=r"precision: .*as floats"):
        task(layout, classes, precision=precision)
    task(layout, 80, precision=precision)
    task("yolov8", classes, precision=precision)


WRONG = (
    ("yolov5", specs("boxes", 2), "too small to hold a class"),
    (
        "yolov8",
        [*specs("yolov8", 2), OutputSpec("x", "float32", (1, 6, 5))],
        "no output has the role predictions",
    ),
    ("yolov5", [OutputSpec("o", "float32", (1, 7))], r"must be float \(N, anchors, 5 \+ classes\)"),
    ("yolov8", [OutputSpec("o", "int64", (1, 6, 8400))], "int64"),
    ("yolov8", [], "it has no outputs"),
    ("yolov10", [OutputSpec("o", "float32", (1, 300, 7))], "objects, 6"),
    ("rtdetr", specs("boxes", 2, batched=False), "must be"),
    ("rtdetr", specs("yolov10", 2), "no output has the role boxes"),
    ("rfdetr", specs("rtdetr", 2), "must be|no output"),
    ("rfdetr", [OutputSpec("a", "float32", (1, 300, 4)), OutputSpec("b", "float32", (1, 300, 4))], "dets"),
    ("boxes", specs("boxes", 2)[:2], "no output has the role scores"),
)


@pytest.mark.parametrize(("layout", "outputs", "says"), WRONG, ids=lambda v: v if isinstance(v, str) else "")
def test_outputs_of_another_layout_are_refused_at_load(layout: str, outputs: Any, says: str) -> None:
    """If the shapes are known, before any image; the error gives the expected and the actual outputs."""
    with pytest.raises(LayoutError, match=says) as caught:
        make_task(package(layout), outputs, settings_of())
    assert layout in caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize("layout", LAYOUTS)
def test_outputs_of_another_shape_are_refused_at_the_first_batch(layout: str) -> None:
    """If the shapes are dynamic, the first arrays are checked."""
    free = [OutputSpec(one.name, one.dtype, (None,) * len(one.shape)) for one in specs(layout, 2)]
    if layout in ("boxes", "rtdetr"):
        free = [OutputSpec(one.name, one.dtype, one.shape) for one in specs(layout, 2)]
    one = make_task(package(layout), free, settings_of())
    arrays = {name: np.zeros((3, 3, 3), np.float32) for name in one.wanted}
    with pytest.raises(QuadratError) as caught:
        predict(one, frame(), [Part(arrays, Geometry.identity((64, 64)))])
    assert caught.value.code in ("E_MODEL_LAYOUT", "E_MODEL_CLASSES")


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize("layout", [*LAYOUTS, f"boxes{ALONE}"])
def test_a_detector_runs_on_every_engine(layout: str, engine: str, tmp_path: Path) -> None:
    """From an archive to objects in each layout: a green rectangle at a known place, letterboxed, and an empty image."""
    name = layout.removesuffix(ALONE)
    archive = detector_archive(tmp_path / "m.tgz", name, batched=layout == name)
    (tmp_path / "files").mkdir()
    opened = open_archive(archive, tmp_path / "files")
    settings = settings_of(engine=engine)
    chain = transforms.build(opened.transforms)
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[25:50, 50:125, 1] = 255
    pictures = [Frame(FrameKey("urn:x"), (100, 200), each) for each in (pixels, np.zeros_like(pixels))]
    engine_ = engines.start(opened, settings.engine, LOG)
    try:
        detector = make_task(opened, engine_.outputs, settings)
        assert detector.batched == (layout == name != "paddledet")
        sampled = [chain(of.pixels, Geometry.identity((100, 200))) for of in pictures]
        if detector.batched:
            whole = engine_.run(np.stack([tensor for tensor, _ in sampled]), detector.wanted)
            each = [{key: array[i] for key, array in whole.items()} for i in range(2)]
        else:
            each = [engine_.run(tensor[None], detector.wanted) for tensor, _ in sampled]
    finally:
        engine_.close()
    got, none = (
        predict(detector, of, [Part(arrays, geometry)])
        for of, arrays, (_, geometry) in zip(pictures, each, sampled, strict=True)
    )

    assert ([1], 0) == (got.classes.tolist(), len(none))
    np.testing.assert_allclose(got.scores, [0.9], atol=1e-5)
    np.testing.assert_allclose(got.boxes, [[50, 25, 125, 50]], atol=200 / 64)


TILED = settings_of(tile_size=64, tile_overlap=16, full_frame=True)


def tiled_task(values: Settings = TILED) -> Detect:
    """Make the task for an archive that needs NMS."""
    return make_task(package("yolov8", 2), specs("yolov8", 2), values)


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
    assert windows == tiled_task().start(frame(*hw)).windows
    assert (None,) == tiled_task(settings_of()).start(frame(*hw)).windows


def test_too_many_tiles_are_refused_at_the_start() -> None:
    """Before anything is run."""
    with pytest.raises(ParameterError, match="too many"):
        tiled_task(settings_of(tile_size=64, tile_overlap=63)).start(frame(1200, 1200))


@pytest.mark.parametrize(("precision", "most"), [("bf16", 256), ("fp16", 2048)])
def test_the_last_class_that_a_precision_represents_is_let_through(precision: str, most: int) -> None:
    """bf16 has 8 significant bits and fp16 has 11, so every integer up to 2**8 and 2**11 is exact."""
    task("yolov10", most, precision=precision)
    with pytest.raises(ParameterError, match="as floats"):
        task("yolov10", most + 1, precision=precision)
