"""The `segment` entry of meta.json is read, or refused with what to write."""

from __future__ import annotations

from typing import Any

import pytest

from quadrat.errors import ManifestError
from quadrat.package.masks import MaskWords, read_masks

CLASSES = [{"name": "skin"}, {"name": "clothes"}, {"name": "hair"}]


def read(**words: Any) -> MaskWords:
    """Read an entry, with dashes for underscores, of an archive with three classes."""
    return read_masks({"classes": CLASSES, "segment": {k.replace("_", "-"): v for k, v in words.items()}})


def test_an_archive_need_not_state_anything() -> None:
    """Those of the original service do not; nothing is assumed for them here."""
    assert read_masks({}) == MaskWords()
    assert read_masks({"segment": None}).activation is None


def test_what_is_stated_is_kept() -> None:
    """Thresholds are one number or one per class."""
    assert read(activation="softmax") == MaskWords("softmax")
    assert read(activation="none", multi_label=True, threshold=0.3).thresholds(3) == (0.3, 0.3, 0.3)
    words = read(activation="sigmoid", background=0, threshold=[0.3, 0.4])
    assert words.thresholds(2) == (0.3, 0.4)
    assert words.scored(3, 2) == (1, 2)
    assert words.scored(3, 3) == (0, 1, 2)
    assert MaskWords("none", 1).scored(None, 2) == (0, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "does not hold names"),
        ({}, "segment.activation: it is missing"),
        ({"activation": "relu"}, "'relu' is not known"),
        ({"activation": "none", "colour": 1}, "'colour' is not one of its keys"),
        ({"activation": "none", "multi-label": "yes"}, "neither true nor false"),
        ({"activation": "none", "background": -1}, "neither null nor the index"),
        ({"activation": "none", "background": True}, "neither null nor the index"),
        ({"activation": "none", "background": 3}, "there are 3 classes"),
        ({"activation": "softmax", "multi-label": True}, "neither a softmax nor a background"),
        ({"activation": "none", "multi-label": True, "background": 0}, "neither a softmax nor a background"),
        ({"activation": "none", "threshold": 0.5}, "no effect without a background"),
        ({"activation": "none", "background": 0, "threshold": 1}, "between 0 and 1"),
        ({"activation": "none", "background": 0, "threshold": []}, "between 0 and 1"),
        ({"activation": "none", "background": 0, "threshold": ["a"]}, "between 0 and 1"),
        ({"activation": "none", "multi-label": True, "threshold": [0.5, 0.5]}, "2 numbers for 3 classes"),
    ],
)
def test_contradictions_are_refused(words: Any, said: str) -> None:
    """The line names the key, and what is wrong with it."""
    with pytest.raises(ManifestError) as caught:
        read_masks({"classes": CLASSES, "segment": words})
    assert said in caught.value.line
    assert "meta.json: segment" in caught.value.where
