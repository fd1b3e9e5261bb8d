"""Which outputs of a network are labels, confidence or scores, and which of them are requested."""

from __future__ import annotations

import pytest

from quadrat.errors import (
    ClassesError,
)
from quadrat.parameters import Settings
from quadrat.tasks.segment.task import make
from quadrat.types import OutputSpec
from tests.tasks.segment.masks import (
    STATED,
    THREE,
    package,
)
from tests.values import settings_of


def test_one_channel_is_no_choice() -> None:
    """A binary head with one channel is refused, never taken for a picture of class 0."""
    one = OutputSpec("scores", "float32", (None, 1, None, None))
    with pytest.raises(ClassesError, match="one channel"):
        make(package(None), [one], settings_of())


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (settings_of(), ("labels", "confidence")),
        (settings_of(with_argmax=True), ("logits",)),
        (settings_of(min_confidence=0.5), ("labels", "confidence")),
    ],
)
def test_only_what_is_needed_is_asked_for(settings: Settings, wanted: tuple[str, ...]) -> None:
    """The engine is asked for the least outputs that answer the settings."""
    assert wanted == make(package(outputs=STATED), THREE, settings).wanted
