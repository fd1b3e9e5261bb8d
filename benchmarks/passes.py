"""Several models in one pass against an order for each: what decoding every picture once saves.

    python -m benchmarks.passes                     the example models on the example images and videos
    python -m benchmarks.passes --images PHOTOS     on photographs of your own
    python -m benchmarks.passes --smoke             one round

Each round runs, in turn, an order with the first model, one with the second, and one with both; all models are loaded
before. A ratio is the time of the order with both over the sum of the other two: 1 means that nothing is saved.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

from benchmarks.video import order_on
from quadrat.parameters import Settings
from quadrat.pipeline.models import Pass, load_models
from quadrat.stores.folder import FolderStore

ROOT = Path(__file__).resolve().parent.parent
MODELS = [ROOT / "examples" / "models" / f"{name}.tgz" for name in ("seagrass-tiny", "rectangles")]
LOG = logging.getLogger("quadrat.benchmark")
LOG.setLevel(logging.ERROR)


def seconds(models: Pass, sources: Path, *, moving: bool) -> float:
    """Run one order and return its time."""
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as made:
        out = Path(made, "out")
        out.mkdir()
        begin = perf_counter()
        order_on(models, FolderStore(MODELS[: len(models)], sources, out, moving=moving), LOG)
        return perf_counter() - begin


def compare(name: str, sources: Path, rounds: int, *, moving: bool) -> None:
    """Print a row: the times of both orders and of the one pass, and the ratio with its spread."""
    with ExitStack() as stack:
        loaded = [
            stack.enter_context(load_models(archives, Settings(), LOG, throughput=moving))
            for archives in ([MODELS[0]], [MODELS[1]], MODELS)
        ]
        times: list[list[float]] = []
        for turn in range(rounds + 1):
            round_s = [seconds(models, sources, moving=moving) for models in loaded]
            if turn or rounds == 0:  # the first round warms up
                times.append(round_s)
    ratios = sorted(both / (first + second) for first, second, both in times)
    first, second, both = (statistics.median(each) for each in zip(*times, strict=True))
    print(
        f"| {name} | {first:.2f} | {second:.2f} | {both:.2f} "
        f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |"
    )


def main() -> None:
    """Run the benchmark as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, default=ROOT / "examples" / "images")
    parser.add_argument("--videos", type=Path, default=ROOT / "examples" / "videos")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="one round")
    given = parser.parse_args()
    rounds = 0 if given.smoke else given.rounds
    print("| sources | first model, s | second model, s | both in one pass, s | ratio |")
    print("|---|---|---|---|---|")
    compare("images", given.images, rounds, moving=False)
    compare("videos", given.videos, rounds, moving=True)


if __name__ == "__main__":
    main()
