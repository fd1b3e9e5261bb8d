"""The service, the double, and small pictures for both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import pictures
from tests.platform_double.proxy import DataProxy, data_proxy


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
