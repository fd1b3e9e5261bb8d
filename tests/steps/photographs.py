"""Real photographs for the tests of the steps."""

from __future__ import annotations

from pathlib import Path

from quadrat.media import images
from quadrat.types import Blob, FrameKey, ImageU8

DATA = Path(__file__).parents[3] / "shared" / "data"


def photograph(name: str, max_pixels: int = -1) -> ImageU8:
    """Read a shared photograph (h, w, 3) uint8 RGB, shrunk to at most `max_pixels`."""
    folder = "photos" if (DATA / "photos" / name).is_file() else "pictures"
    return images.decode(Blob(DATA / folder / name), FrameKey("urn:p"), max_pixels).pixels
