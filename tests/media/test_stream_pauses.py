"""Pauses between reconnections, with a simulated clock, so that no test waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import av
import pytest

from quadrat.errors import StreamError
from quadrat.media import stream
from quadrat.media.connection import Address
from quadrat.media.stream import BACKOFF_S, MAX_BACKOFF_S, StreamReader
from quadrat.parameters import FrameSettings, StreamSettings
from quadrat.types import Source

JITTER = 2.0
"""Ratio of the longest to the shortest pause of one step."""
TINY = 1e-6


class Camera:
    """Connections fail at once, the `answers`-th after one frame; waiting only moves the clock."""

    def __init__(self, answers: int = 0) -> None:
        self.now = 1000.0
        self.tried: list[float] = []
        self._answers = answers
        self._waiting: Callable[[], None] | None = None

    def read(self, monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> StreamReader:
        """Read the stream to its end, `seconds` after the loss."""
        monkeypatch.setattr(stream, "monotonic", lambda: self.now)
        monkeypatch.setattr(stream, "Connection", self._connect)
        monkeypatch.setattr(stream, "threading", SimpleNamespace(Condition=partial(_Clocked, self)))
        settings = StreamSettings(reconnect_seconds=seconds, stall_seconds=3600.0)
        reader = StreamReader(
            Source("urn:cam", "cam", "stream"), Address("tcp://cam", "tcp"), FrameSettings(), settings
        )
        if self._answers:
            list(reader)
        else:
            with pytest.raises(StreamError, match="refused"):
                list(reader)
        return reader

    @property
    def pauses(self) -> list[float]:
        """Seconds from each failure to the next attempt, except the last, which the end may have shortened."""
        return [after - before for before, after in pairwise(self.tried)][:-1]

    def wait(self, seconds: float) -> None:
        """Deliver a frame, or advance the clock."""
        if self._waiting is not None:
            answer, self._waiting = self._waiting, None
            answer()
        else:
            self.now += seconds

    def _connect(self, _address: Address, owner: StreamReader, *_: object) -> _Link:
        link = _Link(self.now)
        self.tried.append(self.now)

        def answer() -> None:
            if len(self.tried) == self._answers:
                owner.on_frame(link, av.VideoFrame(16, 16, "rgb24"))  # type: ignore[arg-type]
            link.reason = "refused"

        self._waiting = answer
        return link


class _Link:
    """The attributes of a connection that a reader uses."""

    finite = ended_normally = False
    codec, rate, aspect = "h264", 25.0, None

    def __init__(self, now: float) -> None:
        self.last_active_at = now
        self.reason = ""

    def abandon(self) -> None:
        """Do nothing: there is no thread."""


class _Clocked(threading.Condition):
    """A condition that never blocks."""

    def __init__(self, camera: Camera) -> None:
        super().__init__()
        self._camera = camera

    def wait(self, timeout: float | None = None) -> bool:
        """Advance the clock instead."""
        self._camera.wait(timeout or 0.0)
        return True


def test_pauses_double_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second pause is longer, whatever the jitter, until pauses are near 30 s."""
    camera = Camera()
    camera.read(monkeypatch, seconds=600.0)

    pauses = camera.pauses
    assert len(pauses) > 20
    assert pauses[0] <= BACKOFF_S + TINY
    assert all(late > JITTER * early for early, late in zip(pauses[:5], pauses[2:7], strict=True))
    assert all(MAX_BACKOFF_S / JITTER - TINY <= pause <= MAX_BACKOFF_S + TINY for pause in pauses[6:])


def test_pauses_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cameras that were lost together reconnect at different times."""
    cameras = [Camera(), Camera()]
    for camera in cameras:
        camera.read(monkeypatch, seconds=600.0)

    first, second = cameras
    assert not set(first.tried[1:-1]) & set(second.tried[1:-1])


def test_a_frame_makes_pauses_short_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a successful connection, pauses start short again."""
    camera = Camera(answers=10)
    camera.read(monkeypatch, seconds=600.0)

    before, after = camera.pauses[:9], camera.pauses[9:]
    assert before[-1] >= MAX_BACKOFF_S / JITTER
    assert after[0] <= BACKOFF_S + TINY
    assert after[2] > JITTER * after[0]


def test_the_last_pause_ends_with_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last attempt is made after reconnect-seconds, neither earlier nor one pause later."""
    camera = Camera()
    camera.read(monkeypatch, seconds=100.0)

    assert camera.tried[-1] - camera.tried[0] <= 100.0 + TINY
    assert camera.now - camera.tried[0] == pytest.approx(100.0)
