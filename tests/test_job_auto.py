"""Orders with batch-size=auto and cpu-threads=auto: every product is that of the order without them, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quadrat import task_kinds
from quadrat.pipeline import tune
from tests.finer import TASK, colour_archive
from tests.moving import RECTANGLES, order
from tests.networks import brightness_archive
from tests.results import contents
from tests.test_cascade import dives, photos

AUTO: dict[str, Any] = {"batch_size": "auto", "cpu_threads": "auto", "tuning_seconds": 1.0}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Register the made-up classifier, use an empty cache, and time each pair of values briefly."""
    monkeypatch.setitem(task_kinds.TASKS, TASK, "tests.finer:KIND")
    monkeypatch.setenv("QUADRAT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(tune, "RUN_S", 0.0)


def products(out: Path) -> dict[str, bytes]:
    """Give all files but those that say how the order ran, without the path of the folder."""
    return {
        name: body.replace(str(out).encode(), b"")
        for name, body in contents(out).items()
        if "run.json" not in name and "tuning." not in name
    }


@pytest.mark.parametrize(
    ("models", "moving", "values"),
    [
        ("cascade", True, {}),
        ("two", False, {"executor": "isolated"}),
        ("two", True, {"sources_at_once": 2}),
        ("one", False, {"tile_size": 64}),
        ("one", True, {"idle_seconds": 0.2}),
        ("masks", False, {"compare": "none,grey-world"}),
    ],
)
def test_auto_changes_no_product(tmp_path: Path, models: str, moving: bool, values: dict[str, Any]) -> None:
    """Whatever is measured: pictures, tiles, videos, several models, models about objects, several variants."""
    made: dict[str, Callable[[], list[Path]]] = {
        "one": lambda: [RECTANGLES],
        "masks": lambda: [brightness_archive(tmp_path / "m.tgz")],
        "two": lambda: [RECTANGLES, brightness_archive(tmp_path / "m.tgz")],
        "cascade": lambda: [RECTANGLES, colour_archive(tmp_path / "colour.tgz")],
    }
    archives, folder = made[models](), (dives if moving else photos)(tmp_path / "in")
    usual = order(archives, folder, tmp_path / "usual", moving=moving, **values)
    ran = order(archives, folder, tmp_path / "auto", moving=moving, **values, **AUTO)
    assert (usual.status, ran.status) == (0, 0)
    assert products(tmp_path / "auto") == products(tmp_path / "usual")
    record = json.loads((tmp_path / "auto" / "run.json").read_text("utf-8"))
    chosen = {each["model"]: each["batch-size"] for each in record["tuning"]}
    assert chosen
    in_force = {each["name"]: each["in-force"].get("batch-size") for each in record["models"]}
    assert {name: in_force[name] for name in chosen} == chosen
