"""Stream readers for tests, and checks of the frames they return."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from quadrat.media.connection import parse_address
from quadrat.media.stream import StreamReader
from quadrat.types import Frame, Source
from tests import videos
from tests.values import settings_of
from tests.waiting import LIMIT_S, wait_until

PATIENCE: dict[str, Any] = {"stall_seconds": 10.0, "reconnect_seconds": 10.0}
"""Longer than a busy machine may stall; tests that wait for a timeout set their own."""


def reader(
    address: str, kind: type[StreamReader] = StreamReader, *, backoff_s: float = 0.02, **settings: Any
) -> StreamReader:
    """Return a reader that reconnects without long pauses, unless `backoff_s` says otherwise."""
    source = Source("urn:stream:cam", "cam", "stream", address)
    given = settings_of(**{**PATIENCE, **settings})
    return kind(source, parse_address(address, "cam"), given.frames, given.streams, backoff_s=backoff_s)


def numbers(frames: list[Frame]) -> list[int]:
    """Read the numbers drawn in the frames."""
    return [videos.number(frame.pixels) for frame in frames]


def holds(frames: list[Frame], first: int = 0) -> None:
    """Check that indices and times increase, starting with frame `first` at its time."""
    indices, times = [f.key.index for f in frames], [f.time_s for f in frames]
    assert indices == sorted(set(indices))
    assert times == sorted(set(times))  # type: ignore[type-var]
    assert (first, first / 25) == (indices[0], pytest.approx(times[0]))


class Losses(logging.Handler):
    """Sets an event whenever a stream logs that it has lost its connection."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lost = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Set it."""
        if "lost at" in record.getMessage():
            self.lost.set()


class Paced(StreamReader):
    """Accepts as many frames as `let` allows, so that a test controls the reader's pace."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.leave = threading.Semaphore(0)

    def on_frame(self, link: Any, raw: Any) -> bool:
        """Wait for permission."""
        return self.leave.acquire(timeout=LIMIT_S) and super().on_frame(link, raw)

    def let(self, count: int, of: int) -> None:
        """Allow `count` more frames, at most `of` in total, and wait until they have arrived."""
        due = min(self.reading.read + count, of)
        self.leave.release(count)
        wait_until(lambda: self.reading.read >= due, f"frame {due}")
