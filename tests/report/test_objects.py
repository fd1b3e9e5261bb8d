"""Detections become pictures, tables and rows that agree with one another and with what was found."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quadrat.errors import TooManyObjectsError, VideoTruncatedError
from quadrat.predictions import Detections, Segmentation
from quadrat.report import objects as report_objects
from quadrat.types import Gap
from tests.report.things import (
    CLASSES,
    HW,
    Desk,
    body,
    end,
    facts,
    frame,
    labelled,
    objects,
    photo,
    read,
    video,
)


def test_a_photograph_has_an_annotated_picture_and_a_row_for_each_class(tmp_path: Path) -> None:
    """The picture is drawn, the aspect has every object, and the record comes after the delivery."""
    desk = Desk(tmp_path)
    result = photo(objects([(10, 20, 60, 70), (1, 2, 3, 4), (5, 5, 9, 9)], [2, 0, 2], [0.9, 0.25, 0.5]))
    products = desk.picture(result)
    product = next(products)
    assert desk.report.totals.counts["ok"] == 0
    assert list(products) == []

    assert (product.name, product.mime) == ("p.annotated.jpg", "image/jpeg")
    with Image.open(io.BytesIO(body(product))) as picture:
        assert picture.size == (HW[1], HW[0])
    aspect = json.loads(json.dumps(product.metadata, allow_nan=False))
    assert aspect["$schema"] == "urn:ibenthos:schema:quadrat.detection.1"
    assert [("fish", 1, 0.25), ("Grüße", 2, 0.7)] == [
        (c["name"], c["count"], c["mean-score"]) for c in aspect["classes"]
    ]
    best = {"class-id": CLASSES[2].id, "class": "Grüße", "score": 0.9, "box": [10.0, 20.0, 60.0, 70.0]}
    assert best == aspect["detections"][0]
    assert [("fish", "1", "0.2500", "1"), ('crab, "red"', "0", "", "0"), ("Grüße", "2", "0.7000", "2")] == [
        (r["class"], r["objects"], r["mean_score"], r["max_at_once"]) for r in desk.rows
    ]
    assert {("p.annotated.jpg", "", "")} == {
        (r["product"], r["tracks"], r["max_at_once_s"]) for r in desk.rows
    }
    assert desk.part.text == "2 Grüße, 1 fish"


@pytest.mark.parametrize(
    ("outputs", "names"), [((), ["p.annotated.jpg"]), (("annotated",), ["p.annotated.jpg"]), (("none",), [])]
)
def test_a_picture_is_drawn_unless_it_is_not_wanted(
    tmp_path: Path, outputs: tuple[str, ...], names: list[str]
) -> None:
    """Without a picture the rows and tables are the same, and name no product."""
    desk = Desk(tmp_path, outputs=outputs)

    assert names == [p.name for p in desk.picture(photo(objects([(0, 0, 9, 9)])))]
    assert [("1", "".join(names))] == [(r["objects"], r["product"]) for r in desk.found]
    assert len(read(desk.tables["detections.csv"])) == 1


def test_an_image_without_objects_has_rows_too(tmp_path: Path) -> None:
    """Nothing found is a measurement: objects 0 of every class, status ok."""
    desk = Desk(tmp_path)
    assert [p.name for p in desk.picture(photo(Detections.none()))] == ["p.annotated.jpg"]

    assert [("ok", info.name, "0", "p.annotated.jpg") for info in CLASSES] == [
        (row["status"], row["class"], row["objects"], row["product"]) for row in desk.rows
    ]
    assert desk.part.text == "nothing found"
    assert list(desk.tables) == ["detections.csv", "detections.jsonl", "coco.json"]  # nothing is tracked
    (image,) = json.loads(desk.tables["coco.json"])["images"]
    assert image["file_name"] == "p.jpg"


def test_a_black_photograph_is_skipped_with_its_reason(tmp_path: Path) -> None:
    """A picture that was read and not measured makes no product, and is a line of detections.jsonl."""
    desk = Desk(tmp_path)
    assert list(desk.picture(photo(None, skipped="black"))) == []

    assert [("skipped", "the picture is black", "")] == [
        (r["status"], r["reason"], r["objects"]) for r in desk.rows
    ]
    assert dict(desk.report.totals.counts) == {"skipped": 1}
    (line,) = map(json.loads, desk.tables["detections.jsonl"].splitlines())
    assert (line["name"], line["skipped"], line["detections"]) == ("p.jpg", "black", [])
    assert json.loads(desk.tables["coco.json"])["images"] == []


def test_a_capped_photograph_is_measured_in_part(tmp_path: Path) -> None:
    """The error is in the record, in the row and in the aspect."""
    found = objects([(0, 0, 9, 9)])
    desk = Desk(tmp_path)
    capped = Detections(found.boxes, found.scores, found.classes, None, capped=True)
    (product,) = desk.picture(photo(capped))
    (row,) = desk.found
    error = TooManyObjectsError.capped(1, "p.jpg")

    assert [error.line] == [fault.line for fault in desk.part.faults]
    assert ("partial", "E_TOO_MANY", str(error)) == (row["status"], row["code"], row["reason"])
    assert ("partial", error.line) == (product.metadata["status"], product.metadata["error"])
    assert desk.part.text == "1 fish, and more than max-detections"


def test_classes_that_the_order_does_not_keep_are_in_no_table(tmp_path: Path) -> None:
    """Neither as rows of zeros, nor as categories."""
    desk = Desk(tmp_path, classes="Grüße,fish")
    list(desk.picture(photo(objects([(0, 0, 9, 9)]))))

    assert ["fish", "Grüße"] == [row["class"] for row in desk.rows]
    assert ["fish", "Grüße"] == [one["name"] for one in json.loads(desk.tables["coco.json"])["categories"]]
    assert "crab" not in "".join(
        body(each).decode() for each in desk.products.values() if each.name != "run.json"
    )


def test_a_video_has_its_tracks(tmp_path: Path) -> None:
    """Per track: class by score, times, frames, scores and path; the annotated video carries the aspect."""
    desk = Desk(tmp_path / "t")
    for index in range(4):
        kinds, scores = ([1], [0.9]) if index == 3 else ([0], [0.4])
        desk.frame(frame(index, objects([(index, 0, index + 10, 10)], kinds, scores, [7])))
    desk.frame(frame(4, None, skipped="black"))
    film = tmp_path / "film.mp4"
    film.write_bytes(b"mp4")
    error = VideoTruncatedError("it ends early", where="a/dive.mp4")
    closed = end(
        5, film=film, declared_frames=9, faults=(error,), skipped={"black": 1}, gaps=(Gap(1, 2, "lost"),)
    )
    products = {p.name: (p.mime, p.metadata) for p in desk.closed(closed)}

    assert ["dive.mp4", "dive.mot.txt"] == list(products)
    mime, aspect = products["dive.mp4"]
    assert mime == "video/mp4"
    assert (aspect["status"], aspect["track-count"], aspect["detections"]) == ("partial", 1, 4)
    assert {"declared": 9, "read": 5, "taken": 5, "measured": 4, "dropped": 0, "damaged": 0, "skipped": {"black": 1}} == (
        aspect["frames"]
    )  # fmt: skip
    assert [("fish", 1, 0, 0.0), ('crab, "red"', 1, 3, 0.12)] == [
        (c["name"], *(c[f"max-at-once{end}"] for end in ("", "-frame", "-time"))) for c in aspect["classes"]
    ]
    assert aspect["gaps"] == [{"start": 1, "end": 2, "reason": "lost"}]
    (track,) = aspect["tracks"]
    assert track == {
        "id": "dive/7", "track": 7, "class-id": "urn:c:0", "class": "fish", "first-frame": 0, "last-frame": 3,
        "first-time": 0.0, "last-time": 0.12, "frames": 4, "mean-score": 0.525, "max-score": 0.9,
        "path": [[0.0, 5.0, 5.0], [0.04, 6.0, 5.0], [0.08, 7.0, 5.0], [0.12, 8.0, 5.0]],
    }  # fmt: skip
    mot = products["dive.mot.txt"][1]
    assert (mot["kind"], mot["rows"], len(mot["columns"])) == ("mot", 4, 10)
    assert [("fish", "3", "1"), ('crab, "red"', "1", "0"), ("Grüße", "0", "0")] == [
        (r["class"], r["objects"], r["tracks"]) for r in desk.rows
    ]
    assert ("partial", "E_VIDEO_TRUNCATED", "9", "1", "1") == tuple(
        desk.rows[0][k] for k in ("status", "code", "frames_declared", "frames_skipped", "gaps")
    )
    assert {("dive.mp4", "4")} == {(r["product"], r["frames"]) for r in desk.rows}
    assert (desk.report.totals.counts["partial"], desk.report.totals.measured) == (1, 1)
    assert desk.part.text == 'at most 1 fish, 1 crab, "red" at once; 1 track: 1 fish'
    lines = [json.loads(line) for line in desk.tables["detections.jsonl"].splitlines()]
    assert [None] * 4 + ["black"] == [line["skipped"] for line in lines]


@pytest.mark.parametrize(
    ("boxes", "text"), [([], "nothing found"), ([(0, 0, 5, 5)], "at most 1 fish at once; no tracks")]
)
def test_a_video_without_tracks_does_not_claim_that_nothing_was_seen(
    boxes: list[tuple[float, float, float, float]], text: str, tmp_path: Path
) -> None:
    """Objects that no tracker could follow are counted in the text."""
    desk = Desk(tmp_path)
    desk.frame(frame(0, objects(boxes, tracks=[-1] * len(boxes))))
    list(desk.closed(end(1)))

    assert text == desk.part.text


@pytest.mark.parametrize(
    ("tracker", "text"),
    [
        ("sort", 'at most 3 fish, 1 crab, "red" at once; 1 track: 1 crab, "red"'),
        ("none", 'at most 3 fish, 1 crab, "red" at once'),
    ],
)
def test_what_was_seen_comes_before_what_was_followed(tracker: str, text: str, tmp_path: Path) -> None:
    """Three fish that no tracker could follow are not hidden behind one crab that it could."""
    desk = Desk(tmp_path, tracker=tracker)
    for index, kinds in enumerate(([0, 0, 0, 1], [0, 1])):
        tracks = [1 if kind else -1 for kind in kinds]
        boxes = [(0.0, 0.0, 5.0, 5.0)] * len(kinds)
        desk.frame(frame(index, objects(boxes, kinds, tracks=tracks if tracker == "sort" else None)))
    list(desk.closed(end(2)))

    assert text == desk.part.text


def test_several_tracks_are_counted_by_class(tmp_path: Path) -> None:
    """The class with most tracks comes first."""
    desk = Desk(tmp_path)
    desk.frame(frame(0, objects([(0, 0, 5, 5)] * 3, [0, 2, 2], tracks=[1, 2, 3])))
    list(desk.closed(end(1)))

    assert desk.part.text == "at most 2 Grüße, 1 fish at once; 3 tracks: 2 Grüße, 1 fish"


def test_a_track_that_changes_its_class_has_the_one_with_most_score(tmp_path: Path) -> None:
    """Two frames of 0.4 do not outweigh one of 0.9; so it is counted once, though its rows have two classes."""
    desk = Desk(tmp_path)
    for index, (kind, score) in enumerate([(0, 0.4), (0, 0.4), (1, 0.9)]):
        desk.frame(frame(index, objects([(0, 0, 5, 5)], [kind], [score], [1])))
    (product,) = desk.closed(end(3))
    tables = desk.tables

    assert [t["class-id"] for t in product.metadata["tracks"]] == ["urn:c:1"]
    assert [t["class_id"] for t in read(tables["tracks.csv"])] == ["urn:c:1"]
    assert [("urn:c:0", "0"), ("urn:c:1", "1")] == [(r["class_id"], r["tracks"]) for r in desk.found]
    assert {("urn:c:0", "1"), ("urn:c:1", "1")} == {
        (r["class_id"], r["track"]) for r in read(tables["detections.csv"])
    }


def test_classes_that_the_archive_does_not_list_are_named_by_number(tmp_path: Path) -> None:
    """An archive without names gives tables all the same."""
    desk = Desk(tmp_path)
    list(desk.picture(photo(objects([(0, 0, 9, 9)], [17]))))
    coco = json.loads(desk.tables["coco.json"])

    assert [r["class"] for r in desk.found] == ["class 17"]
    assert coco["categories"][-1]["id"] == 18 == coco["annotations"][0]["category_id"]


def test_classes_without_names_have_rows_of_0_if_their_number_is_known(tmp_path: Path) -> None:
    """Every image has a row and a column for each class, so means over sites count the images without objects."""
    desk = Desk(tmp_path, replace(facts("detect"), classes=(), num_classes=3))
    list(desk.picture(photo(objects([(0, 0, 9, 9)], [1]), "a")))
    list(desk.picture(photo(objects([], []), "b")))

    rows = [(r["name"], r["class"], r["objects"]) for r in desk.rows]
    assert rows == [
        (image, f"class {k}", str(int((image, k) == ("a", 1)))) for image in "ab" for k in range(3)
    ]
    images = read(body(desk.products["images.csv"]).decode("utf-8-sig"))
    counts = [[row[f"count_class {k}"] for k in range(3)] for row in images]
    assert counts == [["0", "1", "0"], ["0", "0", "0"]]


def test_objects_are_added_up_over_the_order(tmp_path: Path) -> None:
    """Totals by class in index order, with the mean score weighted by objects; not of one frame any more."""
    desk = Desk(tmp_path)
    for name, kinds, scores, tracks in (
        ("b", [1, 0], [0.2, 1.0], [1, -1]),
        ("a", [1, 1, 1], [0.6, 0.6, 0.6], [1, 2, -1]),
    ):
        source = video(name)
        desk.frame(frame(0, objects([(0, 0, 5, 5)] * len(kinds), kinds, scores, tracks), source))
        list(desk.closed(end(1, source)))
    aspect = desk.products["survey.csv"].metadata

    assert aspect["objects"] == [
        {"id": "urn:c:0", "name": "fish", "objects": 1, "tracks": 0, "max-at-once": 1, "mean-score": 1.0},
        {
            "id": "urn:c:1",
            "name": CLASSES[1].name,
            "objects": 4,
            "tracks": 3,
            "max-at-once": 3,
            "mean-score": 0.5,
        },
    ]
    assert aspect["mean-cover"] == []


def test_the_most_at_once_has_its_time_in_a_video_only(tmp_path: Path) -> None:
    """A photograph is one frame; a video in which nothing was found has no such frame."""
    desk = Desk(tmp_path)
    desk.frame(frame(7, objects([(0, 0, 5, 5)] * 2, tracks=[1, 2])))
    list(desk.closed(end(8)))
    empty = video("w")
    desk.frame(frame(0, Detections.none(), empty))
    list(desk.closed(end(8, empty)))
    list(desk.picture(photo(objects([(0, 0, 5, 5)] * 4), "p")))

    assert {("a/dive.mp4", "2", "0.280000"), ("w.mp4", "0", ""), ("p", "4", "")} == {
        (r["name"], r["max_at_once"], r["max_at_once_s"]) for r in desk.rows if r["class_id"] == "urn:c:0"
    }


def test_a_video_of_black_frames_makes_no_claim(tmp_path: Path) -> None:
    """Zero objects would be one; it is skipped, and its objects are unknown."""
    desk = Desk(tmp_path)
    for index in range(2):
        desk.frame(frame(index, None, skipped="black"))
    (product,) = desk.closed(end(2, skipped={"black": 2}))
    (row,) = desk.rows

    assert ("skipped", "", "", "0", "2") == tuple(
        row[k] for k in ("status", "objects", "max_at_once", "frames", "frames_skipped")
    )
    assert product.metadata["status"] == "skipped"


def test_only_objects_are_taken(tmp_path: Path) -> None:
    """A prediction of another task is a fault of the code."""
    desk = Desk(tmp_path)

    with pytest.raises(TypeError, match="Segmentation"):
        desk.frame(frame(0, Segmentation(np.zeros(HW, np.uint8))))


def test_the_picture_of_a_mosaic_is_smaller_than_the_mosaic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The boxes of the aspect stay in the mosaic's pixels."""
    monkeypatch.setattr(report_objects, "PICTURE_PIXELS", HW[0] * HW[1] // 4)
    desk = Desk(tmp_path)
    (product,) = desk.picture(photo(objects([(0, 0, 200, 120)])))

    with Image.open(io.BytesIO(body(product))) as picture:
        assert picture.size == (100, 60)
    aspect = product.metadata
    assert (100, 60, 200, 120) == tuple(
        aspect[k] for k in ("width", "height", "source-width", "source-height")
    )
    assert aspect["detections"][0]["box"] == [0.0, 0.0, 200.0, 120.0]
    assert ("200", "120") == (desk.rows[0]["width"], desk.rows[0]["height"])


def test_a_long_picture_fits_a_jpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its longer side is shrunk, however few pixels it has."""
    monkeypatch.setattr(report_objects, "PICTURE_SIDE", 50)
    desk = Desk(tmp_path)
    (product,) = desk.picture(photo(objects([(0, 0, 200, 120)])))

    assert (product.metadata["width"], product.metadata["height"]) == (50, 30)


def test_two_models_have_products_and_tables_of_their_own(tmp_path: Path) -> None:
    """Every name and every id of a track carries the label of its model."""
    desk = Desk(tmp_path, *labelled(fish="detect", crab="detect"))
    both = {
        "fish": objects([(0, 0, 5, 5)], tracks=[1]),
        "crab": objects([(1, 1, 9, 9)] * 2, [1, 1], tracks=[1, 2]),
    }
    desk.frame(frame(0, both))
    products = {p.name: p for p in desk.closed(end(1, models=("fish", "crab")))}
    assert ["dive.fish.mot.txt", "dive.crab.mot.txt"] == list(products)
    assert [p.name for p in desk.picture(photo(both))] == ["p.fish.annotated.jpg", "p.crab.annotated.jpg"]

    kinds = ("detections.csv", "detections.jsonl", "coco.json", "tracks.csv")
    own = [f"{name}.{kind}" for name in ("fish", "crab") for kind in kinds]
    assert [*own, "frames.csv"] == list(desk.tables)
    assert [2, 4] == [len(read(desk.tables[f"{name}.detections.csv"])) for name in ("fish", "crab")]
    ids = [track["id"] for track in products["dive.crab.mot.txt"].metadata["tracks"]]
    assert ids == ["dive.crab/1", "dive.crab/2"] == [r["id"] for r in read(desk.tables["crab.tracks.csv"])]
