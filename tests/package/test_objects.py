"""What an archive states about objects is read as written, or refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from quadrat.errors import ManifestError
from quadrat.package.objects import MIN_SIZE, PADDING, ObjectWords, read_objects


@pytest.mark.parametrize("meta", [{}, {"on": "frames"}])
def test_an_archive_measures_whole_frames(meta: dict[str, Any]) -> None:
    """Unless it states otherwise."""
    assert read_objects(meta) is None


def test_what_is_not_stated_is_usual() -> None:
    """A tenth of the box on each side, eight pixels, all classes."""
    assert ObjectWords(PADDING, MIN_SIZE, ()) == read_objects({"on": "objects"})


def test_everything_is_read() -> None:
    """Indices of classes may be numbers."""
    words = {"padding": 0.5, "min-size": 20, "classes": ["fish", 3], "background": "sand"}
    assert ObjectWords(0.5, 20.0, ("fish", "3"), "sand", stated=True) == read_objects(
        {"on": "objects", "objects": words}
    )


@pytest.mark.parametrize(
    ("meta", "where"),
    [
        ({"on": "people"}, "meta.json: on"),
        ({"on": 1}, "meta.json: on"),
        ({"objects": {}}, "meta.json: objects"),
        ({"on": "objects", "objects": []}, "meta.json: objects"),
        ({"on": "objects", "objects": {"pad": 1}}, "meta.json: objects"),
        ({"on": "objects", "objects": {"padding": -0.1}}, "meta.json: objects.padding"),
        ({"on": "objects", "objects": {"padding": float("nan")}}, "meta.json: objects.padding"),
        ({"on": "objects", "objects": {"padding": True}}, "meta.json: objects.padding"),
        ({"on": "objects", "objects": {"min-size": "8"}}, "meta.json: objects.min-size"),
        ({"on": "objects", "objects": {"classes": "fish"}}, "meta.json: objects.classes"),
        ({"on": "objects", "objects": {"classes": [-1]}}, "meta.json: objects.classes"),
        ({"on": "objects", "objects": {"classes": [" "]}}, "meta.json: objects.classes"),
        ({"on": "objects", "objects": {"background": [0]}}, "meta.json: objects.background"),
    ],
)
def test_anything_else_is_refused(meta: dict[str, Any], where: str) -> None:
    """With its place in meta.json."""
    with pytest.raises(ManifestError) as caught:
        read_objects(meta)
    assert where == caught.value.where
