"""Tiles against SAHI and supervision: the same network on drawn 4K scenes with exact truth, in one process, in turn.

    python -m benchmarks.detect --peers-python PY     PY has sahi, supervision, onnxruntime and opencv
    python -m benchmarks.detect --smoke               two scenes, once; without PY our side alone

QUADRAT_PEERS_PYTHON names PY too. The network is examples/rectangles_net.py: its boxes are exact, and objects
are cut at a tile's border as a trained one cuts them. A second table blurs the boxes (`benchmarks/tilers.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.process import spread
from benchmarks.scenes import SCENES
from examples.rectangles_net import build

ROOT = Path(__file__).resolve().parent.parent
MEASURES = ("precision at 0.5", "recall at 0.5", "precision at 0.9", "recall at 0.9")
DEFAULTS = ("SAHI GREEDYNMM/IOS, whole (default)", "supervision NMS/IOU (default)")
OURS = ("quadrat ios", "quadrat ios, whole")
REPORTED = 201
"""The first seed of the tables; lower ones were looked at while merging was built."""
Report = dict[str, Any]
"""By scene: "objects", and by method what `tilers.measure` gives."""


def run(python: str, network: Path, *words: str) -> Report:
    """Measure in a process of its own and give its report; RuntimeError where it fails."""
    print("  measuring", *words, flush=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "-m", "benchmarks.tilers", str(network), *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{python}: exit {done.returncode}\n{done.stderr[-2000:]}")
    report: Report = json.loads(done.stdout.splitlines()[-1])
    return report


def rates(reports: Sequence[Report], scene: str, method: str) -> tuple[float, float, float, float]:
    """Precision and recall at 0.5 and 0.9, over all seeds' objects together."""
    rows = [report[scene]["methods"][method] for report in reports]
    objects = sum(report[scene]["objects"] for report in reports)
    found = max(sum(row["found"] for row in rows), 1)
    low, high = (sum(row["hits"][k] for row in rows) for k in (0, 1))
    return low / found, low / objects, high / found, high / objects


def table(head: str, reports: Sequence[Report], cell: Any) -> None:
    """Print one row for each method and one column for each scene."""
    (first, *_) = reports
    print(f"\n| {head} | " + " | ".join(first) + " |")
    print("|---" * (len(first) + 1) + "|")
    for method in next(iter(first.values()))["methods"]:
        print(f"| {method} | " + " | ".join(cell(scene, method) for scene in first) + " |")


def quality(head: str, reports: Sequence[Report]) -> None:
    """Print precision / recall at 0.5, then at 0.9."""

    def cell(scene: str, method: str) -> str:
        a, b, c, d = rates(reports, scene, method)
        return f"{a:.3f}/{b:.3f} {c:.3f}/{d:.3f}"

    table(head, reports, cell)


def verdict(reports: Sequence[Report], *, timed: bool) -> None:
    """Say where we are behind the best of the peers, and whether both defaults are surpassed."""
    (first, *_) = reports
    behind, slower, equal = [], [], []
    for scene in first:
        methods = first[scene]["methods"]
        peers = [m for m in methods if not m.startswith("quadrat")]
        best = [max(rates(reports, scene, m)[k] for m in peers) for k in range(4)]
        for mine in OURS:
            given = rates(reports, scene, mine)
            behind += [
                f"{mine}, {scene}: {MEASURES[k]} {given[k]:.3f} against {best[k]:.3f}"
                for k in range(4)
                if given[k] < best[k] - 1e-9
            ]
            for default in DEFAULTS:
                theirs = rates(reports, scene, default)
                if not any(a > b for a, b in zip(given, theirs, strict=True)):
                    equal.append(f"{mine}, {scene}: in nothing better than {default}")
            if timed:
                least = min(median(methods[m]["other_ms"]) for m in peers)
                if (ms := median(methods[mine]["other_ms"])) > least:
                    slower.append(f"{mine}, {scene}: {ms:.1f} CPU ms against {least:.1f}")
    print("\nBehind the best peer:", "; ".join(behind) or "nowhere")
    print("Not surpassing a default:", "; ".join(equal) or "nowhere")
    if timed:
        print("More CPU time beside the network than the quickest peer:", "; ".join(slower) or "nowhere")


def main() -> None:
    """Print the tables, then what they say about the targets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers-python", default=os.environ.get("QUADRAT_PEERS_PYTHON", ""))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--blur", type=float, default=0.03)
    parser.add_argument("--seeds", type=int, default=4, help="scenes of each kind; the first is timed")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    python = options.peers_python or sys.executable
    scenes = ["apart, 120", "nested"] if options.smoke else list(SCENES)
    rounds, seeds = (1, 1) if options.smoke else (options.rounds, options.seeds)
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as folder:
        network = Path(folder) / "rectangles.onnx"
        network.write_bytes(build().SerializeToString())
        exact, blurred = [], []
        for turn in range(seeds):
            words = ["--seed", str(REPORTED + turn), "--scenes", *scenes]
            exact.append(run(python, network, "--rounds", str(0 if turn else rounds), *words))
            blurred.append(run(python, network, "--rounds", "0", "--blur", str(options.blur), *words))

    def times(scene: str, method: str) -> str:
        return spread(exact[0][scene]["methods"][method]["other_ms"], ".1f")

    quality(f"exact boxes, {seeds} seeds: precision/recall at 0.5, at 0.9", exact)
    table("CPU ms beside the network, min-median-max", exact, times)
    network_ms = [mean(row["network_ms"]) for scene in exact[0].values() for row in scene["methods"].values()]
    print(f"\nNetwork, letterbox, decoding and NMS of each tile: {mean(network_ms):.0f} CPU ms on average")
    quality(f"boxes blurred by {options.blur:.0%}, {seeds} seeds", blurred)
    if any(not m.startswith("quadrat") for m in exact[0][scenes[0]]["methods"]):
        print("\nExact boxes:")
        verdict(exact, timed=True)
        print("\nBlurred boxes:")
        verdict(blurred, timed=False)
    else:
        print("\nSAHI and supervision were left out: name a Python that has them with --peers-python")


if __name__ == "__main__":
    main()
