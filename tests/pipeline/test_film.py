"""Annotated videos: one that cannot be drawn costs nobody else anything."""

from __future__ import annotations

from pathlib import Path

from tests.moving import RECTANGLES, draw, film, order, swim


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
