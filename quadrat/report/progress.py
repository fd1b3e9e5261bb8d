"""Progress of an order: a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from time import monotonic
from types import TracebackType

from quadrat.errors import printable
from quadrat.records import SourceRecord
from quadrat.report.base import error_text
from quadrat.report.survey import reason_of
from quadrat.stores.addresses import shown
from quadrat.types import Reading, Source, SourceOpened

EVERY_S = 10.0
"""Shortest time between two log lines about frames."""
LONGEST_NAMES = 24
"""Most characters of the names beside the bar, so that it fits one line of a terminal."""


@dataclass(slots=True)
class _UnderWay:
    """A video that is being measured; `expected` is the number of its frames, None if it is unknown."""

    name: str
    expected: int | None
    frames: int = 0
    skipped: int = 0


class Progress:
    """Counts sources, without skipped files; `total` is None if it is unknown, as for a queue.

    For images, the bar counts images. For videos (`moving`), it counts frames, and the number of finished videos
    stands beside it. Its end is the number of frames of finished videos plus the expected number of open videos:
    every `step`-th frame that they declare, or one every `seconds` seconds. Log lines appear above the bar.
    """

    def __init__(
        self,
        log: logging.Logger,
        total: int | None,
        *,
        moving: bool = False,
        step: int = 1,
        seconds: float = 0.0,
    ) -> None:
        self._log = log
        self._step = step
        self._seconds = seconds
        self._total = total
        self._moving = moving
        self._done = 0
        self._under_way: dict[str, _UnderWay] = {}
        self._past = 0
        self._last_line = monotonic()
        self._bar = None
        self._above = ExitStack()
        if sys.stderr.isatty():
            from tqdm import tqdm
            from tqdm.contrib.logging import logging_redirect_tqdm

            known = None if moving else total
            unit = " frames" if moving else " images"
            self._bar = tqdm(total=known, unit=unit, leave=False)
            loggers = [each for each in (log, logging.getLogger("quadrat")) if _is_on_screen(each)]
            self._above.enter_context(logging_redirect_tqdm(loggers))

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        self._above.close()

    def opened(self, opened: SourceOpened) -> None:
        """Take a video that is open, and estimate its number of frames."""
        self._under_way[opened.source.urn] = _UnderWay(_name(opened.source), self._expected(opened.reading))
        self._show(opened.source)

    def _expected(self, reading: Reading) -> int | None:
        """Compute the number of frames to measure from what a file declares; None if it declares too little."""
        declared, length = reading.declared_frames, reading.declared_s
        if self._seconds <= 0:
            return None if declared is None else ceil(declared / self._step)
        slots = None if length is None else ceil(length / self._seconds)
        return slots if slots is None or declared is None else min(slots, declared)

    def frame(self, source: Source, *, skipped: bool = False) -> None:
        """Count a frame, measured or `skipped`; log the progress of its source every few seconds."""
        video = self._under_way.setdefault(source.urn, _UnderWay(_name(source), None))
        video.frames += 1
        video.skipped += skipped
        if self._bar is not None:
            self._bar.update()
        elif monotonic() - self._last_line >= EVERY_S:
            self._last_line = monotonic()
            of = f" of {video.expected}" if video.expected else ""
            self._log.info("%s: frame %d%s", video.name, video.frames, of)

    def finished(self, record: SourceRecord) -> None:
        """Count a finished source, and log its summary or why it has none."""
        source = record.source
        if record.status == "skipped" and record.image is None and record.reading is None:
            self._log.debug("%s: skipped, %s", source.name, _reason(record))
            return
        video, frames = self._under_way.pop(source.urn, None), ""
        self._past += video.frames if video is not None else 0
        if record.status == "failed":
            self._count(source, f"{_name(source)}: failed, {shown(_reason(record), source)}", logging.WARNING)
            return
        if video is not None:
            frames = f"{video.frames} frame{'s' * (video.frames != 1)}, "
            if video.frames and video.skipped:
                frames = f"{video.frames - video.skipped} of {frames}"
        self._count(source, f"{_name(source)}: {frames}{_text(record)}")
        for warning in record.reading.warnings if record.reading is not None else ():
            self._log.warning("%s: %s", _name(source), warning)

    def known(self) -> None:
        """Count a source that was measured in an earlier run."""
        self._done += 1
        if self._bar is not None and not self._moving:
            self._bar.update()

    def _count(self, source: Source, text: str, level: int = logging.INFO) -> None:
        """Count a source and log its line. If there is a bar, do not log images, because there are too many."""
        self._done += 1
        of = f"/{self._total}" if self._total else ""
        if self._bar is None or self._moving or level > logging.INFO:
            self._log.log(level, "[%d%s] %s", self._done, of, text)
        if self._bar is not None and not self._moving:
            self._bar.update()
        self._show(source)

    def _show(self, source: Source) -> None:
        """Update the text beside the bar of videos, and the bar's end."""
        if self._bar is None or not self._moving:
            return
        kind = "streams" if source.media == "stream" else "videos"
        of = f"/{self._total}" if self._total else ""
        self._bar.set_description_str(f"{self._done}{of} {kind}", refresh=False)
        self._bar.set_postfix_str(_listed([video.name for video in self._under_way.values()]), refresh=False)
        ends = [video.expected for video in self._under_way.values()]
        known = [end for end in ends if end is not None]
        self._bar.total = self._past + sum(known) if len(known) == len(ends) else None
        self._bar.refresh()


def _is_on_screen(log: logging.Logger) -> bool:
    """Return True if a logger writes to the terminal of the bar."""
    streams = [each.stream for each in log.handlers if isinstance(each, logging.StreamHandler)]
    return any(stream in (sys.stdout, sys.stderr) for stream in streams)


def _listed(names: list[str]) -> str:
    """Join names to a short text: all, or the first and the number of others, or nothing if that is too long."""
    every, first = ", ".join(names), f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else ""
    return next((text for text in (every, first) if len(text) <= LONGEST_NAMES), "")


def _text(record: SourceRecord) -> str:
    """Summarise what the models found, each by name if there are several."""
    if record.image is not None and record.image.skipped:
        return f"skipped, {record.image.skipped}"
    flags = (
        f"flagged {', '.join(record.image.flags)}; "
        if record.image is not None and record.image.flags
        else ""
    )
    texts = {part.text for part in record.models}
    if len(texts) == 1 and not any(part.faults for part in record.models):
        return flags + texts.pop()
    return flags + "; ".join(f"{part.model}: {part.text or reason_of(part.faults)}" for part in record.models)


def _reason(record: SourceRecord) -> str:
    """Join all errors of a source, each with its code and without its name; without errors give its reason."""
    return error_text(record.faults, record.source.name) or record.reason


def _name(source: Source) -> str:
    return printable(shown(source.name, source))
