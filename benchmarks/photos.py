"""Make survey photographs for timing: cropped and scaled from real ones, so that decoding them costs the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((2560, 2048), (4000, 3000), (2592, 1944), (3264, 2448))
"""(width, height) of common cameras, about 5 megapixels and more."""


def make_photos(originals: Sequence[Path], folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write `count` JPEGs of SIZES: random crops of the originals, scaled to camera sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pictures = [Image.open(path).convert("RGB") for path in originals]
    paths = []
    for number in range(count):
        picture = pictures[number % len(pictures)]
        width, height = SIZES[number % len(SIZES)]
        share = rng.uniform(0.6, 1.0)
        cut_w = round(share * picture.width)
        cut_h = min(picture.height, round(cut_w * height / width))
        left = int(rng.integers(0, picture.width - cut_w + 1))
        top = int(rng.integers(0, picture.height - cut_h + 1))
        window = picture.crop((left, top, left + cut_w, top + cut_h)).resize((width, height))
        path = folder / f"photo-{number:03d}.jpg"
        window.save(path, quality=92)
        paths.append(path)
    return paths
