"""The reference of metadata names everything that products have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from quadrat.predictions import Detections
from quadrat.report import classified_lines, coco, detections, masks, mot, survey, tracks
from quadrat.report.classified_values import rule_of
from tests.report.test_masks import mask
from tests.report.things import Desk, end, facts, frame, labelled, many, photo

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "metadata.md").read_text("utf-8")
NAMED_ELSEWHERE = ("settings", "in-force", "versions", "counts")
"""Keys of run.json whose own keys are parameters, libraries and statuses."""


def keys(value: Any) -> Iterator[str]:
    """Give every key of an aspect, in lists and objects below too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in NAMED_ELSEWHERE:
                yield from keys(inner)
            yield key
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def aspects(folder: Path) -> Iterator[dict[str, Any]]:
    """Give an aspect of every kind, and the whole of run.json."""
    film = folder / "film.mp4"
    film.write_bytes(b"")
    labels = rule_of(facts("classify")).classify(np.array([0.7, 0.2, 0.1], np.float32))
    for task, found in (("segment", mask(0.5)), ("detect", many(5)), ("classify", labels)):
        desk = Desk(folder / task, task)
        plain = many(3, tracked=False) if isinstance(found, Detections) else found
        yield from (dict(p.metadata) for p in desk.picture(photo(plain)))
        desk.frame(frame(0, found))
        yield from (dict(p.metadata) for p in desk.closed(end(1, film=film)))
        yield from (dict(p.metadata) for p in desk.products.values())
        yield dict(json.loads(desk.products["run.json"].body))
    desk = Desk(folder / "both", *labelled(reef="segment", fish="detect"))
    desk.frame(frame(0, {"reef": mask(0.5), "fish": many(5)}))
    yield from (dict(p.metadata) for p in desk.closed(end(1, models=("reef", "fish"))))
    yield from (dict(p.metadata) for p in desk.products.values())


def test_every_key_and_schema_is_on_the_page(tmp_path: Path) -> None:
    """Whoever meets a key can look it up."""
    found = [json.loads(json.dumps(aspect)) for aspect in aspects(tmp_path)]
    assert len({aspect["$schema"] for aspect in found}) == 9
    missing = {key for aspect in found for key in keys(aspect) if key != "$schema" and f"`{key}`" not in PAGE}

    assert not missing
    assert not [aspect["$schema"] for aspect in found if f"`{aspect['$schema']}`" not in PAGE]


def test_every_column_is_on_the_page() -> None:
    """New columns of the survey and those of all tables."""
    columns = {
        *survey.COLUMNS[19:],
        *detections.COLUMNS,
        *detections.JsonlWriter.columns,
        *masks.COLUMNS,
        *tracks.COLUMNS,
        *classified_lines.PICTURES,
        *classified_lines.FRAMES,
        *classified_lines.KEYS,
    }

    assert not {column for column in {*columns, survey.MODEL} if f"`{column}`" not in PAGE}
    assert len(mot.COLUMNS) == 10
    assert {key for key in coco.CocoWriter.columns if f"`{key}`" not in PAGE} == set()
