"""Video files to frames: every frame, upright, with its presentation time, and what could not be read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from quadrat.media.colors import to_rgb
from quadrat.media.container import Opened, open_container
from quadrat.media.sampling import Sampling
from quadrat.settings import Settings
from quadrat.types import Frame, FrameKey, Reading, Source

if TYPE_CHECKING:
    pass


def open_video(path: Path, source: Source, settings: Settings) -> VideoReader:
    """Open a video file; its first frame is decoded here already, so that size and rotation are known."""
    return VideoReader(open_container(path, source.name), source, settings)


class VideoReader:
    """Reads a video file once, in order."""

    def __init__(self, opened: Opened, source: Source, settings: Settings) -> None:
        self._opened = opened
        self._source = source
        self._settings = settings
        stream = opened.stream
        self.reading = Reading(
            hw=(stream.codec_context.height, stream.codec_context.width),
            rate=float(stream.average_rate) if stream.average_rate else None,
            declared_frames=stream.frames or None,
            codec=stream.codec_context.name,
        )
        self._stop = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames taken."""
        sampling = Sampling(self._settings)
        o = self._opened
        first = None
        n = taken = 0
        time_s = 0.0
        for packet in o.container.demux(o.stream):
            for raw in packet.decode():
                pts = raw.pts * raw.time_base if raw.pts is not None else None
                if first is None:
                    first = pts
                time_s = float(pts - first)
                if sampling.takes(n, time_s):
                    taken += 1
                    px = to_rgb(raw)
                    yield Frame(FrameKey(self._source.urn, n), px.shape[:2], px, time_s=time_s)
                n += 1
                self.reading = replace(
                    self.reading, read=n, taken=taken, seconds=time_s + 1 / (self.reading.rate or 25)
                )
                if self._stop.is_set():
                    return

    def close(self) -> None:
        """Stop."""
        self._stop.set()
