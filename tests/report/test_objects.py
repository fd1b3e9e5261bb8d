"""Detections become pictures, tables and rows that agree with one another and with what was found."""

from __future__ import annotations

import csv
import io
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from quadrat.errors import VideoTruncatedError
from quadrat.report import objects as report_objects
from quadrat.report.survey import Survey
from quadrat.types import Detections, Gap, Source
from tests.report.things import CLASSES, HW, end, frame, make, many, objects, photo

COUNTS = st.lists(st.integers(0, 5), min_size=1, max_size=8)


def rows(survey: Survey) -> list[dict[str, str]]:
    """Read the survey back."""
    return list(csv.DictReader(io.StringIO(survey.body().decode())))


def read(body: bytes | Path) -> str:
    """Read a product's text as it is in the file."""
    return (body if isinstance(body, bytes) else body.read_bytes()).decode()


def test_a_photograph_has_an_annotated_picture_and_a_row_for_each_class(tmp_path: Path) -> None:
    """The picture is drawn, the aspect has every object, and the rows come after the delivery."""
    made, survey = make(tmp_path / "t")
    result = photo(objects([(10, 20, 60, 70), (1, 2, 3, 4), (5, 5, 9, 9)], [2, 0, 2], [0.9, 0.25, 0.5]))
    products = made.image(result)
    product = next(products)
    assert survey.counts["ok"] == 0
    assert list(products) == []

    assert (product.name, product.mime) == ("p.annotated.jpg", "image/jpeg")
    assert isinstance(product.body, bytes)
    with Image.open(io.BytesIO(product.body)) as picture:
        assert picture.size == (HW[1], HW[0])
    aspect = json.loads(json.dumps(product.metadata, allow_nan=False))
    assert aspect["$schema"] == "urn:ibenthos:schema:quadrat.detection.1"
    assert len(aspect) >= 6
    assert [("fish", 1, 0.25), ("Grüße", 2, 0.7)] == [
        (c["name"], c["count"], c["mean-score"]) for c in aspect["classes"]
    ]
    best = {"class-id": CLASSES[2].id, "class": "Grüße", "score": 0.9, "box": [10.0, 20.0, 60.0, 70.0]}
    assert best == aspect["detections"][0]
    assert [("fish", "1", "0.2500"), ("Grüße", "2", "0.7000")] == [
        (r["class"], r["objects"], r["mean_score"]) for r in rows(survey)
    ]
    assert {"p.annotated.jpg"} == {r["product"] for r in rows(survey)}
    assert made.said(result) == "2 Grüße, 1 fish"


def test_an_image_without_objects_is_a_row_too(tmp_path: Path) -> None:
    """Nothing found is a measurement: objects 0, status ok."""
    made, survey = make(tmp_path / "t")
    assert [p.name for p in made.image(photo(Detections.none()))] == ["p.annotated.jpg"]
    (row,) = rows(survey)

    assert ("ok", "", "0", "p.annotated.jpg") == (row["status"], row["class"], row["objects"], row["product"])
    assert made.said(photo(Detections.none())) == "nothing found"


def test_a_black_photograph_is_skipped_with_its_reason(tmp_path: Path) -> None:
    """A picture that was read and not measured makes no product."""
    made, survey = make(tmp_path / "t")
    assert list(made.image(photo(None, skipped="black"))) == []

    assert [("skipped", "the picture is black")] == [(r["status"], r["reason"]) for r in rows(survey)]
    assert dict(survey.counts) == {"skipped": 1}
    line = json.loads(read(list(made.tables())[1].body))
    assert (line["skipped"], line["detections"]) == ("black", [])


@settings(max_examples=20, deadline=None)
@given(COUNTS, st.booleans())
def test_all_tables_agree_with_what_was_found(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], tracked: bool
) -> None:
    """CSV, JSON lines, COCO, MOT, the aspect and the survey, read back, hold every object once."""
    made, survey = make(tmp_path_factory.mktemp("t"), tracker="sort" if tracked else "none")
    found = [many(count, seed, tracked=tracked) for seed, count in enumerate(counts)]
    for index, detections in enumerate(found):
        made.frame(frame(index, detections))
    ((name, aspect, mot),) = ((p.name, p.metadata, read(p.body)) for p in made.ended(end(len(counts))))
    tables = {p.name: read(p.body) for p in made.tables()}

    total = sum(counts)
    boxes = np.concatenate([d.boxes for d in found])
    table = list(csv.DictReader(io.StringIO(tables["detections.csv"])))
    got = np.array([[float(r[k]) for k in ("x0", "y0", "x1", "y1")] for r in table]).reshape(-1, 4)
    np.testing.assert_allclose(got, boxes, atol=0.0051)
    np.testing.assert_allclose(
        [float(r["score"]) for r in table], np.concatenate([d.scores for d in found]), atol=5.1e-5
    )
    lines = [json.loads(line) for line in tables["detections.jsonl"].splitlines()]
    assert counts == [len(line["detections"]) for line in lines]
    flat = [d for line in lines for d in line["detections"]]
    assert [d["box"] for d in flat] == got.tolist()
    assert [d["class"] for d in flat] == [r["class"] for r in table]
    assert [d["track"] for d in flat] == [int(r["track"]) if r["track"] else None for r in table]
    check_coco(json.loads(tables["coco.json"]), len(counts), got)
    followed = [r for r in table if r["track"] or not tracked]
    fields = [line.split(",") for line in mot.splitlines()]
    assert [int(f[0]) - 1 for f in fields] == [int(r["frame"]) for r in followed]
    assert [f[1] for f in fields] == [r["track"] or "-1" for r in followed]
    assert name == "dive.mot.txt"
    assert aspect["detections"] == total == sum(int(r["objects"]) for r in rows(survey))
    ids = {r["track"] for r in table} - {""}
    assert ("tracks.csv" in tables) == tracked
    assert len(aspect["tracks"]) == len(ids)
    assert sum(t["frames"] for t in aspect["tracks"]) == sum(bool(r["track"]) for r in table)
    assert sum(int(r["tracks"] or 0) for r in rows(survey)) == len(ids)
    made.close()


def check_coco(coco: dict[str, Any], frames: int, boxes: np.ndarray) -> None:
    """Check the form that pycocotools takes: unique ids that refer to one another, xywh, areas."""
    assert {"info", "licenses", "images", "annotations", "categories"} <= set(coco)
    assert [c["id"] for c in coco["categories"]] == [1, 2, 3]
    assert [c["name"] for c in coco["categories"]] == [c.name for c in CLASSES]
    assert [i["id"] for i in coco["images"]] == list(range(1, frames + 1))
    assert len({i["file_name"] for i in coco["images"]}) == frames
    assert [a["id"] for a in coco["annotations"]] == list(range(1, len(boxes) + 1))
    assert {a["image_id"] for a in coco["annotations"]} <= {i["id"] for i in coco["images"]}
    assert {a["category_id"] for a in coco["annotations"]} <= {1, 2, 3}
    for annotation, (x0, y0, x1, y1) in zip(coco["annotations"], boxes.tolist(), strict=True):
        left, top, width, height = annotation["bbox"]
        np.testing.assert_allclose([left, top, left + width, top + height], [x0, y0, x1, y1], atol=1e-9)
        assert annotation["area"] == pytest.approx(width * height, abs=0.0051)
        assert annotation["iscrowd"] == 0


def test_a_video_has_its_tracks(tmp_path: Path) -> None:
    """Per track: class by score, times, frames, scores and path; the drawn video carries the aspect."""
    made, survey = make(tmp_path / "t")
    for index in range(4):
        kinds, scores = ([1], [0.9]) if index == 3 else ([0], [0.4])
        made.frame(frame(index, objects([(index, 0, index + 10, 10)], kinds, scores, [7])))
    made.frame(frame(4, None, skipped="black"))
    film = tmp_path / "film.mp4"
    film.write_bytes(b"mp4")
    error = VideoTruncatedError("it ends early", where="a/dive.mp4")
    ended = end(
        5, video=film, declared_frames=9, error=error, skipped={"black": 1}, gaps=(Gap(1, 2, "lost"),)
    )
    products = {p.name: (p.mime, p.metadata) for p in made.ended(ended)}

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
    assert len(products["dive.mot.txt"][1]) >= 6
    table = rows(survey)
    assert [("fish", "3", "1"), ('crab, "red"', "1", "0")] == [
        (r["class"], r["objects"], r["tracks"]) for r in table
    ]
    assert ("partial", "E_VIDEO_TRUNCATED", "9", "1", "1") == tuple(
        table[0][k] for k in ("status", "code", "frames_declared", "frames_skipped", "gaps")
    )
    assert (survey.counts["partial"], survey.measured) == (1, 1)
    assert made.summed(ended) == 'at most 1 fish, 1 crab, "red" at once; 1 track: 1 fish'


@pytest.mark.parametrize(
    ("boxes", "said"), [([], "nothing found"), ([(0, 0, 5, 5)], "at most 1 fish at once; no tracks")]
)
def test_a_video_without_tracks_does_not_say_that_nothing_was_seen(
    boxes: list[tuple[float, float, float, float]], said: str, tmp_path: Path
) -> None:
    """Objects that no tracker could follow are told."""
    made, _ = make(tmp_path / "t")
    made.frame(frame(0, objects(boxes, tracks=[-1] * len(boxes))))
    list(made.ended(ended := end(1)))

    assert said == made.summed(ended)


@pytest.mark.parametrize(
    ("tracker", "said"),
    [
        ("sort", 'at most 3 fish, 1 crab, "red" at once; 1 track: 1 crab, "red"'),
        ("none", 'at most 3 fish, 1 crab, "red" at once'),
    ],
)
def test_what_was_seen_comes_before_what_was_followed(tracker: str, said: str, tmp_path: Path) -> None:
    """Three fish that no tracker could follow are not hidden behind one crab that it could."""
    made, _ = make(tmp_path / "t", tracker=tracker)
    for index, kinds in enumerate(([0, 0, 0, 1], [0, 1])):
        tracks = [1 if kind else -1 for kind in kinds]
        boxes = [(0.0, 0.0, 5.0, 5.0)] * len(kinds)
        made.frame(frame(index, objects(boxes, kinds, tracks=tracks if tracker == "sort" else None)))
    list(made.ended(ended := end(2)))

    assert said == made.summed(ended)


def test_a_track_that_changes_its_class_has_the_one_with_most_score(tmp_path: Path) -> None:
    """Two frames of 0.4 do not outweigh one of 0.9; so it is counted once, though its rows have two classes."""
    made, survey = make(tmp_path / "t")
    for index, (kind, score) in enumerate([(0, 0.4), (0, 0.4), (1, 0.9)]):
        made.frame(frame(index, objects([(0, 0, 5, 5)], [kind], [score], [1])))
    (product,) = made.ended(end(3))
    tables = {p.name: list(csv.DictReader(io.StringIO(read(p.body)))) for p in made.tables()}

    assert [t["class-id"] for t in product.metadata["tracks"]] == ["urn:c:1"]
    assert [t["class_id"] for t in tables["tracks.csv"]] == ["urn:c:1"]
    assert [("urn:c:0", "0"), ("urn:c:1", "1")] == [(r["class_id"], r["tracks"]) for r in rows(survey)]
    assert {("urn:c:0", "1"), ("urn:c:1", "1")} == {
        (r["class_id"], r["track"]) for r in tables["detections.csv"]
    }


def test_sources_are_never_mixed_up(tmp_path: Path) -> None:
    """Frames of several videos come in any order; the tables have each whole, in order of name."""
    made, survey = make(tmp_path / "t")
    sources = [Source(f"urn:{n}", f"{n}.mp4", "video") for n in ("c", "a", "b")]
    for source in sources:
        made.begin(source)
    for index in range(5):
        for number, source in enumerate(sources):
            made.frame(frame(index, objects([(number, 0, 50, 50)], [number], tracks=[index]), source))
    names = [p.name for source in sources for p in made.ended(end(5, source))]
    table = list(csv.DictReader(io.StringIO(read(next(made.tables()).body))))

    assert names == ["c.mot.txt", "a.mot.txt", "b.mot.txt"]
    assert [(n, i) for n in "abc" for i in range(5)] == [(r["name"][0], int(r["frame"])) for r in table]
    assert {"c": "0.00", "a": "1.00", "b": "2.00"} == {r["name"][0]: r["x0"] for r in table}
    assert ["a.mp4", "b.mp4", "c.mp4"] == [r["name"] for r in rows(survey)]


def test_what_the_classes_do_not_list_is_named_by_number(tmp_path: Path) -> None:
    """An archive without names gives tables all the same."""
    made, survey = make(tmp_path / "t")
    list(made.image(photo(objects([(0, 0, 9, 9)], [17]))))
    coco = json.loads(read(list(made.tables())[2].body))

    assert [r["class"] for r in rows(survey)] == ["class 17"]
    assert coco["categories"][-1]["id"] == 18 == coco["annotations"][0]["category_id"]


def test_odd_names_do_not_break_a_table(tmp_path: Path) -> None:
    """Commas, formulas and undecodable bytes are kept, harmless, or replaced."""
    made, _ = make(tmp_path / "t")
    for name in ('=cmd(),"x"\n.jpg', "b\udce9.jpg"):
        list(made.image(photo(many(2, tracked=False), name)))
    table, lines, coco = (read(p.body) for p in made.tables())

    assert ['\'=cmd(),"x"\n.jpg', "b?.jpg"] == [
        r["name"] for r in csv.DictReader(io.StringIO(table, newline=""))
    ][::2]
    assert [json.loads(line)["name"] for line in lines.splitlines()] == ['=cmd(),"x"\n.jpg', "b?.jpg"]
    assert len(json.loads(coco)["images"]) == 2


def test_a_streams_password_is_nowhere(tmp_path: Path) -> None:
    """The address of a camera is shown without its login."""
    made, survey = make(tmp_path / "t")
    address = "rtsp://diver:s3cret@cam.local/live?channel=2"
    source = Source(address, address, "stream", address)
    made.frame(frame(0, many(2), source))
    said = [
        str(p.metadata) + p.name + read(p.body)
        for products in (made.ended(end(1, source)), made.tables())
        for p in products
    ]
    said += [survey.body().decode(), json.dumps(survey.readings())]

    assert not any("s3cret" in text for text in said)
    assert sum("cam.local/live?channel=2" in text for text in said) >= 5


def test_memory_is_flat_and_a_frame_takes_little_time(tmp_path: Path) -> None:
    """10,000 frames of 50 tracked objects: half a millisecond each at most, and no memory that grows with them."""
    made, _ = make(tmp_path / "t")
    results = [many(50, seed) for seed in range(10)]
    for index in range(500):
        made.frame(frame(index, results[index % 10]))
    spent = []
    for index in range(500, 9_500):
        item = frame(index, results[index % 10])
        begin = time.thread_time()
        made.frame(item)
        spent.append(time.thread_time() - begin)
    tracemalloc.start()
    try:
        for index in range(9_500, 9_800):
            made.frame(frame(index, results[index % 10]))
        before = tracemalloc.get_traced_memory()[0]
        for index in range(9_800, 10_000):
            made.frame(frame(index, results[index % 10]))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert float(np.median(spent)) < 0.0005
    assert grown < 400_000  # what waits to be written
    assert sum(1 for _ in made.ended(end(10_000))) == 1
    assert [p.metadata["rows"] for p in made.tables()] == [500_000, 10_000, 500_000, 49]
    made.close()
    assert list((tmp_path / "t").iterdir()) == []


def test_the_picture_of_a_mosaic_is_smaller_than_the_mosaic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The boxes of the aspect stay in the mosaic's pixels."""
    monkeypatch.setattr(report_objects, "PICTURE_PIXELS", HW[0] * HW[1] // 4)
    made, _ = make(tmp_path / "t")
    (product,) = made.image(photo(objects([(0, 0, 200, 120)])))

    assert isinstance(product.body, bytes)
    with Image.open(io.BytesIO(product.body)) as picture:
        assert picture.size == (100, 60)
    aspect = product.metadata
    assert (100, 60, 200, 120) == tuple(
        aspect[k] for k in ("width", "height", "source-width", "source-height")
    )
    assert aspect["detections"][0]["box"] == [0.0, 0.0, 200.0, 120.0]


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """Tables do not depend on what ended first, nor on the time of day."""
    bodies = []
    for run, names in enumerate(("ab", "ba")):
        made, survey = make(tmp_path / str(run))
        sources = [Source(f"urn:{name}", f"{name}.mp4", "video") for name in names]
        for source in sources:
            made.frame(frame(0, many(3, ord(source.name[0])), source))
        for source in sources:
            list(made.ended(end(1, source)))
        bodies.append([*(read(p.body) for p in made.tables()), survey.body()])

    assert bodies[0] == bodies[1]
