"""A track's story is short however long the track."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quadrat.render.boxes import class_of
from quadrat.report.tracks import PATH, POINTS, TrackBook
from quadrat.types import ClassInfo, Detections, Frame, FrameKey
from tests.report.things import frame, many, objects


def name(index: int):
    """Give a class without a name."""
    return class_of({}, index)


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
