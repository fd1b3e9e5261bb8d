"""The double of the data proxy, running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.platform_double.proxy import DataProxy, data_proxy


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataProxy]:
    """A running data proxy; nothing waits before it asks again, and no proxy of this machine is in between."""
    monkeypatch.setattr("quadrat.stores.proxy.PAUSES_S", (0.0, 0.0, 0.0))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with data_proxy() as running:
        yield running
