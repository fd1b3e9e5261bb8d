"""Models that cannot be used together are refused in one line, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quadrat import task_kinds
from tests.detectors import detector_archive
from tests.finer import TASK, colour_archive
from tests.moving import RECTANGLES, order
from tests.networks import brightness_archive
from tests.test_cascade import photos


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the made-up classifier."""
    monkeypatch.setitem(task_kinds.TASKS, TASK, "tests.finer:KIND")


REFUSED: dict[str, tuple[Callable[[Path], list[Path]], str]] = {
    "no detector": (
        lambda folder: [colour_archive(folder / "colour.tgz")],
        "E_MODEL_SEVERAL the model 'colour' is about objects, but no model finds any",
    ),
    "two detectors": (
        lambda folder: [RECTANGLES, detector_archive(folder / "b.tgz", name="b"), colour_archive(folder / "c.tgz")],
        "E_MODEL_SEVERAL the model 'colour' is about objects, and there are several detectors: rectangles, b",
    ),
    "a detector": (
        lambda folder: [RECTANGLES, detector_archive(folder / "b.tgz", name="b", on="objects")],
        "E_MODEL_MANIFEST b.tgz: meta.json: on: a model of the task detect cannot measure the objects of a detector",
    ),
    "another class": (
        lambda folder: [RECTANGLES, colour_archive(folder / "c.tgz", objects={"classes": ["whale"]})],
        "E_MODEL_MANIFEST colour: meta.json: objects.classes: it names a class that the detector 'rectangles' does not",
    ),
    "another key": (
        lambda folder: [RECTANGLES, colour_archive(folder / "c.tgz", objects={"pad": 1})],
        "E_MODEL_MANIFEST c.tgz: meta.json: objects: 'pad' is not one of its keys",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured_is_refused(tmp_path: Path, case: str) -> None:
    """In one line with a code, before anything is written."""
    make, said = REFUSED[case]
    ran = order(make(tmp_path), photos(tmp_path / "in"), tmp_path / "out", moving=False)

    assert 3 == ran.status
    (line,) = ran.errors
    assert line.startswith(said)
    assert {} == ran.products


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "it does not state which class is not part of an object"),
        ({"objects": {"background": "rock"}}, "the model has no class 'rock'"),
        ({"classes": [], "model": {"num_classes": 2}}, "the archive does not list its classes"),
    ],
)
def test_a_mask_of_an_object_needs_a_background(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """Otherwise every object would be as large as its crop."""
    mask = brightness_archive(tmp_path / "mask.tgz", name="mask", on="objects", **changes)
    ran = order([RECTANGLES, mask], photos(tmp_path / "in"), tmp_path / "out", moving=False)

    (line,) = ran.errors
    assert said in line
    assert line.startswith("E_MODEL_MANIFEST mask: meta.json: ")
