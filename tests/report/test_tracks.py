"""A track's story is short however long the track."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from quadrat.package.classes import class_of
from quadrat.predictions import Detections
from quadrat.report import tracks
from quadrat.report.tracks import COLUMNS, PATH, POINTS, TrackBook, TrackRow, track_lines
from quadrat.task_kinds import kind_of
from quadrat.types import ClassInfo, Frame, FrameKey, Source
from tests.report.things import CLASSES, Desk, end, frame, many, objects, photo, read, video

NAMES = [info.name for info in CLASSES]


def name(index: int) -> ClassInfo:
    """Give a class without a name."""
    return class_of({}, index, kind_of("detect").class_urn)


@given(st.integers(1, 1500), st.integers(1, 7))
def test_a_path_keeps_its_ends_and_at_most_a_hundred_points(count: int, step: int) -> None:
    """Points are those of the track, in order, evenly spread, the first and the last among them."""
    book = TrackBook()
    for index in range(0, count * step, step):
        book.add(frame(index, None).frame, objects([(index, 0, index + 2, 4)], tracks=[3]))
    (track,) = book.described("s", name)
    path = track["path"]

    assert len(path) <= PATH + 1
    assert path[0] == [0.0, 1.0, 2.0]
    assert path[-1] == [round((count - 1) * step / 25, 3), (count - 1) * step + 1.0, 2.0]
    assert [round(25 * t) + 1 for t, _, _ in path] == [x for _, x, _ in path]
    assert len({*np.diff([x for _, x, _ in path])[:-1]}) <= 1
    assert (track["frames"], track["first-frame"], track["last-frame"]) == (count, 0, (count - 1) * step)


def test_paths_of_many_tracks_share_one_allowance() -> None:
    """An aspect of thousands of tracks stays of a size that can be sent."""
    book = TrackBook()
    for index in range(60):
        book.add(frame(index, None).frame, many(2000, index))
    points = [len(t["path"]) for t in book.described("s", name)]

    assert len(points) == 1999
    assert sum(points) <= POINTS + len(points)


def test_counts_are_of_detections_and_of_tracks() -> None:
    """Objects without a track are counted as detections; classes come in index order."""
    book = TrackBook()
    book.add(
        frame(0, None).frame, objects([(0, 0, 1, 1)] * 4, [2, 0, 2, 2], [0.5, 0.25, 1, 1], [1, 2, -1, 1])
    )
    (first, second) = book.found(name)

    assert (first.info.index, first.objects, first.tracks, first.mean_score) == (0, 1, 1, 0.25)
    assert (second.info.index, second.objects, second.tracks) == (2, 3, 1)
    assert len(book) == 2


def test_the_table_has_the_tracks_that_are_not_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """An aspect lists the first of very many; the table has each of them, with the same id."""
    monkeypatch.setattr(tracks, "LISTED", 3)
    book = TrackBook()
    book.add(frame(0, None).frame, objects([(0, 0, 1, 1)] * 5, tracks=[5, 4, 3, 2, 1]))
    lines = list(track_lines(Source("urn:v", "v.mp4", "video"), "v", "v.mp4", book.rows(), name))

    assert ["v/1", "v/2", "v/3"] == [track["id"] for track in book.described("v", name)]
    assert [f"v/{n}" for n in range(1, 6)] == [line.split(",")[COLUMNS.index("id")] for line in lines]


def test_without_a_tracker_there_are_no_tracks() -> None:
    """None, not 0: nobody looked."""
    book = TrackBook()
    book.add(frame(0, None).frame, many(5, tracked=False))

    assert {None} == {found.tracks for found in book.found(name)}
    assert list(book.described("s", name)) == []


def test_the_most_at_once_is_of_one_frame() -> None:
    """MaxN: the largest number of a class in any one frame, and the first frame with so many."""
    book = TrackBook()
    for index, classes in enumerate(([1], [0, 0, 1], [0], [], [1, 1, 1], [0, 0, 1, 1, 1])):
        count = len(classes)
        found = Detections(
            np.zeros((count, 4), np.float32), np.ones(count, np.float32), np.array(classes, np.int32)
        )
        book.add(
            Frame(FrameKey("urn:v", index), (9, 9), np.zeros((9, 9, 3), np.uint8), time_s=index / 25), found
        )

    assert [(5, 2, 1, 1 / 25), (8, 3, 4, 4 / 25)] == [
        (one.objects, one.most, one.most_frame, one.most_s)
        for one in book.found(lambda i: ClassInfo(i, str(i), str(i), (0, 0, 0)))
    ]


def check_tracks(
    tracks: list[dict[str, str]], rows: list[dict[str, str]], described: list[dict[str, Any]]
) -> None:
    """Check the table of tracks against the rows of detections.csv that it joins, and against the aspect."""
    joins: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        if row["track"]:
            joins.setdefault((row["name"], row["track"]), []).append(row)
    assert [(t["name"], t["track"]) for t in tracks] == sorted(joins, key=lambda key: int(key[1]))
    for track, listed in zip(tracks, described, strict=True):
        seen = joins[track["name"], track["track"]]
        first, last, scores = seen[0], seen[-1], [float(row["score"]) for row in seen]
        weights = {kind: sum(float(r["score"]) for r in seen if r["class"] == kind) for kind in NAMES}
        assert weights[track["class"]] == pytest.approx(max(weights.values()), abs=1e-3)
        assert track == {
            "source": first["source"], "name": first["name"], "track": first["track"], "id": listed["id"],
            "class_id": listed["class-id"], "class": listed["class"], "first_frame": first["frame"],
            "last_frame": last["frame"], "first_s": first["time_s"], "last_s": last["time_s"],
            "frames": str(len(seen)), "mean_score": track["mean_score"], "max_score": f"{max(scores):.4f}",
            "product": "dive.mot.txt",
        }  # fmt: skip
        assert float(track["mean_score"]) == pytest.approx(np.mean(scores), abs=1.1e-4)


@hypothesis_settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_a_track_of_the_table_is_what_its_rows_say(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int]
) -> None:
    """Joined by name and track, detections.csv gives its frames, times, scores and the class with most score."""
    desk = Desk(tmp_path_factory.mktemp("t"))
    for index, count in enumerate(counts):
        desk.frame(frame(index, many(count, index)))
    (mot,) = desk.closed(end(len(counts)))
    tables = {name: read(text) for name, text in desk.tables.items() if name.endswith(".csv")}
    check_tracks(tables["tracks.csv"], tables["detections.csv"], mot.metadata["tracks"])


def test_all_tracks_of_all_videos_are_one_table(tmp_path: Path) -> None:
    """In order of name and number whichever ended first, with the survey's product; not only those the aspect lists."""
    desk = Desk(tmp_path / "t")
    film = tmp_path / "film.mp4"
    film.write_bytes(b"")
    for stem, count in (("b", 12), ('=a,"x"', 2)):
        source = video(stem)
        boxes = [(0.0, 0.0, 5.0, 5.0)] * count
        desk.frame(frame(1, objects(boxes, tracks=range(count, 0, -1)), source))
        list(desk.closed(end(2, source, film)))
    product = desk.products["tracks.csv"]
    table = read(desk.tables["tracks.csv"])

    assert product.mime == "text/csv"
    assert (product.metadata["kind"], product.metadata["rows"]) == ("tracks", 14)
    assert [('\'=a,"x".mp4', str(n + 1)) for n in range(2)] + [("b.mp4", str(n + 1)) for n in range(12)] == [
        (r["name"], r["track"]) for r in table
    ]
    assert {r["name"]: r["product"] for r in desk.rows} == {r["name"]: r["product"] for r in table}
    assert ("a-x/1", "1", "0.040000") == tuple(table[0][k] for k in ("id", "first_frame", "first_s"))


def test_photographs_have_no_table_of_tracks(tmp_path: Path) -> None:
    """Nothing is followed there."""
    desk = Desk(tmp_path)
    list(desk.picture(photo(many(2, tracked=False))))

    assert ["detections.csv", "detections.jsonl", "coco.json"] == list(desk.tables)


def test_without_a_tracker_there_is_no_table_of_tracks(tmp_path: Path) -> None:
    """An empty one would state that nothing moved."""
    desk = Desk(tmp_path, tracker="none")
    list(desk.closed(end(1)))

    assert "tracks.csv" not in desk.tables


def test_a_line_of_the_table() -> None:
    """Microseconds, four digits of a score, and text that no spreadsheet runs."""
    row = TrackRow(7, 1, 3, 9, 0.12, 9 / 25, 5, 0.51234, 0.98765)
    (line,) = track_lines(Source("urn:v", '=a,"x"', "video"), "v", "v.mp4", [row], CLASSES.__getitem__)

    assert line == (
        'urn:v,"\'=a,""x""",7,v/7,urn:c:1,"crab, ""red""",3,9,0.120000,0.360000,5,0.5123,0.9877,v.mp4\r\n'
    )


def test_a_streams_login_is_in_no_line() -> None:
    """Its address is shown without secrets."""
    address = "rtsp://diver:s3cret@cam/1"
    row = TrackRow(1, 0, 0, 0, 0.0, 0.0, 1, 0.5, 0.5)
    (line,) = track_lines(Source(address, address, "stream"), "cam", "cam.mp4", [row], CLASSES.__getitem__)

    assert line.startswith("rtsp://***@cam/1,rtsp://***@cam/1,1,cam/1,")


def test_objects_that_no_track_took_are_in_none() -> None:
    """The number -1 is no track."""
    book = TrackBook()
    book.add(frame(0, None).frame, objects([(0, 0, 1, 1)] * 2, tracks=[-1, 4]))

    assert [row.number for row in book.rows()] == [4]
