"""docs/reference/model-archive.md describes every key, layout and transform that an archive may state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from quadrat.package import detectors, enhance, labels, masks, objects
from quadrat.task_kinds import TASKS
from quadrat.transforms import TRANSFORMS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "model-archive.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(masks._KEYS, id="segment"),
        pytest.param(labels._KEYS, id="classify"),
        pytest.param(enhance._KEYS, id="enhance"),
        pytest.param(objects._KEYS, id="objects"),
        pytest.param(detectors.LAYOUTS, id="layouts"),
        pytest.param(tuple(TRANSFORMS), id="transforms"),
        pytest.param(tuple(TASKS), id="tasks"),
    ],
)
def test_every_name_is_on_the_page(names: Sequence[str]) -> None:
    """Each is between backticks, alone or in quotes."""
    missing = [name for name in names if f"`{name}`" not in PAGE and f'"{name}"' not in PAGE]

    assert not missing, f"add {missing} to docs/reference/model-archive.md"
