"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Tests that use onnxruntime themselves send nothing either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# How long one example takes says more of the machine than of us; a test's own time limit stays.
settings.register_profile("quadrat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("quadrat")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real photographs and archives; absent only in a clone without them, never where they should be."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside this clone")
    return folder / "data"


@pytest.fixture(scope="session")
def photo_5mp(shared: Path) -> Path:
    """A seagrass quadrat, 2560x2048, no EXIF."""
    return shared / "photos" / "576.JPG"


@pytest.fixture(scope="session")
def photo_small(shared: Path) -> Path:
    """A quadrat, 657x667, with EXIF."""
    return shared / "photos" / "quadrant.jpg"


@pytest.fixture(scope="session")
def archive_pdmodel(shared: Path) -> Path:
    """SegFormer-B0, two classes, argmax in the graph, as `.pdmodel`."""
    return shared / "models" / "seagrass-segformer-b0.paddle2.tgz"


@pytest.fixture(scope="session")
def archive_pir(shared: Path) -> Path:
    """The same weights as a PIR `model.json`."""
    return shared / "models" / "seagrass-segformer-b0.paddle3.tgz"
