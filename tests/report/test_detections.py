"""detections.csv, detections.jsonl and the other tables hold every object once, and agree with one another."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.report.columns import CHUNK_FRAMES, FrameRow
from quadrat.report.detections import COLUMNS, CsvWriter, JsonlWriter
from quadrat.report.rows import rows_of
from quadrat.types import Source
from tests.report.things import CLASSES, VIDEO, Desk, body, end, frame, many, objects, photo, read, video

COUNTS = st.lists(st.integers(0, 5), min_size=1, max_size=8)


def test_a_line_of_the_table_has_all_that_is_known(tmp_path: Path) -> None:
    """A track is empty if there is none, a time for a photograph; text is quoted, and safe for spreadsheets."""
    writer = CsvWriter(tmp_path / "t.csv", CLASSES.__getitem__)
    found = rows_of(objects([(1, 2, 30, 40)] * 2, [1, 0], [0.5, 0.25], [7, -1]))
    writer.begin(Source("urn:a", '=a,"x"'))
    writer.frame(VIDEO, FrameRow(3, 0.12, "", (9, 9)), found)
    writer.begin(Source("urn:b", "b.jpg"))
    writer.frame(VIDEO, FrameRow(0, None, "", (9, 9)), found[1:])

    assert writer.finish(CLASSES, {}).read_bytes().decode() == (
        ",".join(COLUMNS)
        + "\r\n"
        + 'urn:a,"\'=a,""x""",3,0.120000,7,urn:c:1,"crab, ""red""",0.5000,1.00,2.00,30.00,40.00\r\n'
        + 'urn:a,"\'=a,""x""",3,0.120000,,urn:c:0,fish,0.2500,1.00,2.00,30.00,40.00\r\n'
        + "urn:b,b.jpg,0,,,urn:c:0,fish,0.2500,1.00,2.00,30.00,40.00\r\n"
    )
    assert writer.rows == 3


def test_a_line_of_json_has_the_frame_and_its_objects(tmp_path: Path) -> None:
    """Also a skipped frame, which has none; what is not known is null."""
    writer = JsonlWriter(tmp_path / "t.jsonl", CLASSES.__getitem__)
    sequence = Source("urn:s", "dive", "sequence")
    writer.begin(sequence)
    found = rows_of(objects([(1, 2, 30, 40)], [1], [0.5]))
    writer.frame(sequence, FrameRow(3, 0.12345678, "", (9, 8), "img.png"), found)
    writer.frame(Source("urn:p", "p.jpg"), FrameRow(0, None, "black", (9, 8)), [])
    first, second = (json.loads(line) for line in writer.finish(CLASSES, {}).read_text("utf-8").splitlines())

    assert first == {
        "source": "urn:s", "name": "dive", "file": "img.png", "frame": 3, "time_s": 0.123457, "width": 8, "height": 9,
        "skipped": None, "detections": [
            {"track": None, "class_id": "urn:c:1", "class": CLASSES[1].name, "score": 0.5, "box": [1, 2, 30, 40]},
        ],
    }  # fmt: skip
    assert second == {
        "source": "urn:p", "name": "p.jpg", "file": None, "frame": 0, "time_s": None, "width": 8, "height": 9,
        "skipped": "black", "detections": [],
    }  # fmt: skip
    assert writer.rows == 2


@settings(max_examples=20, deadline=None)
@given(COUNTS, st.booleans())
def test_all_tables_agree_with_what_was_found(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], tracked: bool
) -> None:
    """CSV, JSON lines, COCO, MOT, the aspect and the survey, read back, hold every object once."""
    desk = Desk(tmp_path_factory.mktemp("t"), tracker="sort" if tracked else "none")
    found = [many(count, seed, tracked=tracked) for seed, count in enumerate(counts)]
    for index, detections in enumerate(found):
        desk.frame(frame(index, detections))
    ((name, aspect, mot),) = ((p.name, p.metadata, body(p).decode()) for p in desk.closed(end(len(counts))))
    tables = desk.tables

    total = sum(counts)
    boxes = np.concatenate([d.boxes for d in found])
    table = read(tables["detections.csv"])
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
    assert aspect["detections"] == total == sum(int(r["objects"]) for r in desk.rows)
    ids = {r["track"] for r in table} - {""}
    assert ("tracks.csv" in tables) == tracked
    assert len(aspect["tracks"]) == len(ids)
    assert sum(t["frames"] for t in aspect["tracks"]) == sum(bool(r["track"]) for r in table)
    assert sum(int(r["tracks"] or 0) for r in desk.rows) == len(ids)


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


def test_sources_are_never_mixed_up(tmp_path: Path) -> None:
    """Frames of several videos come in any order; the tables have each whole, in order of name."""
    desk = Desk(tmp_path)
    sources = [video(name) for name in ("c", "a", "b")]
    for source in sources:
        desk.open(source)
    for index in range(5):
        for number, source in enumerate(sources):
            desk.frame(frame(index, objects([(number, 0, 50, 50)], [number], tracks=[index]), source))
    names = [p.name for source in sources for p in desk.closed(end(5, source))]
    table = read(desk.tables["detections.csv"])

    assert names == ["c.mot.txt", "a.mot.txt", "b.mot.txt"]
    assert [(n, i) for n in "abc" for i in range(5)] == [(r["name"][0], int(r["frame"])) for r in table]
    assert {"c": "0.00", "a": "1.00", "b": "2.00"} == {r["name"][0]: r["x0"] for r in table}
    assert ["a.mp4", "b.mp4", "c.mp4"] == [r["name"] for r in desk.found]


def test_a_frame_on_which_the_network_failed_is_listed_with_its_reason(tmp_path: Path) -> None:
    """It has no objects, and COCO does not list it."""
    desk = Desk(tmp_path)
    desk.frame(frame(0, {}))
    desk.frame(frame(1, many(2)))
    list(desk.closed(end(2, skipped={"failed": 1})))

    lines = [json.loads(line) for line in desk.tables["detections.jsonl"].splitlines()]
    assert [("failed", 0), (None, 2)] == [(line["skipped"], len(line["detections"])) for line in lines]
    assert [1] == [image["frame_id"] for image in json.loads(desk.tables["coco.json"])["images"]]


def test_odd_names_do_not_break_a_table(tmp_path: Path) -> None:
    """Commas, formulas and undecodable bytes are kept, harmless, or replaced."""
    desk = Desk(tmp_path)
    for name in ('=cmd(),"x"\n.jpg', "b\udce9.jpg"):
        list(desk.picture(photo(many(2, tracked=False), name)))
    table, lines, coco = desk.tables.values()

    assert ['\'=cmd(),"x"\n.jpg', "b?.jpg"] == [r["name"] for r in read(table)][::2]
    assert [json.loads(line)["name"] for line in lines.splitlines()] == ['=cmd(),"x"\n.jpg', "b?.jpg"]
    assert len(json.loads(coco)["images"]) == 2


def test_a_streams_password_is_nowhere(tmp_path: Path) -> None:
    """The address of a camera is shown without its login."""
    desk = Desk(tmp_path)
    address = "rtsp://diver:s3cret@cam.local/live?channel=2"
    source = Source(address, address, "stream", address, "cam.local-live")
    desk.frame(frame(0, many(2), source))
    products = list(desk.closed(end(1, source)))
    texts = [str(p.metadata) + p.name for p in products]
    texts += [str(p.metadata) + p.name + body(p).decode() for p in desk.products.values()]

    assert not any("s3cret" in text for text in texts)
    assert sum("cam.local/live?channel=2" in text for text in texts) >= 5


def test_many_frames_give_whole_tables(tmp_path: Path) -> None:
    """Two thousand frames of fifty objects are more than a chunk of columns; every row is there."""
    desk = Desk(tmp_path)
    results = [many(50, seed) for seed in range(10)]
    for index in range(2000):
        desk.frame(frame(index, results[index % 10]))
    assert sum(1 for _ in desk.closed(end(2000))) == 1

    rows = [p.metadata["rows"] for name, p in desk.products.items() if name in desk.tables]
    assert [100_000, 2000, 100_000, 49] == rows
    assert desk.tables["detections.csv"].count("\n") == 100_001
    assert list(tmp_path.glob("dive.mot*")) == []  # what was delivered is deleted


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """Tables do not depend on what ended first, nor on the time of day."""
    bodies = []
    for names in ("ab", "ba"):
        desk = Desk(tmp_path / names)
        for name in names:
            desk.frame(frame(0, many(3, ord(name)), video(name)))
        for name in names:
            list(desk.closed(end(1, video(name))))
        bodies.append([*desk.tables.values(), desk.text])

    assert bodies[0] == bodies[1]


def test_memory_does_not_grow_with_frames(tmp_path: Path) -> None:
    """Five thousand frames of ten tracked objects hold what five hundred hold."""
    desk = Desk(tmp_path)
    results = [many(10, seed) for seed in range(10)]

    def take(begin: int, end: int) -> None:
        for index in range(begin, end):
            desk.frame(frame(index, results[index % 10]))

    take(0, 2 * CHUNK_FRAMES)
    tracemalloc.start()
    try:
        take(2 * CHUNK_FRAMES, 3 * CHUNK_FRAMES)
        before = tracemalloc.get_traced_memory()[0]
        take(3 * CHUNK_FRAMES, 20 * CHUNK_FRAMES)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < 400_000  # a chunk, and what waits to be written
