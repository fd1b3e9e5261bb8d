"""Counts of objects of one class, in one source or in a whole order."""

from __future__ import annotations

from collections.abc import Sequence
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


def video_text(found: Sequence[ClassCount]) -> str:
    """Summarise how many of each class were seen at once and, if objects were tracked, the tracks.

    Tracks alone would hide what was seen: if frames are far apart, few objects have tracks.
    """
    if not found:
        return "nothing found"
    seen = f"at most {counts_text([(one.info.name, one.most) for one in found])} at once"
    if all(one.tracks is None for one in found):
        return seen
    tracks = [(one.info.name, one.tracks) for one in found if one.tracks]
    count = sum(number for _, number in tracks)
    if not count:
        return f"{seen}; no tracks"
    return f"{seen}; {count} track{'' if count == 1 else 's'}: {counts_text(tracks)}"


def counts_text(counts: Sequence[tuple[str, int]]) -> str:
    """Summarise numbers by name, the greatest first."""
    ordered = sorted(counts, key=lambda pair: -pair[1])
    return ", ".join(f"{count} {name}" for name, count in ordered) or "nothing found"
