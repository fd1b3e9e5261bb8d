"""before-after.jpg shows a few sources before and after enhancement, the same ones after any interruption."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from quadrat.report.sample import digest_of
from quadrat.report.sheet import MOST_ROWS, pair_of
from tests import pictures
from tests.enhancers import enlarger_archive
from tests.moving import Order, order
from tests.videos import write


def reef(folder: Path, count: int) -> Path:
    """Write pictures of different sizes, one of them smaller than a thumbnail."""
    folder.mkdir()
    for number in range(count):
        pixels = pictures.drawing(300 + number, 700 if number % 2 else 200, seed=number)
        (folder / f"IMG_{number:02}.png").write_bytes(pictures.png(pixels))
    return folder


def enhance(place: Path, out: Path, **values: object) -> Order:
    """Enhance pictures."""
    return order([], place, out, moving=False, task="enhance", **values)


def test_a_sheet_has_a_limited_number_of_rows(tmp_path: Path) -> None:
    """Those with the smallest digests, in the order of the sources; the log names the sheet first."""
    ran = enhance(reef(tmp_path / "in", 11), tmp_path / "out", enhance="grey-world")
    about = ran.aspect("before-after.jpg")

    chosen = sorted((f"IMG_{number:02}" for number in range(11)), key=digest_of)[:MOST_ROWS]
    assert about["rows"] == sorted(f"{stem}.png" for stem in chosen)
    assert (about["columns"], about["kind"]) == (["before", "grey-world"], "before-after")
    sheet = Image.open(io.BytesIO(ran.body("before-after.jpg")))
    assert sheet.width < sheet.height < 5000
    places = [place for place, line in enumerate(ran.infos) if "Look at" in line or "the table is" in line]
    assert ["before-after.jpg first" in ran.infos[place] for place in places] == [True, False]


def test_variants_are_columns_of_one_sheet(tmp_path: Path) -> None:
    """The one without steps would show the source again; the sheet shows what is delivered."""
    ran = enhance(reef(tmp_path / "in", 2), tmp_path / "out", compare="none,clahe,grey-world")
    assert ran.aspect("before-after.jpg")["columns"] == ["before", "clahe", "grey-world"]
    sheet = np.asarray(Image.open(io.BytesIO(ran.body("before-after.jpg")))).astype(int)
    delivered = np.asarray(Image.open(io.BytesIO(ran.body("IMG_00.clahe.enhanced.png")))).astype(int)
    height, width = delivered.shape[:2]
    top, left = 12 + 2 * 30, 12 + 480 + 12
    assert np.abs(sheet[top : top + height, left : left + width] - delivered).mean() < 4


@pytest.mark.parametrize("kept", [3, 9])
def test_an_interrupted_order_has_the_same_sheet(tmp_path: Path, kept: int) -> None:
    """Also if sources that it showed have gone."""
    source = reef(tmp_path / "in", 11)
    names = sorted(source.iterdir())
    for path in names[kept:]:
        path.rename(tmp_path / path.name)
    enhance(source, tmp_path / "out", enhance="clahe")
    for path in names[kept:]:
        (tmp_path / path.name).rename(path)
    names[0].unlink()
    resumed = enhance(source, tmp_path / "out", enhance="clahe")
    undisturbed = enhance(source, tmp_path / "other", enhance="clahe")

    assert any("unchanged since an earlier run" in line for line in resumed.infos)
    for name in ("before-after.jpg", "enhanced.csv"):
        assert resumed.body(name) == undisturbed.body(name)


def test_without_a_picture_there_is_no_sheet(tmp_path: Path) -> None:
    """An order that enhanced nothing says why, not where to look."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "torn.jpg").write_bytes(pictures.truncated(pictures.jpeg()))
    ran = enhance(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out" / "before-after.jpg").exists()
    assert not any("Look at" in line for line in ran.infos)


def test_an_enlarged_picture_shows_its_middle(tmp_path: Path) -> None:
    """In its own pixels, beside the same part of the source at the same size: people compare detail, not size."""
    pixels = pictures.drawing(700, 900)
    twice = cv2.resize(pixels, (1800, 1400), interpolation=cv2.INTER_CUBIC)
    pair = pair_of(pixels, twice)
    before, after = (
        np.asarray(Image.open(io.BytesIO(body))).astype(int) for body in (pair.before, pair.after)
    )
    assert pair.enlarged
    assert before.shape == after.shape == (480, 480, 3)
    assert np.abs(after - twice[460:940, 660:1140]).mean() < 3
    assert np.abs(before - after).mean() < 3
    for hw in ((1, 1), (3, 1), (1, 2000)):
        small = np.zeros((*hw, 3), np.uint8)
        pair_of(small, np.repeat(np.repeat(small, 4, axis=0), 4, axis=1))
    (tmp_path / "a.png").write_bytes(pictures.png(pixels))
    ran = order(enlarger_archive(tmp_path / "sr.tgz"), tmp_path / "a.png", tmp_path / "out", moving=False)
    assert ran.aspect("before-after.jpg")["columns"] == ["before, enlarged", "large"]


def test_a_video_has_a_row(tmp_path: Path) -> None:
    """Of its first measured frame."""
    write(tmp_path / "a.mp4", [pictures.drawing(96, 128, seed=number) for number in range(3)])
    ran = order([], tmp_path / "a.mp4", tmp_path / "out", task="enhance", enhance="stretch")
    assert ran.aspect("before-after.jpg")["rows"] == ["a.mp4"]
    (row,) = ran.table("enhanced.csv")
    assert (row["name"], row["product"], row["frames"], row["described"]) == (
        "a.mp4",
        "video/a.mp4",
        "3",
        "1",
    )
