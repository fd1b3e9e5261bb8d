"""A network that cannot answer the settings, or contradicts its archive, is refused when the task is made."""

from __future__ import annotations

import pytest

from quadrat.errors import (
    ClassesError,
    ManifestError,
    ParameterError,
    QuadratError,
)
from quadrat.parameters import Settings
from quadrat.types import ModelPackage, OutputSpec
from tests.tasks.folding import make_task
from tests.tasks.segment.masks import (
    LABELS,
    SCORES,
    THREE,
    package,
)
from tests.values import settings_of


@pytest.mark.parametrize(
    ("pack", "outputs", "settings", "error", "says"),
    [
        (package(2), [SCORES], settings_of(), ClassesError, "2 classes, but the network gives 3 channels"),
        (package(), [LABELS], settings_of(with_argmax=True), ParameterError, "with-argmax"),
        (package(), [LABELS], settings_of(min_confidence=0.5), ParameterError, "min-confidence"),
        (package(), [LABELS], settings_of(outputs=("confidence",)), ParameterError, "no confidence"),
        (package(), [], settings_of(), ManifestError, "no outputs"),
        (package(), [OutputSpec("o", "float32", (None, 5))], settings_of(), ManifestError, "2 axes"),
        (package(task="dance"), [LABELS], settings_of(), ManifestError, "dance"),
    ],
)
def test_what_does_not_go_together_is_refused(
    pack: ModelPackage, outputs: list[OutputSpec], settings: Settings, error: type[QuadratError], says: str
) -> None:
    """A model that cannot answer the settings, or contradicts itself, is refused before any image."""
    with pytest.raises(error, match=says):
        make_task(pack, outputs, settings)


def test_with_argmax_needs_scores() -> None:
    """Labels and confidence are not enough."""
    stated = package(outputs={"labels": "labels", "confidence": "confidence"})
    with pytest.raises(ParameterError, match="gives no scores") as caught:
        make_task(stated, THREE[:2], settings_of(with_argmax=True))
    assert "with-argmax" == caught.value.where
