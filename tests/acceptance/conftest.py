"""The detector of rectangles, loaded once, and a folder of moving sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quadrat.pipeline.models import LoadedModel
from tests import videos
from tests.moving import CRAB, RECTANGLES, film, load, swim


@pytest.fixture(scope="package")
def model() -> Iterator[LoadedModel]:
    """The detector of rectangles."""
    with load(RECTANGLES) as loaded:
        yield loaded


@pytest.fixture
def reef(tmp_path: Path) -> Path:
    """A folder with two videos of different sizes and rates, and a sequence of images."""
    folder = tmp_path / "reef"
    folder.mkdir()
    film(folder / "east.mp4", swim(9))
    film(folder / "west.mp4", swim(14, kind=CRAB, hw=(120, 160)), rate=10)
    videos.still_images(folder / "north", swim(5))
    return folder


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this machine is in between."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
