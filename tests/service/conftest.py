"""The service, the double, and small pictures for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import pictures
from tests.platform_double.proxy import DataProxy, data_proxy
from tests.service.run import Service


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the engine keeps its compiled model from one run to the next."""
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def service(tmp_path: Path, kernels: Path) -> Service:
    """The service in an empty folder."""
    return Service(tmp_path, kernels)


@pytest.fixture
def double() -> Iterator[DataProxy]:
    """A running data proxy."""
    with data_proxy() as running:
        yield running


@pytest.fixture
def second() -> Iterator[DataProxy]:
    """Another one, with its own books."""
    with data_proxy() as running:
        yield running


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    """Three small pictures of one size, none like another."""
    return [pictures.jpeg(pictures.drawing(96, 128, seed=s)) for s in (1, 2, 3)]
