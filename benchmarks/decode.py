"""Measure how the JPEG codec's own down-scaling would change the cover, and so why photographs are decoded in full.

    python -m benchmarks.decode [--model ARCHIVE] [--photos FOLDER]

Each photograph is reduced to working size by area averaging, once from the full decode (as in the service) and once
from the codec's scaled decode; the same network measures both.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path
from time import process_time

import cv2
import numpy as np
import simplejpeg

from benchmarks.photos import make_photos
from benchmarks.segment import B0, SHARED
from quadrat.geometry import Geometry
from quadrat.media.size import working_hw
from quadrat.parameters import Settings
from quadrat.pipeline.models import LoadedModel, load_models
from quadrat.types import Frame, FrameKey, ImageU8, Part

LIMIT_POINTS = 0.1


def cover(model: LoadedModel, pixels: ImageU8) -> float:
    """Return the cover of the last class in percent."""
    hw = pixels.shape[:2]
    tensor, geometry = model.transform(pixels, Geometry.identity(hw))
    arrays = model.engine.run(tensor[None], model.task.wanted)
    part = Part({name: array[0] for name, array in arrays.items()}, geometry)
    fold = model.task.start(Frame(FrameKey("x"), hw, pixels))
    fold.add(0, part)
    labels = fold.finish().labels
    return 100 * float((labels == labels.max()).mean())


def shrink(pixels: ImageU8, hw: tuple[int, int]) -> ImageU8:
    """Shrink by area averaging, as media.images does."""
    return np.asarray(cv2.resize(pixels, hw[::-1], interpolation=cv2.INTER_AREA))


def main() -> None:
    """Print one row per photograph, then the largest difference."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=B0)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos")
    parser.add_argument("--images", type=int, default=6)
    options = parser.parse_args()
    differences = []
    with (
        tempfile.TemporaryDirectory() as folder,
        load_models([options.model], Settings(), logging.getLogger("quadrat")) as models,
    ):
        (model,) = models.values()
        real = sorted(p for p in options.photos.rglob("*") if p.suffix.lower() == ".jpg")
        made = make_photos(real, Path(folder), options.images)
        print(
            "| photograph | size | full: cover % | CPU ms | codec's size | scaled: cover % | CPU ms | points |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for path in [*real, *made]:
            body = path.read_bytes()
            begin = process_time()
            full = simplejpeg.decode_jpeg(body)
            hw = working_hw(full.shape[:2], 1_000_000)
            if hw == full.shape[:2]:
                continue
            small, full_ms = shrink(full, hw), 1000 * (process_time() - begin)
            begin = process_time()
            scaled = simplejpeg.decode_jpeg(body, min_height=hw[0], min_width=hw[1])
            other, scaled_ms = shrink(scaled, hw), 1000 * (process_time() - begin)
            covers = cover(model, small), cover(model, other)
            differences.append(abs(covers[1] - covers[0]))
            sizes = [f"{a.shape[1]} x {a.shape[0]}" for a in (full, scaled)]
            print(
                f"| {path.name} | {sizes[0]} | {covers[0]:.2f} | {full_ms:.0f} "
                f"| {sizes[1]} | {covers[1]:.2f} | {scaled_ms:.0f} | {covers[1] - covers[0]:+.2f} |"
            )
    print(
        f"\nlargest difference: {max(differences):.2f} points (limit: {LIMIT_POINTS}); the service decodes in full: 0"
    )


if __name__ == "__main__":
    main()
