"""Predictions are drawn where they are, at the source's own size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quadrat.pipeline.annotate import Annotator
from quadrat.pipeline.events import MeasuredFrame
from quadrat.pipeline.models import Pass
from quadrat.pipeline.state import SourceState
from quadrat.predictions import Detections
from quadrat.render.boxes import draw_note
from quadrat.types import Frame, FrameKey, Result, Source
from tests.moving import RECTANGLES, draw, film, load, order, watch
from tests.networks import brightness_archive


@pytest.mark.parametrize("size", [{}, {"result_size": "source"}])
def test_a_video_measured_small_is_drawn_at_its_own_size(tmp_path: Path, size: dict[str, str]) -> None:
    """Masks made at max-img-size are drawn over the source's pixels, in frames that are not measured, too."""
    bright = np.full((96, 160, 3), 40, np.uint8)
    bright[:, 60:] = 235
    film(tmp_path / "a.mp4", [np.zeros_like(bright), bright, bright])

    model = brightness_archive(tmp_path / "m.tgz")
    order(model, tmp_path / "a.mp4", tmp_path / "out", max_img_size="0.005MP", skip_black=True, **size)

    made = watch(tmp_path / "out" / "a.mp4")
    assert ((96, 160), 3) == (made.hw, len(made.pictures))
    assert made.pictures[0][:20, :60].max() > 100 > made.pictures[0][40:].max()
    row = made.pictures[2][48].astype(int).sum(axis=1)
    assert row[:56].max() < 450 < row[66:].min()


def test_a_video_whose_objects_are_found_small_is_drawn_at_its_own_size(tmp_path: Path) -> None:
    """Boxes lie where the objects do, in a video of the source's size."""
    film(tmp_path / "a.mp4", [draw([(48, 48, 128, 128)], (192, 256))] * 2)

    order(RECTANGLES, tmp_path / "a.mp4", tmp_path / "out", max_img_size="0.012288MP")

    made = watch(tmp_path / "out" / "a.mp4")
    blue = [made.pictures[1][y, x, 2] > 180 for y, x in ((88, 40), (88, 60), (88, 116), (88, 136), (140, 88))]
    assert ((192, 256), [False, True, True, False, False]) == (made.hw, blue)


@pytest.mark.parametrize(
    ("skipped", "is_measured", "text"),
    [("black", False, "black"), ("", False, "failed"), ("idle", True, "idle")],
)
def test_a_frame_without_a_measurement_says_why(skipped: str, is_measured: bool, text: str) -> None:
    """A skipped frame shows its reason; a frame that this model alone could not measure has failed."""
    source, pixels = Source("urn:v", "v.mp4", "video"), draw([])
    frame = Frame(FrameKey("urn:v", 0), (144, 192), pixels, time_s=0.0, skipped=skipped)
    with load(RECTANGLES) as model:
        models = Pass([model])
        found = {model.name: Detections.none()} if is_measured else {}
        item = MeasuredFrame(SourceState.of(source, models.names), Result(source, frame, found))
        (drawn,) = Annotator(models, models.names)(iter([item]))

    np.testing.assert_array_equal(draw_note(pixels, f"not measured: {text}"), drawn.pictures[model.name])


def test_a_video_beside_its_mask_is_twice_as_wide(tmp_path: Path) -> None:
    """The left half is the video, also in frames that are not measured; the right half is tinted."""
    bright = np.full((96, 160, 3), 40, np.uint8)
    bright[:, 60:] = 235
    film(tmp_path / "a.mp4", [np.zeros_like(bright), bright])

    model = brightness_archive(tmp_path / "m.tgz")
    order(model, tmp_path / "a.mp4", tmp_path / "out", skip_black=True, overlay_style="beside")

    made = watch(tmp_path / "out" / "a.mp4")
    assert ((96, 320), 2) == (made.hw, len(made.pictures))
    black, measured = made.pictures
    assert black[:, :160].max() < 30 < black[:20, 160:].max()
    assert abs(int(measured[48, 140].mean()) - 235) < 15 < abs(int(measured[48, 300].mean()) - 235)
