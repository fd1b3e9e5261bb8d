"""Sources are read side by side; whatever is wrong with one is its own failure."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, takewhile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from quadrat.errors import ImageFormatError, SourceError, VideoFormatError
from quadrat.media.colors import to_rgb
from quadrat.pipeline.events import DecodedFrame, SourceEnd, SourceStart
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.pipeline.read import SourceReader
from quadrat.pipeline.run import Run
from quadrat.types import (
    Blob,
    Failure,
    Flush,
    Frame,
    FrameKey,
    Reading,
    Source,
    SourceClosed,
    StoreItem,
)
from tests import pictures, videos
from tests.moving import closed, codes, load, pull, run, with_settings
from tests.networks import brightness_archive
from tests.values import settings_of
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    """The brightness network."""
    with load(brightness_archive(tmp_path_factory.mktemp("model") / "m.tgz")) as loaded:
        yield loaded


@pytest.fixture
def cameras(tmp_path: Path) -> list[Source]:
    """Three videos of 12, 7 and 20 numbered frames."""
    made = []
    for camera, count in enumerate((12, 7, 20)):
        path = videos.write(tmp_path / f"camera-{camera}.mp4", videos.frames(count))
        made.append(Source(f"urn:{camera}", path.name, "video", str(path)))
    return made


def reader_of(pulled: Any = pull, *names: str, **settings: Any) -> SourceReader:
    """Make a reader for models of these names."""
    nothing: Any = SimpleNamespace()
    opened: Any = SimpleNamespace(task="detect")
    loaded = [
        LoadedModel(opened, nothing, nothing, nothing, settings_of(**settings), name)
        for name in names or ("reef",)
    ]
    return SourceReader(pulled, Pass(loaded))


def test_pictures_are_read_in_order_with_a_state_of_their_own(tmp_path: Path) -> None:
    """Failures of the listing pass, one that cannot be read is a failure in its place."""
    sources = []
    for n in range(3):
        (tmp_path / f"{n}.png").write_bytes(
            pictures.png(np.full((4, 5 + n, 3), n, np.uint8)) if n != 1 else b"no"
        )
        sources.append(Source(f"urn:{n}", f"{n}.png", token=str(tmp_path / f"{n}.png")))
    listed, flush = Failure(Source("urn:x", "x"), "list", SourceError("gone")), Flush()
    first, failed, passed, flushed, last = reader_of(pull, "a", "b").pictures(
        iter([sources[0], sources[1], listed, flush, sources[2]])
    )

    assert isinstance(first, DecodedFrame)
    assert isinstance(last, DecodedFrame)
    assert ((4, 5), (4, 7)) == (first.frame.source_hw, last.frame.source_hw)
    assert first.state is not last.state
    assert ["a", "b"] == list(first.state.models)
    assert isinstance(failed, Failure)
    assert isinstance(failed.error, ImageFormatError)
    assert (passed, flushed) == (listed, flush)


def test_videos_give_a_frame_in_turn(cameras: list[Source]) -> None:
    """Read side by side, a run repeats exactly: the events come in the same order every time."""

    def events() -> list[tuple[str, str, int]]:
        found = []
        for item in reader_of().moving(iter(cameras[:2])):
            assert isinstance(item, SourceStart | DecodedFrame | SourceEnd)
            index = item.frame.key.index if isinstance(item, DecodedFrame) else -1
            found.append((type(item).__name__, item.state.source.urn, index))
        return found

    once = events()
    assert once == events()
    assert [
        ("SourceStart", "urn:0", -1),
        ("SourceStart", "urn:1", -1),
        ("DecodedFrame", "urn:0", 0),
        ("DecodedFrame", "urn:1", 0),
    ] == once[:4]
    assert 12 + 7 == sum(kind == "DecodedFrame" for kind, _, _ in once)


def test_at_most_so_many_sources_are_open_at_once(cameras: list[Source]) -> None:
    """With sources-at-once the next video is opened when one has ended."""
    open_now, most = set(), 0
    for item in reader_of(sources_at_once=2).moving(iter(cameras)):
        if isinstance(item, SourceStart):
            open_now.add(item.state.source.urn)
        elif isinstance(item, SourceEnd):
            open_now.discard(item.state.source.urn)
        most = max(most, len(open_now))

    assert 2 == most


def test_a_source_is_decoded_once_for_all_models(cameras: list[Source]) -> None:
    """However many models there are, the reader pulls each source once, and each frame is there once."""
    pulled: list[str] = []

    @contextmanager
    def counted(source: Source) -> Iterator[Blob]:
        pulled.append(source.urn)
        yield Blob(Path(source.token))

    events = list(reader_of(counted, "a", "b", "c").moving(iter(cameras)))
    assert ["urn:0", "urn:1", "urn:2"] == sorted(pulled)
    assert 39 == sum(isinstance(item, DecodedFrame) for item in events)


def test_one_bad_source_ends_alone(model: LoadedModel, cameras: list[Source], tmp_path: Path) -> None:
    """A file that is no video is a failure in its place; the others lose nothing."""
    (tmp_path / "bad.mp4").write_text("#EXTM3U\nhttp://example.org/x.ts\n")
    bad = Source("urn:bad", "bad.mp4", "video", str(tmp_path / "bad.mp4"))
    frames, ends = run(Run(Pass([model]), [cameras[0], bad, cameras[1]], pull, moving=True))

    failure = ends["urn:bad"]
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, VideoFormatError)
    assert (12, 7) == (len(frames["urn:0"]), len(frames["urn:1"]))


def test_a_store_that_waits_is_asked_again_when_all_is_read(
    model: LoadedModel, cameras: list[Source]
) -> None:
    """A queue gives Flush at its end and one more once the videos before are acknowledged."""
    acknowledged: list[str] = []
    both = threading.Event()

    def items() -> Iterator[StoreItem]:
        yield from cameras[:2]
        yield Flush()
        assert both.wait(30), f"a deadlock: {acknowledged}"
        yield cameras[2]

    for item in Run(Pass([model]), items(), pull, moving=True):
        if isinstance(item, SourceClosed):
            acknowledged.append(item.source.urn)
            if len(acknowledged) == 2:
                both.set()

    assert ["urn:0", "urn:1", "urn:2"] == sorted(acknowledged)


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (MemoryError(), "there is not enough memory"),
        (OSError(5, "Input/output error"), "the file cannot be read (Input/output error)"),
        (SystemExit(0), "unexpected SystemExit"),
    ],
)
def test_a_reader_that_raises_late_does_not_undo_its_frames(
    model: LoadedModel,
    cameras: list[Source],
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    text: str,
) -> None:
    """What came before is measured, and the video is partial with the reason; before its first frame it has failed."""
    left = iter(range(5))

    def converted(*given: Any) -> NDArray[np.uint8]:
        if next(left, None) is None:
            raise raised
        return to_rgb(*given)

    monkeypatch.setattr("quadrat.media.video.to_rgb", converted)
    one = with_settings(model, settings_of(sources_at_once=1))
    frames, ends = run(Run(Pass([one]), cameras[:2], pull, moving=True))

    late, never = ends["urn:0"], ends["urn:1"]
    assert list(range(5)) == [r.frame.key.index for r in frames["urn:0"]]
    assert 1 == len(codes(late))
    assert text in str(closed(late).faults[0])
    assert isinstance(never, Failure)
    assert text in str(never.error)
    assert "urn:1" not in frames


def test_a_source_that_cannot_be_pulled_is_its_own_failure(model: LoadedModel, cameras: list[Source]) -> None:
    """The store's error is the source's; the frames of the others are all there."""

    @contextmanager
    def broken(source: Source) -> Iterator[Blob]:
        if source.urn == "urn:1":
            raise SourceError("it is gone", where=source.name)
        yield Blob(Path(source.token))

    frames, ends = run(Run(Pass([model]), cameras, broken, moving=True))

    failure = ends["urn:1"]
    assert isinstance(failure, Failure)
    assert ("read", "E_SOURCE camera-1.mp4: it is gone") == (failure.stage, failure.error.line)
    assert (12, 20) == (len(frames["urn:0"]), len(frames["urn:2"]))


def test_closing_early_stops_the_threads(cameras: list[Source]) -> None:
    """Whoever has seen enough leaves no thread behind, and every source is released."""
    released: list[str] = []

    @contextmanager
    def watched(source: Source) -> Iterator[Blob]:
        try:
            yield Blob(Path(source.token))
        finally:
            released.append(source.urn)

    stream: Any = reader_of(watched).moving(iter(cameras))
    while not isinstance(next(stream), DecodedFrame):
        pass
    stream.close()

    assert not [t for t in threading.enumerate() if t.name.startswith("quadrat-decode")]
    assert ["urn:0", "urn:1", "urn:2"] == sorted(released)


@pytest.mark.parametrize("tile_size", [0, 64])
def test_a_mosaic_is_read_only_if_it_is_cut_into_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tile_size: int
) -> None:
    """A TIFF beyond the size of a picture is an error without tiles."""
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(tmp_path / "a.tif")
    monkeypatch.setattr("quadrat.media.images.MAX_SOURCE_PIXELS", 1000)
    source = Source("urn:a", "a.tif", token=str(tmp_path / "a.tif"))
    (read,) = reader_of(tile_size=tile_size).pictures(iter([source]))

    if tile_size:
        assert isinstance(read, DecodedFrame)
        assert (40, 50) == read.frame.source_hw
    else:
        assert isinstance(read, Failure)
        assert "E_IMAGE_SIZE" == read.error.code


class Feed:
    """A reader of one frame, which it gives once `ready` is set; closing sets that, too."""

    def __init__(self, source: Source) -> None:
        self.reading = Reading((8, 8))
        self.ready = threading.Event()
        self.closed = 0
        self._frame = Frame(FrameKey(source.urn, 0), (8, 8), np.zeros((8, 8, 3), np.uint8), time_s=0.0)

    def __iter__(self) -> Iterator[Frame]:
        """Give the frame, unless the reader was closed by then."""
        assert self.ready.wait(30)
        if not self.closed:
            yield self._frame

    def close(self) -> None:
        """Stop."""
        self.closed += 1
        self.ready.set()


@pytest.fixture
def feeds(monkeypatch: pytest.MonkeyPatch) -> dict[str, Feed]:
    """The readers of all sources that are opened, by URN."""
    made: dict[str, Feed] = {}

    def opened(source: Source, *_: Any) -> Feed:
        made[source.urn] = Feed(source)
        return made[source.urn]

    monkeypatch.setattr("quadrat.media.readers.open_reader", opened)
    return made


def streams_of(count: int) -> list[Source]:
    """Name some streams."""
    return [Source(f"urn:{n}", f"rtsp://cam/{n}", "stream", f"rtsp://cam/{n}") for n in range(count)]


def test_streams_are_all_read_at_once(feeds: dict[str, Feed]) -> None:
    """What does not wait cannot take turns, whatever sources-at-once is; one without a frame delays no other."""
    events = reader_of(sources_at_once=1).moving(iter(streams_of(3)))
    opened = [event for event in islice(events, 3) if isinstance(event, SourceStart)]
    assert {"urn:0", "urn:1", "urn:2"} == {event.state.source.urn for event in opened}

    feeds["urn:1"].ready.set()
    came = [
        event
        for event in takewhile(lambda e: not isinstance(e, SourceEnd), events)
        if isinstance(event, DecodedFrame)
    ]
    assert ["urn:1"] == [event.state.source.urn for event in came]
    events.close()  # type: ignore[attr-defined]


def test_batches_are_finished_while_no_stream_has_a_frame(feeds: dict[str, Feed]) -> None:
    """A frame that waits in a batch is measured though no other comes."""
    released = []

    def give_up() -> None:
        feeds["urn:0"].ready.set()

    timer = threading.Timer(5.0, give_up)
    timer.start()
    for event in reader_of().moving(iter(streams_of(1))):
        if isinstance(event, Flush):
            released.append(event)
            feeds["urn:0"].ready.set()
    timer.cancel()
    assert released


def test_a_reader_that_waits_for_a_frame_is_closed_with_the_run(feeds: dict[str, Feed]) -> None:
    """Its thread ends, though no frame comes."""
    events: Any = reader_of().moving(iter(streams_of(1)))
    assert isinstance(next(events), SourceStart)
    events.close()

    assert feeds["urn:0"].closed
    assert not [t for t in threading.enumerate() if t.name.startswith("quadrat-decode")]


def test_a_reader_is_closed_at_its_end_and_its_time_is_kept(
    feeds: dict[str, Feed], cameras: list[Source]
) -> None:
    """Files are released as videos end, not with the run; the time spent decoding is that of all of them."""
    reader = reader_of(sources_at_once=1)
    events = reader.moving(iter(cameras))
    for event in events:
        urn = event.state.source.urn if isinstance(event, SourceStart | SourceEnd) else ""
        if isinstance(event, SourceStart):
            feeds[urn].ready.set()
        elif isinstance(event, SourceEnd):
            spent = reader.decode_s
            wait_until(lambda urn=urn: feeds[urn].closed == 1, "closing")  # type: ignore[misc]

    assert ["urn:0", "urn:1", "urn:2"] == list(feeds)
    assert reader.decode_s >= spent > 0
