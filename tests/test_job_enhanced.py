"""Orders with task=enhance: they need no model, and deliver pictures and videos."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import pictures
from tests.executors.orders import dives, everything, photos
from tests.moving import RECTANGLES, Order, order
from tests.results import contents


def enhance(place: Path, out: Path, *, moving: bool = False, **values: object) -> Order:
    """Run an order with task=enhance and without a model."""
    return order([], place, out, moving=moving, task="enhance", **values)


def test_enhancing_with_nothing_is_the_picture(tmp_path: Path) -> None:
    """Bit for bit, and again when the result is enhanced."""
    pixels = pictures.drawing(60, 80)
    (tmp_path / "a.png").write_bytes(pictures.png(pixels))

    first = enhance(tmp_path / "a.png", tmp_path / "once")
    (tmp_path / "b.png").write_bytes(first.body("a.enhanced.png"))
    second = enhance(tmp_path / "b.png", tmp_path / "twice")

    assert (first.status, second.status) == (0, 0)
    for ran, name in ((first, "a"), (second, "b")):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(ran.body(f"{name}.enhanced.png")))), pixels)
    assert first.row("a.png")["product"] == "enhanced/a.enhanced.png"
    assert first.aspect("a.enhanced.png")["provenance"]["model"] == "urn:quadrat:task:enhance"


@pytest.mark.parametrize("moving", [False, True])
def test_local_isolated_and_a_second_run_are_equal(tmp_path: Path, moving: bool) -> None:
    """There is no network to isolate; broken files have their rows, and results of an earlier run stay."""
    source = (dives if moving else photos)(tmp_path / "in")
    local = enhance(source, tmp_path / "local", moving=moving)
    isolated = enhance(source, tmp_path / "isolated", moving=moving, executor="isolated")

    assert everything(local) == everything(isolated)
    assert {row["status"] for row in local.rows} >= {"failed", "ok"} if moving else {"failed", "flagged"}
    assert any(row["product"] for row in local.rows)
    before = contents(tmp_path / "local")
    again = enhance(source, tmp_path / "local", moving=moving)
    assert contents(tmp_path / "local") == before
    assert any("unchanged since an earlier run" in line for line in again.infos)


@pytest.mark.parametrize(
    ("models", "values", "line"),
    [
        ([RECTANGLES], {"task": "enhance"}, "task: it is enhance, but the task of the model 'rectangles' is detect"),
        ([], {"task": "detect"}, "model: it is required"),
        ([], {}, "model: it is required"),
        ([], {"task": "enhance", "device": "gpu"}, "device: it is about networks, and task=enhance without a model has none"),
        ([], {"task": "enhance", "memory_limit": 4000}, "memory-limit: it is about networks"),
        ([], {"task": "enhance", "tracker": "sort"}, "tracker: it applies only to the task detect"),
        ([], {"task": "enhance", "outputs": "overlay"}, "outputs: overlay cannot be drawn"),
        ([], {"task": "polish"}, "task: 'polish' is not one of segment, detect, enhance"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_line(
    tmp_path: Path, models: list[Path], values: dict[str, object], line: str
) -> None:
    """It is refused before anything is read."""
    ran = order(models, photos(tmp_path / "in"), tmp_path / "out", moving="tracker" in values, **values)

    assert len(ran.errors) == 1
    assert line in ran.errors[0]
    assert ran.status == 2


def test_a_stated_task_that_is_the_models_changes_nothing(tmp_path: Path) -> None:
    """It is a check, not a choice."""
    source = photos(tmp_path / "in")
    plain = order(RECTANGLES, source, tmp_path / "plain", moving=False)
    stated = order(RECTANGLES, source, tmp_path / "stated", moving=False, task="detect")

    assert plain.products == stated.products
