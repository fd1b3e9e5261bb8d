r"""Compare deepsort with deep-sort-realtime on the same vectors of a re-identification network.

    python -m benchmarks.reid --truth TRUTH --detections DETECTIONS --archive reid.tgz --clip vtest.avi \
        --objects pets_yolox_nano.npz     (in .venv-peers: make setup-peers)

TRUTH and DETECTIONS are folders in MOTChallenge's form with the sequence PETS09-S2L1, and `--clip` has its pictures;
`--objects` are detections of another network, as in benchmarks.mot. The archive was packed with `--on objects`: its crops
are those of an order. Films are tracked at every, every second and every fifth frame, from each of the first frames,
forwards and backwards unless `--once` is given. Drawn scenes are those of benchmarks.motion with synthetic vectors, because
those of benchmarks.scenes do not move. `--quick` takes the first 60 frames and one seed; without an archive, only the
drawn scenes.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.mot import Film, evaluate, film, together
from benchmarks.motion import SCENARIOS, SimulatedFrame, simulate
from benchmarks.track import MIN_SCORE, OURS, TrackFrame, quadrat, realtime
from quadrat import engines, package, transforms
from quadrat.geometry import Geometry
from quadrat.package.objects import ObjectWords, read_objects
from quadrat.parameters import EngineSettings
from quadrat.pipeline.crops import crop_windows
from quadrat.stores.temporary import temporary_folder
from quadrat.tasks.embed.task import unit, vector_output
from quadrat.tracking.appearance import embed
from quadrat.types import Frame, FrameKey, ImageU8

SEQUENCE = "PETS09-S2L1"
GATES = (0.1, 0.2)
"""Largest cosine distances of deep-sort-realtime; 0.2 is its default."""
QUICK_FRAMES = 60
DRAWN = ("crowd", "crowd, mixed appearance", "crowd, similar appearance", "rock")
Describe = Callable[[ImageU8, NDArray[np.float32]], NDArray[np.float32]]
"""Returns a vector (N, D) for each box (N, 4) of a picture."""


@dataclass
class Spent:
    """Seconds of a network, and the number of objects that it described."""

    seconds: float = 0.0
    objects: int = 0


class Network:
    """The network of an archive about objects, with the crops and transforms of an order; one thread."""

    def __init__(self, archive: Path, folder: Path) -> None:
        opened = package.open_archive(archive, folder)
        self._words = read_objects(opened.meta) or ObjectWords(padding=0)
        self._transform = transforms.build(opened.transforms)
        settings = EngineSettings(engine="onnx", cpu_threads=1)
        self._engine = engines.start(opened, settings, logging.getLogger("reid"))
        self._output = vector_output(opened, self._engine.outputs)
        self._most = opened.input_shape[0] or 64
        self.spent = Spent()

    def describe(self, pixels: ImageU8, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the vectors (N, D) of the objects in boxes (N, 4)."""
        begin = time.perf_counter()
        hw = (pixels.shape[0], pixels.shape[1])
        frame = Frame(FrameKey("", 0), hw, pixels)
        inputs = []
        for box in boxes:
            window, _ = crop_windows(frame, box, self._words)
            crop = pixels[window.top : window.bottom, window.left : window.right]
            inputs.append(self._transform(crop, Geometry.identity((window.height, window.width)))[0])
        rows: list[NDArray[np.float32]] = []
        for start in range(0, len(inputs), self._most):
            batch = np.stack(inputs[start : start + self._most])
            rows += [unit(row) for row in self._engine.run(batch, (self._output,))[self._output]]
        self.spent.seconds += time.perf_counter() - begin
        self.spent.objects += len(rows)
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)


def described(films: Sequence[Film], clip: Path, describe: Describe, count: int | None) -> list[Film]:
    """Return films with the vectors of their objects, in the first `count` frames of the clip."""
    made: list[list[SimulatedFrame]] = [[] for _ in films]
    with av.open(str(clip)) as container:
        pictures: Iterator[ImageU8] = (
            each.to_ndarray(format="rgb24") for each in islice(container.decode(video=0), count)
        )
        for number, pixels in enumerate(pictures):
            for own, frames in zip(films, made, strict=True):
                if number < len(own.frames):
                    found = own.frames[number].detections
                    found = found[np.flatnonzero(found.scores >= np.float32(MIN_SCORE))]
                    vectors = describe(pixels, found.boxes)
                    frames.append(replace(own.frames[number], detections=found, embeddings=vectors))
    return [Film(own.name, frames) for own, frames in zip(films, made, strict=True)]


def peers() -> dict[str, Callable[[], TrackFrame]]:
    """Return deep-sort-realtime with its own defaults, and with our max-age and min-hits at several gates."""
    ours = {
        f"deep-sort-realtime, as ours, distance {gate}": partial(
            realtime, max_age=OURS.max_age, n_init=OURS.min_hits, max_cosine_distance=gate
        )
        for gate in GATES
    }
    return {"deep-sort-realtime": realtime, **ours}


def table(columns: Mapping[str, Sequence[Sequence[SimulatedFrame]]], rows: Mapping[str, tuple[str, Callable[[], TrackFrame]]]) -> None:  # fmt: skip
    """Print HOTA, IDF1 and switches. `columns` are views by head and kind of vectors; rows state the kind they use."""
    heads = list(dict.fromkeys(head.rpartition("|")[0] for head in columns))
    print("\n| HOTA / IDF1 / switches | " + " | ".join(heads) + " |\n|---|" + "---|" * len(heads))
    for name, (kind, make) in rows.items():
        cells = []
        for head in heads:
            views = columns[f"{head}|{kind}"]
            figures = together([evaluate(view, make(), MIN_SCORE) for view in views], len(views))
            cells.append(f"{figures['HOTA']:.1f} / {figures['IDF1']:.1f} / {figures['switches']:.0f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def real(options: argparse.Namespace) -> None:
    """Compare on the real film: with vectors, and ours with colours and by motion."""
    truth = np.loadtxt(options.truth / SEQUENCE / "gt" / "gt.txt", delimiter=",", ndmin=2)
    found = np.loadtxt(options.detections / SEQUENCE / "det" / "det.txt", delimiter=",", ndmin=2)
    films = [film("Faster R-CNN", truth, found)]
    for path in options.objects:
        arrays = np.load(path)
        boxes = arrays["boxes"].astype(np.float64)
        head = np.stack([arrays["frame"] + 1, np.full(len(boxes), -1)], axis=1)
        rows = [head, boxes[:, :2], boxes[:, 2:] - boxes[:, :2], arrays["scores"][:, None]]
        films.append(film(path.stem, truth, np.concatenate(rows, axis=1)))
    count = QUICK_FRAMES if options.quick else None
    columns: dict[str, list[list[SimulatedFrame]]] = {}
    with temporary_folder("reid") as folder:
        network = Network(options.archive, folder)
        for kind, describe in (("vectors", network.describe), ("colours", embed)):
            for own in described(films, options.clip, describe, count):
                for stride in options.strides:
                    columns[f"{own.name}, stride {stride}|{kind}"] = list(own.views(stride, options.once))
                if kind == "vectors":
                    timed(own, network.spent)
    ours: dict[str, tuple[str, Callable[[], TrackFrame]]] = {
        "**quadrat deepsort**, vectors": ("vectors", lambda: quadrat("deepsort")),
        "**quadrat deepsort**, colours": ("colours", lambda: quadrat("deepsort")),
        "quadrat sort": ("vectors", lambda: quadrat("sort")),
    }
    table(columns, ours | {name: ("vectors", make) for name, make in peers().items()})


def timed(own: Film, spent: Spent) -> None:
    """Print the median CPU time per frame of the trackers, which take turns on each frame, and that of the network."""
    makers = {"quadrat deepsort": lambda: quadrat("deepsort"), "deep-sort-realtime": realtime}
    trackers = {name: make() for name, make in makers.items()}
    times: dict[str, list[float]] = {name: [] for name in trackers}
    for frame in own.frames:
        for name, track in trackers.items():
            begin = time.process_time()
            track(frame)
            times[name].append(1000 * (time.process_time() - begin))
    objects = sum(len(frame.detections) for frame in own.frames) / max(len(own.frames), 1)
    texts = [f"{name} {median(values):.2f} ms" for name, values in times.items()]
    per_object = 1000 * spent.seconds / max(spent.objects, 1)
    print(
        f"{own.name}, {objects:.1f} objects per frame: {', '.join(texts)}; a vector {per_object:.1f} ms, wall"
    )


def drawn(options: argparse.Namespace) -> None:
    """Compare on drawn scenes with synthetic vectors."""
    columns: dict[str, list[list[SimulatedFrame]]] = {}
    for scenario in SCENARIOS:
        if scenario.name not in DRAWN:
            continue
        films = [simulate(scenario, seed) for seed in options.seeds]
        for stride in options.strides:
            views = [one[: QUICK_FRAMES if options.quick else None][::stride] for one in films]
            columns[f"{scenario.name}, stride {stride}|vectors"] = views
    rows = {"**quadrat deepsort**": ("vectors", lambda: quadrat("deepsort"))}
    table(columns, rows | {name: ("vectors", make) for name, make in peers().items()})


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--truth", type=Path, help="folder with SEQUENCE/gt/gt.txt")
    parser.add_argument("--detections", type=Path, help="folder with SEQUENCE/det/det.txt")
    parser.add_argument("--archive", type=Path, help="embedding archive about objects")
    parser.add_argument("--clip", type=Path, help="video of the sequence")
    parser.add_argument("--objects", nargs="*", type=Path, default=[], metavar="FILE.npz")
    parser.add_argument("--strides", type=int, nargs="+", default=[1, 2, 5])
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="*",
        default=[101, 102, 103],
        help="of the drawn scenes; none for the film alone",
    )
    parser.add_argument("--once", action="store_true", help="track each film once")
    parser.add_argument("--quick", action="store_true", help="a short form, to see that it runs")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.once = options.seeds[:1], True
    if options.archive is not None:
        real(options)
    if options.seeds:
        drawn(options)


if __name__ == "__main__":
    main()
