"""MOTChallenge text: one line of ten columns per detection, as TrackEval and `trackers` read it.

    frame, id, left, top, width, height, score, -1, -1, -1

Frames count from 1: a frame's number is its index in the source plus 1. Boxes are in continuous pixels of the upright
source, from 0; the challenge's own files begin at 1. One file holds the objects of all classes, without their class,
because evaluators read the eighth column as one of the challenge's own classes. Detections without a track are left
out. Without a tracker, all detections are listed with the id -1, the challenge's form of plain detections.
"""

from __future__ import annotations

from collections.abc import Iterable

from quadrat.report.rows import DetectionRow

COLUMNS = ("frame", "id", "left", "top", "width", "height", "score", "x", "y", "z")


def mot_lines(frame: int, rows: Iterable[DetectionRow], tracked: bool) -> str:
    """Format the lines of one frame; `frame` is its index from 0. With `tracked`, leave out objects without a track."""
    head = f"{frame + 1},"
    return "".join(
        f"{head}{row.track},{row.sides},{row.score},-1,-1,-1\n"
        for row in rows
        if row.track >= 0 or not tracked
    )
