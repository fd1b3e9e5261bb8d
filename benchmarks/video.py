"""Compare the video pipeline with its slowest stage, with its total CPU time, and with a plain loop.

    python -m benchmarks.video                 1080p, a few interleaved rounds
    python -m benchmarks.video --memory        anonymous memory over 10,000 frames of 8 sources
    python -m benchmarks.video --smoke         one second of video, as a smoke test

All read the same H.264 file, run the same network in the same engine, draw the same boxes and write H.264 with the
same settings. The loop processes one frame after the other in one thread (the network uses all cores), with calls as in
the tutorials of OpenCV and PyAV.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.process import spread
from examples.rectangles_net import COLORS
from quadrat import tracking
from quadrat.executors.local import LocalExecutor
from quadrat.geometry import Geometry
from quadrat.job import Order
from quadrat.media.video import open_video
from quadrat.media.video_write import VideoWriter
from quadrat.parameters import EngineSettings, FrameSettings, Settings
from quadrat.pipeline.batches import Batches
from quadrat.pipeline.chain import Stage, run_chain
from quadrat.pipeline.events import DecodedFrame
from quadrat.pipeline.facts import facts_of
from quadrat.pipeline.filter import FrameFilter
from quadrat.pipeline.models import LoadedModel, Pass, load_models
from quadrat.pipeline.prepare import prepare
from quadrat.pipeline.state import SourceState
from quadrat.pipeline.task import TaskStage
from quadrat.protocols import Fold, Task
from quadrat.render.boxes import draw_boxes
from quadrat.stores.folder import FolderStore
from quadrat.types import Frame, FrameKey, ImageU8, Part, Source

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "examples" / "models" / "rectangles.tgz"
LOG = logging.getLogger("quadrat")
HW = (1080, 1920)
RATE = 25.0
ENCODING = {"preset": "superfast", "crf": "20", "bf": "0"}
"""The x264 options of VideoWriter."""
KEPT = 24
"""Frames on which single stages are timed, in a loop: more would fill the memory."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Wall and CPU seconds that a function took."""

    wall_s: float
    cpu_s: float


def timed(work: Callable[[], object]) -> Spent:
    """Call `work` and return its time; CPU seconds are those of all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def draw_frames(count: int, hw: tuple[int, int] = HW, seed: int = 5) -> Iterator[ImageU8]:
    """Yield frames of rectangles that move across a seabed-coloured picture, (H, W, 3) uint8 RGB."""
    rng = np.random.default_rng(seed)
    height, width = hw
    base = np.full((*hw, 3), (96, 104, 92), np.uint8)
    base += rng.integers(0, 9, (height // 8, width // 8, 1), np.uint8).repeat(8, 0).repeat(8, 1)
    sizes = rng.integers(30, 120, (12, 2))
    places, steps = rng.uniform(0, 1, (12, 2)), rng.uniform(-0.004, 0.004, (12, 2))
    for number in range(count):
        frame = base.copy()
        for index, (place, step, (h, w)) in enumerate(zip(places, steps, sizes, strict=True)):
            y, x = ((place + number * step) % 1.0 * (height - h, width - w)).astype(int)
            frame[y : y + h, x : x + w] = COLORS[index % 3]
        yield frame


def write_video(path: Path, count: int, hw: tuple[int, int] = HW) -> Path:
    """Write a video of `count` frames."""
    writer = VideoWriter(path, hw, RATE, "h264")
    for number, frame in enumerate(draw_frames(count, hw)):
        writer.write(frame, number / RATE)
    writer.close()
    return path


def frames_of(path: Path, frames: FrameSettings) -> Iterator[Frame]:
    """Read a video as the product does."""
    yield from open_video(path, Source("urn:video", path.name, "video"), frames)


def measure(model: LoadedModel, frame: Frame) -> Any:
    """Run transforms, network and task on one frame, without a pipeline."""
    start = Geometry.identity(frame.source_hw).resized((frame.pixels.shape[0], frame.pixels.shape[1]))
    tensor, geometry = model.transform(frame.pixels, start)
    arrays = model.engine.run(tensor[None], model.task.wanted)
    fold = model.task.start(frame)
    fold.add(0, Part({k: a[0] for k, a in arrays.items()}, geometry))
    return fold.finish()


def run_order(model: LoadedModel, path: Path, folder: Path) -> None:
    """Run an order on the video, with all its products."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        order_on(Pass([model]), FolderStore(MODEL, path, Path(out), moving=True), LOG)


def order_on(models: Pass, store: FolderStore, log: logging.Logger) -> None:
    """Run an order with models that are loaded."""
    urns = [f"urn:model:{name}" for name in models]
    facts = facts_of(models, store.order, urns, moving=store.moving)
    executor = LocalExecutor(models, facts, moving=store.moving)
    with store.ledger() as ledger:
        ledger.begin({})
        Order(models.settings, store, log, executor, ledger).run(ledger.folder)


def run_loop(model: LoadedModel, path: Path, folder: Path) -> None:
    """Read, detect, track, draw and write one frame after the other, in one thread."""
    tracker = tracking.make(model.settings.tracking, model.settings.objects.least_score)
    capture = cv2.VideoCapture(str(path))
    with av.open(str(folder / "loop.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=round(RATE), options=ENCODING)
        stream.height, stream.width = HW
        stream.pix_fmt = "yuv420p"
        for number in count():
            more, bgr = capture.read()
            if not more:
                break
            pixels = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            frame = Frame(FrameKey("urn:video", number), HW, pixels, time_s=number / RATE)
            found = measure(model, frame)
            found = tracker.update(found).detections if tracker is not None else found
            drawn = draw_boxes(pixels, found, model.package.classes, HW)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(drawn, "rgb24")))
        container.mux(stream.encode())


class SingleStages:
    """Each stage on its own, on as many frames as the video has.

    Detection is transforms, network and task as in the pipeline: two frames in parallel.
    """

    def __init__(self, model: LoadedModel, path: Path, folder: Path, frames: int) -> None:
        self._model, self._path, self._folder = model, path, folder
        kept = list(islice(frames_of(path, model.frames), KEPT))
        found = [measure(model, frame) for frame in kept]
        self._turns = [(n, kept[n % KEPT], found[n % KEPT]) for n in range(frames)]

    def decode(self) -> None:
        """Read the file."""
        deque(frames_of(self._path, self._model.frames), maxlen=0)

    def detect(self) -> None:
        """Transforms, network and task."""
        models = Pass([self._model])
        chosen = FrameFilter(models)
        state = SourceState.of(Source("urn:video", "video", "video"), models.names)
        frames = (
            DecodedFrame(state, replace(frame, key=FrameKey("urn:video", n))) for n, frame, _ in self._turns
        )
        found = TaskStage(models, chosen)(Batches(self._model)(prepare(models, chosen, frames)))
        deque(found, maxlen=0)

    def track(self) -> None:
        """Track the detections."""
        tracker = tracking.make(self._model.settings.tracking, self._model.settings.objects.least_score)
        for _, _, found in self._turns:
            if tracker is not None:
                tracker.update(found)

    def draw(self) -> None:
        """Draw the boxes."""
        for _, frame, found in self._turns:
            draw_boxes(frame.pixels, found, self._model.package.classes, HW)

    def encode(self) -> None:
        """Encode the frames."""
        writer = VideoWriter(self._folder / "alone.mp4", HW, RATE, "h264")
        for number, frame, _ in self._turns:
            writer.write(frame.pixels, number / RATE)
        writer.close()

    def times(self) -> dict[str, Spent]:
        """Time each stage."""
        works = (self.decode, self.detect, self.track, self.draw, self.encode)
        return {work.__name__: timed(work) for work in works}


def compare(rounds: int, frames: int, threads: int) -> None:
    """Print the pipeline's time against its slowest stage, its CPU time per core, and the loop, interleaved.

    The network uses `threads` threads in all of them.
    """
    settings = Settings.of({"cpu_threads": threads})
    cores = len(os.sched_getaffinity(0))
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as made:
        folder = Path(made)
        path = write_video(folder / "reef.mp4", frames)
        with (
            load_models([MODEL], settings, LOG, throughput=True) as models,
            load_models([MODEL], settings, LOG) as others,
        ):
            (model,), (one,) = models.values(), others.values()
            for turn in range(rounds + 1):
                ours = timed(lambda: run_order(model, path, folder))
                alone = SingleStages(model, path, folder, frames).times()
                theirs = timed(lambda: run_loop(one, path, folder))
                if not turn:
                    continue
                slowest = max(alone.values(), key=lambda spent: spent.wall_s)
                cpu = sum(spent.cpu_s for spent in alone.values())
                print(
                    f"round {turn}: " + ", ".join(f"{n} {frames / s.wall_s:.1f}/s" for n, s in alone.items())
                )
                rows.append({
                    "frames per second": frames / ours.wall_s,
                    "rate over the slowest stage's": slowest.wall_s / ours.wall_s,
                    f"rate over that of the stages' CPU time on {cores} cores": cpu / cores / ours.wall_s,
                    "loop, frames per second": frames / theirs.wall_s,
                    "speed-up over the loop": theirs.wall_s / ours.wall_s,
                    "CPU time over the loop's": ours.cpu_s / theirs.cpu_s,
                })  # fmt: skip
    print(f"\n| 1080p, {frames} frames | min-median-max of {rounds} |\n|---|---|")
    for name in rows[0]:
        print(f"| {name} | {spread([row[name] for row in rows])} |")


def chain_rate(rounds: int, items: int) -> None:
    """Print the rate of a chain of sleeping stages over the rate of its slowest stage."""
    ratios = []
    for _ in range(rounds):
        alone = timed(lambda: deque(_nap(0.02)(iter(range(items))), maxlen=0))
        naps = [Stage(str(n), _nap(s)) for n, s in enumerate((0.006, 0.012, 0.02, 0.004, 0.015))]
        chained = timed(partial(deque, run_chain(range(items), naps), maxlen=0))
        ratios.append(alone.wall_s / chained.wall_s)
    print(
        f"| sleeping stages, {items} items: rate over the slowest stage's | {spread(ratios)} (target: 0.95) |"
    )


def _nap(seconds: float) -> Any:
    def work(items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            time.sleep(seconds)
            yield item

    return work


def memory(frames: int, sources: int) -> None:
    """Print the anonymous memory during an order with many sources."""
    seen = tenths(frames, sources)
    print(f"| {frames} frames of {sources} sources, anonymous MB after each tenth |")
    print("| " + " | ".join(f"{mb:.0f}" for mb in seen) + " |")
    print(f"largest of the later tenths over the second: {max(seen[2:]) / seen[1]:.3f}")


def tenths(frames: int, sources: int, hw: tuple[int, int] = (240, 320)) -> list[float]:
    """Run an order on `frames` frames of `hw` (height, width) with all products; return anonymous MB after each tenth."""
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as made:
        videos = Path(made, "videos")
        videos.mkdir()
        for number in range(sources):
            write_video(videos / f"camera-{number}.mp4", frames // sources, hw)
        settings = Settings.of({"sources_at_once": sources, "batch_size": sources})
        log = logging.getLogger("quadrat.memory")
        with (
            load_models([MODEL], settings, LOG, throughput=True) as models,
            tempfile.TemporaryDirectory() as out,
        ):
            (model,) = models.values()
            watched = MemoryLog(FolderStore(MODEL, videos, Path(out), moving=True), frames)
            watched_model = replace(model, task=CountingTask(model.task, watched))
            order_on(Pass([watched_model]), watched.store, log)
    return watched.seen


def anonymous_mb() -> float:
    """Return the anonymous memory of this process in MB, after the C library has released its free memory."""
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


class MemoryLog:
    """Records the anonymous memory of this process after each tenth of the frames."""

    def __init__(self, store: FolderStore, frames: int) -> None:
        self.store = store
        self.seen: list[float] = []
        self._every = frames // 10
        self._count = 0

    def frame(self) -> None:
        """Count a frame."""
        self._count += 1
        if self._count % self._every == 0:
            self.seen.append(anonymous_mb())


class CountingTask:
    """A task that counts its frames."""

    def __init__(self, task: Task, watched: MemoryLog) -> None:
        self.name, self.wanted, self.batched = task.name, task.wanted, task.batched
        self._task, self._watched = task, watched

    def start(self, frame: Frame) -> Fold:
        """Count the frame and start its fold."""
        self._watched.frame()
        return self._task.start(frame)


def main() -> None:
    """Run the benchmarks selected on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument(
        "--threads", type=int, default=EngineSettings().cpu_threads, help="threads of the network"
    )
    parser.add_argument("--memory", action="store_true", help="measure only the memory of a long run")
    parser.add_argument("--smoke", action="store_true", help="one round on one second of video")
    given = parser.parse_args()
    if given.memory:
        memory(10_000, 8)
        return
    rounds, frames = (1, 25) if given.smoke else (given.rounds, given.frames)
    chain_rate(rounds, 50 if given.smoke else 300)
    compare(rounds, frames, given.threads)


if __name__ == "__main__":
    main()
