"""A classifier of objects: crops of a detector get labels, also names above classes, smoothed over tracks."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import pictures
from tests.classifiers import color_archive
from tests.executors.orders import everything
from tests.moving import CRAB, FISH, RECTANGLES, Order, draw, film, order, swim

WORDS = {
    "parents": {"red": "warm", "warm": None, "green": "cold", "blue": "cold", "cold": None},
    "levels": ["side", "hue"],
}


def photos(folder: Path) -> Path:
    """Write a picture with a blue and one with a red object, and one without."""
    folder.mkdir()
    for name, pixels in (
        ("a", draw([(20, 30, 80, 90)], kind=FISH)), ("b", draw([(30, 20, 90, 80)], kind=CRAB)), ("c", draw([])),
    ):  # fmt: skip
        (folder / f"{name}.png").write_bytes(pictures.png(pixels))
    return folder


def dives(folder: Path) -> Path:
    """Write a video of a blue object."""
    folder.mkdir()
    film(folder / "east.mp4", swim(8))
    return folder


def cascade(path: Path, words: dict[str, Any] = WORDS) -> list[Path]:
    """Give the detector of rectangles and a classifier of its objects."""
    return [RECTANGLES, color_archive(path, words=words, on="objects", objects={"padding": 0.0})]


def rows(ran: Order, table: str) -> list[dict[str, str]]:
    """Read a table."""
    return list(csv.DictReader(io.StringIO(ran.body(table).decode())))


def finer(ran: Order) -> dict[str, str]:
    """Give the number of objects of each finer class, over the order."""
    return {
        row["class"]: row["total"]
        for row in rows(ran, "totals.csv")
        if row["group"] == "(all)" and row["model"] == "colors"
    }


def test_objects_have_labels(tmp_path: Path) -> None:
    """Each object is counted by its finer class, and the names above classes have rows too."""
    ran = order(cascade(tmp_path / "m.tgz"), photos(tmp_path / "in"), tmp_path / "out", moving=False)

    assert ran.status == 0
    assert finer(ran) == {"red": "1", "green": "0", "blue": "1", "warm": "0", "cold": "0"}
    found = rows(ran, "rectangles.objects.csv")
    assert [(row["class"], row["colors.class"], row["colors.level"]) for row in found] == [
        ("fish", "blue", "hue"), ("crab", "red", "hue"),
    ]  # fmt: skip
    assert all(float(row["score"]) > 0.9 < float(row["colors.score"]) for row in found)
    assert [row["colors.class_2"] for row in found] == ["green", "green"]


def test_an_object_that_is_unsure_gets_the_name_above(tmp_path: Path) -> None:
    """Between green and blue, it is cold; below every threshold it is in no finer count."""
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = draw([(20, 30, 80, 90)], kind=FISH)
    (folder / "a.png").write_bytes(pictures.png(pixels))
    color = pixels[60, 50] / 255
    apart = np.log([1, 9, 9]) / color.sum()  # green and blue are equally probable, and red is not
    weights = [[value] * 3 for value in apart]
    from tests.classifiers import color_onnx

    archive = color_archive(
        tmp_path / "m.tgz", words=WORDS, network=color_onnx(weights), on="objects", objects={"padding": 0.0}
    )
    ran = order([RECTANGLES, archive], folder, tmp_path / "out", moving=False)

    assert finer(ran)["cold"] == "1"
    unsure = color_archive(
        tmp_path / "n.tgz",
        words={"threshold": 0.95},
        network=color_onnx(weights),
        on="objects",
        objects={"padding": 0.0},
    )
    ran = order([RECTANGLES, unsure], folder, tmp_path / "out2", moving=False)
    assert set(finer(ran).values()) == {"0"}
    (row,) = rows(ran, "rectangles.objects.csv")
    assert (row["colors.class"], row["colors.class_id"], row["colors.score"]) == ("unsure", "", "")


@pytest.mark.parametrize("make", [photos, dives])
def test_isolated_gives_what_local_gives(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """Law: also in batches of another size, and with labels smoothed over tracks."""
    archives, folder, moving = cascade(tmp_path / "m.tgz"), make(tmp_path / "in"), make is dives
    local = order(archives, folder, tmp_path / "local", moving=moving)
    other = order(archives, folder, tmp_path / "other", moving=moving, executor="isolated", batch_size=4)

    assert local.status == other.status == 0
    tables = [name for name in everything(local) if name.endswith((".csv", ".jsonl", ".txt"))]
    assert tables
    assert {name: everything(local)[name] for name in tables} == {
        name: everything(other)[name] for name in tables
    }
