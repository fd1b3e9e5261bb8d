"""Orders of mosaics larger than memory."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from examples.rectangles_net import COLORS
from tests.moving import RECTANGLES, SAND
from tests.networks import brightness_archive
from tests.service.run import ROOT
from tests.tasks.segment.test_fold_memory import strip_of_grey

WIDTH, HEIGHTS = 3000, (2000, 8000)
STEP = 500
"""Rows from one drawn animal to the next."""

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux reports memory by kind"),
]


def strip_of_animals(path: Path, height: int, width: int) -> None:
    """Write an RGB TIFF in one strip: sand, and every 500 rows a fish over two tiles and a crab, 60 pixels high."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 158), (259, 4, 1, 1), (262, 4, 1, 2), (273, 4, 1, 164),
            (277, 4, 1, 3), (278, 4, 1, height), (279, 4, 1, height * width * 3), (284, 4, 1, 1)]  # fmt: skip
    head = b"II*\0\x08\0\0\0" + len(tags).to_bytes(2, "little")
    for tag, kind, count, value in tags:
        head += tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + count.to_bytes(4, "little")
        head += value.to_bytes(4, "little")
    sand, fish, crab = (bytes(color) for color in (SAND, COLORS[0], COLORS[1]))
    empty = sand * width
    full = sand * 350 + fish * 100 + sand * 1550 + crab * 80 + sand * (width - 2080)
    with path.open("wb") as file:
        file.write(head.ljust(158, b"\0") + b"\x08\0" * 3)
        for _ in range(0, height, STEP):
            file.write(empty * 200 + full * 60 + empty * (STEP - 260))


def orders(model: Path, folder: Path, write: Any) -> list[dict[str, Any]]:
    """Run an order on a picture of either height; both take little memory, the larger no more."""
    tiffs = [folder / f"{height}.tif" for height in HEIGHTS]
    for tiff, height in zip(tiffs, HEIGHTS, strict=True):
        write(tiff, height, WIDTH)
    argv = [sys.executable, "-m", "tests.service.mosaics", model, folder, *tiffs]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout)
    assert [0, 0] == [order["status"] for order in told], done.stderr
    small, large = told
    assert max(small["most"], large["most"]) - small["before"] < 60, told
    assert large["most"] - small["most"] < 15, told
    return told


def test_masks_of_a_mosaic(tmp_path: Path) -> None:
    """24 million pixels take no more memory than 6, and half of each is bright."""
    for order in orders(brightness_archive(tmp_path / "m.tgz"), tmp_path, strip_of_grey):
        assert ["0.500000"] * 2 == [row["cover"] for row in order["rows"]]
        assert {"ok"} == {row["status"] for row in order["rows"]}


def test_objects_of_a_mosaic(tmp_path: Path) -> None:
    """24 million pixels take no more memory than 6, and every animal is found once, where it is."""
    told = orders(RECTANGLES, tmp_path, strip_of_animals)
    for number, (order, height) in enumerate(zip(told, HEIGHTS, strict=True), 1):
        assert {"flagged"} == {row["status"] for row in order["rows"]}  # plain ground is flat
        with (tmp_path / str(number) / "detections.csv").open(newline="") as file:
            found = sorted(
                (row["class"], *(round(float(row[side])) for side in ("x0", "y0", "x1", "y1")))
                for row in csv.DictReader(file)
            )
        tops = range(200, height, STEP)
        drawn = [("fish", 350, top, 450, top + 60) for top in tops]
        drawn += [("crab", 2000, top, 2080, top + 60) for top in tops]
        assert sorted(drawn) == found
