"""Masks of objects in COCO's encoding, and the table of both models' cells."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.geometry import Window
from quadrat.predictions import UNKNOWN, Classification, Detections, ObjectResult, Segmentation
from quadrat.report.columns import FrameRow
from quadrat.report.finer import ObjectsTable, add_names, detail_arrays, rle, with_details
from quadrat.report.rows import rows_of
from quadrat.types import ClassInfo, Source
from tests.report.things import facts

WINDOW = Window(1, 2, 3, 3)


def decoded(found: dict[str, Any]) -> np.ndarray:
    """Read COCO's compressed encoding, as its authors describe it."""
    counts: list[int] = []
    value = shift = 0
    for letter in found["counts"]:
        bits = ord(letter) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value |= -1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    flat = np.repeat(np.arange(len(counts)) % 2, counts)
    return flat.reshape(found["size"][::-1]).T.astype(bool)


@given(st.data())
def test_a_mask_is_what_its_encoding_says(data: st.DataObject) -> None:
    """For every mask, at every place of a picture."""
    height, width = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    h, w = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    top, left = data.draw(st.integers(0, height - h)), data.draw(st.integers(0, width - w))
    share, seed = data.draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])), data.draw(st.integers(0, 99))
    mask = np.random.default_rng(seed).random((h, w)) < share
    whole = np.zeros((height, width), bool)
    whole[top : top + h, left : left + w] = mask

    np.testing.assert_array_equal(whole, decoded(rle(mask, Window(top, left, h, w), (height, width))))


def test_it_is_the_text_of_pycocotools() -> None:
    """Pycocotools 2.0.10 gives these for the same masks."""
    mask = np.ones((3, 3), bool)
    mask[1, 1] = False
    assert {"size": [6, 7], "counts": "=33NN022;"} == rle(mask, WINDOW, (6, 7))
    assert {"size": [2, 2], "counts": "4"} == rle(np.zeros((1, 1), bool), Window(0, 0, 1, 1), (2, 2))
    assert {"size": [2, 2], "counts": "04"} == rle(np.ones((2, 2), bool), Window(0, 0, 2, 2), (2, 2))


def found() -> Detections:
    """Make two objects: one with a class and a mask, one that is too small for both."""
    labels = np.full((3, 3), UNKNOWN, np.uint8)
    labels[:2] = 1
    return Detections(
        np.array([[2, 1, 5, 4], [0, 0, 1, 1]], np.float32),
        np.array([0.9, 0.5], np.float32),
        np.array([0, 1], np.int32),
        details={
            "species": (ObjectResult(WINDOW, Classification(np.array([0.2, 0.8], np.float32))), None),
            "mask": (ObjectResult(WINDOW, Segmentation(labels)), None),
        },
        reasons={"species": ("", "small"), "mask": ("", "small")},
    )


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A classifier and a segmentation model about objects."""
    from quadrat import task_kinds
    from tests.finer import TASK

    monkeypatch.setitem(task_kinds.TASKS, TASK, "tests.finer:KIND")
    classes = (ClassInfo(0, "urn:cod", "cod", (0, 0, 0)), ClassInfo(1, "urn:eel", "=eel", (0, 0, 0)))
    return [facts(TASK, name="species", classes=classes), facts("segment", name="mask", classes=classes[1:])]


def test_the_table_has_the_cells_of_every_model(tmp_path: Path, models: list[Any]) -> None:
    """And the reason why an object has none; no cell is a formula, and the annotation has the mask."""
    detections, names = found(), dict[str, dict[str, None]]()
    columns = detail_arrays(models, detections, (6, 7))
    add_names(names, columns)
    classes = [ClassInfo(0, "urn:fish", "fish", (0, 0, 0)), ClassInfo(1, "urn:crab", "crab", (0, 0, 0))]
    table = ObjectsTable(tmp_path / "objects.csv", models, names, classes.__getitem__)
    rows = with_details(rows_of(detections), columns)
    table.frame(Source("urn:a", "a.png"), FrameRow(0, None, "", (6, 7)), rows)
    with table.finish().open(newline="") as file:
        first, second = csv.DictReader(file)

    assert ("fish", "0.9000", "'=eel", "0.8", "", "6", "") == tuple(
        first[key]
        for key in (
            "class", "score", "species.class", "species.score", "species.reason", "mask.area", "mask.reason",
        )
    )  # fmt: skip
    assert ("crab", "", "small", "", "small") == tuple(
        second[key] for key in ("class", "species.class", "species.reason", "mask.area", "mask.reason")
    )
    assert [6, None] == [None if row.mask is None else row.mask["area"] for row in rows]


def test_without_models_about_objects_there_are_no_columns() -> None:
    """And rows stay as they are."""
    assert {} == detail_arrays([], found(), (6, 7))
    assert [None, None] == [row.details for row in with_details(rows_of(found()), {})]
