"""The double of the data proxy, running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.platform_double.proxy import DataProxy, data_proxy


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataProxy]:
    """A running data proxy; pauses are short, and no proxy of this machine is in between."""
    for name in ("FIRST_PAUSE_S", "LONGEST_PAUSE_S", "LOOK_S"):
        monkeypatch.setattr(f"quadrat.stores.http.{name}", 0.01)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with data_proxy() as running:
        yield running
