"""An order that measured sources smaller than they are logs it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from PIL import Image

from quadrat import job
from quadrat.stores.folder import FolderStore
from tests import pictures, videos
from tests.classifiers import NORMALIZE, color_archive
from tests.moving import RECTANGLES, draw, order
from tests.networks import brightness_archive
from tests.test_job import LOG, half, run
from tests.values import settings_of


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_img_size": 60_000}, "2 images were shrunk to 60000 pixels; --max-img-size -1 measures them whole, "),
        ({"max_img_size": 200_000}, "1 image was shrunk to 200000 pixels; --max-img-size -1 measures it whole, "),
        ({}, "1 image was shrunk to 1 million pixels; --max-img-size -1 measures it whole, --tile-size in tiles"),
        ({"max_img_size": 60_000, "tile_size": 200}, "2 images were shrunk to 60000 pixels; --max-img-size -1 measures"),
        ({"max_img_size": 1_000_000, "tile_size": 200}, "1 image was shrunk to 1 million pixels; --max-img-size -1 measures"),
        ({"max_img_size": "600px"}, "1 image was shrunk to a long side of 600 pixels; --max-img-size -1 measures it whole, "),
        ({"max_img_size": -1}, ""),
        ({"tile_size": 1200}, ""),
    ],
)  # fmt: skip
def test_an_order_that_shrank_images_logs_it_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, settings: dict[str, int], text: str
) -> None:
    """At its end, how many, to what size and how it is avoided; nothing where all were measured whole."""
    caplog.set_level(logging.INFO)
    (tmp_path / "images").mkdir()
    for name, hw in (("large", (1000, 1200)), ("middle", (250, 400)), ("small", (40, 60))):
        (tmp_path / "images" / f"{name}.png").write_bytes(pictures.png(half(*hw)))
    run(brightness_archive(tmp_path / "m.tgz"), tmp_path / "images", tmp_path / "out", **settings)
    lines = [line for line in caplog.messages if "shrunk to" in line]

    assert bool(text) == len(lines)
    assert all(line.startswith(text) for line in lines)
    assert not lines or lines[0] in caplog.messages[-4:-2], "then scales, flags and counts"


@pytest.mark.parametrize(
    ("size", "hw"),
    [(300_000, (500, 600)), ("0.3MP", (500, 600)), ("600px", (500, 600)), (1_000_000, (912, 1095)), (-1, (1000, 1200))],
)  # fmt: skip
@pytest.mark.parametrize("tiles", [0, 256])
@pytest.mark.parametrize("model", ["masks", "objects"])
def test_a_given_size_holds_for_masks_objects_and_tiles(
    tmp_path: Path, model: str, tiles: int, size: int | str, hw: tuple[int, int]
) -> None:
    """1,000,000 was ignored for tiles and detectors, and so was any size in other words."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(pictures.png(draw([(100, 200, 400, 500)], (1000, 1200))))
    archive = brightness_archive(tmp_path / "m.tgz") if model == "masks" else RECTANGLES
    ran = order(
        archive,
        tmp_path / "images",
        tmp_path / "out",
        moving=False,
        outputs="none",
        max_img_size=size,
        tile_size=tiles,
    )

    assert ran.status == 0
    assert {(int(row["height"]), int(row["width"])) for row in ran.rows} == {hw}
    assert {(row["source_height"], row["source_width"]) for row in ran.rows} == {("1000", "1200")}


def test_frames_that_were_shrunk_are_logged_once_for_a_video(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Sources are counted, not their frames; a video and a sequence are two sources."""
    caplog.set_level(logging.INFO)
    (tmp_path / "given").mkdir()
    videos.write(tmp_path / "given" / "dive.mp4", videos.frames(3))
    videos.still_images(tmp_path / "given" / "stills", videos.frames(3))
    store = FolderStore(brightness_archive(tmp_path / "m.tgz"), tmp_path / "given", tmp_path, moving=True)

    outcome = job.run_order(settings_of(max_img_size=2000, outputs=("none",)), store, LOG)
    assert outcome.exit_status == 0
    assert ["2 sources were shrunk to 2000 pixels"] == [
        line.split(";")[0] for line in caplog.messages if "shrunk to" in line
    ]


def test_several_models_name_the_size_of_the_one_that_shrinks(tmp_path: Path) -> None:
    """A photograph of a few million pixels is shrunk for masks, and not for labels, whose usual size is larger."""
    (tmp_path / "in").mkdir()
    Image.new("RGB", (1500, 1000), (200, 20, 20)).save(tmp_path / "in" / "a.png")
    models = [brightness_archive(tmp_path / "m.tgz"), color_archive(tmp_path / "c.tgz")]
    ran = order(models, tmp_path / "in", tmp_path / "out", moving=False, outputs="none")

    assert ran.status == 0
    (line,) = [line for line in ran.infos if "shrunk to" in line]
    assert line.startswith("1 image was shrunk to 1 million pixels for tiny; --max-img-size -1")


def test_a_mosaic_is_labelled_as_a_smaller_picture(tmp_path: Path) -> None:
    """A classifier needs no tiles, and nothing of a mosaic's size in memory; the log says what it was shrunk to."""
    (tmp_path / "in").mkdir()
    Image.new("RGB", (8000, 6500), (200, 20, 20)).save(tmp_path / "in" / "a.tif", compression="tiff_lzw")
    resize = {"type": "PilResize", "short_size": 64}
    archive = color_archive(tmp_path / "m.tgz", transforms=[resize, NORMALIZE])
    ran = order(archive, tmp_path / "in", tmp_path / "out", moving=False, outputs="none")

    assert ran.status == 0
    assert any(line.endswith("whole") and "shrunk to 50 million pixels" in line for line in ran.infos), (
        ran.infos
    )
    assert "red" in (tmp_path / "out" / "predictions.csv").read_text()
