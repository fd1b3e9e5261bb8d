"""How the files beside this one were made, by GDAL (rasterio 1.4.4) and tifffile 2026.3.3: two strangers' writers.

    pip install rasterio tifffile imagecodecs && python -m tests.media.mosaics.make

Both show `tests.pictures.drawing(72, 100)`; their fourth band, where they have one, is its first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.pictures import drawing

HERE = Path(__file__).parent
RGB = drawing(72, 100)
FOUR = np.dstack([RGB, RGB[..., 0]])


def wide(pixels: np.ndarray) -> np.ndarray:
    """Make 16 bits whose high byte is the pixel."""
    return pixels.astype(np.uint16) * 256 + 77


def by_tifffile() -> None:
    """Write what GDAL does not write: big-endian order, one strip, planes of strips."""
    import tifffile

    def write(name: str, pixels: np.ndarray, **options: Any) -> None:
        tifffile.imwrite(HERE / f"{name}.tif", pixels, metadata=None, **{"photometric": "rgb", **options})

    tiles = {"tile": (32, 32)}
    write("one-strip", RGB)
    write("big-endian-rgb16-lzw", wide(RGB), byteorder=">", compression="lzw", predictor=True, **tiles)
    write("planes-of-strips", np.moveaxis(RGB, 2, 0), planarconfig="separate")
    write(
        "grey16-strips", wide(RGB[..., 0]), photometric="minisblack", rowsperstrip=10, compression="deflate"
    )
    write("white-is-zero", 255 - RGB[..., 0], photometric="miniswhite", compression="lzw", **tiles)
    write("rgba16", wide(FOUR), extrasamples=["unassalpha"], compression="lzw", **tiles)
    write("big-big-endian", RGB, byteorder=">", bigtiff=True, compression="lzw", **tiles)
    write("float", RGB[..., 0].astype(np.float32), photometric="minisblack", compression="lzw", **tiles)
    with tifffile.TiffWriter(HERE / "pages.tif") as pages:
        for _ in range(2):
            pages.write(RGB, photometric="rgb", compression="lzw", metadata=None)


def by_gdal() -> None:
    """Write georeferenced files: tiles of every packing, overviews, a mask, tiles never written."""
    import rasterio
    from rasterio.shutil import copy
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    def write(name: str, pixels: np.ndarray, window: Window | None = None, **options: Any) -> Path:
        path = HERE / f"{name}.tif"
        tiled = {"tiled": True, "blockxsize": 32, "blockysize": 32}
        options = {"driver": "GTiff", "crs": "EPSG:32750", **tiled, **options}
        with rasterio.open(
            path, "w", height=72, width=100, count=pixels.shape[2], dtype=pixels.dtype,
            transform=from_origin(400_000, 6_400_000, 0.01, 0.01), **options,
        ) as made:  # fmt: skip
            made.write(np.moveaxis(pixels, 2, 0), window=window)
            if name == "mask-and-overviews":
                made.write_mask(np.full((72, 100), 255, np.uint8))
                made.build_overviews([2, 4])
        return path

    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        masked = write("mask-and-overviews", RGB, compress="jpeg", photometric="ycbcr", JPEG_QUALITY=95)
        copy(masked, HERE / "cloud-optimised.tif", driver="COG", compress="deflate", blocksize=64)
    write("jpeg-strips", RGB, compress="jpeg", photometric="ycbcr", JPEG_QUALITY=95, tiled=False)
    write("jpeg-rgb", RGB, compress="jpeg", JPEG_QUALITY=95)
    write("bigtiff-deflate", RGB, compress="deflate", predictor=2, BIGTIFF="YES")
    write("planes-lzw", RGB, compress="lzw", interleave="band", photometric="rgb")
    write("rgba-lzw", FOUR, compress="lzw", photometric="rgb")
    write("four-bands16-zstd", wide(FOUR), compress="zstd", photometric="rgb")
    write("bands-without-colours", wide(FOUR), compress="lzw")
    write("sparse", RGB[32:64, :32], Window(0, 32, 32, 32), compress="lzw", SPARSE_OK=True)


if __name__ == "__main__":
    by_tifffile()
    by_gdal()
