"""Videos side by side: no frame is lost, mixed up or measured twice, whatever happens to one of them."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from quadrat.pipeline.loaded import load_model

from quadrat.errors import EngineRunError, StoppedError, VideoFormatError
from quadrat.media.colors import to_rgb
from quadrat.media.video import open_video
from quadrat.pipeline.run import Run
from quadrat.types import Begun, Blob, Ended, Failure, Flush, Result, Segmentation, Source
from tests import videos
from tests.networks import brightness_archive
from tests.values import settings_of

LOG = logging.getLogger("test")
HW = (64, 96)


def stripes(bright: int) -> NDArray[np.uint8]:
    """Draw a picture whose first `bright` columns (of 96, in eights) are white and the others dark grey."""
    pixels = np.full((*HW, 3), 40, np.uint8)
    pixels[:, :bright] = 235
    return pixels


def share(result: Result) -> float:
    """Give how much of a frame was found bright, in columns."""
    found = result.predictions["segment"]
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
        pictures = [stripes(8 * ((n + 3 * camera) % 11)) for n in range(count)]
        videos.write(path, pictures, options={"crf": "5"})
        made.append(Source(f"urn:{camera}", path.name, "video", str(path)))
    return made


@contextmanager
def pull(source: Source) -> Iterator[Blob]:
    """Give the file."""
    yield Blob(Path(source.token))


def results(run: Run) -> tuple[dict[str, list[Result]], dict[str, Ended | Failure]]:
    """Run to the end; give the frames of each source and how it ended."""
    frames, ends = defaultdict(list), {}
    for item in run:
        if isinstance(item, Result):
            frames[item.source.urn].append(item)
        elif isinstance(item, Ended | Failure):
            ends[item.source.urn] = item
    return frames, ends


@pytest.mark.parametrize(("batch", "at_once"), [(1, 1), (1, 4), (3, 2), (8, 4)])
def test_every_frame_comes_once_in_order_with_its_own_mask(
    archive: Path, cameras: list[Source], batch: int, at_once: int
) -> None:
    """Whatever frames share a batch, each result is of its own frame, and each source ends after its last."""
    settings = settings_of(batch_size=batch, sources_at_once=at_once)
    with load_model(archive, settings, LOG) as model:
        frames, ends = results(Run(model, cameras, pull, moving=True))

    for camera, count in enumerate((12, 7, 20)):
        mine = frames[f"urn:{camera}"]
        assert list(range(count)) == [r.frame.key.index for r in mine]
        assert [n / 25 for n in range(count)] == pytest.approx([r.frame.time_s for r in mine])
        expected = [8 * ((n + 3 * camera) % 11) for n in range(count)]
        assert expected == pytest.approx([share(r) for r in mine], abs=0.6)
        assert isinstance(ends[f"urn:{camera}"], Ended)


def test_batches_mix_sources(archive: Path, cameras: list[Source]) -> None:
    """Frames of several cameras go through the network together, the last batch in part."""
    sizes: list[int] = []
    with load_model(archive, settings_of(batch_size=4), LOG) as model:
        engine = Watched(model.engine, sizes.append)
        results(Run(replace(model, engine=engine), cameras, pull, moving=True))

    assert sum(sizes) == 39
    assert sizes == [4] * 9 + [3]


def test_a_camera_of_black_frames_does_not_shift_another(archive: Path, tmp_path: Path) -> None:
    """Regression of the patch-parallel framework: filtered frames of camera 0 gave it camera 1's results."""
    sources = []
    for name, picture in (("dark", np.zeros((*HW, 3), np.uint8)), ("light", stripes(48))):
        videos.write(tmp_path / f"{name}.mp4", [picture] * 6)
        sources.append(Source(name, name, "video", str(tmp_path / f"{name}.mp4")))
    with load_model(archive, settings_of(batch_size=4, skip_black=True), LOG) as model:
        frames, ends = results(Run(model, sources, pull, moving=True))

    assert [("black", 0)] * 6 == [(r.frame.skipped, len(r.predictions)) for r in frames["dark"]]
    assert [48.0] * 6 == pytest.approx([share(r) for r in frames["light"]], abs=0.6)
    assert isinstance(ends["dark"], Ended)
    assert {"black": 6} == ends["dark"].skipped


def test_one_bad_source_ends_alone(archive: Path, cameras: list[Source], tmp_path: Path) -> None:
    """A file that is no video is a failure in its place; the others lose nothing."""
    (tmp_path / "bad.mp4").write_text("#EXTM3U\nhttp://example.org/x.ts\n")
    bad = Source("urn:bad", "bad.mp4", "video", str(tmp_path / "bad.mp4"))
    with load_model(archive, settings_of(batch_size=2), LOG) as model:
        frames, ends = results(Run(model, [cameras[0], bad, cameras[1]], pull, moving=True))

    assert isinstance(ends["urn:bad"], Failure)
    assert isinstance(ends["urn:bad"].error, VideoFormatError)
    assert (12, 7) == (len(frames["urn:0"]), len(frames["urn:1"]))


def test_a_frame_that_the_engine_cannot_run_is_counted(archive: Path, cameras: list[Source]) -> None:
    """Some frames fail in the engine: the video is measured in part, says how many, and the rest stand."""

    def dark(size: int, least: float) -> None:
        if size == 1 and least < -0.9:
            raise EngineRunError("out of memory")

    with load_model(archive, settings_of(), LOG) as model:
        pictures = [np.zeros((*HW, 3), np.uint8) if n in (2, 3) else stripes(48) for n in range(8)]
        path = Path(cameras[0].token)
        videos.write(path, pictures)
        engine = Watched(model.engine, fail=dark)
        frames, ends = results(Run(replace(model, engine=engine), cameras[:1], pull, moving=True))

    ended = ends["urn:0"]
    assert isinstance(ended, Ended)
    assert {"failed": 2} == ended.skipped
    assert isinstance(ended.reading.error, EngineRunError)
    assert ["", "", "failed", "failed", "", "", "", ""] == [r.frame.skipped for r in frames["urn:0"]]


def test_a_video_of_which_no_frame_runs_has_failed(archive: Path, cameras: list[Source]) -> None:
    """Nothing measured is a failure, not an empty success."""

    def never(size: int, least: float) -> None:
        raise EngineRunError("no")

    with load_model(archive, settings_of(), LOG) as model:
        run = Run(replace(model, engine=Watched(model.engine, fail=never)), cameras[:1], pull, moving=True)
        _, ends = results(run)

    assert isinstance(ends["urn:0"], Failure)


def test_a_store_that_waits_is_asked_again_when_all_is_read(archive: Path, cameras: list[Source]) -> None:
    """A queue says Flush at its end and gives one more once the videos before are acknowledged."""
    acknowledged: list[str] = []

    def items() -> Iterator[Source | Flush]:
        yield from cameras[:2]
        for _ in range(200):
            yield Flush()
            if len(acknowledged) == 2:
                yield cameras[2]
                return
            threading.Event().wait(0.02)
        raise AssertionError(f"a deadlock: {acknowledged}")

    with load_model(archive, settings_of(batch_size=8), LOG) as model:
        for item in Run(model, items(), pull, moving=True):
            if isinstance(item, Ended):
                acknowledged.append(item.source.urn)  # noqa: PERF401 - the store above watches the list grow

    assert ["urn:0", "urn:1", "urn:2"] == sorted(acknowledged)


def test_films_are_finished_when_a_stage_fails(archive: Path, cameras: list[Source], tmp_path: Path) -> None:
    """A crash stops the run within seconds with its own error, and the videos so far can be played."""
    calls = []

    def crash(size: int, least: float) -> None:
        calls.append(size)
        if len(calls) == 10:
            raise ZeroDivisionError("the engine's stage")

    films = tmp_path / "films"
    films.mkdir()
    with load_model(archive, settings_of(), LOG) as model:
        engine = Watched(model.engine, fail=crash)
        run = Run(replace(model, engine=engine), cameras, pull, moving=True, films=films)
        with pytest.raises(ZeroDivisionError, match="the engine's stage"):
            results(run)
    cut = list(run.unfinished(StoppedError("cut")))

    assert {"urn:0", "urn:1", "urn:2"} == {ended.source.urn for ended in cut}
    for ended in cut:
        assert isinstance(ended.reading.error, StoppedError)
        assert ended.reading.read >= 3, "what was read by then, not what was known when it was opened"
        assert ended.reading.seconds > 0
        assert ended.video is not None
        with closing(open_video(ended.video, videos.source(ended.video), settings_of())) as film:
            assert 1 <= len(list(film)) <= 4
    assert not [t for t in threading.enumerate() if t.name.startswith("quadrat-")]


def test_a_video_read_whole_and_not_measured_whole_tells_what_was_read(
    archive: Path, cameras: list[Source], tmp_path: Path
) -> None:
    """The reader of a short video is done long before its frames: a run that ends then knows all the same."""
    short = tmp_path / "short.mp4"
    videos.write(short, [stripes(48)] * 3)
    source = Source("urn:short", short.name, "video", str(short))
    calls = []

    def crash(_size: int, _least: float) -> None:
        calls.append(1)
        time.sleep(0.2)  # time for the reader to come to its end
        if len(calls) == 2:
            raise ZeroDivisionError("the engine's stage")

    with load_model(archive, settings_of(), LOG) as model:
        run = Run(replace(model, engine=Watched(model.engine, fail=crash)), [source], pull, moving=True)
        with pytest.raises(ZeroDivisionError):
            results(run)
    (ended,) = run.unfinished(StoppedError("cut"))

    assert (3, 3) == (ended.reading.read, ended.reading.taken)
    assert 3 / 25 == pytest.approx(ended.reading.seconds)
    assert isinstance(ended.reading.error, StoppedError)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (MemoryError(), "there is not enough memory"),
        (OSError(5, "Input/output error"), "the file cannot be read (Input/output error)"),
        (SystemExit(0), "unexpected SystemExit"),
    ],
)
def test_a_reader_that_raises_late_does_not_undo_its_frames(
    archive: Path,
    cameras: list[Source],
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    said: str,
) -> None:
    """What came before is measured, and the video is partial with the reason; before its first frame it has failed."""
    left = iter(range(5))

    def converted(*given: Any) -> NDArray[np.uint8]:
        if next(left, None) is None:
            raise raised
        return to_rgb(*given)

    monkeypatch.setattr("quadrat.media.video.to_rgb", converted)
    with load_model(archive, settings_of(sources_at_once=1), LOG) as model:
        frames, ends = results(Run(model, cameras[:2], pull, moving=True))

    late, never = ends["urn:0"], ends["urn:1"]
    assert list(range(5)) == [r.frame.key.index for r in frames["urn:0"]]
    assert isinstance(late, Ended)
    assert said in str(late.reading.error)
    assert isinstance(never, Failure)
    assert said in str(never.error)
    assert [] == frames["urn:1"]


def test_a_caller_who_has_seen_enough_leaves_nothing_running(archive: Path, cameras: list[Source]) -> None:
    """Closing early stops the readers too."""
    with load_model(archive, settings_of(), LOG) as model:
        stream = iter(Run(model, cameras, pull, moving=True))
        assert isinstance(next(stream), Begun)
        next(stream)
        stream.close()

    assert not [t for t in threading.enumerate() if t.name.startswith("quadrat-")]


class Watched:
    """An engine that tells the sizes of its batches, and fails where it is told to."""

    def __init__(self, inner: Any, size: Any = None, fail: Any = None) -> None:
        self._inner, self._size, self._fail = inner, size, fail

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run, or fail."""
        if self._size is not None:
            self._size(len(batch))
        if self._fail is not None:
            self._fail(len(batch), float(batch.max()))
        ran: dict[str, NDArray[Any]] = self._inner.run(batch, outputs)
        return ran
