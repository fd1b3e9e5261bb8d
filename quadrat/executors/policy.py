"""The failure policy of an order: when it ends early, and when it has failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from quadrat.errors import AllFailedError, NoImagesError, NotAnImageError, StoppedError
from quadrat.formats import IMAGE_WORDS, VIDEO_WORDS, skip_reason
from quadrat.parameters import Settings
from quadrat.records import SourceRecord

SKIP = "Use --on-error skip to continue after it"


class FailurePolicy:
    """Decides after each source whether the order continues, and at the end whether it failed."""

    def __init__(self, settings: Settings, table: str, *, moving: bool) -> None:
        self._order = settings.order
        self._table = table
        self._moving = moving
        self._failed: Counter[str] = Counter()
        self._other_kind = 0

    def check(self, record: SourceRecord) -> None:
        """Raise StoppedError if the order must end because of this record."""
        stop = self._order.on_error == "stop"
        if record.status == "skipped" and record.faults:
            name = Path(record.source.name).name
            self._other_kind += (
                isinstance(record.faults[0], NotAnImageError)
                and skip_reason(name, moving=not self._moving) is None
            )
        elif record.status == "partial" and stop and _is_cut(record):
            raise StoppedError(
                f"stopped at the first source that was measured only in part, {record.faults[0].line}",
                hint=SKIP,
            )
        elif record.status == "failed":
            self._failed[record.source.media] += 1
            if stop:
                what = f"stopped at the first {record.source.media} that failed, {record.faults[0].line}"
                raise StoppedError(what, hint=SKIP)
            if 0 <= self._order.max_failures < self._failed.total():
                raise StoppedError(
                    f"{self._failures()} failed, and max-failures is {self._order.max_failures}",
                    hint=f"See {self._table} for the reasons",
                )

    def conclude(self, counts: Mapping[str, int], *, measured: int, blank: int) -> None:
        """Raise an error if the order measured nothing."""
        if measured:
            return
        if counts.get("failed"):
            raise AllFailedError(
                f"nothing could be measured: {self._failures()} failed",
                hint=f"See {self._table} for the reasons",
            )
        if blank:
            skip = "--skip-black" if self._moving else "--skip-flagged"
            raise NoImagesError(
                f"no frame was measured in the {blank} source{'s' * (blank != 1)} that could be read",
                hint=f"See {self._table} for the reasons; leave {skip} out to measure such frames",
            )
        where, other = ("videos", "images") if self._moving else ("images", "videos")
        skipped = ""
        if count := counts.get("skipped", 0):
            skipped = f"; {count} file{'s were' if count > 1 else ' was'} skipped"
        if self._other_kind:
            skipped += f", {self._other_kind} of them {other}"
            hint = f"For {other} give --{other}"
        elif self._moving:
            hint = f"Give a folder or collection with videos ({VIDEO_WORDS}) or folders of images"
        else:
            hint = f"Give a folder or collection with {IMAGE_WORDS} images"
        raise NoImagesError(f"there is nothing to measure{skipped}", where=where, hint=hint)

    def _failures(self) -> str:
        """Return the number of failed sources and their kind."""
        count, kinds = self._failed.total(), list(self._failed)
        return f"{count} {kinds[0] if len(kinds) == 1 else 'source'}{'s' * (count != 1)}"


def _is_cut(record: SourceRecord) -> bool:
    """Return True if a video is not whole, or if one of several models could not measure a picture."""
    return record.reading is not None or any(part.faults and not part.measured for part in record.models)
