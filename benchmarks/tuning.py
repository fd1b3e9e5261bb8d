"""The choice of batch-size=auto and cpu-threads=auto against an exhaustive sweep of both.

    python -m benchmarks.tuning                               the example models, at two sizes each
    python -m benchmarks.tuning --model ARCHIVE --side 512    an archive of your own as well
    python -m benchmarks.tuning --quick                       one round of a few values

Sweeps and searches alternate: each round times every pair of values once, several runs each, and then lets auto choose
from nothing. The rate of a pair is that of its fastest run over all rounds. The share is the swept rate of the chosen pair
over the best swept rate: 1 means that the choice is the best one.
"""

from __future__ import annotations

import argparse
import logging
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.engines.common import usable_cores
from quadrat.geometry import Geometry
from quadrat.media import images
from quadrat.parameters import Settings
from quadrat.pipeline import tune
from quadrat.pipeline.models import LoadedModel, load_models
from quadrat.pipeline.tune import Tuner
from quadrat.pipeline.tuned import Choices, Tuned
from quadrat.types import Blob, FrameKey

ROOT = Path(__file__).resolve().parent.parent
MODELS = {name: ROOT / "examples" / "models" / f"{name}.tgz" for name in ("seagrass-tiny", "rectangles")}
PICTURES = sorted((ROOT / "examples" / "images").rglob("*.jpg"))
RUNS, RUN_S = 3, 0.2
"""The fewest runs, and the fewest seconds, of each pair of values in a round."""
LOG = logging.getLogger("quadrat.benchmark")
LOG.setLevel(logging.ERROR)
logging.getLogger("quadrat").setLevel(logging.ERROR)
Rates = dict[tuple[int, int], float]


def inputs(model: LoadedModel, side: int, count: int = 4) -> list[NDArray[np.float32]]:
    """Prepare the example pictures for a model, all at the size of the first, shrunk to a long side."""
    found: list[NDArray[np.float32]] = []
    for path in PICTURES:
        frame = images.decode(Blob(path), FrameKey(str(path)), f"{side}px")
        height, width = frame.pixels.shape[:2]
        tensor, _ = model.transform(frame.pixels, Geometry.identity((height, width)))
        if not found or tensor.shape == found[0].shape:
            found.append(tensor)
    return found[:count]


def threads() -> list[int]:
    """List the numbers of threads of the sweep: 1, 2, 4 and so on, and all cores."""
    return sorted({n for n in (1 << power for power in range(10)) if n <= usable_cores()} | {usable_cores()})


def sweep(
    model: LoadedModel, tensors: Sequence[NDArray[np.float32]], sizes: Sequence[int], best: Rates
) -> float:
    """Time every pair of values, keep the best rate of each in `best`, and return the seconds that the sweep took."""
    begin = perf_counter()
    engine: Any = model.engine
    for count in threads():
        engine.set_threads(count)
        for size in sizes:
            batch = np.stack([tensors[n % len(tensors)] for n in range(size)])
            engine.run(batch, model.task.wanted)
            first, done = perf_counter(), 0
            while done < RUNS or perf_counter() - first < RUN_S:
                done += 1
                start = perf_counter()
                engine.run(batch, model.task.wanted)
                rate = size / (perf_counter() - start)
                best[count, size] = max(rate, best.get((count, size), 0.0))
    engine.set_threads(min(10, usable_cores()))
    return perf_counter() - begin


def compare(name: str, archive: Path, side: int, rounds: int, sizes: Sequence[int]) -> None:
    """Print a row: the best pair, the pairs that were chosen, their share of its rate, and what choosing cost."""
    settings = Settings.of({"batch_size": "auto", "cpu_threads": "auto", "executor": "isolated"})
    with load_models([archive], settings, LOG, isolated=True) as models:
        (model,) = models.values()
        tensors = inputs(model, side)
        best: Rates = {}
        chosen, costs, swept = [], [], []
        for _ in range(rounds):
            swept.append(sweep(model, tensors, sizes, best))
            tuning = Tuner(replace(model, tuned=Tuned()), tensors, Choices(None)).tune()
            chosen.append((tuning.cpu_threads, tuning.batch_size))
            costs.append(tuning.seconds)
            if chosen[-1] not in best:  # a short sweep leaves sizes out
                sweep(model, tensors, [tuning.batch_size], best)
            model.engine.set_threads(min(10, usable_cores()))  # type: ignore[attr-defined]  # every engine here has it
    fastest = max(best, key=lambda pair: best[pair])
    shares = sorted(best[pair] / best[fastest] for pair in chosen)
    default = best[min(10, usable_cores()), 1] / best[fastest]
    height, width = tensors[0].shape[1:]
    print(
        f"| {name}, {width} x {height} | {fastest[1]}, {fastest[0]} | {', '.join(f'{s}, {t}' for t, s in dict.fromkeys(chosen))} "
        f"| **{shares[0]:.2f}-{statistics.median(shares):.2f}-{shares[-1]:.2f}** | {default:.2f} "
        f"| {statistics.median(costs):.1f} | {statistics.median(swept):.1f} |"
    )


def main() -> None:
    """Run the benchmark as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="another archive")
    parser.add_argument("--side", type=int, default=512, help="long side of its inputs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", "--smoke", action="store_true", help="one round of a few values")
    given = parser.parse_args()
    sizes = (1, 2, 4) if given.quick else tune.SIZES
    rounds = 1 if given.quick else given.rounds
    print(
        "| network, input | best batch, threads | chosen | share of the best rate | default's share | s to choose | s to sweep |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, archive in MODELS.items():
        for side in (128,) if given.quick else (128, 320):
            compare(name, archive, side, rounds, sizes)
    if given.model:
        compare(given.model.stem, given.model, given.side, rounds, sizes)


if __name__ == "__main__":
    main()
