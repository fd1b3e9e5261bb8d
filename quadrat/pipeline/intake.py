"""Sources -> frames: pictures one after the other; videos, sequences and streams side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from queue import Empty, Full, Queue
from time import perf_counter

from quadrat.errors import QuadratError
from quadrat.media import images
from quadrat.parameters import FrameSettings, StreamSettings
from quadrat.pipeline.events import Taken, as_known
from quadrat.protocols import Reader
from quadrat.types import Begun, Blob, Ended, Failure, Flush, Frame, FrameKey, Reading, Source, StoreItem

Pull = Callable[[Source], AbstractContextManager[Blob]]
Event = Begun | Taken | Ended | Failure | Flush

AHEAD = 2
"""Frames that each video is read ahead."""
IDLE_S = 0.05
"""Seconds without a frame of any stream, after which batches under way are finished."""
CLOSE_S = 2.0


class Intake:
    """The stage that reads; give it the sources as they come. Whatever is wrong with one is its Failure."""

    def __init__(self, pull: Pull, frames: FrameSettings, streams: StreamSettings, *, tiles: bool) -> None:
        self._pull = pull
        self._settings = frames
        self._streams = streams
        self._tiles = tiles
        self._lanes: list[_Lane] = []
        self._over: dict[str, Reading] = {}
        self._ready = threading.Event()
        self._decoded_s = 0.0
        self.waited_s = 0.0

    @property
    def decode_s(self) -> float:
        """Seconds that the threads of all videos have spent on decoding; `waited_s` were spent waiting for them."""
        return self._decoded_s + sum(lane.busy_s for lane in self._lanes)

    def reading(self, source: Source) -> Reading | None:
        """Give what is known by now of a video that is being read, or is read while its frames are under way."""
        if source.urn in self._over:
            return self._over[source.urn]
        return next((lane.reading for lane in self._lanes if lane.source == source), None)

    def forget(self, source: Source) -> None:
        """Drop the reading of a video whose end has reached the caller."""
        self._over.pop(source.urn, None)

    def pictures(self, items: Iterator[StoreItem]) -> Iterator[Event]:
        """Read one picture after the other."""
        for item in items:
            yield self._picture(item) if isinstance(item, Source) else item

    def _picture(self, source: Source) -> Taken | Failure:
        pixels = self._settings.max_img_size
        try:
            with self._pull(source) as blob:
                frame = images.decode(blob, FrameKey(source.urn), pixels, mosaic=self._tiles)
        except Exception as error:  # noqa: BLE001 - one image must not end an order, whatever it holds
            return Failure(source, "read", as_known(error, source.name))
        return Taken(source, frame)

    def moving(self, items: Iterator[StoreItem]) -> Iterator[Event]:
        """Read several videos side by side, a frame of each in turn, so that a run repeats exactly.

        Streams are all read at once, and whichever has a frame gives it. A store that has no more for
        now (Flush) is asked again when all that it gave is read.
        """
        more, asked = True, True
        try:
            while more or self._lanes:
                while more and (asked or not self._lanes) and self._has_room():
                    item = next(items, None)
                    more, asked = item is not None, not isinstance(item, Flush)
                    if isinstance(item, Source):
                        self._lanes.append(
                            _Lane(item, self._settings, self._streams, self._pull, self._ready)
                        )
                    elif item is not None:
                        yield item
                yield from self._turn()
        finally:
            for lane in self._lanes:
                lane.stop()

    def _has_room(self) -> bool:
        live = any(lane.source.media == "stream" for lane in self._lanes)
        return live or len(self._lanes) < self._settings.sources_at_once

    def _turn(self) -> Iterator[Event]:
        """Take one event of each video, or what the streams have by now."""
        self._ready.clear()
        came = False
        for lane in list(self._lanes):
            begin = perf_counter()
            event = lane.take(wait=lane.source.media != "stream")
            self.waited_s += perf_counter() - begin
            if event is None:
                continue
            came = True
            if isinstance(event, Ended):
                self._over[event.source.urn] = event.reading
            if isinstance(event, Ended | Failure):
                self._lanes.remove(lane)
                self._decoded_s += lane.busy_s
            yield event
        if self._lanes and not came:
            begin = perf_counter()
            ready = self._ready.wait(IDLE_S)
            self.waited_s += perf_counter() - begin
            if not ready:
                yield Flush()


class _Lane:
    """One video, sequence or stream, read by a thread of its own into a short queue."""

    def __init__(
        self,
        source: Source,
        frames: FrameSettings,
        streams: StreamSettings,
        pull: Pull,
        ready: threading.Event,
    ) -> None:
        self.source = source
        self.busy_s = 0.0
        self._settings = frames
        self._streams = streams
        self._pull = pull
        self._ready = ready
        self._queue: Queue[Event] = Queue(1 if source.media == "stream" else AHEAD)
        self._stopped = threading.Event()
        self._reader: Reader | None = None
        self._thread = threading.Thread(target=self._work, name=f"quadrat-decode-{source.name}", daemon=True)
        self._thread.start()

    @property
    def reading(self) -> Reading | None:
        """What is known of it by now, once it is open."""
        return self._reader.reading if self._reader is not None else None

    def take(self, *, wait: bool) -> Event | None:
        """Give the next event; without `wait`, None where there is none yet."""
        with suppress(Empty):
            return self._queue.get(block=wait)
        return None

    def stop(self) -> None:
        """End the reading, whatever it is at."""
        self._stopped.set()
        if self._reader is not None:
            self._reader.close()
        self._thread.join(CLOSE_S)

    def _work(self) -> None:
        try:
            for event in self._events():
                self._put(event)
                if self._stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - a library's exit too: who waits for this video must hear of it
            self._put(Failure(self.source, "read", as_known(error, self.source.name)))

    def _events(self) -> Iterator[Event]:
        from quadrat.media.readers import open_reader  # the library of videos: only where there is one

        stream = self.source.media == "stream"
        pulled: AbstractContextManager[Blob | None] = nullcontext() if stream else self._pull(self.source)
        with pulled as blob:
            reader = self._reader = open_reader(self.source, blob, self._settings, self._streams)
            try:
                yield Begun(self.source, reader.reading)
                late = yield from self._frames(iter(reader))
                yield Ended(self.source, replace(reader.reading, error=late) if late else reader.reading)
            finally:
                reader.close()

    def _frames(self, frames: Iterator[Frame]) -> Generator[Taken, None, QuadratError | None]:
        """Yield every frame; give what the reader raised after some, which does not undo those."""
        begun = False
        while True:
            begin = perf_counter()
            try:
                frame = next(frames, None)
            except BaseException as error:
                if not begun:
                    raise
                return as_known(error, self.source.name)
            finally:
                self.busy_s += perf_counter() - begin
            if frame is None:
                return None
            begun = True
            yield Taken(self.source, frame)

    def _put(self, event: Event) -> None:
        while not self._stopped.is_set():
            with suppress(Full):
                self._queue.put(event, timeout=IDLE_S)
                self._ready.set()
                return
