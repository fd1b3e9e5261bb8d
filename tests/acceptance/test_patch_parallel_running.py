"""The patch-parallel framework's faults of running: its runners, its shared memory, and how it reads cameras.

Each test is named after the fault, and fails if quadrat has it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from queue import Empty
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from quadrat.errors import EngineRunError
from quadrat.media import readers
from quadrat.media.video_write import VideoWriter
from quadrat.pipeline import run as run_module
from quadrat.pipeline.annotate import Annotator
from quadrat.pipeline.chain import Stage, run_chain
from quadrat.pipeline.filter import FrameFilter
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.pipeline.read import SourceReader
from quadrat.pipeline.run import Run
from quadrat.pipeline.track import TrackStage
from quadrat.stores.streams import list_streams
from quadrat.types import Failure, Frame, FrameKey, Reading, Result, Source, SourceClosed
from tests import videos
from tests.moving import (
    RECTANGLES,
    TABLES,
    boxes_of,
    closed,
    draw,
    film,
    measured,
    order,
    pull,
    skipped,
    swim,
    watch,
    watched,
)
from tests.values import settings_of
from tests.waiting import LIMIT_S, repeated

HW = (64, 96)


def threads() -> list[str]:
    """Name the threads of runs that are still there."""
    return [t.name for t in threading.enumerate() if t.name.startswith("quadrat-")]


# ---- runner graph -------------------------------------------------------------------------------------------


def test_the_end_of_a_stream_is_drained_and_its_last_frame_written(tmp_path: Path) -> None:
    """No frame is lost at the end of either camera, though batches do not come out even."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, count in (("a", 11), ("b", 6)):
        film(folder / f"{name}.mp4", videos.frames(count))
    ran = order(RECTANGLES, folder, tmp_path / "out", batch_size=4)

    assert ran.status == 0
    for name, count in (("a", 11), ("b", 6)):
        shown = watch(ran.out / f"{name}.mp4").pictures
        assert list(range(count)) == [videos.number(picture) for picture in shown]
        assert list(range(count)) == [f["frame"] for f in ran.frames() if f["name"] == f"{name}.mp4"]


def test_the_run_ends_when_all_cameras_have_failed(tmp_path: Path) -> None:
    """Where no source gives a frame the order ends at once, says why, and does not call it a success."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.mp4").write_bytes(b"\0" * 2000)
    ran = order(RECTANGLES, folder, tmp_path / "out")

    assert (5, ["failed"] * 2) == (ran.status, [row["status"] for row in ran.rows])
    assert ran.errors[-1].startswith("E_ALL_FAILED ")
    assert threads() == []


CRASHES: dict[str, Callable[[LoadedModel, pytest.MonkeyPatch, Callable[..., Any]], LoadedModel]] = {
    "read": lambda model, patch, crash: patch.setattr(SourceReader, "moving", crash) or model,
    "prepare": lambda model, patch, crash: patch.setattr(run_module, "prepare", crash) or model,
    "infer": lambda model, _, crash: watched(model, crash),
    "task": lambda model, patch, crash: patch.setattr(FrameFilter, "measured", crash) or model,
    "track": lambda model, patch, crash: patch.setattr(TrackStage, "__call__", crash) or model,
    "draw": lambda model, patch, crash: patch.setattr(Annotator, "__call__", crash) or model,
    "encode": lambda model, patch, crash: patch.setattr(VideoWriter, "write", crash) or model,
}


@pytest.mark.parametrize("stage", CRASHES)
def test_a_crashed_stage_does_not_leave_the_others_blocked(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Whichever stage crashes, all of them end, and the caller gets the very error."""

    def crash(*_: object) -> None:
        raise ZeroDivisionError(f"in {stage}")

    changed = CRASHES[stage](model, monkeypatch, crash)
    sources = [film(tmp_path / f"{name}.mp4", swim(20)) for name in "ab"]
    with pytest.raises(ZeroDivisionError, match=f"in {stage}"):
        measured(changed, sources, videos=tmp_path, tile_size=100)

    assert threads() == []


def test_a_crash_is_not_exit_code_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order whose encoder fails ends with the encoder's error and its status, and with its tables."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    source = film(tmp_path / "a.mp4", swim(12))
    monkeypatch.setattr(VideoWriter, "_mux", full)
    ran = order(RECTANGLES, Path(source.token), tmp_path / "out")

    assert ran.status == 6
    (line,) = ran.errors
    assert line.startswith("E_DELIVERY a.mp4")
    assert "No space left" in line
    assert ("partial", "mot/a.mot.txt") == (ran.row("a.mp4")["status"], ran.row("a.mp4")["product"])
    assert {"a.mot.txt", *TABLES} == set(ran.products)


def test_a_stage_that_is_done_before_it_was_started_loses_nothing() -> None:
    """The race of a flag set after the start: stages that end at once give all they have, every time."""
    for count in (0, 1, 2) * 40:
        stages = [Stage(name, lambda items: (item for item in items)) for name in "abc"]
        assert list(range(count)) == list(run_chain(range(count), stages))


def test_results_are_told_apart_by_identity_not_by_arrival(model: LoadedModel, tmp_path: Path) -> None:
    """Batches of unequal length in time, full and not, of three cameras: each result is of the frame it names."""
    calls = iter(range(10**6))
    slow = watched(model, lambda _: time.sleep(0.004 * (next(calls) % 3)))
    truth = {
        name: [[(10 + 6 * n, 20 + 30 * c, 30 + 6 * n, 40 + 30 * c)] for n in range(count)]
        for c, (name, count) in enumerate((("a", 7), ("b", 13), ("c", 4)))
    }
    sources = [film(tmp_path / f"{name}.mp4", [draw(b) for b in boxes]) for name, boxes in truth.items()]
    results, _ = measured(slow, sources, batch_size=5)

    for name, boxes in truth.items():
        assert [FrameKey(name, n) for n in range(len(boxes))] == [r.frame.key for r in results[name]]
        assert boxes == [boxes_of(r) for r in results[name]]


# ---- shared memory ------------------------------------------------------------------------------------------


def test_a_frame_in_flight_is_never_overwritten(model: LoadedModel, tmp_path: Path) -> None:
    """Their ring gave one buffer twice in a row each 100 frames: here all of 230 frames, kept, are their own."""
    (source,) = sources = [film(tmp_path / "a.mp4", videos.frames(230))]
    results, _ = measured(model, sources, batch_size=3)

    assert list(range(230)) == [videos.number(r.frame.pixels) for r in results[source.urn]]
    pixels = [r.frame.pixels for r in results[source.urn]]
    assert not any(np.shares_memory(a, b) for a, b in pairwise(pixels))


def test_nothing_leaks_into_shared_memory(model: LoadedModel, tmp_path: Path) -> None:
    """Frames are handed over inside one process: at no time is there a segment that a crash could leave."""
    seen: list[str] = []

    def look(_: np.ndarray) -> None:
        seen.append(Path("/proc/self/maps").read_text())

    measured(watched(model, look), [film(tmp_path / "a.mp4", swim(3))])

    assert len(seen) == 3
    # "(deleted)" is a semaphore of tqdm's lock, which its library unlinks as it makes it
    assert not [
        line for maps in seen for line in maps.splitlines() if "/dev/shm/" in line and "(deleted)" not in line
    ]


@pytest.mark.parametrize(
    "error", [None, EngineRunError("no"), ZeroDivisionError("no")], ids=lambda e: type(e).__name__
)
def test_a_run_whose_engine_raises_leaves_no_shared_memory(
    model: LoadedModel, tmp_path: Path, error: Exception | None
) -> None:
    """Their segments stayed when a process died: a run that fails leaves as many as a good one, none."""
    source = film(tmp_path / "a.mp4", swim(3))
    place = Path("/dev/shm")

    def fail(_: np.ndarray) -> None:
        if error is not None:
            raise error

    def left() -> set[Path]:
        before = set(place.iterdir())
        with suppress(ZeroDivisionError):
            measured(watched(model, fail), [source])
        return set(place.iterdir()) - before

    assert set() in [left() for _ in range(3)]  # another program may have one of its own at times


@repeated
def test_a_frame_is_handed_over_without_a_copy() -> None:
    """What their queues did at 63 to 152 frames per second: the very array comes out, at thousands per second."""
    frames = [np.zeros((1080, 1920, 3), np.uint8)] * 500
    stages = [Stage(name, lambda items: (item for item in items)) for name in "abc"]
    begin = time.process_time()
    came = list(run_chain(frames, stages))

    assert all(out is frame for out, frame in zip(came, frames, strict=True))
    assert time.process_time() - begin < 1


# ---- reading cameras ----------------------------------------------------------------------------------------


def test_a_finished_file_ends_and_is_not_replayed(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a file is its end: it is opened once, gives each frame once, and no black ones after them."""
    opened: list[str] = []

    def count(source: Source, *how: Any) -> Any:
        opened.append(source.name)
        return original(source, *how)

    original = readers.open_reader
    monkeypatch.setattr(readers, "open_reader", count)
    sources = [film(tmp_path / f"{name}.mp4", swim(n)) for name, n in (("short", 2), ("long", 30))]
    results, ends = measured(model, sources)

    assert ["long.mp4", "short.mp4"] == sorted(opened)
    assert [0, 1] == [r.frame.key.index for r in results["short"]]
    assert (2, {}) == (closed(ends["short"]).reading.read, skipped(ends["short"]))


def test_waiting_is_not_a_busy_loop(model: LoadedModel, tmp_path: Path) -> None:
    """While one stage takes its time the others sleep: they use next to nothing of the processor."""

    def nap(batch: np.ndarray, _: Sequence[str]) -> dict[str, np.ndarray]:
        time.sleep(0.1)
        return {"output0": np.zeros((len(batch), 7, 4), np.float32)}

    idle = SimpleNamespace(run=nap, outputs=model.engine.outputs)
    sources = [film(tmp_path / f"{name}.mp4", swim(4)) for name in "ab"]
    used = time.process_time()
    measured(replace(model, engine=idle), sources)

    assert time.process_time() - used < 0.5  # of CPU time, in at least 0.8 s


class Fake:
    """A reader of `count` frames, `each` called before every one."""

    def __init__(self, source: Source, count: int, each: Callable[[int], None]) -> None:
        self.reading = Reading(HW, 25.0)
        self._source, self._count, self._each = source, count, each

    def __iter__(self) -> Iterator[Frame]:
        """Yield."""
        for n in range(self._count):
            self._each(n)
            self.reading = replace(self.reading, read=n + 1, taken=n + 1)
            yield Frame(FrameKey(self._source.urn, n), HW, draw([], HW), time_s=n / 25)

    def close(self) -> None:
        """Have nothing to close."""


def given(monkeypatch: pytest.MonkeyPatch, **each: Callable[[int], None]) -> list[Source]:
    """Make streams whose readers are Fakes of five frames; `each` by name."""

    def open_fake(source: Source, *_: Any) -> Fake:
        return Fake(source, 5, each[source.name])

    monkeypatch.setattr(readers, "open_reader", open_fake)
    return [Source(name, name, "stream", f"fake://{name}") for name in each]


def test_a_reader_that_dies_is_heard_of(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """queue.Empty killed their reader silently and hung all: whatever a reader raises is told, the frames before stand."""

    def die(n: int) -> None:
        if n == 3:
            raise Empty

    results, ends = measured(model, given(monkeypatch, dying=die, living=lambda n: None))

    dead = closed(ends["dying"])
    assert ["unexpected Empty"] == [
        fault.what for closing in dead.closings.values() for fault in closing.faults
    ]
    assert 3 == len(results["dying"])
    assert closed(ends["living"]).faults == ()
    assert 5 == len(results["living"])


def test_nobody_waits_for_the_slowest_camera(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one camera gives nothing, all frames of the other come through, in a batch of its own."""
    wake = threading.Event()
    sources = given(monkeypatch, stuck=lambda n: wake.wait(LIMIT_S), quick=lambda n: None)
    run = Run(Pass([replace(model, settings=settings_of(batch_size=4))]), sources, pull, moving=True)
    came = []
    for item in run:
        if isinstance(item, SourceClosed) and item.source.name == "quick":
            wake.set()
        if isinstance(item, Result):
            came.append(item.source.name)

    assert ["quick"] * 5 + ["stuck"] * 5 == came


def test_cameras_of_different_sizes_share_a_run(tmp_path: Path) -> None:
    """Each camera keeps its own size, in the boxes and in its video, also where a batch holds several."""
    folder = tmp_path / "in"
    folder.mkdir()
    sizes = {"a": (96, 128), "b": (144, 192), "c": (200, 80)}
    for name, hw in sizes.items():
        film(folder / f"{name}.mp4", [draw([(10, 20, 50, 70)], hw)] * 5)
    ran = order(RECTANGLES, folder, tmp_path / "out", batch_size=4)

    assert ran.status == 0
    for name, hw in sizes.items():
        assert hw == watch(ran.out / f"{name}.mp4").hw
    assert {(128, 96), (192, 144), (80, 200)} == {(f["width"], f["height"]) for f in ran.frames()}
    assert {("10.00", "20.00", "50.00", "70.00")} == {
        (r["x0"], r["y0"], r["x1"], r["y1"]) for r in ran.table("detections.csv")
    }


def test_times_are_of_presentation_not_of_the_wall_clock(model: LoadedModel, tmp_path: Path) -> None:
    """Frames of irregular times keep them, with their index, however slow the network is."""
    times = [0.0, 0.04, 0.5, 0.51, 2.0]
    slow = watched(model, lambda _: time.sleep(0.03))
    (source,) = sources = [film(tmp_path / "a.mp4", swim(5), times=times)]
    results, _ = measured(slow, sources)

    assert times == pytest.approx([r.frame.time_s for r in results[source.urn]], abs=1e-4)
    assert list(range(5)) == [r.frame.key.index for r in results[source.urn]]


def test_there_may_be_more_than_ten_cameras(model: LoadedModel, tmp_path: Path) -> None:
    """Their webcams had one digit: twelve streams have twelve names, and twelve files are followed at once."""
    addresses = [f"rtsp://reef/cam{n}" for n in range(12)]
    assert addresses == [source.name for source in list_streams(" ".join(addresses))]

    sources = [film(tmp_path / f"{n}.mp4", swim(3, y=8 * n, hw=(144, 192))) for n in range(12)]
    results, _ = measured(model, sources, sources_at_once=12, batch_size=8)
    for n in range(12):
        assert [[(8 + 4 * f, 8 * n, 48 + 4 * f, 8 * n + 40)] for f in range(3)] == [
            boxes_of(r) for r in results[str(n)]
        ]


def test_a_camera_that_fails_gives_no_black_frames(model: LoadedModel, tmp_path: Path) -> None:
    """A source that cannot be opened is a failure with its reason, not a picture of nothing."""
    good = film(tmp_path / "good.mp4", swim(3))
    (tmp_path / "bad.mp4").write_text("no video")
    bad = Source("bad", "bad.mp4", "video", str(tmp_path / "bad.mp4"))
    results, ends = measured(model, [bad, good])

    assert "bad" not in results
    assert isinstance(ends["bad"], Failure)
    assert 3 == len(results["good"])


def test_a_caller_who_stops_early_stops_all(model: LoadedModel, tmp_path: Path) -> None:
    """Their processes were killed in the middle: here every thread ends, and the video so far can be played."""
    source = film(tmp_path / "a.mp4", swim(30))
    run = Run(Pass([model]), [source], pull, moving=True, videos=tmp_path)
    stream = iter(run)
    assert 6 == len(list(islice(stream, 6)))
    stream.close()

    assert threads() == []
    assert 1 <= len(watch(tmp_path / "video-1.mp4").pictures) < 30
