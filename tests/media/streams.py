"""Readers of streams as tests make them, and the laws of what they give."""

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
"""More than a busy machine may stand still; a test that waits for the end of either names its own."""


def reader(address: str, kind: type[StreamReader] = StreamReader, **settings: Any) -> StreamReader:
    """Give a reader that reconnects without long pauses."""
    source = Source("urn:stream:cam", "cam", "stream", address)
    given = settings_of(**{**PATIENCE, **settings})
    return kind(source, parse_address(address, "cam"), given.frames, given.streams, backoff_s=0.02)


def numbers(frames: list[Frame]) -> list[int]:
    """Read the numbers drawn in the frames."""
    return [videos.number(frame.pixels) for frame in frames]


def holds(frames: list[Frame], first: int = 0) -> None:
    """Hold frames to the laws of every stream: indices and times grow, from 0 for frame 0."""
    indices, times = [f.key.index for f in frames], [f.time_s for f in frames]
    assert indices == sorted(set(indices))
    assert times == sorted(set(times))  # type: ignore[type-var]
    assert (first, first / 25) == (indices[0], pytest.approx(times[0]))


class Told(StreamReader):
    """Tells when it has lost its connection."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.lost = threading.Event()

    def _drop_connection(self, link: Connection, now: float) -> None:
        super()._drop_connection(link, now)
        self.lost.set()


class Paced(StreamReader):
    """Takes from its connection as many frames as `let` allows, so that a test says how slow its reader is."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._let = threading.Semaphore(0)

    def on_frame(self, link: Any, raw: Any) -> bool:
        """Wait for leave."""
        return self._let.acquire(timeout=10) and super().on_frame(link, raw)

    def let(self, count: int, of: int) -> None:
        """Let so many frames come, up to frame `of` of all, and wait until they have."""
        due = min(self.reading.read + count, of)
        self._let.release(count)
        with self._changed:
            assert self._changed.wait_for(lambda: self.reading.read >= due, 10)
