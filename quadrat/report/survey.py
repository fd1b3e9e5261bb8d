"""survey.csv: one row per image and class, and one for every image that gave no result."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from quadrat.errors import NotAnImageError
from quadrat.types import Cover, Failure, Frame, Source

COLUMNS = (
    "image", "name", "status", "class_id", "class", "cover", "pixels", "mean_confidence",
    "width", "height", "source_width", "source_height", "product", "taken", "latitude", "longitude",
    "image_sha256", "code", "reason",
)  # fmt: skip


class Survey:
    """Rows of the order's table, in the order of the images."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._rows: list[tuple[Any, ...]] = []
        self._sums: dict[int, tuple[Cover, float]] = {}

    def add_result(
        self, source: Source, frame: Frame, covers: Sequence[Cover], size: tuple[int, int], product: str
    ) -> None:
        """Add one row per class of a measured image; `size` is the mask's (height, width)."""
        self.counts["ok"] += 1
        (height, width), (source_height, source_width) = size, frame.source_hw
        exif = frame.exif
        tail = (
            width, height, source_width, source_height, product, _iso(exif.get("DateTimeOriginal", "")),
            exif.get("GPSLatitude", ""), exif.get("GPSLongitude", ""), frame.digest, "", "",
        )  # fmt: skip
        for cover in covers:
            self._sums[cover.index] = (cover, self._sums.get(cover.index, (cover, 0.0))[1] + cover.cover)
            mean = "" if cover.confidence is None else f"{cover.confidence:.4f}"
            head = (
                source.urn,
                source.name,
                "ok",
                cover.id,
                cover.name,
                f"{cover.cover:.6f}",
                cover.pixels,
                mean,
            )
            self._rows.append(head + tail)

    def add_failure(self, failure: Failure) -> None:
        """Add the one row of an image that was skipped or failed, with its reason."""
        status = "skipped" if isinstance(failure.error, NotAnImageError) else "failed"
        self._add_without_result(failure.source, status, failure.error.code, str(failure.error))

    def add_not_reached(self, sources: Iterable[Source], reason: str) -> None:
        """Add a row for each image that the order ended before."""
        for source in sources:
            self._add_without_result(source, "not-reached", "E_STOPPED", reason)

    def mean_covers(self) -> list[dict[str, Any]]:
        """Give the mean cover of each class over the measured images."""
        count = max(self.counts["ok"], 1)
        return [{"id": c.id, "name": c.name, "mean-cover": total / count} for c, total in self._sums.values()]

    def body(self) -> bytes:
        """Write the table: UTF-8, RFC 4180, decimal points, and no cell that a spreadsheet would run."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows([_safe(cell) for cell in row] for row in self._rows)
        return text.getvalue().encode("utf-8", "replace")

    def _add_without_result(self, source: Source, status: str, code: str, reason: str) -> None:
        self.counts[status] += 1
        blank = [""] * len(COLUMNS)
        blank[:3] = source.urn, source.name, status
        blank[-2:] = code, reason
        self._rows.append(tuple(blank))


def _safe(cell: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would take for a formula; numbers stay."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "@", "\t", "\r"):
        return "'" + cell
    if isinstance(cell, str) and cell[:1] == "-" and not _is_number(cell):
        return "'" + cell
    return cell


def _iso(taken: str) -> str:
    """Turn the camera's 2024:05:06 07:08:09 into ISO 8601, which spreadsheets and R read."""
    return re.sub(r"^(\d{4}):(\d\d):(\d\d) ", r"\1-\2-\3T", taken)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
