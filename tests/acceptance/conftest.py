"""The detector of rectangles, loaded once."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from quadrat.pipeline.loaded import LoadedModel, load_model
from quadrat.settings import Settings
from tests.moving import RECTANGLES


@pytest.fixture(scope="package")
def model() -> Iterator[LoadedModel]:
    """The detector of rectangles."""
    with load_model(RECTANGLES, Settings(), logging.getLogger("test")) as loaded:
        yield loaded
