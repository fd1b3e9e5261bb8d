"""Compare tiling with SAHI and supervision: one network on drawn 4K scenes with exact ground truth, interleaved in one process.

    python -m benchmarks.detect --peers-python PY     PY has sahi, supervision, onnxruntime and opencv
    python -m benchmarks.detect --smoke               two scenes, once; without PY only quadrat

QUADRAT_PEERS_PYTHON also sets PY. The network is examples/rectangles_net.py: its boxes are exact, and it cuts objects
at tile borders as a trained network does. A second table adds errors to the boxes (`benchmarks/tilers.py`).
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
"""First seed of the tables; lower seeds were used while developing the merging."""
Report = dict[str, Any]
"""The report of `tilers.measure`, by scene."""


def run(python: str, network: Path, *words: str) -> Report:
    """Run `benchmarks.tilers` in its own process and return its report; raise RuntimeError if it fails."""
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
    """Return precision and recall at an IoU of 0.5, then of 0.9, over the objects of all seeds."""
    rows = [report[scene]["methods"][method] for report in reports]
    objects = sum(report[scene]["objects"] for report in reports)
    found = max(sum(row["found"] for row in rows), 1)
    low, high = (sum(row["hits"][k] for row in rows) for k in (0, 1))
    return low / found, low / objects, high / found, high / objects


def table(head: str, reports: Sequence[Report], cell: Any) -> None:
    """Print a table with one row per method and one column per scene."""
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


def print_verdict(reports: Sequence[Report], *, timed: bool) -> None:
    """Print where quadrat is behind the best peer, and where it does not surpass a peer's default."""
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
                    equal.append(f"{mine}, {scene}: not better than {default} in any measure")
            if timed:
                least = min(median(methods[m]["other_ms"]) for m in peers)
                if (ms := median(methods[mine]["other_ms"])) > least:
                    slower.append(f"{mine}, {scene}: {ms:.1f} CPU ms against {least:.1f}")
    print("\nBehind the best peer:", "; ".join(behind) or "nowhere")
    print("Not surpassing a default:", "; ".join(equal) or "nowhere")
    if timed:
        print("More CPU time outside the network than the fastest peer:", "; ".join(slower) or "nowhere")


def main() -> None:
    """Print the tables, then compare them with the targets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers-python", default=os.environ.get("QUADRAT_PEERS_PYTHON", ""))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--blur", type=float, default=0.03)
    parser.add_argument(
        "--seeds", type=int, default=4, help="number of scenes of each kind; the first is timed"
    )
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
    table("CPU ms outside the network, min-median-max", exact, times)
    network_ms = [mean(row["network_ms"]) for scene in exact[0].values() for row in scene["methods"].values()]
    print(f"\nNetwork, letterbox, decoding and NMS of each tile: {mean(network_ms):.0f} CPU ms on average")
    quality(f"boxes blurred by {options.blur:.0%}, {seeds} seeds", blurred)
    if any(not m.startswith("quadrat") for m in exact[0][scenes[0]]["methods"]):
        print("\nExact boxes:")
        print_verdict(exact, timed=True)
        print("\nBlurred boxes:")
        print_verdict(blurred, timed=False)
    else:
        print("\nSAHI and supervision were left out: set --peers-python to a Python that has them")


if __name__ == "__main__":
    main()
