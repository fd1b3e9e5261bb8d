"""Compare quadrat's trackers with those of libraries, on the same detections and in one run.

    python -m benchmarks.track                     the tables of docs/benchmarks.md (in .venv-peers: make setup-peers)
    python -m benchmarks.track --seeds 1 --json F  one seed, figures into a file
    python -m benchmarks.track --smoke             without the libraries, to see that it runs

Peers are SORT, ByteTrack and OC-SORT of `trackers`, with its own defaults and with quadrat's max-age, min-hits and
min-score ("as ours"; "clear as ours" also starts tracks at quadrat's CLEAR_SCORE), and deep-sort-realtime, which gets the same synthetic embeddings as quadrat's deepsort.
`trackers.eval` computes the figures; a detection without a track is not part of a tracker's result.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.motion import APPEARANCE, PARTS, SCENARIOS, Scenario, SimulatedFrame, simulate
from quadrat.parameters import ObjectSettings, TrackingSettings
from quadrat.tracking import TRACKERS, make
from quadrat.tracking.bytetrack import CLEAR_SCORE

TrackFrame = Callable[[SimulatedFrame], NDArray[np.int64]]
"""Returns the track number of each detection of the next frame, -1 for none."""
Figures = dict[str, list[dict[str, float]]]
"""The figures of each seed, by tracker."""
OURS, MIN_SCORE = TrackingSettings(), ObjectSettings().least_score
REPORTED = range(101, 106)
"""Seeds of the tables; seeds 1 to 20 are for tuning."""


def quadrat(name: str, min_hits: int = OURS.min_hits) -> TrackFrame:
    """Return quadrat's tracker of this name, with the service's defaults except for min-hits."""
    tracker = make(TrackingSettings(tracker=name, min_hits=min_hits), MIN_SCORE)

    def track(frame: SimulatedFrame) -> NDArray[np.int64]:
        embeddings = frame.embeddings if tracker.needs_embeddings else None
        return tracker.update(frame.detections, embeddings).detections.tracks

    return track


def library(name: str, **options: Any) -> TrackFrame:
    """Return a tracker of `trackers`."""
    import supervision as sv
    import trackers

    tracker = getattr(trackers, name)(**options)

    def track(frame: SimulatedFrame) -> NDArray[np.int64]:
        rows = np.arange(len(frame.detections))
        given = sv.Detections(frame.detections.boxes, confidence=frame.detections.scores, data={"row": rows})
        found = tracker.update(given)
        numbers = np.full(len(rows), -1)
        if len(found):
            numbers[found.data["row"]] = found.tracker_id
        return numbers

    return track


def realtime(**options: Any) -> TrackFrame:
    """Return deep-sort-realtime, which identifies rows by their supplement."""
    from deep_sort_realtime.deepsort_tracker import DeepSort

    tracker = DeepSort(embedder=None, **options)

    def track(frame: SimulatedFrame) -> NDArray[np.int64]:
        boxes, scores = frame.detections.boxes.tolist(), frame.detections.scores.tolist()
        given = [
            ([x0, y0, x1 - x0, y1 - y0], score, 0)
            for (x0, y0, x1, y1), score in zip(boxes, scores, strict=True)
        ]
        tracks = tracker.update_tracks(given, embeds=list(frame.embeddings), others=list(range(len(given))))
        numbers = np.full(len(given), -1)
        for one in tracks:
            if one.is_confirmed() and one.time_since_update == 0:
                numbers[one.get_det_supplementary()] = int(one.track_id)
        return numbers

    return track


AS_OURS = {"lost_track_buffer": OURS.max_age, "minimum_consecutive_frames": OURS.min_hits}
SCORES = {"track_activation_threshold": MIN_SCORE}
PEERS: dict[str, Callable[[], TrackFrame]] = {
    "trackers SORT": lambda: library("SORTTracker"),
    "trackers SORT, as ours": lambda: library("SORTTracker", **AS_OURS, **SCORES),
    "trackers ByteTrack": lambda: library("ByteTrackTracker"),
    "trackers ByteTrack, as ours": lambda: library(
        "ByteTrackTracker", **AS_OURS, **SCORES, high_conf_det_threshold=0.5
    ),
    "trackers ByteTrack, clear as ours": lambda: library(
        "ByteTrackTracker",
        **AS_OURS,
        track_activation_threshold=CLEAR_SCORE,
        high_conf_det_threshold=CLEAR_SCORE,
    ),
    "trackers OC-SORT": lambda: library("OCSORTTracker"),
    "trackers OC-SORT, as ours": lambda: library(
        "OCSORTTracker", **AS_OURS, high_conf_det_threshold=MIN_SCORE
    ),
    "deep-sort-realtime": realtime,
    "deep-sort-realtime, as ours": lambda: realtime(max_age=OURS.max_age, n_init=OURS.min_hits),
}
MINE: dict[str, Callable[[], TrackFrame]] = {
    f"quadrat {name}": lambda name=name: quadrat(name) for name in TRACKERS
}  # fmt: skip
ROWS = {
    name: {**MINE, **PEERS}[name]
    for kind, peer in (
        ("sort", "SORT"),
        ("bytetrack", "ByteTrack"),
        ("ocsort", "OC-SORT"),
        ("deepsort", "deep-sort"),
    )
    for name in (*[m for m in MINE if m.endswith(" " + kind)], *[p for p in PEERS if f" {peer}" in f" {p}"])
}


def result(
    frames: Sequence[SimulatedFrame], track: TrackFrame
) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Run a tracker over all frames; return the numbers (K,) and corners (K, 4) of the K tracked rows of each."""
    found = []
    for frame in frames:
        numbers = track(frame)
        kept = numbers >= 0
        found.append((numbers[kept], frame.detections.boxes[kept]))
    return found


def write_mot(path: Path, frames: Sequence[tuple[NDArray[Any], NDArray[np.float32]]]) -> None:
    """Write numbers and corners as a MOT text file."""
    lines = [
        f"{frame},{number},{x0:.3f},{y0:.3f},{x1 - x0:.3f},{y1 - y0:.3f},1,1,1"
        for frame, (numbers, boxes) in enumerate(frames, 1)
        for number, (x0, y0, x1, y1) in zip(numbers.tolist(), boxes.tolist(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")


def evaluate(
    frames: Sequence[SimulatedFrame], found: Sequence[tuple[NDArray[Any], NDArray[np.float32]]]
) -> dict[str, float]:
    """Compare with the ground truth by `trackers.eval`: HOTA and IDF1 in percent, and the number of switches."""
    from trackers.eval import evaluate_mot_sequence

    with tempfile.TemporaryDirectory() as folder:
        truth, answer = Path(folder, "truth.txt"), Path(folder, "answer.txt")
        write_mot(truth, [(frame.numbers, frame.boxes) for frame in frames])
        write_mot(answer, found)
        figures = evaluate_mot_sequence(truth, answer, ["CLEAR", "HOTA", "Identity"])
    return {
        "HOTA": 100 * figures.HOTA.HOTA,
        "IDF1": 100 * figures.Identity.IDF1,
        "switches": float(figures.CLEAR.IDSW),
        "tracks": float(len({number for numbers, _ in found for number in numbers.tolist()})),
        "objects": float(len({number for frame in frames for number in frame.numbers.tolist()})),
    }


def quality(scenario: Scenario, seeds: Sequence[int], rows: dict[str, Callable[[], TrackFrame]]) -> Figures:
    """Return the figures of each tracker for each seed."""
    figures: Figures = {name: [] for name in rows}
    for seed in seeds:
        frames = simulate(scenario, seed)
        for name, make_tracker in rows.items():
            figures[name].append(evaluate(frames, result(frames, make_tracker())))
    return figures


def speed(objects: int, names: Sequence[str], count: int = 40) -> dict[str, float]:
    """Return the median CPU time per frame in milliseconds; trackers take turns on each frame, ten to warm up."""
    frames = simulate(Scenario("speed", objects, frames=count, height=(30.0, 90.0)), 1)
    trackers = {name: ROWS[name]() for name in names}
    spent: dict[str, list[float]] = {name: [] for name in names}
    for frame in frames:
        for name, track in trackers.items():
            begin = time.process_time()
            track(frame)
            spent[name].append(1000 * (time.process_time() - begin))
    return {name: median(values[10:]) for name, values in spent.items()}


def table(found: dict[str, Figures], keys: Sequence[str] = ("HOTA", "IDF1", "switches")) -> None:
    """Print the mean and standard deviation of figures over the seeds, one column per scenario."""
    print(f"\n| {' / '.join(keys)} | " + " | ".join(found) + " |\n|---|" + "---|" * len(found))
    for name in next(iter(found.values())):
        cells = []
        for figures in found.values():
            columns = [[one[key] for one in figures[name]] for key in keys]
            cells.append(" / ".join(f"{mean(c):.1f} +- {stdev(c) if len(c) > 1 else 0:.1f}" for c in columns))
        print(f"| {name} | " + " | ".join(cells) + " |")


def time_table(times: dict[int, dict[str, float]]) -> None:
    """Print milliseconds, one column per number of objects."""
    print(
        "\n| CPU ms per frame | "
        + " | ".join(f"{n} objects" for n in times)
        + " |\n|---|"
        + "---|" * len(times)
    )
    for name in next(iter(times.values())):
        print(f"| {name} | " + " | ".join(f"{one[name]:.2f}" for one in times.values()) + " |")


def choose(options: argparse.Namespace) -> dict[str, dict[str, Figures]]:
    """Compare all trackers, those that use appearance on its scenarios, and ByteTrack with other min-hits."""
    chosen = [s for s in SCENARIOS if s.name in options.scenarios]
    by_appearance = {name: one for name, one in ROWS.items() if "deep" in name or name == "quadrat sort"}
    hits = {f"min-hits {n}": (lambda n=n: quadrat("bytetrack", n)) for n in (1, 2, 3)}  # fmt: skip
    plain = [s for s in chosen if s not in (*APPEARANCE, *PARTS)]
    found = {
        "quality": {s.name: quality(s, options.seeds, ROWS) for s in plain},
        "parts": {s.name: quality(s, options.seeds, ROWS) for s in chosen if s in PARTS},
        "appearance": {s.name: quality(s, options.seeds, by_appearance) for s in chosen if s in APPEARANCE},
        "min-hits": {s.name: quality(s, options.seeds, hits) for s in plain if not options.no_speed},
    }
    return {kind: figures for kind, figures in found.items() if figures}


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(REPORTED))
    parser.add_argument("--scenarios", nargs="+", default=[s.name for s in SCENARIOS])
    parser.add_argument("--no-speed", action="store_true", help="skip the timings and the table of min-hits")
    parser.add_argument(
        "--smoke", action="store_true", help="time quadrat's trackers only, without the libraries"
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    found = {} if options.smoke else choose(options)
    for kind, figures in found.items():
        keys = ("HOTA", "IDF1", "switches", *(("tracks", "objects") if kind in ("parts", "min-hits") else ()))
        table(figures, keys)
    names = list(MINE if options.smoke else ROWS)
    times = {} if options.no_speed else {count: speed(count, names) for count in (50, 500)}
    if times:
        time_table(times)
    if options.json:
        options.json.write_text(json.dumps({**found, "ms": times}, indent=1))


if __name__ == "__main__":
    main()
