"""DeepSORT takes the vectors of an embedding archive in place of its own colours: whole orders of videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.executors.orders import everything
from tests.moving import RECTANGLES, SAND, Order, Pixels, film, order
from tests.vectors import GREENISH, PURPLE, vector_archive

Color = tuple[int, int, int]
LOST = 3
"""Frames in which nothing is seen."""


def fish(*places: tuple[int, Color]) -> Pixels:
    """Draw squares of 40 pixels whose left side and color are given."""
    pixels = np.full((144, 192, 3), SAND, np.uint8)
    for left, color in places:
        pixels[50:90, left : left + 40] = color
    return pixels


def changed_places() -> list[Pixels]:
    """Draw two fish that stand still, and meet again in each other's place after LOST frames behind a rock."""
    before, after = fish((40, GREENISH), (88, PURPLE)), fish((88, GREENISH), (40, PURPLE))
    return [before] * 8 + [fish()] * LOST + [after] * 8


def dives(folder: Path) -> Path:
    """Write videos of two fish that change places, of nothing, and of one fish."""
    folder.mkdir()
    film(folder / "pair.mp4", changed_places())
    film(folder / "sand.mp4", [fish()] * 4)
    film(folder / "lone.mp4", [fish((20 + 4 * n, PURPLE)) for n in range(8)])
    return folder


def run(models: Sequence[Path], folder: Path, out: Path, **values: Any) -> Order:
    """Run an order with DeepSORT, unless `values` say otherwise."""
    return order([RECTANGLES, *models], folder, out, **{"tracker": "deepsort", "outputs": "none", **values})


def lefts(ran: Order, name: str = "pair.mp4") -> dict[str, list[int]]:
    """Give the left sides of each track of a video, to 8 pixels, each once in order of time."""
    found: dict[str, list[int]] = {}
    for row in ran.table("detections.csv"):
        if row["name"] == name:
            side = round(float(row["x0"]) / 8) * 8
            if side not in found.setdefault(row["track"], []):
                found[row["track"]].append(side)
    return found


def test_two_that_change_places_keep_their_tracks(tmp_path: Path) -> None:
    """Motion cannot tell them apart, and takes each for the other."""
    folder = dives(tmp_path / "in")
    by_vectors = run([vector_archive(tmp_path / "reid.tgz")], folder, tmp_path / "one")
    by_motion = run([], folder, tmp_path / "two", tracker="sort")

    assert [0, 0] == [by_vectors.status, by_motion.status], by_vectors.errors
    assert [[40, 88], [88, 40]] == sorted(lefts(by_vectors).values())
    assert [[40], [88]] == sorted(lefts(by_motion).values())


def test_vectors_take_the_place_of_colours(tmp_path: Path) -> None:
    """If a network gives both the same vector, motion decides, although their colours differ; the record says so."""
    folder = dives(tmp_path / "in")
    blind = run([vector_archive(tmp_path / "reid.tgz", "blind")], folder, tmp_path / "one")
    own = run([], folder, tmp_path / "two")
    still = run([], folder, tmp_path / "three", tracker="sort")

    assert [[40], [88]] == sorted(lefts(blind).values())
    assert [[40, 88], [88, 40]] == sorted(lefts(own).values())
    said = [one["appearance"] for one in blind.json("run.json")["models"]]
    digest = blind.json("run.json")["models"][1]["model-digest"]
    assert [f"vectors of reid, sha256 {digest}", None] == said
    assert said[0] == blind.aspect("pair.mot.txt")["provenance"]["appearance"]
    assert "colours" == own.json("run.json")["provenance"]["appearance"]
    assert still.json("run.json")["provenance"]["appearance"] is None


@pytest.mark.parametrize(
    "how", [{"batch_size": 8}, {"executor": "isolated"}, {"idle_seconds": 0.04}], ids=["batch", "isolated", "idle"]
)  # fmt: skip
def test_it_is_the_same_however_it_runs(tmp_path: Path, how: dict[str, Any]) -> None:
    """Batch 1 equals batch 8, and local equals isolated, to the byte."""
    models, folder = [vector_archive(tmp_path / "reid.tgz")], dives(tmp_path / "in")
    one = run(models, folder, tmp_path / "one", batch_size=1)
    other = run(models, folder, tmp_path / "other", **how)

    assert [0, 0] == [one.status, other.status]
    if "idle_seconds" in how:
        assert sorted(lefts(one).values()) == sorted(lefts(other).values())
    else:
        assert one.products == other.products


def test_a_resumed_order_is_an_undisturbed_one(tmp_path: Path) -> None:
    """Tracks of a video whose record is known come from there."""
    models, folder = [vector_archive(tmp_path / "reid.tgz")], dives(tmp_path / "in")
    undisturbed = run(models, folder, tmp_path / "one")
    (folder / "torn.mp4").write_bytes(b"not yet a video")
    first = run(models, folder, tmp_path / "two")
    (folder / "torn.mp4").unlink()
    again = run(models, folder, tmp_path / "two")

    assert [0, 0, 0] == [undisturbed.status, first.status, again.status]
    assert any("unchanged since an earlier run" in line for line in again.infos)
    assert everything(undisturbed).keys() == everything(again).keys()
    assert undisturbed.products == again.products


def test_zero_objects_are_no_tracks(tmp_path: Path) -> None:
    """Without an object the network of vectors has nothing to do."""
    folder = tmp_path / "in"
    folder.mkdir()
    film(folder / "sand.mp4", [fish()] * 4)
    ran = run([vector_archive(tmp_path / "reid.tgz")], folder, tmp_path / "out")

    assert 0 == ran.status
    assert {"0"} == {row["objects"] for row in ran.rows}


def test_objects_that_are_too_small_for_a_vector_are_followed_by_motion(tmp_path: Path) -> None:
    """A vector of zeros would be like no other object, and end every track."""
    folder = dives(tmp_path / "in")
    tiny = vector_archive(tmp_path / "reid.tgz", objects={"min-size": 41})
    ran = run([tiny], folder, tmp_path / "out")

    assert 0 == ran.status
    assert [[40], [88]] == sorted(lefts(ran).values())
    assert 1 == len(lefts(ran, "lone.mp4"))


def test_an_object_with_a_vector_of_nan_is_followed_by_motion(tmp_path: Path) -> None:
    """The row fails, which the order states with its code; the track goes on."""
    folder = dives(tmp_path / "in")
    ran = run([vector_archive(tmp_path / "reid.tgz", "fragile")], folder, tmp_path / "out")

    assert 0 == ran.status
    assert 1 == len(lefts(ran, "lone.mp4"))
    assert [[40], [88]] == sorted(lefts(ran).values())
    said = "\n".join(ran.warnings)
    assert (
        "lone.mp4: measured in part, E_OBJECT reid could not measure 8 objects, the first: E_VECTOR" in said
    )
    assert "pair.mp4: measured in part, E_OBJECT reid could not measure 16 objects" in said


def test_two_archives_of_vectors_are_refused(tmp_path: Path) -> None:
    """Which of them is compared would change the tracks; a tracker by motion takes both."""
    models = [vector_archive(tmp_path / "one.tgz"), vector_archive(tmp_path / "two.tgz", "blind")]
    folder = dives(tmp_path / "in")
    refused = run(models, folder, tmp_path / "out")
    taken = run(models, folder, tmp_path / "other", tracker="bytetrack")

    (line,) = refused.errors
    assert line.startswith("E_MODEL_SEVERAL the tracker compares the vectors of one model, and several give")
    assert "one, two" in line
    assert {} == refused.products
    assert 0 == taken.status
