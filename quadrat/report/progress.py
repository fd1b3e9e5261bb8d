"""How far an order is: a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from time import monotonic
from types import TracebackType

from quadrat.records import SourceRecord
from quadrat.report.survey import reason_of
from quadrat.stores.addresses import shown
from quadrat.types import Reading, Source, SourceOpened

EVERY_S = 10.0
"""A video under way is a line of the log not more often than this."""
LONGEST_NAMES = 24
"""Letters of the names beside the bar, so that it stays one line of a terminal."""


@dataclass(slots=True)
class _UnderWay:
    """What is known of a video that is being measured; `expected` frames, None where it does not say."""

    name: str
    expected: int | None
    frames: int = 0
    skipped: int = 0


class Progress:
    """Counts sources, not skipped files; `total` may be unknown (None), as for a queue.

    The bar of an order of images counts them; that of videos (`moving`) counts frames, and says beside it how many
    videos are done. Its end is what those gave, and what the ones under way declare: of that each `step`-th frame,
    or one in so many `seconds`. Lines of the log are written above it.
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
        self._said = monotonic()
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
        """Take how many frames a video will give."""
        self._under_way[opened.source.urn] = _UnderWay(_name(opened.source), self._expected(opened.reading))
        self._show(opened.source)

    def _expected(self, reading: Reading) -> int | None:
        """Give how many frames are taken of what a file states; None where it does not."""
        declared, length = reading.declared_frames, reading.declared_s
        if self._seconds <= 0:
            return None if declared is None else ceil(declared / self._step)
        slots = None if length is None else ceil(length / self._seconds)
        return slots if slots is None or declared is None else min(slots, declared)

    def frame(self, source: Source, *, skipped: bool = False) -> None:
        """Count a frame, measured or `skipped`; every few seconds say how far its source is."""
        video = self._under_way.setdefault(source.urn, _UnderWay(_name(source), None))
        video.frames += 1
        video.skipped += skipped
        if self._bar is not None:
            self._bar.update()
        elif monotonic() - self._said >= EVERY_S:
            self._said = monotonic()
            of = f" of {video.expected}" if video.expected else ""
            self._log.info("%s: frame %d%s", video.name, video.frames, of)

    def finished(self, record: SourceRecord) -> None:
        """Count a source that is done, and log what it shows or why it has no result."""
        source = record.source
        if record.status == "skipped" and record.image is None and record.reading is None:
            self._log.debug("%s: skipped, %s", source.name, _reason(record))
            return
        video, counted = self._under_way.pop(source.urn, None), ""
        self._past += video.frames if video is not None else 0
        if record.status == "failed":
            self._say(source, f"{_name(source)}: failed, {shown(_reason(record), source)}", logging.WARNING)
            return
        if video is not None:
            counted = f"{video.frames} frame{'s' * (video.frames != 1)}, "
            if video.frames and video.skipped:
                counted = f"{video.frames - video.skipped} of {counted}"
        self._say(source, f"{_name(source)}: {counted}{_text(record)}")

    def _say(self, source: Source, text: str, level: int = logging.INFO) -> None:
        """Count a source and say so; images that are measured are too many for lines above a bar."""
        self._done += 1
        of = f"/{self._total}" if self._total else ""
        if self._bar is None or self._moving or level > logging.INFO:
            self._log.log(level, "[%d%s] %s", self._done, of, text)
        if self._bar is not None and not self._moving:
            self._bar.update()
        self._show(source)

    def _show(self, source: Source) -> None:
        """Bring what stands beside the bar of videos, and its end, up to date."""
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
    """Whether a logger writes where the bar may stand."""
    streams = [each.stream for each in log.handlers if isinstance(each, logging.StreamHandler)]
    return any(stream in (sys.stdout, sys.stderr) for stream in streams)


def _listed(names: list[str]) -> str:
    """Give names as one short text: all, or the first and how many more, or none where that is too long."""
    every, first = ", ".join(names), f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else ""
    return next((text for text in (every, first) if len(text) <= LONGEST_NAMES), "")


def _text(record: SourceRecord) -> str:
    """Give what the models found, each named if there are several."""
    if record.image is not None and record.image.skipped:
        return f"skipped, {record.image.skipped}"
    if len(record.models) == 1:
        return record.models[0].text
    return "; ".join(f"{part.model}: {part.text or reason_of(part.faults)}" for part in record.models)


def _reason(record: SourceRecord) -> str:
    """Give all errors of a source as one line, each with its code."""
    return "; ".join(fault.line for fault in record.faults) or record.reason


def _name(source: Source) -> str:
    return shown(source.name, source)
