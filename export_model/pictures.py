"""Read a photograph that a network is tried on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from export_model.network import existing
from quadrat.errors import ParameterError
from quadrat.types import ImageU8


def read(path: Path) -> ImageU8:
    """Return the upright picture (h, w, 3) uint8 RGB; ParameterError if the file is no picture."""
    try:
        with Image.open(existing(path, "--picture")) as opened:
            return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"), np.uint8)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ParameterError("it is not a picture that can be read", where=f"--picture {path}") from error
