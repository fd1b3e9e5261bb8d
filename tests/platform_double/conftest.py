"""The double, running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.platform_double.proxy import DataProxy, data_proxy


@pytest.fixture
def double() -> Iterator[DataProxy]:
    """A running data proxy."""
    with data_proxy() as running:
        yield running
