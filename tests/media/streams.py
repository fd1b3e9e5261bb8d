"""Stream readers for tests, and checks of the frames they return."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from quadrat.media.connection import Connection, parse_address
from quadrat.media.stream import StreamReader
from quadrat.types import Frame, Source
from tests import videos
from tests.values import settings_of

PATIENCE: dict[str, Any] = {"stall_seconds": 10.0, "reconnect_seconds": 10.0}
"""Longer than a busy machine may stall; tests that wait for a timeout set their own."""


def reader(address: str, kind: type[StreamReader] = StreamReader, **settings: Any) -> StreamReader:
    """Return a reader that reconnects without long pauses."""
    source = Source("urn:stream:cam", "cam", "stream", address)
    given = settings_of(**{**PATIENCE, **settings})
    return kind(source, parse_address(address, "cam"), given.frames, given.streams, backoff_s=0.02)


def numbers(frames: list[Frame]) -> list[int]:
    """Read the numbers drawn in the frames."""
    return [videos.number(frame.pixels) for frame in frames]


def holds(frames: list[Frame], first: int = 0) -> None:
    """Check that indices and times increase, starting with frame `first` at its time."""
    indices, times = [f.key.index for f in frames], [f.time_s for f in frames]
    assert indices == sorted(set(indices))
    assert times == sorted(set(times))  # type: ignore[type-var]
    assert (first, first / 25) == (indices[0], pytest.approx(times[0]))


class LossReporter(StreamReader):
    """Sets `lost` when it drops its connection."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.lost = threading.Event()

    def _drop_connection(self, link: Connection, now: float) -> None:
        super()._drop_connection(link, now)
        self.lost.set()


class Paced(StreamReader):
    """Accepts as many frames as `let` allows, so that a test controls the reader's pace."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._let = threading.Semaphore(0)

    def on_frame(self, link: Any, raw: Any) -> bool:
        """Wait for permission."""
        return self._let.acquire(timeout=10) and super().on_frame(link, raw)

    def let(self, count: int, of: int) -> None:
        """Allow `count` more frames, at most `of` in total, and wait until they have arrived."""
        due = min(self.reading.read + count, of)
        self._let.release(count)
        with self._changed:
            assert self._changed.wait_for(lambda: self.reading.read >= due, 10)
