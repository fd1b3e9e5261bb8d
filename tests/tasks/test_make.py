"""What a task cannot use is refused when it is made."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from quadrat.errors import ParameterError
from quadrat.parameters import parse
from quadrat.pipeline.loaded import load_model
from tests.networks import brightness_archive

LOG = logging.getLogger("test")


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"min_score": 0.5}, "min-score"),
        ({"nms_threshold": 0.6}, "nms-threshold"),
        ({"max_detections": 5}, "max-detections"),
        ({"tile_size": 64, "merge": "wbf"}, "merge"),
        ({"idle_seconds": 2.0}, "idle-seconds"),
        ({"tracker": "deepsort"}, "tracker"),
        ({"max_age": 3}, "max-age"),
    ],
)
def test_masks_have_no_objects(tmp_path: Path, values: dict[str, object], name: str) -> None:
    """What is for objects would silently do nothing in a model that makes masks."""
    archive = brightness_archive(tmp_path / "m.tgz")
    with (
        pytest.raises(ParameterError, match="makes masks, and this is for objects") as caught,
        load_model(archive, parse(values), LOG),
    ):
        pass
    assert name == caught.value.where
