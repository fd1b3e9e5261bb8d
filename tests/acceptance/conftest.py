"""The detector of rectangles, loaded once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from quadrat.pipeline.loaded import LoadedModel, load_model
from quadrat.settings import Settings
from tests.moving import RECTANGLES
from tests.service.run import Service


@pytest.fixture(scope="package")
def model() -> Iterator[LoadedModel]:
    """The detector of rectangles."""
    with load_model(RECTANGLES, Settings(), logging.getLogger("test")) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the engine keeps its compiled model from one run to the next."""
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def service(tmp_path: Path, kernels: Path) -> Service:
    """The service in an empty folder."""
    return Service(tmp_path, kernels)
