"""Compare quadrat's trackers with those of libraries on real detections, from folders in MOTChallenge's form.

    python -m benchmarks.mot --truth TRUTH --detections DETECTIONS SEQUENCE...

reads TRUTH/SEQUENCE/gt/gt.txt and DETECTIONS/SEQUENCE/det/det.txt (in .venv-peers: make setup-peers). `--objects
FILE.npz=SEQUENCE` adds detections from arrays `frame` (from 0), `boxes` and `scores`, as of another network, with the
truth of that sequence. Every sequence is tracked at every, every second and every fifth frame (`--strides`), from each of
the first frames, forwards and backwards unless `--once` is given: one switch in a short film changes IDF1 by points.
`--each` prints each sequence by itself.

Truth whose seventh column is 0 does not count. `trackers.eval` computes the figures over all sequences together.
`norfair` takes part if it can be imported.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.motion import SimulatedFrame
from benchmarks.track import MIN_SCORE, OURS, ROWS, TrackFrame
from quadrat.predictions import Detections

METRICS = ("HOTA", "IDF1", "switches", "tracks")
FAINTEST = 0.1
"""Objects with lower scores are not given to any tracker."""


@dataclass(frozen=True)
class Film:
    """One sequence: the frames, in the form of simulated ones, without embeddings."""

    name: str
    frames: list[SimulatedFrame]

    def views(self, stride: int, once: bool) -> Iterator[list[SimulatedFrame]]:
        """Yield every `stride`-th frame, from each of the first frames and in both directions, or only once."""
        for first in range(1 if once else stride):
            yield self.frames[first::stride]
            if not once:
                yield self.frames[first::stride][::-1]


def film(name: str, truth: NDArray[np.float64], found: NDArray[np.float64]) -> Film:
    """Make a film of rows frame (from 1), number, left, top, width, height, score or 1 if it counts."""
    frames = []
    for index in range(1, int(max(truth[:, 0].max(), found[:, 0].max())) + 1):
        there = truth[(truth[:, 0] == index) & (truth[:, 6] != 0)]
        seen = found[(found[:, 0] == index) & (found[:, 6] >= FAINTEST)]
        objects = Detections(corners(seen), seen[:, 6].astype(np.float32), np.zeros(len(seen), np.int32))
        none = np.zeros((len(seen), 0), np.float32)
        frames.append(SimulatedFrame(there[:, 1].astype(np.int32), corners(there), objects, none))
    return Film(name, frames)


def corners(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the corners (N, 4) of rows of a MOT file."""
    return np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1).astype(np.float32)


def films(options: argparse.Namespace) -> list[Film]:
    """Read all sequences."""
    truths = {
        name: np.loadtxt(options.truth / name / "gt" / "gt.txt", delimiter=",", ndmin=2)
        for name in (*options.sequences, *(text.rsplit("=", 1)[1] for text in options.objects))
    }
    made = [
        film(
            name,
            truths[name],
            np.loadtxt(options.detections / name / "det" / "det.txt", delimiter=",", ndmin=2),
        )
        for name in options.sequences
    ]
    for text in options.objects:
        path, name = text.rsplit("=", 1)
        arrays = np.load(path)
        boxes = arrays["boxes"].astype(np.float64)
        head = np.stack([arrays["frame"] + 1, np.full(len(boxes), -1)], axis=1)
        sides = boxes[:, 2:] - boxes[:, :2]
        rows = np.concatenate([head, boxes[:, :2], sides, arrays["scores"][:, None]], axis=1)
        made.append(film(f"{Path(path).stem}", truths[name], rows))
    return made


def first_sort(max_age: int = OURS.max_age, min_hits: int = OURS.min_hits) -> TrackFrame:
    """Return SORT as its paper describes it: centre, area and ratio; a number only after `min_hits` frames in a row."""
    from scipy.optimize import linear_sum_assignment
    from trackers.core.sort.tracklet import SORTTracklet
    from trackers.utils.state_representations import XCYCSRStateEstimator

    live: list[Any] = []
    count = [0]

    def track(frame: SimulatedFrame) -> NDArray[np.int64]:
        boxes = frame.detections.boxes.astype(np.float64)
        for one in live:
            one.predict()
            one.row = one.row if one.time_since_update <= 1 else 0
        predicted = np.array([one.get_state_bbox() for one in live]).reshape(-1, 4)
        similarity = np.nan_to_num(overlap(predicted, boxes))
        numbers, free = np.full(len(boxes), -1), set(range(len(boxes)))
        for i, j in zip(*linear_sum_assignment(similarity, maximize=True), strict=True):
            if similarity[i, j] >= 0.3:
                free.discard(int(j))
                live[i].update(boxes[j])
                live[i].row += 1
                if live[i].row >= min_hits:
                    numbers[j] = live[i].number
        for j in sorted(free):
            new = SORTTracklet(boxes[j], XCYCSRStateEstimator)
            new.row, new.number = 0, count[0]
            count[0] += 1
            live.append(new)
        live[:] = [one for one in live if one.time_since_update <= max_age]
        return numbers

    return track


def norfair(**options: Any) -> TrackFrame:
    """Return the tracker of norfair with overlaps."""
    from norfair import Detection, Tracker

    tracker = Tracker(distance_function="iou", **options)

    def track(frame: SimulatedFrame) -> NDArray[np.int64]:
        boxes = frame.detections.boxes.astype(np.float64)
        given = [Detection(points=box.reshape(2, 2), data=row) for row, box in enumerate(boxes)]
        known, numbers = {id(one) for one in given}, np.full(len(given), -1)
        for one in tracker.update(given):
            if id(one.last_detection) in known:
                numbers[one.last_detection.data] = one.id
        return numbers

    return track


MORE: dict[str, Callable[[], TrackFrame]] = {
    "the first SORT, as ours": first_sort,
    "norfair": lambda: norfair(distance_threshold=0.7),
    "norfair, as ours": lambda: norfair(
        distance_threshold=0.7, hit_counter_max=OURS.max_age, initialization_delay=OURS.min_hits
    ),
}
LEAST = {"quadrat bytetrack": FAINTEST, "trackers ByteTrack": 0.0, "trackers ByteTrack, as ours": FAINTEST}
"""The lowest scores that a tracker gets; the others get min-score."""


def overlap(one: NDArray[Any], two: NDArray[Any]) -> NDArray[np.float64]:
    """Return the intersection over union (N, M) of boxes (N, 4) and (M, 4)."""
    low, high = np.maximum(one[:, None, :2], two[:, :2]), np.minimum(one[:, None, 2:], two[:, 2:])
    common = np.maximum(high - low, 0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, two)]
    result: NDArray[np.float64] = common / np.maximum(areas[0][:, None] + areas[1] - common, 1e-9)
    return result


def evaluate(frames: Sequence[SimulatedFrame], track: TrackFrame, least: float) -> dict[str, Any]:
    """Track one film; return the parts of all metrics that can be put together."""
    from trackers.eval import compute_clear_metrics, compute_hota_metrics, compute_identity_metrics

    truth, numbers, similarity = [], [], []
    for frame in frames:
        rows = np.flatnonzero(frame.detections.scores >= np.float32(least))
        seen = frame.detections[rows]
        found = track(SimulatedFrame(frame.numbers, frame.boxes, seen, frame.embeddings[rows]))
        kept = found >= 0
        truth.append(frame.numbers)
        numbers.append(found[kept])
        similarity.append(overlap(frame.boxes.astype(np.float64), seen.boxes[kept].astype(np.float64)))
    given = truth, numbers, similarity
    return {
        "HOTA": compute_hota_metrics(*given),
        "Identity": compute_identity_metrics(*given),
        "CLEAR": compute_clear_metrics(*given),
        "tracks": len(set(np.concatenate(numbers).tolist())),
    }


def together(parts: Sequence[dict[str, Any]], views: int) -> dict[str, float]:
    """Put the metrics of films together; switches and tracks are those of one view."""
    from trackers.eval import aggregate_clear_metrics, aggregate_hota_metrics, aggregate_identity_metrics

    return {
        "HOTA": 100 * aggregate_hota_metrics([one["HOTA"] for one in parts])["HOTA"],
        "IDF1": 100 * aggregate_identity_metrics([one["Identity"] for one in parts])["IDF1"],
        "switches": aggregate_clear_metrics([one["CLEAR"] for one in parts])["IDSW"] / views,
        "tracks": sum(one["tracks"] for one in parts) / views,
    }


def table(groups: dict[str, list[Film]], options: argparse.Namespace) -> None:
    """Print a row for each tracker and a column for each group of films at each stride."""
    heads = [f"{name}, stride {stride}" for name in groups for stride in options.strides]
    print(f"\n| {' / '.join(METRICS)} | " + " | ".join(heads) + " |\n|---|" + "---|" * len(heads))
    rows = {name: make for name, make in {**ROWS, **MORE}.items() if "deep" not in name}
    for name, make in rows.items():
        if "norfair" in name and find_spec("norfair") is None:
            continue
        cells = []
        for group in groups.values():
            for stride in options.strides:
                views = [list(one.views(stride, options.once)) for one in group]
                parts = [evaluate(one, make(), LEAST.get(name, MIN_SCORE)) for each in views for one in each]
                found = together(parts, len(views[0]))
                cells.append(
                    " / ".join(f"{found[key]:.{0 if key in METRICS[2:] else 1}f}" for key in METRICS)
                )
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Read the films and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sequences", nargs="+", help="names of sequences")
    parser.add_argument("--truth", type=Path, required=True, help="folder with SEQUENCE/gt/gt.txt")
    parser.add_argument("--detections", type=Path, required=True, help="folder with SEQUENCE/det/det.txt")
    parser.add_argument("--objects", nargs="*", default=[], metavar="FILE.npz=SEQUENCE")
    parser.add_argument("--strides", type=int, nargs="+", default=[1, 2, 5])
    parser.add_argument(
        "--once", action="store_true", help="track each film once, not from every first frame"
    )
    parser.add_argument("--each", action="store_true", help="print each sequence by itself")
    options = parser.parse_args()
    made = films(options)
    names = set(options.sequences)
    groups = {"all": [one for one in made if one.name in names]}
    if options.each:
        groups = {one.name: [one] for one in made}
    groups |= {one.name: [one] for one in made if one.name not in names}
    table(groups, options)


if __name__ == "__main__":
    main()
