"""Print the facts of photographs as they are, and of darkened, blurred and shrunk ones: how far each flag is from them.

    python -m benchmarks.flags [--photos FOLDER ...]

Also measures what the facts cost beside decoding.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import process_time

import cv2
import numpy as np

from benchmarks.segment import SHARED
from quadrat.media import images
from quadrat.media.facts import flags_of, picture_facts
from quadrat.types import Blob, FrameKey, ImageU8

ROUNDS = 5
SUFFIXES = (".jpg", ".jpeg", ".png")


def blurred(pixels: ImageU8, share: float) -> ImageU8:
    """Blur a picture; the Gauss kernel's sigma is the long side divided by `share`."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), max(pixels.shape[:2]) / share), np.uint8)


def cpu_ms(path: Path, *, with_facts: bool) -> float:
    """Return the least CPU time of decoding a file, in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        begin = process_time()
        images.decode(Blob(path), FrameKey("x"), 1_000_000, with_facts=with_facts)
        times.append(1000 * (process_time() - begin))
    return min(times)


def row(path: Path) -> str:
    """Return the row of one photograph."""
    frame = images.decode(Blob(path), FrameKey("x"), -1)
    facts, pixels = frame.facts, frame.pixels
    if facts is None:
        raise ValueError(path)
    dark = picture_facts((pixels * 0.2).astype(np.uint8)).brightness
    soft = [picture_facts(blurred(pixels, share)).sharpness for share in (400, 150)]
    plain, cost = (cpu_ms(path, with_facts=given) for given in (False, True))
    flags = " ".join(flags_of(facts, frame.source_hw)) or "none"
    cells = [
        path.name, f"{pixels.shape[1]} x {pixels.shape[0]}", f"{facts.brightness:.3f}", f"{dark:.3f}",
        f"{facts.contrast:.3f}", f"{facts.sharpness:.3f}", *(f"{each:.4f}" for each in soft), f"{facts.clipped:.3f}", flags,
        f"{plain:.0f}", f"{cost - plain:.0f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print one row per photograph."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", default=[SHARED / "photos", SHARED / "pictures"])
    folders = parser.parse_args().photos
    paths = [
        path for folder in folders for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES
    ]
    for path in paths:
        if not path.name.endswith(".pseudo.png"):
            print(row(path))


if __name__ == "__main__":
    main()
