"""A model about objects gets the crop of each detection: one pass, one table, both classes and both scores."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.rectangles_net import COLORS
from quadrat import engines, pipeline, task_kinds
from tests import pictures
from tests.executors.orders import everything
from tests.finer import NAMES, TASK, colour_archive
from tests.moving import CRAB, FISH, RECTANGLES, SAND, URCHIN, Order, Watched, draw, film, order, swim
from tests.networks import brightness_archive
from tests.report.test_finer import decoded

FINER = {FISH: "blue", CRAB: "red", URCHIN: "green"}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the made-up classifier."""
    monkeypatch.setitem(task_kinds.TASKS, TASK, "tests.finer:KIND")


def scene(*objects: tuple[int, tuple[int, int, int, int]]) -> np.ndarray:
    """Draw objects of several classes on sand."""
    pixels = np.full((144, 192, 3), SAND, np.uint8)
    for kind, (x0, y0, x1, y1) in objects:
        pixels[y0:y1, x0:x1] = COLORS[kind]
    return pixels


def photos(folder: Path) -> Path:
    """Write pictures with three, no, one and eleven objects, and a broken one."""
    folder.mkdir()
    many = [
        (n % 3, (6 + 46 * (n % 4), 6 + 46 * (n // 4), 36 + 46 * (n % 4), 36 + 46 * (n // 4)))
        for n in range(11)
    ]
    for name, pixels in (
        ("a", scene((FISH, (20, 30, 80, 90)), (URCHIN, (100, 60, 150, 120)), (CRAB, (150, 10, 180, 40)))),
        ("b", scene()),
        ("c", scene((CRAB, (30, 20, 90, 80)))),
        ("d", scene(*many)),
    ):  # fmt: skip
        (folder / f"{name}.png").write_bytes(pictures.png(pixels))
    (folder / "torn.jpg").write_bytes(pictures.truncated(pictures.jpeg()))
    return folder


def dives(folder: Path) -> Path:
    """Write two videos and an empty one."""
    folder.mkdir()
    film(folder / "east.mp4", swim(8))
    film(folder / "west.mp4", swim(7, y=60, kind=CRAB))
    film(folder / "sand.mp4", [draw([])] * 4)
    return folder


def rows(ran: Order, table: str) -> list[dict[str, str]]:
    """Read a table."""
    return list(csv.DictReader(io.StringIO(ran.body(table).decode())))


def finer(ran: Order, name: str = "") -> Counter[str]:
    """Count the finer classes of an order or a source."""
    return Counter(row["class"] for row in rows(ran, "colour.detections.csv") if name in ("", row["name"]))


def test_each_object_has_the_class_of_its_crop(tmp_path: Path) -> None:
    """Both models have tables, counts and pictures; score and class are those of the network on the crop alone."""
    ran = order(
        [RECTANGLES, colour_archive(tmp_path / "colour.tgz")], photos(tmp_path / "in"), tmp_path / "out", moving=False
    )  # fmt: skip

    assert 0 == ran.status
    coarse, fine = rows(ran, "rectangles.detections.csv"), rows(ran, "colour.detections.csv")
    assert 15 == len(coarse) == len(fine)
    named = {"fish": "blue", "crab": "red", "urchin": "green"}
    for one, other in zip(coarse, fine, strict=True):
        assert [one[key] for key in ("name", "x0", "y0", "x1", "y1")] == [
            other[key] for key in ("name", "x0", "y0", "x1", "y1")
        ]
        assert named[one["class"]] == other["class"]
        color = COLORS[list(named).index(one["class"])]
        assert float(other["score"]) == pytest.approx(max(color) / sum(color), abs=0.03)
    images = {row["name"]: row for row in rows(ran, "images.csv")}
    assert ["1", "1", "1"] == [images["a.png"][f"colour.count_{name}"] for name in NAMES]
    assert ["0", "0", "0"] == [images["b.png"][f"colour.count_{name}"] for name in NAMES]
    assert "" == images["torn.jpg"]["colour.count_red"]
    made = [ran.aspect(f"a.{name}.annotated.jpg")["provenance"] for name in ("rectangles", "colour")]
    assert made[0]["model-digest"] == made[1]["detector-digest"] != made[1]["model-digest"]
    assert "detector-digest" not in made[0]


@pytest.mark.parametrize("moving", [False, True], ids=["pictures", "videos"])
@pytest.mark.parametrize("how", [{"batch_size": 8}, {"executor": "isolated"}], ids=["batch", "isolated"])
def test_it_is_the_same_however_it_runs(tmp_path: Path, moving: bool, how: dict[str, Any]) -> None:
    """Batch 1 equals batch 8, and local equals isolated, to the byte."""
    models = [RECTANGLES, colour_archive(tmp_path / "colour.tgz")]
    folder = (dives if moving else photos)(tmp_path / "in")
    plain = {"batch_size": 1} if "batch_size" in how else {}
    one = order(models, folder, tmp_path / "one", moving=moving, **plain)
    other = order(models, folder, tmp_path / "other", moving=moving, **how)

    assert [0, 0] == [one.status, other.status]
    assert one.products == other.products


@pytest.mark.parametrize("moving", [False, True], ids=["pictures", "videos"])
def test_a_cascade_on_zero_objects_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moving: bool
) -> None:
    """The network never runs, and its counts are 0, not missing."""
    runs, start = Counter[str](), engines.start

    def started(package: Any, *how: Any, **named: Any) -> Any:
        def count(_: Any) -> None:
            runs[package.name] += 1

        return Watched(start(package, *how, **named), count)

    monkeypatch.setattr(engines, "start", started)
    folder = tmp_path / "in"
    folder.mkdir()
    if moving:
        film(folder / "sand.mp4", [draw([])] * 4)
    else:
        (folder / "sand.png").write_bytes(pictures.png(draw([])))
    ran = order(
        [RECTANGLES, colour_archive(tmp_path / "colour.tgz")], folder, tmp_path / "out", moving=moving
    )

    assert 0 == ran.status
    assert {"rectangles"} == set(runs)
    own = [row for row in ran.rows if row["model"] == "colour"]
    assert [("0", "ok" if moving else "flagged")] * 3 == [(row["objects"], row["status"]) for row in own]


def test_videos_have_the_finer_class_of_each_track(tmp_path: Path) -> None:
    """In tracks.csv and in MOT, and the annotated video is of both."""
    ran = order(
        [RECTANGLES, colour_archive(tmp_path / "colour.tgz")], dives(tmp_path / "in"), tmp_path / "out"
    )

    assert 0 == ran.status
    tracks = {(row["name"], row["class"], row["frames"]) for row in rows(ran, "colour.tracks.csv")}
    assert {("east.mp4", "blue", "8"), ("west.mp4", "red", "7")} == tracks
    mot = ran.body("west.colour.mot.txt").decode().splitlines()
    assert ["1"] * 7 == [line.split(",")[7] for line in mot]
    assert {"west.colour.mp4", "west.rectangles.mp4"} <= set(ran.products)


def test_a_resumed_cascade_is_an_undisturbed_one(tmp_path: Path) -> None:
    """A source whose record is known has its objects, finer classes and counts from there."""
    models = [RECTANGLES, colour_archive(tmp_path / "colour.tgz")]
    folder = photos(tmp_path / "in")
    undisturbed = order(models, folder, tmp_path / "one", moving=False)
    (folder / "e.png").write_bytes(b"not yet a picture")
    first = order(models, folder, tmp_path / "two", moving=False)
    (folder / "e.png").unlink()
    again = order(models, folder, tmp_path / "two", moving=False)

    assert [0, 0, 0] == [undisturbed.status, first.status, again.status]
    assert any("unchanged since an earlier run" in line for line in again.infos)
    assert everything(undisturbed).keys() == everything(again).keys()
    assert undisturbed.products == again.products


def test_a_resumed_cascade_on_videos_is_an_undisturbed_one(tmp_path: Path) -> None:
    """Objects, tracks and finer classes of a video that is not measured again come from its record."""
    models = [RECTANGLES, colour_archive(tmp_path / "colour.tgz")]
    folder = dives(tmp_path / "in")
    undisturbed = order(models, folder, tmp_path / "one")
    (folder / "west.mp4").rename(tmp_path / "west.mp4")
    order(models, folder, tmp_path / "two")
    (tmp_path / "west.mp4").rename(folder / "west.mp4")
    again = order(models, folder, tmp_path / "two")

    assert [0, 0] == [undisturbed.status, again.status]
    assert any("2 unchanged since an earlier run" in line for line in again.infos)
    assert undisturbed.products == again.products


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("fragile", "E_ENGINE_RUN this crop is too plain"),
        ("nan", "E_OBJECT the network gave numbers that are not finite"),
    ],
)
def test_a_crop_that_fails_costs_its_object_only(tmp_path: Path, fault: str, said: str) -> None:
    """It has no finer class; the source is measured in part, with the number of objects and the first reason."""
    folder = tmp_path / "in"
    folder.mkdir()
    plain = scene((FISH, (20, 30, 80, 90)), (CRAB, (100, 60, 150, 120)))
    (folder / "a.png").write_bytes(pictures.png(plain))
    failing = colour_archive(tmp_path / "colour.tgz", **{fault: 0.66})
    ran = order([RECTANGLES, failing], folder, tmp_path / "out", moving=False)

    assert 0 == ran.status
    assert Counter({"blue": 1}) == finer(ran)
    row = next(row for row in ran.rows if row["model"] == "colour")
    assert ("partial", "E_OBJECT") == (row["status"], row["code"])
    assert f"colour could not measure 1 object: {said}" in row["reason"]
    assert {"flagged"} == {row["status"] for row in ran.rows if row["model"] == "rectangles"}


def test_a_crop_of_a_video_that_fails_is_counted(tmp_path: Path) -> None:
    """The number of all objects of the video that could not be measured is in its row."""
    folder = tmp_path / "in"
    folder.mkdir()
    film(folder / "a.mp4", swim(5, kind=CRAB))
    ran = order([RECTANGLES, colour_archive(tmp_path / "colour.tgz", fragile=0.6)], folder, tmp_path / "out")

    assert 0 == ran.status
    row = next(row for row in ran.rows if row["model"] == "colour")
    assert ("partial", "E_OBJECT", "0") == (row["status"], row["code"], row["objects"])
    assert (
        "colour could not measure 5 objects, the first: E_ENGINE_RUN this crop is too plain" in row["reason"]
    )
    assert ["failed"] * 5 == [row["colour.reason"] for row in rows(ran, "rectangles.objects.csv")]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ({"min-size": 31}, {"blue": 1, "green": 1}),
        ({"classes": ["crab", 2]}, {"red": 1, "green": 1}),
        ({"classes": ["urn:ibenthos:detection:class:fish"]}, {"blue": 1}),
    ],
)
def test_an_archive_states_which_objects_it_measures(
    tmp_path: Path, words: dict[str, Any], left: dict[str, int]
) -> None:
    """The others keep the detector's class, and have no finer one."""
    folder = photos(tmp_path / "in")
    models = [RECTANGLES, colour_archive(tmp_path / "colour.tgz", objects=words)]
    ran = order(models, folder, tmp_path / "out", moving=False)

    assert 0 == ran.status
    assert 3 == sum(row["name"] == "a.png" for row in rows(ran, "rectangles.detections.csv"))
    assert Counter(left) == finer(ran, "a.png")


def test_a_segmentation_model_gives_each_object_a_mask(tmp_path: Path) -> None:
    """Areas are in pixels of the source, also if the frame was shrunk; masks are in COCO's file and in the picture."""
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = np.full((144, 192, 3), 250, np.uint8)
    pixels[30:90, 20:80] = COLORS[FISH]
    (folder / "a.png").write_bytes(pictures.png(pixels))
    mask = brightness_archive(
        tmp_path / "mask.tgz", name="mask", on="objects", objects={"background": "seagrass", "padding": 0.25}
    )  # fmt: skip
    ran = order([RECTANGLES, mask], folder, tmp_path / "out", moving=False)
    small = order([RECTANGLES, mask], folder, tmp_path / "small", moving=False, max_img_size="100px")

    assert [0, 0] == [ran.status, small.status], small.errors
    (row,) = rows(ran, "objects.csv")
    assert 3600 == int(row["mask.area"])
    assert int(rows(small, "objects.csv")[0]["mask.area"]) == pytest.approx(3600, rel=0.1)
    (annotation,) = ran.json("coco.json")["annotations"]
    assert (3600, [144, 192]) == (annotation["area"], annotation["segmentation"]["size"])
    np.testing.assert_array_equal((pixels < 250).any(axis=2), decoded(annotation["segmentation"]))
    assert "images.csv" in ran.products
    assert not any(name.startswith("mask.") for name in ran.products), "a mask names no class"


def test_the_joined_picture_names_both_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the label of each box, one for each object."""
    seen: list[list[str]] = []
    draw_boxes = pipeline.joined.draw_boxes

    def noted(*given: Any, notes: Any, **more: Any) -> Any:
        seen.append(list(notes))
        return draw_boxes(*given, notes=notes, **more)

    monkeypatch.setattr(pipeline.joined, "draw_boxes", noted)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(pictures.png(scene((FISH, (20, 30, 80, 90)), (CRAB, (100, 60, 120, 80)))))
    models = [RECTANGLES, colour_archive(tmp_path / "colour.tgz", objects={"min-size": 30, "padding": 0})]
    ran = order(models, folder, tmp_path / "out", moving=False, outputs="joined")

    assert 0 == ran.status
    assert "a.joined.jpg" in ran.products
    (notes,) = seen
    assert ["", "blue 0.63"] == sorted(notes)


def test_objects_csv_has_both_classes_and_both_scores(tmp_path: Path) -> None:
    """One row for each object, in images and in videos, with the reason of an object that was not measured."""
    models = [RECTANGLES, colour_archive(tmp_path / "colour.tgz", objects={"min-size": 31, "padding": 0})]
    ran = order(models, photos(tmp_path / "in"), tmp_path / "out", moving=False)
    moving = order(models, dives(tmp_path / "moving"), tmp_path / "films")

    table = rows(ran, "rectangles.objects.csv")
    assert 15 == len(table)
    first, second, third = table[:3]
    assert [("fish", "blue", ""), ("crab", "", "small"), ("urchin", "green", "")] == sorted(
        [(row["class"], row["colour.class"], row["colour.reason"]) for row in (first, second, third)],
        key=lambda each: ("fish", "crab", "urchin").index(each[0]),
    )
    assert all(
        0 < float(row["score"]) <= 1 and 0 < float(row["colour.score"]) <= 1 for row in (first, second)
    )
    filmed = rows(moving, "rectangles.objects.csv")
    assert {("1", "fish", "blue"), ("1", "crab", "red")} == {
        (row["track"], row["class"], row["colour.class"]) for row in filmed
    }
    line = ran.body("rectangles.detections.jsonl").decode().splitlines()[0]
    assert '"details": {"colour": {"class_id": ' in line


@pytest.mark.parametrize("steps", ["grey-world", "median"])
def test_steps_come_before_the_crop(tmp_path: Path, steps: str) -> None:
    """Each variant has a detector and a finer model of its own; crops are of the whole enhanced picture."""
    archives, source = [RECTANGLES, colour_archive(tmp_path / "colour.tgz")], photos(tmp_path / "in")
    compared = order(archives, source, tmp_path / "all", moving=False, compare=steps)
    assert compared.status == 0, compared.errors
    enhanced = order([], source, tmp_path / "enhanced", moving=False, task="enhance", enhance=steps)
    (tmp_path / "again").mkdir()
    for name in "abcd":
        (tmp_path / "again" / f"{name}.png").write_bytes(enhanced.body(f"{name}.enhanced.png"))
    scores = []
    for ran, table in (
        (compared, f"colour-{steps}.detections.csv"),
        (order(archives, source, tmp_path / "one", moving=False, enhance=steps), "colour.detections.csv"),
        (order(archives, tmp_path / "again", tmp_path / "after", moving=False), "colour.detections.csv"),
    ):
        scores.append([(row["name"], row["class"], row["score"]) for row in rows(ran, table)])

    assert scores[0] == scores[1] == scores[2]
    assert len(scores[0]) > 10
    assert {(row["model"], row["measure"]) for row in compared.table("compare.csv")} == {
        ("rectangles", "count"), ("colour", "count"),
    }  # fmt: skip
