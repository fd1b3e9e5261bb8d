"""Tracking against the libraries: the same detections to every tracker, in one run.

    python -m benchmarks.track                     the tables of docs/benchmarks.md (in .venv-peers: make setup-peers)
    python -m benchmarks.track --seeds 1 --json F  one seed, figures into a file
    python -m benchmarks.track --smoke             without the libraries, to see that it runs

Peers: SORT, ByteTrack and OC-SORT of `trackers`, with its own defaults and with our thresholds ("as ours": the same
max-age, min-hits and least score), and deep-sort-realtime, which gets the same synthetic embeddings as our deepsort.
Figures are by `trackers.eval`; a detection without a track is not in a tracker's result.
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

from benchmarks.motion import LOOKS, PARTS, SCENARIOS, Scenario, Shot, film
from quadrat.parameters import Settings
from quadrat.tracking import TRACKERS, make

Follow = Callable[[Shot], NDArray[np.int64]]
"""The track of each row of what a shot shows, -1 for none."""
Figures = dict[str, list[dict[str, float]]]
"""By tracker, the figures of each seed."""
OURS = Settings()
REPORTED = range(101, 106)
"""Seeds of the tables; 1 to 20 are for tuning."""


def quadrat(name: str, min_hits: int = OURS.min_hits) -> Follow:
    """Give a tracker of ours, with the service's defaults but for min-hits."""
    tracker = make(Settings.of({"tracker": name, "min_hits": min_hits}).tracking, OURS.objects.min_score)
    return lambda shot: tracker.update(shot.seen, shot.features if tracker.needs_features else None).tracks


def library(name: str, **options: Any) -> Follow:
    """Give a tracker of `trackers`."""
    import supervision as sv
    import trackers

    tracker = getattr(trackers, name)(**options)

    def follow(shot: Shot) -> NDArray[np.int64]:
        rows = np.arange(len(shot.seen))
        given = sv.Detections(shot.seen.boxes, confidence=shot.seen.scores, data={"row": rows})
        found = tracker.update(given)
        numbers = np.full(len(rows), -1)
        if len(found):
            numbers[found.data["row"]] = found.tracker_id
        return numbers

    return follow


def realtime(**options: Any) -> Follow:
    """Give deep-sort-realtime, which tells rows by their supplement."""
    from deep_sort_realtime.deepsort_tracker import DeepSort

    tracker = DeepSort(embedder=None, **options)

    def follow(shot: Shot) -> NDArray[np.int64]:
        boxes = shot.seen.boxes
        given = [
            ([x0, y0, x1 - x0, y1 - y0], score, 0)
            for (x0, y0, x1, y1), score in zip(boxes.tolist(), shot.seen.scores.tolist(), strict=True)
        ]
        tracks = tracker.update_tracks(given, embeds=list(shot.features), others=list(range(len(given))))
        numbers = np.full(len(given), -1)
        for track in tracks:
            if track.is_confirmed() and track.time_since_update == 0:
                numbers[track.get_det_supplementary()] = int(track.track_id)
        return numbers

    return follow


AS_OURS = {"lost_track_buffer": OURS.max_age, "minimum_consecutive_frames": OURS.min_hits}
SCORES = {"track_activation_threshold": OURS.min_score}
PEERS: dict[str, Callable[[], Follow]] = {
    "trackers SORT": lambda: library("SORTTracker"),
    "trackers SORT, as ours": lambda: library("SORTTracker", **AS_OURS, **SCORES),
    "trackers ByteTrack": lambda: library("ByteTrackTracker"),
    "trackers ByteTrack, as ours": lambda: library(
        "ByteTrackTracker", **AS_OURS, **SCORES, high_conf_det_threshold=0.5
    ),
    "trackers OC-SORT": lambda: library("OCSORTTracker"),
    "trackers OC-SORT, as ours": lambda: library(
        "OCSORTTracker", **AS_OURS, high_conf_det_threshold=OURS.min_score
    ),
    "deep-sort-realtime": realtime,
    "deep-sort-realtime, as ours": lambda: realtime(max_age=OURS.max_age, n_init=OURS.min_hits),
}
MINE: dict[str, Callable[[], Follow]] = {
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


def result(shots: Sequence[Shot], follow: Follow) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Run a tracker over a film: numbers and corners of what it follows, frame by frame."""
    found = []
    for shot in shots:
        numbers = follow(shot)
        kept = numbers >= 0
        found.append((numbers[kept], shot.seen.boxes[kept]))
    return found


def write_mot(path: Path, frames: Sequence[tuple[NDArray[Any], NDArray[np.float32]]]) -> None:
    """Write numbers and corners as a MOT text file."""
    lines = [
        f"{frame},{number},{x0:.3f},{y0:.3f},{x1 - x0:.3f},{y1 - y0:.3f},1,1,1"
        for frame, (numbers, boxes) in enumerate(frames, 1)
        for number, (x0, y0, x1, y1) in zip(numbers.tolist(), boxes.tolist(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")


def judge(
    shots: Sequence[Shot], found: Sequence[tuple[NDArray[Any], NDArray[np.float32]]]
) -> dict[str, float]:
    """Compare with the truth by `trackers.eval`; HOTA and IDF1 in percent, switches in number."""
    from trackers.eval import evaluate_mot_sequence

    with tempfile.TemporaryDirectory() as folder:
        truth, answer = Path(folder, "truth.txt"), Path(folder, "answer.txt")
        write_mot(truth, [(shot.numbers, shot.boxes) for shot in shots])
        write_mot(answer, found)
        figures = evaluate_mot_sequence(truth, answer, ["CLEAR", "HOTA", "Identity"])
    return {
        "HOTA": 100 * figures.HOTA.HOTA,
        "IDF1": 100 * figures.Identity.IDF1,
        "switches": float(figures.CLEAR.IDSW),
        "tracks": float(len({number for numbers, _ in found for number in numbers.tolist()})),
        "objects": float(len({number for shot in shots for number in shot.numbers.tolist()})),
    }


def quality(scenario: Scenario, seeds: Sequence[int], rows: dict[str, Callable[[], Follow]]) -> Figures:
    """Give the figures of each tracker for each seed."""
    figures: Figures = {name: [] for name in rows}
    for seed in seeds:
        shots = film(scenario, seed)
        for name, start in rows.items():
            figures[name].append(judge(shots, result(shots, start())))
    return figures


def speed(objects: int, names: Sequence[str], frames: int = 40) -> dict[str, float]:
    """Give milliseconds for each frame (median), trackers in turn on the same frames, after ten to warm up."""
    shots = film(Scenario("speed", objects, frames=frames, height=(30.0, 90.0)), 1)
    follows = {name: ROWS[name]() for name in names}
    spent: dict[str, list[float]] = {name: [] for name in names}
    for shot in shots:
        for name, follow in follows.items():
            begin = time.process_time()
            follow(shot)
            spent[name].append(1000 * (time.process_time() - begin))
    return {name: median(values[10:]) for name, values in spent.items()}


def table(found: dict[str, Figures], keys: Sequence[str] = ("HOTA", "IDF1", "switches")) -> None:
    """Print figures with their deviation over the seeds, a column for each scenario."""
    print(f"\n| {' / '.join(keys)} | " + " | ".join(found) + " |\n|---|" + "---|" * len(found))
    for name in next(iter(found.values())):
        cells = []
        for figures in found.values():
            columns = [[one[key] for one in figures[name]] for key in keys]
            cells.append(" / ".join(f"{mean(c):.1f} +- {stdev(c) if len(c) > 1 else 0:.1f}" for c in columns))
        print(f"| {name} | " + " | ".join(cells) + " |")


def time_table(times: dict[int, dict[str, float]]) -> None:
    """Print milliseconds, a column for each number of objects."""
    print(
        "\n| CPU ms per frame | "
        + " | ".join(f"{n} objects" for n in times)
        + " |\n|---|"
        + "---|" * len(times)
    )
    for name in next(iter(times.values())):
        print(f"| {name} | " + " | ".join(f"{one[name]:.2f}" for one in times.values()) + " |")


def choose(options: argparse.Namespace) -> dict[str, dict[str, Figures]]:
    """Run what was asked for: all trackers on all scenarios but those of looks, and min-hits."""
    chosen = [s for s in SCENARIOS if s.name in options.scenarios]
    by_look = {name: start for name, start in ROWS.items() if "deep" in name or name == "quadrat sort"}
    hits = {f"min-hits {n}": (lambda n=n: quadrat("bytetrack", n)) for n in (1, 2, 3)}  # fmt: skip
    plain = [s for s in chosen if s not in (*LOOKS, *PARTS)]
    found = {
        "quality": {s.name: quality(s, options.seeds, ROWS) for s in plain},
        "parts": {s.name: quality(s, options.seeds, ROWS) for s in chosen if s in PARTS},
        "looks": {s.name: quality(s, options.seeds, by_look) for s in chosen if s in LOOKS},
        "min-hits": {s.name: quality(s, options.seeds, hits) for s in plain if not options.no_speed},
    }
    return {kind: figures for kind, figures in found.items() if figures}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(REPORTED))
    parser.add_argument("--scenarios", nargs="+", default=[s.name for s in SCENARIOS])
    parser.add_argument("--no-speed", action="store_true", help="quality alone, without min-hits too")
    parser.add_argument("--smoke", action="store_true", help="our side alone, speed only")
    parser.add_argument("--json", type=Path, help="write all figures there")
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
