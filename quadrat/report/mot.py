"""MOTChallenge text: one line of ten columns per detection, as TrackEval and `trackers` read it.

    frame, id, left, top, width, height, score, class, -1, -1

Frames count from 1: a frame's number is its index in the source plus 1. Boxes are in continuous pixels of the upright
source, from 0; the challenge's own files begin at 1. Classes count from 1: the place of an object's class among those
that the order keeps, or in the archive. Evaluators take class 1 for the challenge's pedestrians, and refuse or leave
out others: evaluate one class at a time (`classes=crab`). Detections without a track are left out. Without a tracker,
all detections are listed with the id -1, the challenge's form of plain detections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from quadrat.report.rows import DetectionRow

COLUMNS = ("frame", "id", "left", "top", "width", "height", "score", "class", "y", "z")


def mot_lines(frame: int, rows: Iterable[DetectionRow], tracked: bool, kept: Sequence[int] = ()) -> str:
    """Format the lines of one frame; `frame` is its index from 0. With `tracked`, leave out objects without a track.

    `kept` are the indices of the classes that the order keeps, in ascending order; if it is empty, all are kept.
    """
    head = f"{frame + 1},"
    place = {index: number for number, index in enumerate(kept, 1)}
    return "".join(
        f"{head}{row.track},{row.sides},{row.score},{place.get(row.index, row.index + 1)},-1,-1\n"
        for row in rows
        if row.track >= 0 or not tracked
    )
