"""How far an order is: a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from types import TracebackType

from quadrat.types import Cover, Failure, Source


class Progress:
    """Counts images, not skipped files; `total` may be unknown (None), as for a queue."""

    def __init__(self, log: logging.Logger, total: int | None) -> None:
        self._log = log
        self._total = total
        self._done = 0
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="image", leave=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def measured(self, source: Source, covers: Sequence[Cover]) -> None:
        """Count a measured image and say its covers."""
        self._step(f"{source.name}: " + ", ".join(f"{c.name} {100 * c.cover:.2f} %" for c in covers))

    def failed(self, failure: Failure) -> None:
        """Count an image without a result and say why."""
        self._step(f"{failure.source.name}: failed, {failure.error.line}", logging.WARNING)

    def skipped(self, failure: Failure) -> None:
        """Say why a file is not measured."""
        self._log.debug("%s: skipped, %s", failure.source.name, failure.error.line)

    def _step(self, text: str, level: int = logging.INFO) -> None:
        self._done += 1
        if self._bar is not None:
            self._bar.update()
        if self._bar is None or level > logging.INFO:
            of = f"/{self._total}" if self._total else ""
            self._log.log(level, "[%d%s] %s", self._done, of, text)
