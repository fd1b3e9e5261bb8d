"""The path's promises: order, flushes, and what one image's fault may do."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quadrat.errors import EngineRunError, NotAnImageError, SourceError, StoppedError
from quadrat.media.video import open_video
from quadrat.parameters import FrameSettings
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.pipeline.run import Run
from quadrat.predictions import Segmentation
from quadrat.types import Blob, Failure, Flush, Result, Source, SourceOpened, StoreItem
from tests import pictures, videos
from tests.moving import closed, codes, load, prediction, pull, run, skipped
from tests.networks import brightness_archive
from tests.values import settings_of

HW = (64, 96)


@pytest.fixture
def model(tmp_path: Path) -> Iterator[LoadedModel]:
    """The brightness network, loaded, with batches of four."""
    with load(brightness_archive(tmp_path / "m.tgz"), settings_of(batch_size=4)) as loaded:
        yield loaded


@pytest.fixture
def files(tmp_path: Path) -> list[Source]:
    """Six equal pictures."""
    sources = []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        path.write_bytes(pictures.png(np.full((8, 8, 3), 40 * number, np.uint8)))
        sources.append(Source(f"urn:{number}", path.name, token=str(path)))
    return sources


def measuring(model: LoadedModel, items: Any, pulled: Any = pull, **how: Any) -> Run:
    """Make the run of one model."""
    return Run(Pass([model]), items, pulled, **how)


class Failing:
    """An engine that fails on batches larger than `most`, and on pictures darker than `least`."""

    def __init__(self, inner: Any, most: int, least: float = -9.0) -> None:
        self._inner, self._most, self._least = inner, most, least
        self.ran: list[int] = []

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run, or fail."""
        self.ran.append(len(batch))
        if len(batch) > self._most or batch.min() < self._least:
            raise EngineRunError("out of memory")
        return self._inner.run(batch, outputs)


def names(got: Sequence[Result | Failure]) -> list[str]:
    """Name what came out."""
    return [("!" if isinstance(g, Failure) else "") + g.source.name for g in got]


def test_failures_keep_their_place(model: LoadedModel, files: list[Source]) -> None:
    """Results and failures come out in the order of the sources, across batches."""
    skipped = Failure(Source("urn:x", "x"), "list", NotAnImageError("no"))
    gone = Source("urn:y", "y", token="/nowhere/y.png")
    got = list(measuring(model, [files[0], skipped, files[1], gone, *files[2:]]))

    assert ["0.png", "!x", "1.png", "!y", "2.png", "3.png", "4.png", "5.png"] == names(got)


def test_a_flush_finishes_the_batch_under_way(model: LoadedModel, files: list[Source]) -> None:
    """A store that waits for its acknowledgements gets them: two images of a batch of four come out."""
    done: list[str] = []
    two = threading.Event()

    def items() -> Iterator[StoreItem]:
        yield from files[:2]
        yield Flush()
        assert two.wait(30), f"a deadlock: {done}"

    for item in measuring(model, items()):
        done.append(item.source.name)
        if len(done) == 2:
            two.set()

    assert ["0.png", "1.png"] == done


def test_a_batch_that_fails_is_run_one_by_one(model: LoadedModel, files: list[Source]) -> None:
    """Out of memory on four is no failure of any image that fits alone."""
    engine = Failing(model.engine, most=1)
    got = list(measuring(replace(model, engine=engine), files))

    assert ["0.png", "1.png", "2.png", "3.png", "4.png", "5.png"] == names(got)
    assert [4, 1, 1, 1, 1, 2, 1, 1] == engine.ran


def test_an_engine_failure_is_the_images_own(model: LoadedModel, files: list[Source]) -> None:
    """One picture that the engine cannot run fails alone, with its name in the error."""
    got = list(measuring(replace(model, engine=Failing(model.engine, 9, least=-0.9)), files))

    assert ["!0.png", "1.png", "2.png", "3.png", "4.png", "5.png"] == names(got)
    assert isinstance(got[0], Failure)
    assert "0.png: out of memory" == str(got[0].error)


@pytest.mark.parametrize(
    ("error", "code"), [(SourceError("403"), "E_SOURCE"), (ZeroDivisionError("odd"), "E_INTERNAL")]
)
def test_whatever_one_image_raises_is_its_failure(
    model: LoadedModel, files: list[Source], error: Exception, code: str
) -> None:
    """Even a fault of ours in one image does not end the night."""

    @contextmanager
    def broken(source: Source) -> Iterator[Blob]:
        if source.name == "1.png":
            raise error
        yield Blob(Path(source.token))

    got = list(measuring(model, files[:3], broken))

    assert ["0.png", "!1.png", "2.png"] == names(got)
    assert isinstance(got[1], Failure)
    assert code == got[1].error.code


def test_a_source_that_crashes_is_raised(model: LoadedModel, files: list[Source]) -> None:
    """A queue that breaks is the order's fault, not an image's."""

    def items() -> Iterator[StoreItem]:
        yield files[0]
        raise SourceError("the queue is gone")

    with pytest.raises(SourceError, match="the queue is gone"):
        list(measuring(model, items()))


def test_interleaved_runs_of_a_model_take_turns(model: LoadedModel, files: list[Source]) -> None:
    """Two runs at once share one engine, which is never called while it is at work: some fail then, or mix outputs up."""
    inside, overlaps = threading.Lock(), []

    class Alone:
        def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
            overlaps.append(not inside.acquire(blocking=False))
            ran: dict[str, NDArray[Any]] = model.engine.run(batch, outputs)
            if not overlaps[-1]:
                inside.release()
            return ran

    alone = replace(model, engine=Alone(), settings=settings_of(batch_size=1))  # type: ignore[arg-type]
    pairs = list(zip(measuring(alone, files), measuring(alone, files), strict=True))

    assert len(files) == len(pairs) == len(overlaps) / 2
    assert not any(overlaps)


def stripes(bright: int) -> NDArray[np.uint8]:
    """Draw a picture whose first `bright` columns (of 96, in eights) are white and the others dark grey."""
    pixels = np.full((*HW, 3), 40, np.uint8)
    pixels[:, :bright] = 235
    return pixels


def share(result: Result) -> float:
    """Give how much of a frame was found bright, in columns."""
    found = prediction(result)
    assert isinstance(found, Segmentation)
    return float((found.labels == 1).mean() * HW[1])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The brightness network."""
    return brightness_archive(tmp_path / "m.tgz")


@pytest.fixture
def cameras(tmp_path: Path) -> list[Source]:
    """Three videos of 12, 7 and 20 frames; frame n of camera c has 8 * ((n + 3 c) % 11) bright columns."""
    made = []
    for camera, count in enumerate((12, 7, 20)):
        path = tmp_path / f"camera-{camera}.mp4"
        drawn = [stripes(8 * ((n + 3 * camera) % 11)) for n in range(count)]
        videos.write(path, drawn, options={"crf": "5"})
        made.append(Source(f"urn:{camera}", path.name, "video", str(path)))
    return made


class Watched:
    """An engine that calls `each` with the size and the brightest value of every batch before it runs it."""

    def __init__(self, inner: Any, each: Any) -> None:
        self._inner, self._each = inner, each

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run, or fail."""
        self._each(len(batch), float(batch.max()))
        ran: dict[str, NDArray[Any]] = self._inner.run(batch, outputs)
        return ran


def threads() -> list[threading.Thread]:
    """Give the threads of runs that are still there."""
    return [t for t in threading.enumerate() if t.name.startswith("quadrat-")]


@pytest.mark.parametrize(("batch", "at_once"), [(1, 1), (1, 4), (3, 2), (8, 4)])
def test_every_frame_comes_once_in_order_with_its_own_mask(
    archive: Path, cameras: list[Source], batch: int, at_once: int
) -> None:
    """Whatever frames share a batch, each result is of its own frame, and each source ends after its last."""
    with load(archive, settings_of(batch_size=batch, sources_at_once=at_once)) as model:
        frames, ends = run(measuring(model, cameras, moving=True))

    for camera, count in enumerate((12, 7, 20)):
        mine = frames[f"urn:{camera}"]
        assert list(range(count)) == [r.frame.key.index for r in mine]
        assert [n / 25 for n in range(count)] == pytest.approx([r.frame.time_s for r in mine])
        expected = [8 * ((n + 3 * camera) % 11) for n in range(count)]
        assert expected == pytest.approx([share(r) for r in mine], abs=0.6)
        assert () == closed(ends[f"urn:{camera}"]).faults
        (closing,) = closed(ends[f"urn:{camera}"]).closings.values()
        assert (count, {}) == (closing.measured, closing.skipped)


def test_batches_mix_sources(archive: Path, cameras: list[Source]) -> None:
    """Frames of several cameras go through the network together, the last batch in part."""
    sizes: list[int] = []
    with load(archive, settings_of(batch_size=4)) as model:
        engine: Any = Watched(model.engine, lambda size, _: sizes.append(size))
        run(measuring(replace(model, engine=engine), cameras, moving=True))

    assert sum(sizes) == 39
    assert sizes == [4] * 9 + [3]


def test_a_camera_of_black_frames_does_not_shift_another(archive: Path, tmp_path: Path) -> None:
    """Regression of the patch-parallel framework: filtered frames of camera 0 gave it camera 1's results."""
    sources = []
    for name, picture in (("dark", np.zeros((*HW, 3), np.uint8)), ("light", stripes(48))):
        videos.write(tmp_path / f"{name}.mp4", [picture] * 6)
        sources.append(Source(name, name, "video", str(tmp_path / f"{name}.mp4")))
    with load(archive, settings_of(batch_size=4, skip_black=True)) as model:
        frames, ends = run(measuring(model, sources, moving=True))

    assert [("black", 0)] * 6 == [(r.frame.skipped, len(r.predictions)) for r in frames["dark"]]
    assert [48.0] * 6 == pytest.approx([share(r) for r in frames["light"]], abs=0.6)
    assert {"black": 6} == skipped(ends["dark"])


def test_a_frame_that_the_engine_cannot_run_is_counted(archive: Path, cameras: list[Source]) -> None:
    """Some frames fail in the engine: the video is measured in part, with their number, and the rest stand."""

    def dark(size: int, least: float) -> None:
        if size == 1 and least < -0.9:
            raise EngineRunError("out of memory")

    drawn = [np.zeros((*HW, 3), np.uint8) if n in (2, 3) else stripes(48) for n in range(8)]
    videos.write(Path(cameras[0].token), drawn)
    with load(archive) as model:
        engine: Any = Watched(model.engine, dark)
        frames, ends = run(measuring(replace(model, engine=engine), cameras[:1], moving=True))

    assert {"failed": 2} == skipped(ends["urn:0"])
    assert ["E_ENGINE_RUN"] == codes(ends["urn:0"])
    assert ["", "", "failed", "failed", "", "", "", ""] == [r.frame.skipped for r in frames["urn:0"]]


def test_a_video_of_which_no_frame_runs_has_failed(archive: Path, cameras: list[Source]) -> None:
    """Nothing measured is a failure, not an empty success."""

    def never(_size: int, _least: float) -> None:
        raise EngineRunError("no")

    with load(archive) as model:
        engine: Any = Watched(model.engine, never)
        _, ends = run(measuring(replace(model, engine=engine), cameras[:1], moving=True))

    failure = ends["urn:0"]
    assert isinstance(failure, Failure)
    assert ("infer", "camera-0.mp4: no") == (failure.stage, str(failure.error))


def test_annotated_videos_are_finished_when_a_stage_fails(
    archive: Path, cameras: list[Source], tmp_path: Path
) -> None:
    """A crash stops the run with its own error, and the videos so far can be played."""
    calls = []

    def crash(size: int, _least: float) -> None:
        calls.append(size)
        if len(calls) == 10:
            raise ZeroDivisionError("the engine's stage")

    drawn = tmp_path / "drawn"
    drawn.mkdir()
    with load(archive) as model:
        engine: Any = Watched(model.engine, crash)
        path = measuring(replace(model, engine=engine), cameras, moving=True, videos=drawn)
        with pytest.raises(ZeroDivisionError, match="the engine's stage"):
            run(path)
    cut = [closed(end) for end in path.unfinished(StoppedError("cut"))]

    assert {"urn:0", "urn:1", "urn:2"} == {ended.source.urn for ended in cut}
    for ended in cut:
        assert ["E_STOPPED"] == codes(ended)
        assert ended.reading.read >= 3, "what was read by then, not what was known when it was opened"
        assert ended.reading.seconds > 0
        (closing,) = ended.closings.values()
        assert closing.video is not None
        with closing_reader(closing.video) as frames:
            assert 1 <= len(list(frames)) <= 4
    assert [] == list(path.unfinished(StoppedError("cut"))), "each is closed once"
    assert not threads()


@contextmanager
def closing_reader(path: Path) -> Iterator[Any]:
    """Read a video."""
    reader = open_video(path, videos.source(path), FrameSettings(max_img_size=-1))
    try:
        yield reader
    finally:
        reader.close()


def test_a_video_read_whole_and_not_measured_whole_has_what_was_read(archive: Path, tmp_path: Path) -> None:
    """The reader of a short video is done before its frames: a run that ends then knows all the same."""
    videos.write(tmp_path / "short.mp4", [stripes(48)] * 3)
    source = Source("urn:short", "short.mp4", "video", str(tmp_path / "short.mp4"))
    calls, released = [], threading.Event()

    @contextmanager
    def pulled(given: Source) -> Iterator[Blob]:
        yield Blob(Path(given.token))
        released.set()

    def crash(_size: int, _least: float) -> None:
        calls.append(1)
        assert released.wait(30)  # the reader is at its end
        if len(calls) == 2:
            raise ZeroDivisionError("the engine's stage")

    with load(archive) as model:
        engine: Any = Watched(model.engine, crash)
        path = measuring(replace(model, engine=engine), [source], pulled, moving=True)
        with pytest.raises(ZeroDivisionError):
            run(path)
    (ended,) = (closed(end) for end in path.unfinished(StoppedError("cut")))

    assert (3, 3) == (ended.reading.read, ended.reading.taken)
    assert 3 / 25 == pytest.approx(ended.reading.seconds)
    assert ["E_STOPPED"] == codes(ended)


def test_a_caller_who_has_seen_enough_leaves_nothing_running(archive: Path, cameras: list[Source]) -> None:
    """Closing early stops the readers too."""
    with load(archive) as model:
        stream = iter(measuring(model, cameras, moving=True))
        assert isinstance(next(stream), SourceOpened)
        next(stream)
        stream.close()

    assert not threads()
