"""Annotated videos: one that cannot be drawn costs nobody else anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.moving import RECTANGLES, draw, film, order, swim, watch
from tests.networks import brightness_archive


def test_a_size_that_the_codec_does_not_know_ends_no_order(tmp_path: Path) -> None:
    """The video is measured whole and has tables but no picture, its row says why, and the others have theirs."""
    folder = tmp_path / "in"
    folder.mkdir()
    film(folder / "a.mp4", swim(4))
    film(folder / "small.mp4", [draw([(5, 5, 30, 30)], (48, 96))] * 4)
    film(folder / "z.mp4", swim(4))

    ran = order(RECTANGLES, folder, tmp_path / "out", codec="av1")

    row = ran.row("small.mp4")
    assert (0, []) == (ran.status, ran.errors)
    assert ["ok", "partial", "ok"] == [ran.row(name)["status"] for name in ("a.mp4", "small.mp4", "z.mp4")]
    assert ("4", "E_IMAGE_SIZE") == (row["frames"], row["code"])
    assert "av1 makes no video of 96 x 48 pixels" in row["reason"]
    assert {"a.mp4", "z.mp4"} == {name for name in ran.products if name.endswith(".mp4")}
    assert "small.mot.txt" in ran.products


@pytest.mark.parametrize("size", [{}, {"result_size": "source"}])
def test_a_video_measured_small_is_drawn_at_its_own_size(tmp_path: Path, size: dict[str, str]) -> None:
    """Masks made at max-img-size are drawn over the source's pixels, in frames that are not measured, too."""
    bright = np.full((96, 160, 3), 40, np.uint8)
    bright[:, 60:] = 235
    film(tmp_path / "a.mp4", [np.zeros_like(bright), bright, bright])

    model = brightness_archive(tmp_path / "m.tgz")
    order(model, tmp_path / "a.mp4", tmp_path / "out", max_img_size=5000, skip_black=True, **size)

    made = watch(tmp_path / "out" / "a.mp4")
    assert ((96, 160), 3) == (made.hw, len(made.pictures))
    assert made.pictures[0][:20, :60].max() > 100 > made.pictures[0][40:].max()
    row = made.pictures[2][48].astype(int).sum(axis=1)
    assert row[:56].max() < 450 < row[66:].min()


def test_a_video_whose_objects_are_found_small_is_drawn_at_its_own_size(tmp_path: Path) -> None:
    """Boxes lie where the objects do, in a video of the source's size."""
    film(tmp_path / "a.mp4", [draw([(48, 48, 128, 128)], (192, 256))] * 2)

    order(RECTANGLES, tmp_path / "a.mp4", tmp_path / "out", max_img_size=12_288)

    made = watch(tmp_path / "out" / "a.mp4")
    blue = [made.pictures[1][y, x, 2] > 180 for y, x in ((88, 40), (88, 60), (88, 116), (88, 136), (140, 88))]
    assert ((192, 256), [False, True, True, False, False]) == (made.hw, blue)
