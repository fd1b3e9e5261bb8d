"""The reference of metadata names everything that products have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quadrat.report import coco, detections, masks, mot, survey, tracks
from quadrat.report.record import run_record
from quadrat.types import Segmentation
from tests.report.test_masks import mask
from tests.report.things import WHO, end, frame, make, many, photo
from tests.values import settings_of

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "metadata.md").read_text("utf-8")


def keys(value: Any) -> Iterator[str]:
    """Give every key of an aspect, in lists and objects below too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def aspects(folder: Path) -> Iterator[dict[str, Any]]:
    """Give an aspect of every kind."""
    film = folder / "film.mp4"
    film.write_bytes(b"")
    for task, found in (("segment", mask(0.5)), ("detect", many(5))):
        made, _ = make(folder / task, task)
        plain = many(3, tracked=False) if not isinstance(found, Segmentation) else found
        yield from (dict(p.metadata) for p in made.image(photo(plain)))
        made.frame(frame(0, found))
        yield from (dict(p.metadata) for p in made.ended(end(1, video=film)))
        yield from (dict(p.metadata) for p in made.tables())
    content = run_record(settings_of(), WHO, [], {}, 1.0, task="segment", moving=False).content
    named_elsewhere = (
        "settings",
        "in-force",
        "versions",
        "counts",
    )  # keys are parameters, libraries, statuses
    yield {key: value for key, value in content.items() if key not in named_elsewhere}


def test_every_key_and_schema_is_on_the_page(tmp_path: Path) -> None:
    """Whoever meets a key can look it up."""
    found = [json.loads(json.dumps(aspect)) for aspect in aspects(tmp_path)]
    assert len({aspect["$schema"] for aspect in found}) == 6
    missing = {key for aspect in found for key in keys(aspect) if key != "$schema" and f"`{key}`" not in PAGE}

    assert not missing
    assert not [aspect["$schema"] for aspect in found if f"`{aspect['$schema']}`" not in PAGE]


def test_every_column_is_on_the_page() -> None:
    """New columns of the survey and those of all tables."""
    columns = {*survey.COLUMNS[19:], *detections.CSV, *detections.JSONL, *masks.COLUMNS, *tracks.COLUMNS}

    assert not {column for column in columns if f"`{column}`" not in PAGE}
    assert len(mot.COLUMNS) == 10
    assert coco.__doc__
