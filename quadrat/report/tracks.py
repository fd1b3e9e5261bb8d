"""The tracks of one source: times, scores, classes and paths."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.predictions import Detections
from quadrat.report.counts import ClassCount
from quadrat.report.survey import csv_cell
from quadrat.stores.addresses import shown
from quadrat.types import ClassInfo, Frame, Source

COLUMNS = (
    "source", "name", "track", "id", "class_id", "class", "first_frame", "last_frame", "first_s", "last_s",
    "frames", "mean_score", "max_score", "product",
)  # fmt: skip
"""The columns of tracks.csv."""

LISTED = 10_000
"""Most tracks that an aspect lists; it counts all."""
PATH = 100
"""Most points of a path. When a path is full, every second point is dropped, and from then on only every second is added."""
POINTS = 50_000
"""Most points of all paths of an aspect together."""


class Track:
    """One track: `weights` are the sums of its scores by class, `path` is the time, x and y of each point in turn."""

    __slots__ = (
        "first", "first_s", "highest", "last", "last_class", "last_s", "last_xy", "path", "seen", "stride", "total", "weights",
    )  # fmt: skip

    def __init__(self, frame: int, time_s: float, *, last_class: bool = False) -> None:
        self.last_class: int | None = -1 if last_class else None
        self.first = self.last = frame
        self.first_s = self.last_s = time_s
        self.seen, self.stride = 0, 1
        self.total = self.highest = 0.0
        self.weights: dict[int, float] = {}
        self.path = array("d")
        self.last_xy = (0.0, 0.0)

    def add(self, index: int, score: float, x: float, y: float) -> None:
        """Add a detection of class `index` with its centre at (x, y) in pixels of the source."""
        if self.seen % self.stride == 0:
            if len(self.path) >= 3 * PATH:
                self._thin()
            if self.seen % self.stride == 0:
                self.path.extend((self.last_s, x, y))
        self.seen += 1
        if self.last_class is not None:
            self.last_class = index
        self.total += score
        self.highest = max(self.highest, score)
        self.weights[index] = self.weights.get(index, 0.0) + score
        self.last_xy = (x, y)

    @property
    def index(self) -> int:
        """The class with the greatest sum of scores, the first by index if several have it; or that of the last frame."""
        if self.last_class is not None:
            return self.last_class
        return max(sorted(self.weights), key=self.weights.__getitem__)

    def points(self, most: int = PATH) -> list[list[float]]:
        """Return at most `most` + 1 points [time, x, y] of the path, including the first and the last."""
        count = len(self.path) // 3
        step = max(1, -(-count // max(most, 1)))
        points = [list(self.path[3 * i : 3 * i + 3]) for i in range(0, count, step)]
        last = [self.last_s, *self.last_xy]
        if points[-1] != last:
            points.append(last)
        return [[round(t, 3), round(x, 2), round(y, 2)] for t, x, y in points]

    def _thin(self) -> None:
        kept = array("d")
        for start in range(0, len(self.path), 6):
            kept.extend(self.path[start : start + 3])
        self.path, self.stride = kept, 2 * self.stride


@dataclass(frozen=True, slots=True)
class TrackRow:
    """One track: its `number` in the source, class `index`, first and last frame and second, and scores."""

    number: int
    index: int
    first: int
    last: int
    first_s: float
    last_s: float
    seen: int
    mean_score: float
    highest: float


def track_lines(
    source: Source,
    stem: str,
    product: str,
    rows: Sequence[TrackRow],
    class_of: Callable[[int], ClassInfo],
) -> Iterator[str]:
    """Yield a line of tracks.csv for every track; `stem` and `product` are plain ASCII."""
    head = ",".join(csv_cell(shown(text, source)) for text in (source.urn, source.name))
    cells: dict[int, str] = {}
    for row in rows:
        if row.index not in cells:
            info = class_of(row.index)
            cells[row.index] = f"{csv_cell(info.id)},{csv_cell(info.name)}"
        yield (
            f"{head},{row.number},{stem}/{row.number},{cells[row.index]},{row.first},{row.last},"
            f"{row.first_s:.6f},{row.last_s:.6f},{row.seen},{row.mean_score:.4f},{row.highest:.4f},{product}\r\n"
        )


class TrackBook:
    """The tracks of one source, and its detections counted by class; memory grows with tracks, not with frames.

    With `last_class`, a track has the class of its last detection, for classes that are means over the track so far.
    """

    def __init__(self, *, last_class: bool = False) -> None:
        self._last_class = last_class
        self._tracks: dict[int, Track] = {}
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._sums: NDArray[np.float64] = np.zeros(0, np.float64)
        self._most: NDArray[np.int64] = np.zeros(0, np.int64)
        self._peaks: dict[int, tuple[int, float | None]] = {}
        self._tracked = False

    def __len__(self) -> int:
        """Count the tracks."""
        return len(self._tracks)

    def add(self, frame: Frame, detections: Detections) -> None:
        """Add the detections of one frame."""
        self._count(frame, detections)
        if detections.tracks is None:
            return
        self._tracked = True
        index, time_s = frame.key.index, frame.time_s or 0.0
        boxes = detections.boxes.astype(np.float64)
        centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).tolist()
        rows = zip(
            detections.tracks.tolist(),
            detections.classes.tolist(),
            detections.scores.tolist(),
            centres,
            strict=True,
        )
        for number, kind, score, (x, y) in rows:
            if number < 0:
                continue
            track = self._tracks.get(number)
            if track is None:
                track = self._tracks[number] = Track(index, time_s, last_class=self._last_class)
            track.last, track.last_s = index, time_s
            track.add(kind, score, x, y)

    def class_of(self, number: int, other: int) -> int:
        """Return the class of a track, or `other` for an object without one."""
        track = self._tracks.get(number)
        return other if track is None else track.index

    def found(self, class_of: Callable[[int], ClassInfo]) -> list[ClassCount]:
        """Count detections, tracks and the most at once by class, in index order, without classes that were not seen."""
        tracks = np.zeros(len(self._counts), np.int64)
        for track in self._tracks.values():
            tracks[track.index] += 1
        return [
            ClassCount(
                class_of(index),
                int(self._counts[index]),
                float(self._sums[index] / self._counts[index]),
                int(tracks[index]) if self._tracked else None,
                int(self._most[index]),
                *self._peaks[index],
            )
            for index in np.flatnonzero(self._counts).tolist()
        ]

    def described(self, stem: str, class_of: Callable[[int], ClassInfo]) -> Iterator[dict[str, Any]]:
        """Describe the first LISTED tracks by number; `stem` makes their ids unique in the order."""
        most = max(2, min(PATH, POINTS // max(len(self._tracks), 1)))
        for number in sorted(self._tracks)[:LISTED]:
            track = self._tracks[number]
            info = class_of(track.index)
            yield {
                "id": f"{stem}/{number}",
                "track": number,
                "class-id": info.id,
                "class": info.name,
                "first-frame": track.first,
                "last-frame": track.last,
                "first-time": round(track.first_s, 3),
                "last-time": round(track.last_s, 3),
                "frames": track.seen,
                "mean-score": round(track.total / track.seen, 4),
                "max-score": round(track.highest, 4),
                "path": track.points(most),
            }

    def rows(self) -> tuple[TrackRow, ...]:
        """Return the rows of all tracks by number."""
        return tuple(
            TrackRow(
                number, track.index, track.first, track.last, track.first_s, track.last_s, track.seen,
                track.total / track.seen, track.highest,
            )
            for number, track in sorted(self._tracks.items())
        )  # fmt: skip

    def _count(self, frame: Frame, detections: Detections) -> None:
        if not len(detections):
            return
        size = max(len(self._counts), int(detections.classes.max()) + 1)
        if size > len(self._counts):
            more = size - len(self._counts)
            self._counts, self._sums = np.pad(self._counts, (0, more)), np.pad(self._sums, (0, more))
            self._most = np.pad(self._most, (0, more))
        counts = np.bincount(detections.classes, minlength=size)
        self._counts += counts
        for index in np.flatnonzero(counts > self._most).tolist():
            self._peaks[index] = frame.key.index, frame.time_s
        self._most = np.maximum(self._most, counts)
        self._sums += np.bincount(detections.classes, weights=detections.scores, minlength=size)
