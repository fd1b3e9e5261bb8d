"""survey.csv: one row per source and class, and one for every source that gave no result."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quadrat.errors import NotAnImageError, QuadratError
from quadrat.stores.addresses import redacted
from quadrat.types import ClassInfo, Cover, Ended, Failure, Frame, Source

COLUMNS = (
    "image", "name", "status", "class_id", "class", "cover", "pixels", "mean_confidence",
    "width", "height", "source_width", "source_height", "product", "taken", "latitude", "longitude",
    "image_sha256", "code", "reason",
    "media", "objects", "tracks", "mean_score", "frames", "frames_declared", "frames_read",
    "frames_skipped", "frames_dropped", "frames_damaged", "seconds", "gaps", "max_at_once",
    "max_at_once_s",
)  # fmt: skip
"""The first 19 are older than videos, and keep their places."""


@dataclass(frozen=True, slots=True)
class Found:
    """Objects of one class in one source: detections counted, tracks (None where none are made), mean score.

    `most` is the largest number of them in one picture or frame: MaxN. The first frame with so many is
    `most_frame`, at `most_s` seconds (None for a picture); of a whole order both are None.
    """

    info: ClassInfo
    objects: int
    mean_score: float
    tracks: int | None = None
    most: int = 0
    most_frame: int | None = None
    most_s: float | None = None


class Survey:
    """Rows of the order's table: of images in their order, of videos, sequences and streams in order of name.

    `counts` are sources by status: ok, partial (measured in part), failed, skipped, not-reached; `blank` are
    those of the skipped and the partial that were read, and of which nothing was measured.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._rows: list[tuple[Any, ...]] = []
        self._sums: dict[int, tuple[Cover, float]] = {}
        self._found: dict[int, Found] = {}
        self._by_name = False
        self._covered = self._empty = 0
        self.blank = 0
        self._readings: dict[str, dict[str, Any]] = {}

    @property
    def measured(self) -> int:
        """Sources of which something was measured, those in part too."""
        return self.counts["ok"] + self.counts["partial"] - self._empty

    def add_result(
        self, source: Source, frame: Frame, covers: Sequence[Cover], size: tuple[int, int], product: str
    ) -> None:
        """Add one row per class of a measured image; `size` is the mask's (height, width)."""
        self._add_covers(_of_image(source, frame, size, product), covers)

    def add_objects(
        self,
        source: Source,
        frame: Frame,
        found: Sequence[Found],
        product: str,
        error: QuadratError | None = None,
    ) -> None:
        """Add one row per class seen in an image, or one without a class where nothing was.

        With `error` the image is measured in part.
        """
        head = _of_image(source, frame, (frame.pixels.shape[0], frame.pixels.shape[1]), product)
        if error is not None:
            head |= {"status": "partial", "code": error.code, "reason": str(error)}
        self._add_found(head, found)

    def add_skipped(self, source: Source, frame: Frame) -> None:
        """Add the one row of an image that was read and not measured."""
        line = {"status": "skipped", "reason": f"the picture is {frame.skipped}", "media": source.media}
        size = frame.pixels.shape[0], frame.pixels.shape[1]
        self._add_row(_of_image(source, frame, size, "") | line)
        self.counts["skipped"] += 1
        self.blank += 1

    def add_covers(self, ended: Ended, covers: Sequence[Cover], product: str, frames: int) -> None:
        """Add one row per class of a video with its mean cover over `frames`; one without a class where those are 0."""
        self._add_covers(self._of_video(ended, product, frames), covers)

    def add_tracked(self, ended: Ended, found: Sequence[Found], product: str, frames: int) -> None:
        """Add one row per class seen in `frames` of a video, or one without a class where nothing was."""
        self._add_found(self._of_video(ended, product, frames), found)

    def add_failure(self, failure: Failure) -> None:
        """Add the one row of a source that was skipped or failed, with its reason."""
        status = "skipped" if isinstance(failure.error, NotAnImageError) else "failed"
        self._add_without_result(failure.source, status, failure.error.code, str(failure.error))

    def add_not_reached(self, sources: Iterable[Source], reason: str) -> None:
        """Add a row for each source that the order ended before."""
        for source in sources:
            self._add_without_result(source, "not-reached", "E_STOPPED", reason)

    def readings(self) -> list[dict[str, Any]]:
        """Give what was read of each video, in order of name, as the record of the run tells it."""
        return sorted(self._readings.values(), key=lambda one: (one["name"], one["source"]))

    def mean_covers(self) -> list[dict[str, Any]]:
        """Give the mean cover of each class over the sources of which something was measured."""
        count = max(self._covered, 1)
        return [{"id": c.id, "name": c.name, "mean-cover": total / count} for c, total in self._sums.values()]

    def objects(self) -> list[dict[str, Any]]:
        """Give the objects of each class over the whole order, and its tracks where there are any."""
        return [
            {
                "id": found.info.id,
                "name": found.info.name,
                "objects": found.objects,
                "tracks": found.tracks,
                "max-at-once": found.most,
                "mean-score": round(found.mean_score, 4),
            }
            for _, found in sorted(self._found.items())
        ]

    def body(self) -> bytes:
        """Write the table: UTF-8, RFC 4180, decimal points, and no cell that a spreadsheet would run."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        rows = sorted(self._rows, key=lambda row: (row[1], row[0])) if self._by_name else self._rows
        writer.writerows([safe(cell) for cell in row] for row in rows)
        return text.getvalue().encode("utf-8", "replace")

    def _add_covers(self, head: dict[str, Any], covers: Sequence[Cover]) -> None:
        self.counts[head["status"]] += 1
        self._covered += bool(covers)
        for cover in covers:
            self._sums[cover.index] = (cover, self._sums.get(cover.index, (cover, 0.0))[1] + cover.cover)
            mean = "" if cover.confidence is None else f"{cover.confidence:.4f}"
            named = {"class_id": cover.id, "class": cover.name, "cover": f"{cover.cover:.6f}"}
            self._add_row(head | named | {"pixels": cover.pixels, "mean_confidence": mean})
        if not covers:
            self._add_row(head)

    def _add_found(self, head: dict[str, Any], found: Sequence[Found]) -> None:
        self.counts[head["status"]] += 1
        for one in found:
            self._found[one.info.index] = _summed(self._found.get(one.info.index), one)
            named = {
                "class_id": one.info.id,
                "class": one.info.name,
                "objects": one.objects,
                "tracks": "" if one.tracks is None else one.tracks,
                "mean_score": f"{one.mean_score:.4f}",
                "max_at_once": one.most,
                "max_at_once_s": "" if one.most_s is None else f"{one.most_s:.6f}",
            }
            self._add_row(head | named)
        if not found:  # where no frame was measured, none is not a number
            self._add_row(head if head.get("frames") == 0 else head | {"objects": 0, "max_at_once": 0})

    def _add_without_result(self, source: Source, status: str, code: str, reason: str) -> None:
        self._by_name = self._by_name or source.media != "image"
        self.counts[status] += 1
        media = "" if status == "skipped" else source.media
        head = {"image": source.urn, "name": source.name, "status": status, "media": media}
        self._add_row(head | {"code": code, "reason": reason})

    def _of_video(self, ended: Ended, product: str, frames: int) -> dict[str, Any]:
        """Give the cells of a video that are the same for each class."""
        self._by_name = True
        self._readings[ended.source.urn] = _reading(ended)
        self.blank += frames == 0
        self._empty += frames == 0 and status_of(ended, frames) == "partial"
        source, reading, error = ended.source, ended.reading, ended.reading.error
        (height, width), skipped = reading.hw, sum(ended.skipped.values())
        declared = "" if reading.declared_frames is None else reading.declared_frames
        return {
            "image": source.urn, "name": source.name, "status": status_of(ended, frames), "product": product,
            "source_width": width, "source_height": height, "image_sha256": reading.digest,
            "code": error.code if error else "", "reason": str(error) if error else _unmeasured(ended, frames),
            "media": source.media, "frames": frames, "frames_declared": declared,
            "frames_read": reading.read, "frames_skipped": skipped, "frames_dropped": reading.dropped,
            "frames_damaged": reading.damaged, "seconds": f"{reading.seconds:.3f}", "gaps": len(reading.gaps),
        }  # fmt: skip

    def _add_row(self, cells: Mapping[str, Any]) -> None:
        if cells["media"] == "stream":
            cells = {name: redacted(cell) if isinstance(cell, str) else cell for name, cell in cells.items()}
        self._rows.append(tuple(cells.get(column, "") for column in COLUMNS))


def status_of(ended: Ended, frames: int) -> str:
    """Give the status of a video of which so many frames were measured; without any it has told nothing."""
    if ended.reading.error is not None:
        return "partial"
    return "ok" if frames else "skipped"


def _unmeasured(ended: Ended, frames: int) -> str:
    """Say why no frame was measured, where none was."""
    if frames:
        return ""
    why = ", ".join(f"{count} {reason}" for reason, count in ended.skipped.items() if count)
    return "no frame was measured" + (f": {why}" if why else "")


def _of_image(source: Source, frame: Frame, size: tuple[int, int], product: str) -> dict[str, Any]:
    """Give the cells of an image that are the same for each class; `size` is the result's (height, width)."""
    exif, (height, width), (source_height, source_width) = frame.exif, size, frame.source_hw
    return {
        "image": source.urn, "name": source.name, "status": "ok", "media": source.media,
        "width": width, "height": height, "source_width": source_width, "source_height": source_height,
        "product": product, "taken": _iso(exif.get("DateTimeOriginal", "")), "latitude": exif.get("GPSLatitude", ""),
        "longitude": exif.get("GPSLongitude", ""), "image_sha256": frame.digest,
    }  # fmt: skip


def _reading(ended: Ended) -> dict[str, Any]:
    """Tell a reading in plain values; its gaps are counted."""
    source, reading = ended.source, ended.reading
    told = {
        "source": source.urn, "name": source.name, "error": reading.error.line if reading.error else None,
    }  # fmt: skip
    if source.media == "stream":
        told = {key: None if text is None else redacted(text) for key, text in told.items()}
    return told | {
        "media": source.media,
        "seconds": round(reading.seconds, 3),
        "declared-frames": reading.declared_frames,
        "read": reading.read,
        "taken": reading.taken,
        "dropped": reading.dropped,
        "damaged": reading.damaged,
        "skipped": dict(ended.skipped),
        "gaps": len(reading.gaps),
        "gap-seconds": round(sum(gap.end_s - gap.start_s for gap in reading.gaps), 3),
    }


def _summed(old: Found | None, new: Found) -> Found:
    if old is None:
        return new
    count = old.objects + new.objects
    mean = (old.mean_score * old.objects + new.mean_score * new.objects) / max(count, 1)
    tracks = None if old.tracks is None and new.tracks is None else (old.tracks or 0) + (new.tracks or 0)
    return Found(new.info, count, mean, tracks, max(old.most, new.most))


def safe(cell: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would take for a formula; numbers stay."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "@", "\t", "\r"):
        return "'" + cell
    if isinstance(cell, str) and cell[:1] == "-" and not _is_number(cell):
        return "'" + cell
    return cell


def csv_cell(text: str) -> str:
    """Write one text as a cell of a table: safe for spreadsheets, quoted where it must be, fit for UTF-8."""
    line = io.StringIO()
    csv.writer(line).writerow([safe(text), ""])
    return line.getvalue().removesuffix(",\r\n").encode("utf-8", "replace").decode()


def _iso(taken: str) -> str:
    """Turn the camera's 2024:05:06 07:08:09 into ISO 8601, which spreadsheets and R read."""
    return re.sub(r"^(\d{4}):(\d\d):(\d\d) ", r"\1-\2-\3T", taken)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
