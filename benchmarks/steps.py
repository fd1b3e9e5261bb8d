"""Compare each enhancement step with plain compositions of OpenCV, NumPy and scikit-image calls.

    python -m benchmarks.steps [--rounds 5] [--smoke] [--photo FILE]

Run it in .venv-peers (make setup-peers) for the compositions that need scikit-image; elsewhere they are left out. Times
are CPU times with one thread, interleaved in one run: the median of the rounds' ratios, and the least and greatest.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import cv2
import numpy as np

from benchmarks.plain_steps import PLAIN, Pixels
from quadrat.steps import load

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
PIXELS, SMOKE_PIXELS = 1_000_000, 60_000
LEAST_S = 0.02
"""A measurement repeats a step until it has run this long."""


def read(path: Path, pixels: int) -> Pixels:
    """Read a photograph, shrunk to about `pixels` by area averaging, as the service does; noise if there is none."""
    if path.is_file():
        found = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    else:
        found = np.random.default_rng(0).integers(0, 256, (900, 1100, 3), np.uint8)
    scale = min(1.0, (pixels / (found.shape[0] * found.shape[1])) ** 0.5)
    return np.asarray(cv2.resize(found, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def cpu_ms(step: Callable[[Pixels], Pixels], pixels: Pixels) -> float:
    """Return the CPU time of one call in milliseconds."""
    begin, calls = process_time(), 0
    while not calls or process_time() - begin < LEAST_S:
        step(pixels)
        calls += 1
    return 1000 * (process_time() - begin) / calls


def spread(values: Sequence[float], form: str) -> str:
    """Return least, median and greatest value as text."""
    return "-".join(format(value, form) for value in (min(values), median(values), max(values)))


def compare(name: str, peer: str, pixels: Pixels, rounds: int) -> str:
    """Return the row of one step and one composition."""
    ours: Any = load(name).run
    plain = PLAIN[name][peer]
    difference = np.abs(ours(pixels).astype(int) - plain(pixels))
    times = [(cpu_ms(ours, pixels), cpu_ms(plain, pixels)) for _ in range(rounds)]
    cells = [
        name, peer, spread([one for one, _ in times], ".1f"), spread([other for _, other in times], ".1f"),
        spread([other / one for one, other in times], ".2f"), str(difference.max()), f"{difference.mean():.3f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print a row for each step and composition."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="one round on a small picture")
    parser.add_argument("--photo", type=Path, default=SHARED / "photos" / "576.JPG")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    pixels = read(options.photo, SMOKE_PIXELS if options.smoke else PIXELS)
    print(f"{options.photo.name}, {pixels.shape[1]} x {pixels.shape[0]}\n")
    print("| step | plain composition | ours, CPU ms | plain, CPU ms | plain / ours | greatest | mean |")
    print("|---|---|---|---|---|---|---|")
    for name, peers in PLAIN.items():
        for peer in peers:
            if "scikit-image" in peer and not find_spec("skimage"):
                continue
            print(compare(name, peer, pixels, 1 if options.smoke else options.rounds), flush=True)


if __name__ == "__main__":
    main()
