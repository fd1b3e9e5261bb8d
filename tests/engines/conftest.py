"""Fixtures for engine tests: opened archives, tensors of a real photograph, and a shared cache."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from quadrat.package import open_archive
from quadrat.types import ModelPackage
from tests.engines import graphs

ROLES = {"labels": "labels", "confidence": "confidence", "logits": "logits"}


@pytest.fixture
def log() -> logging.Logger:
    """The logger for engines."""
    return logging.getLogger("quadrat.test")


@pytest.fixture(scope="session")
def cache_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled networks."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a cache of compiled networks shared by the tests instead of the user's."""
    monkeypatch.setenv("QUADRAT_CACHE_DIR", str(cache_root))


@pytest.fixture(scope="session")
def pdmodel(archive_pdmodel: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """SegFormer-B0 as .pdmodel, opened."""
    return open_archive(archive_pdmodel, tmp_path_factory.mktemp("pdmodel"))


@pytest.fixture(scope="session")
def pir(archive_pir: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """The same weights as PIR, opened."""
    return open_archive(archive_pir, tmp_path_factory.mktemp("pir"))


def package_of(path: Path, **changes: Any) -> ModelPackage:
    """Return a package around one ONNX file, by default without roles."""
    plain = ModelPackage(
        root=path.parent, name="tiny", digest="", task="segment", engines={"onnx": path}, params=None,
        transforms=(), classes=(), num_classes=3, input_shape=(None, 3, None, None),
    )  # fmt: skip
    return replace(plain, **changes)


@pytest.fixture
def tiny(tmp_path: Path) -> ModelPackage:
    """A tiny ONNX network with labels, confidence and logits."""
    return package_of(graphs.write(graphs.network(tuple(ROLES)), tmp_path / "model.onnx"), outputs=ROLES)


@pytest.fixture(scope="session")
def photo_tensor(photo_5mp: Path) -> Callable[[int, int], NDArray[np.float32]]:
    """Return a function that gives the photograph as a tensor (1, 3, height, width)."""

    def tensor(height: int, width: int) -> NDArray[np.float32]:
        with Image.open(photo_5mp) as image:
            pixels = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
        scaled = (pixels.astype(np.float32) / 255 - 0.5) / 0.5
        return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])

    return tensor


@pytest.fixture
def noise() -> NDArray[np.float32]:
    """Two different tensors of noise, (2, 3, 24, 40) float32."""
    return np.random.default_rng(7).normal(size=(2, 3, 24, 40)).astype(np.float32)
