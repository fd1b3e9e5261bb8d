"""How far an order is: a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import sys
from time import monotonic
from types import TracebackType

from quadrat.report.redacted import shown
from quadrat.types import Begun, Failure, Source

EVERY_S = 10.0
"""A video under way is a line of the log not more often than this."""


class Progress:
    """Counts sources, not skipped files; `total` may be unknown (None), as for a queue.

    The bar of an order of images counts them; that of videos (`moving`) counts frames, of as many as are taken
    of what the sources begun so far declare: each `step`-th, or an unknown number (None), as by time.
    """

    def __init__(
        self, log: logging.Logger, total: int | None, *, moving: bool = False, step: int | None = 1
    ) -> None:
        self._log = log
        self._step = step
        self._total = total
        self._moving = moving
        self._done = 0
        self._frames: dict[str, int] = {}
        self._skipped: dict[str, int] = {}
        self._expected: dict[str, int | None] = {}
        self._all: int | None = 0
        self._said = monotonic()
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            known = None if moving else total
            self._bar = tqdm(total=known, unit="frame" if moving else "image", leave=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def begun(self, begun: Begun) -> None:
        """Take how many frames a video will give; the bar's end is known as long as that of every one is."""
        declared = begun.reading.declared_frames
        expected = None if declared is None or self._step is None else -(-declared // self._step)
        self._frames[begun.source.urn] = 0
        self._expected[begun.source.urn] = expected
        self._all = None if expected is None or self._all is None else self._all + expected
        if self._bar is not None:
            self._bar.total = self._all
            self._bar.refresh()

    def frame(self, source: Source, *, skipped: bool = False) -> None:
        """Count a frame, measured or `skipped`; every few seconds say how far its source is."""
        self._frames[source.urn] = count = self._frames.get(source.urn, 0) + 1
        self._skipped[source.urn] = self._skipped.get(source.urn, 0) + skipped
        if self._bar is not None:
            self._bar.update()
        elif monotonic() - self._said >= EVERY_S:
            self._said = monotonic()
            expected = self._expected.get(source.urn)
            self._log.info("%s: frame %d%s", _name(source), count, f" of {expected}" if expected else "")

    def measured(self, source: Source, text: str) -> None:
        """Count a source that is done and say what it shows."""
        frames, skipped = self._frames.pop(source.urn, None), self._skipped.pop(source.urn, 0)
        self._expected.pop(source.urn, None)
        counted = "" if frames is None else f"{frames} frame{'s' * (frames != 1)}, "
        counted = f"{frames - skipped} of {counted}" if frames and skipped else counted
        self._say(f"{_name(source)}: {counted}{text}")

    def failed(self, failure: Failure) -> None:
        """Count a source without a result and say why."""
        self._frames.pop(failure.source.urn, None)
        self._skipped.pop(failure.source.urn, None)
        error = shown(failure.error.line, failure.source)
        self._say(f"{_name(failure.source)}: failed, {error}", logging.WARNING)

    def skipped(self, failure: Failure) -> None:
        """Say why a file is not measured."""
        self._log.debug("%s: skipped, %s", failure.source.name, failure.error.line)

    def _say(self, text: str, level: int = logging.INFO) -> None:
        self._done += 1
        if self._bar is not None and not self._moving:
            self._bar.update()
        if self._bar is None or level > logging.INFO:
            of = f"/{self._total}" if self._total else ""
            self._log.log(level, "[%d%s] %s", self._done, of, text)


def _name(source: Source) -> str:
    return shown(source.name, source)
