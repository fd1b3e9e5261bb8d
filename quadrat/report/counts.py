"""Counts of objects of one class, in one source or in a whole order."""

from __future__ import annotations

from dataclasses import dataclass

from quadrat.types import ClassInfo


@dataclass(frozen=True, slots=True)
class ClassCount:
    """The objects of one class: detections, tracks (None if objects are not tracked), and mean score.

    `most` is the largest number of objects in one image or frame: MaxN. The first frame with this number is
    `most_frame`, at `most_s` seconds (None for an image); both are None for a whole order.
    """

    info: ClassInfo
    objects: int
    mean_score: float
    tracks: int | None = None
    most: int = 0
    most_frame: int | None = None
    most_s: float | None = None

    def plus(self, other: ClassCount) -> ClassCount:
        """Add the counts of another source."""
        count = self.objects + other.objects
        mean = (self.mean_score * self.objects + other.mean_score * other.objects) / max(count, 1)
        followed = self.tracks is not None or other.tracks is not None
        tracks = (self.tracks or 0) + (other.tracks or 0) if followed else None
        return ClassCount(other.info, count, mean, tracks, max(self.most, other.most))
