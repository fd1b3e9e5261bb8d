"""Runs orders that make an index, or search in one, and reads what they deliver."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

from quadrat import job
from quadrat.index.archive import unpacked
from quadrat.parameters import parse
from quadrat.stores.folder import FolderStore
from tests.index.things import dump

LOG = logging.getLogger("test")
COLOURS = {"red": (255, 0, 0), "rose": (255, 30, 30), "green": (0, 128, 0), "grey": (90, 90, 90)}


def run(
    models: object,
    sources: object,
    out: Path,
    *,
    base: Path | None = None,
    moving: bool = False,
    **settings: object,
):
    """Run an order and return its outcome."""
    store = FolderStore(models or [], sources or [], out, index=base, moving=moving, overwrite=True)  # type: ignore[arg-type]
    return job.run_order(parse({"executor": "local", **settings}), store, LOG)


def made(model: object, photos: Path, out: Path, **settings: object) -> Path:
    """Make an index."""
    outcome = run(model, photos, out, index=True, **settings)
    assert outcome.error is None
    return out / "index.tgz"


def found(out: Path) -> list[dict[str, str]]:
    """Read the results of a search."""
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def names(out: Path) -> list[str]:
    """Return the names that were found, without folders and suffixes."""
    return [Path(row["name"]).stem for row in found(out)]


def content(index: Path) -> list[str]:
    """Return the content of an index."""
    with unpacked(index) as database:
        return dump(database)
