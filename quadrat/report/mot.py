"""MOTChallenge text: one line per detection, ten columns, as TrackEval and `trackers` read it.

    frame, id, left, top, width, height, score, -1, -1, -1

Frames count from 1 and are those of the source (its index + 1). Boxes are in continuous pixels of the upright
source, where the challenge's own files begin at 1. Objects of all classes are in one file, without their class:
evaluators take an eighth column for the challenge's own classes. A detection without a track is left out;
where nothing is tracked all are there with the id -1, which is the challenge's form of plain detections.
"""

from __future__ import annotations

from collections.abc import Iterable

from quadrat.report.rows import DetectionRow

COLUMNS = ("frame", "id", "left", "top", "width", "height", "score", "x", "y", "z")


def mot_lines(frame: int, rows: Iterable[DetectionRow], tracked: bool) -> str:
    """Write one frame's lines; `frame` is its index from 0, `tracked` whether a track is needed."""
    head = f"{frame + 1},"
    return "".join(
        f"{head}{row.track},{row.sides},{row.score},-1,-1,-1\n"
        for row in rows
        if row.track >= 0 or not tracked
    )
