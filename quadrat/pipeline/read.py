"""Sources -> frames: images one after the other; videos, sequences and streams several at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from queue import Empty, Full, Queue
from time import perf_counter

from quadrat.geometry import HW
from quadrat.media import images
from quadrat.media.facts import flags_of
from quadrat.parameters import FrameSettings, StreamSettings
from quadrat.pipeline.budget import FrameBudget, files_at_once
from quadrat.pipeline.events import DecodedFrame, SourceEnd, SourceStart, to_quadrat_error
from quadrat.pipeline.models import Pass
from quadrat.pipeline.state import SourceState
from quadrat.pipeline.workers import start_thread
from quadrat.protocols import Reader
from quadrat.types import Blob, Failure, Flush, Frame, FrameKey, Source, StoreItem

Pull = Callable[[Source], AbstractContextManager[Blob]]
ReadItem = SourceStart | DecodedFrame | SourceEnd | Failure | Flush

AHEAD = 2
"""The number of frames that each video is read ahead."""
IDLE_S = 0.05
"""Seconds without a frame from any stream after which incomplete batches run."""
CLOSE_S = 2.0


class SourceReader:
    """The stage that reads sources. An error in one source becomes its Failure."""

    def __init__(self, pull: Pull, models: Pass) -> None:
        self._pull = pull
        self._models = models.names
        self._frames = models.frames
        self._streams = models.settings.streams
        self._tiles = models.settings.tiles.tile_size > 0
        self._originals = any(not model.kind.measures for model in models.values())
        self.budget = FrameBudget(models)
        self._at_once = self._frames.sources_at_once
        self._threads: list[_DecodeThread] = []
        self._ready = threading.Event()
        self._decoded_s = 0.0
        self.waited_s = 0.0

    @property
    def decode_s(self) -> float:
        """Seconds that all decoding threads were busy; `waited_s` is the time spent waiting for them."""
        return self._decoded_s + sum(thread.busy_s for thread in self._threads)

    def pictures(self, items: Iterator[StoreItem]) -> Iterator[ReadItem]:
        """Read one image after the other."""
        for item in items:
            yield self._image(item) if isinstance(item, Source) else item

    def _image(self, source: Source) -> DecodedFrame | Failure:
        try:
            with self._pull(source) as blob:
                pixels = self._frames.max_img_size
                bits = self._frames.sample_bits
                frame = images.decode(
                    blob,
                    FrameKey(source.urn),
                    pixels,
                    mosaic=self._tiles,
                    sample_bits=bits,
                    with_original=self._originals,
                )
                if self._frames.skip_flagged:
                    flags = flags_of(frame.facts, frame.source_hw, frame.depth)
                    frame = replace(frame, skipped=", ".join(flags))
        except Exception as error:  # noqa: BLE001 - whatever a source contains, it must not end the order
            return Failure(source, "read", to_quadrat_error(error, source.name))
        return DecodedFrame(SourceState.of(source, self._models), frame)

    def moving(self, items: Iterator[StoreItem]) -> Iterator[ReadItem]:
        """Read several videos at once, a frame of each in turn, so that every run is the same.

        Streams are all read at once, and frames come from whichever has one. After a Flush, which says that the
        store has no more sources for now, ask the store again once all its sources are read.
        """
        more, asked = True, True
        self._at_once = files_at_once(self._at_once)
        try:
            while more or self._threads:
                while more and (asked or not self._threads) and self._has_room():
                    item = next(items, None)
                    more, asked = item is not None, not isinstance(item, Flush)
                    if isinstance(item, Source):
                        self._open(item)
                    elif item is not None:
                        yield item
                yield from self._turn()
        finally:
            for thread in self._threads:
                thread.stop()

    def _open(self, source: Source) -> None:
        state = SourceState.of(source, self._models)
        settings = (self._frames, self._streams)
        self._threads.append(_DecodeThread(state, settings, self._pull, self._ready, self.budget))

    def _has_room(self) -> bool:
        """Return True if another source may be opened; the sizes of the videos that are open decide it."""
        if any(thread.is_live for thread in self._threads):
            return True
        if len(self._threads) >= self._at_once:
            return False
        begin = perf_counter()
        sizes = [thread.hw for thread in self._threads]
        self.waited_s += perf_counter() - begin
        return self.budget.has_room(sizes)

    def _turn(self) -> Iterator[ReadItem]:
        """Yield one event of each video, or the events that the streams have by now."""
        self._ready.clear()
        came = False
        for thread in list(self._threads):
            begin = perf_counter()
            event = thread.take(wait=not thread.is_live)
            while event is None and not thread.is_live:  # its next frame waits for room in the budget
                yield Flush()
                event = thread.take(wait=True)
            self.waited_s += perf_counter() - begin
            if event is None:
                continue
            came = True
            if isinstance(event, SourceEnd):
                self._threads.remove(thread)
                self._decoded_s += thread.busy_s
            yield event
        if self._threads and not came:
            begin = perf_counter()
            ready = self._ready.wait(IDLE_S)
            self.waited_s += perf_counter() - begin
            if not ready:
                yield Flush()


class _DecodeThread:
    """Reads one video, sequence or stream in its own thread, into a short queue."""

    def __init__(
        self,
        state: SourceState,
        settings: tuple[FrameSettings, StreamSettings],
        pull: Pull,
        ready: threading.Event,
        budget: FrameBudget,
    ) -> None:
        self.is_live = state.source.media == "stream"
        self.busy_s = 0.0
        self._state = state
        self._frames, self._streams = settings
        self._pull = pull
        self._ready = ready
        self._budget = budget
        self._waits_for_room = threading.Event()
        self._opened = threading.Event()
        self._queue: Queue[ReadItem] = Queue(1 if self.is_live else AHEAD)
        self._stopped = threading.Event()
        self._reader: Reader | None = None
        name = f"quadrat-decode-{state.source.name}"
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        start_thread(self._thread)

    def take(self, *, wait: bool) -> ReadItem | None:
        """Return the next event; None if its frame waits for room in the budget or, without `wait`, if there is none yet."""
        while True:
            with suppress(Empty):
                return self._queue.get(timeout=IDLE_S) if wait else self._queue.get_nowait()
            if not wait or self._waits_for_room.is_set():
                return None

    @property
    def hw(self) -> HW:
        """The (height, width) of its frames, once it is open; (0, 0) if it cannot be opened."""
        self._opened.wait()
        return self._state.reader.reading.hw if self._state.reader is not None else (0, 0)

    def stop(self) -> None:
        """Stop reading, at any point."""
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
        except BaseException as error:  # noqa: BLE001 - even an exit by a library, because the run waits for this video
            self._put(SourceEnd(self._state, to_quadrat_error(error, self._state.source.name)))
        finally:
            self._opened.set()

    def _events(self) -> Iterator[ReadItem]:
        from quadrat.media.readers import open_reader  # loads the video library, which images do not need

        source = self._state.source
        pulled: AbstractContextManager[Blob | None] = nullcontext() if self.is_live else self._pull(source)
        with pulled as blob:
            reader = open_reader(source, blob, self._frames, self._streams)
            self._reader = self._state.reader = reader
            self._opened.set()
            try:
                yield SourceStart(self._state)
                yield from self._frames_of(iter(reader))
                yield SourceEnd(self._state)
            finally:
                reader.close()

    def _frames_of(self, frames: Iterator[Frame]) -> Iterator[DecodedFrame]:
        """Yield every frame. An error after the first frame is stored, so that the frames before it count."""
        begun = False
        while True:
            begin = perf_counter()
            try:
                frame = next(frames, None)
            except BaseException as error:
                if not begun:
                    raise
                self._state.error = to_quadrat_error(error, self._state.source.name)
                return
            finally:
                self.busy_s += perf_counter() - begin
            if frame is None:
                return
            begun = True
            self._budget.add(self._state, frame.source_hw, self._stopped, self._waits_for_room)
            yield DecodedFrame(self._state, frame)

    def _put(self, event: ReadItem) -> None:
        while not self._stopped.is_set():
            with suppress(Full):
                self._queue.put(event, timeout=IDLE_S)
                self._ready.set()
                return
