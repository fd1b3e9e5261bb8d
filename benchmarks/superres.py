"""Super-resolution: tiles against the whole, quality against bicubic interpolation, and time against other ways.

    python -m benchmarks.superres                        everything; needs ../shared for the quality
    python -m benchmarks.superres --quick                small pictures, one round
    python -m benchmarks.superres --shared DATA          the folder with networks/ and pictures/

Exactness: a network of ten 3x3 convolutions, scale 4, on pictures of several sizes; the largest difference of any value between the
picture from tiles and that of one run on the whole. Beside it, what tiles with half the overlap give.

Quality: photographs made three times smaller with Pillow, and larger again; peak signal-to-noise ratio in dB on luma against the photograph,
without a border of 9 pixels. The network was trained on pictures that were made smaller with the bilinear filter.

Time: quadrat's tiles against one run on the whole, and against a plain loop (crop with the same overlap, ONNX Runtime, paste), all with
ONNX Runtime and two threads, in turn.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from export_model.export import main as pack
from quadrat.parameters import parse
from quadrat.pipeline.models import Pass, load_models
from quadrat.pipeline.run import Run
from quadrat.types import Blob, ImageU8, Source
from tests.enhancers import enlarger

ROOT = Path(__file__).resolve().parent.parent
SCALE, DEPTH, WIDE = 4, 10, 32
SIZES = ((64, 64), (129, 257), (375, 500), (1, 700), (611, 803))
TILES = (64, 128, 256)
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "dog.jpg", "home.jpg", "leuvenA.jpg", "motorcycle_left.png")
LOG = logging.getLogger("quadrat.benchmark")
LOG.setLevel(logging.ERROR)
Picture = Callable[[ImageU8], ImageU8]


def photograph(height: int, width: int) -> ImageU8:
    """Draw a picture with smooth areas, edges and noise, the same every time."""
    rng = np.random.default_rng(height * 10_007 + width)
    small = rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


@contextmanager
def quadrat(archive: Path, engine: str, tile: int) -> Iterator[Picture]:
    """Give a function that makes pictures with an archive, through the pipeline of an order on images."""
    values = {"engine": engine, "executor": "local", "cpu_threads": 2, "tile_size": tile}
    with load_models([archive], parse(values), LOG) as models:
        yield lambda pixels: made(models, pixels)


def made(models: Pass, pixels: ImageU8) -> ImageU8:
    """Run one picture through the pipeline."""

    @contextmanager
    def pull(_source: Source) -> Iterator[Blob]:
        yield Blob(pixels)

    (result,) = Run(models, [Source("urn:a", "a.png")], pull)
    (prediction,) = result.predictions.values()
    return prediction.pixels


class Plain:
    """What people write without quadrat: a session, and a loop of tiles that are cropped with an overlap and pasted."""

    def __init__(self, network: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def whole(self, pixels: ImageU8) -> ImageU8:
        """Run the network once."""
        batch = (pixels.astype(np.float32) / 255).transpose(2, 0, 1)[None]
        out = self._session.run(None, {"x": np.ascontiguousarray(batch)})[0][0]
        return np.rint(np.clip(out, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)

    def tiles(self, pixels: ImageU8, tile: int, margin: int) -> ImageU8:
        """Run the network on tiles that advance by `tile` without `margin` on each side."""
        height, width = pixels.shape[:2]
        step = tile - 2 * margin
        out = np.empty((height * SCALE, width * SCALE, 3), np.uint8)
        for top in range(0, height, step):
            for left in range(0, width, step):
                y, x = max(0, top - margin), max(0, left - margin)
                bottom, right = min(height, top + step), min(width, left + step)
                part = self.whole(pixels[y : min(height, bottom + margin), x : min(width, right + margin)])
                inner = part[
                    (top - y) * SCALE : (bottom - y) * SCALE, (left - x) * SCALE : (right - x) * SCALE
                ]
                out[top * SCALE : bottom * SCALE, left * SCALE : right * SCALE] = inner
        return out


def exactness(archive: Path, network: bytes, sizes: tuple[tuple[int, int], ...]) -> None:
    """Print the largest differences between tiles and the whole."""
    print(
        "| picture | engine | tiles | largest difference, of 255 | with half the overlap |\n|---|---|---|---|---|"
    )
    plain = Plain(network)
    for engine in ("openvino", "onnx"):
        for tile in TILES:
            with quadrat(archive, engine, tile) as tiled, quadrat(archive, engine, 1024) as whole:
                for height, width in sizes:
                    pixels = photograph(height, width)
                    gap = difference(tiled(pixels), whole(pixels))
                    half = difference(plain.tiles(pixels, tile, DEPTH // 2), plain.whole(pixels))
                    print(
                        f"| {width} x {height} | {engine} | {tile} | {gap} | {half if engine == 'onnx' else ''} |"
                    )


def difference(one: ImageU8, two: ImageU8) -> int:
    """Return the largest difference of two pictures."""
    return int(np.abs(one.astype(np.int16) - two.astype(np.int16)).max())


def quality(shared: Path, folder: Path) -> None:
    """Print the signal-to-noise ratios of a trained network and of bicubic interpolation."""
    archive = folder / "supres.tgz"
    if pack(
        [
            "--onnx",
            str(shared / "networks" / "supres_y.onnx"),
            "--task",
            "enhance",
            "--save-path",
            str(archive),
        ]
    ):
        raise RuntimeError("supres_y cannot be packed")
    print(
        "| photograph | made smaller by | supres_y x3, dB | bicubic, dB | gain, dB |\n|---|---|---|---|---|"
    )
    with quadrat(archive, "openvino", 0) as larger:
        for name in PHOTOGRAPHS:
            with Image.open(shared / "pictures" / name) as opened:
                photo = opened.convert("RGB")
            width, height = (side // 3 * 3 for side in photo.size)
            photo = photo.crop((0, 0, width, height))
            for kind in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC):
                small = photo.resize((width // 3, height // 3), kind)
                bicubic = small.resize((width, height), Image.Resampling.BICUBIC)
                ours, theirs = (
                    psnr(np.asarray(each), np.asarray(photo)) for each in (larger(np.asarray(small)), bicubic)
                )
                print(f"| {name} | {kind.name.lower()} | {ours:.2f} | {theirs:.2f} | {ours - theirs:+.2f} |")


def psnr(one: ImageU8, two: ImageU8) -> float:
    """Return the peak signal-to-noise ratio of luma in dB, without the border."""
    gap = (luma(one) - luma(two))[9:-9, 9:-9]
    return float(10 * np.log10(255**2 / np.mean(gap * gap)))


def luma(pixels: ImageU8) -> NDArray[np.float64]:
    """Return the luma of JPEG."""
    return pixels @ np.array([0.299, 0.587, 0.114])


def times(archive: Path, network: bytes, hw: tuple[int, int], rounds: int) -> None:
    """Print the times of quadrat's tiles, the whole and a plain loop, and their ratios, taken in turn."""
    pixels, plain = photograph(*hw), Plain(network)
    print(
        "| tiles | quadrat, s | whole, s | plain loop, s | quadrat / whole | quadrat / loop |\n|---|---|---|---|---|---|"
    )
    for tile in (128, 256, 512):
        with quadrat(archive, "onnx", tile) as tiled:
            ways = (tiled, plain.whole, partial(plain.tiles, tile=tile, margin=DEPTH))
            taken = [[timed(way, pixels) for way in ways] for _ in range(rounds + 1)][1 if rounds else 0 :]
        ours, whole, loop = (statistics.median(each) for each in zip(*taken, strict=True))
        ratios = [statistics.median(one[0] / one[at] for one in taken) for at in (1, 2)]
        print(f"| {tile} | {ours:.2f} | {whole:.2f} | {loop:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def timed(way: Picture, pixels: ImageU8) -> float:
    """Return the seconds that a picture takes."""
    begin = perf_counter()
    way(pixels)
    return perf_counter() - begin


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small pictures, one round, no quality")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as made_in:
        folder = Path(made_in)
        network = enlarger(SCALE, depth=DEPTH, wide=WIDE)
        (folder / "net.onnx").write_bytes(network)
        archive = folder / "net.tgz"
        if pack(["--onnx", str(folder / "net.onnx"), "--task", "enhance", "--save-path", str(archive)]):
            raise RuntimeError("the network cannot be packed")
        exactness(archive, network, SIZES[:2] if given.quick else SIZES)
        if not given.quick and given.shared.is_dir():
            quality(given.shared, folder)
        times(
            archive, network, (200, 260) if given.quick else (768, 1024), 0 if given.quick else given.rounds
        )


if __name__ == "__main__":
    main()
