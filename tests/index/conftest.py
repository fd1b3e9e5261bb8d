"""Pictures and a model for orders with an index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.index.orders import COLOURS
from tests.networks import colour_archive


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of one colour each, in two sites."""
    folder = tmp_path / "photos"
    for name, colour in COLOURS.items():
        site = folder / ("north" if name.startswith("r") else "south")
        site.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((24, 32, 3), colour, np.uint8)).save(site / f"{name}.png")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An archive whose vector is the mean colour."""
    return colour_archive(tmp_path / "colour.tgz")
