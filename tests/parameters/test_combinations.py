"""Combinations of values that would have no effect are refused."""

from __future__ import annotations

import pytest

from quadrat.errors import ParameterError
from quadrat.parameters import parse


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"tile-size": 320, "tile-overlap": 320},
            "tile-overlap: an overlap of 320 pixels is too large for tiles of 320",
        ),
        ({"tile-size": 31}, "tile-size: 31 is neither 0 (no tiles) nor at least 32"),
        ({"tile-overlap": 20}, "tile-overlap: it has no effect without tiles. Add --tile-size 640"),
        ({"full-frame": True}, "full-frame: it has no effect without tiles"),
        ({"frame-step": 2, "frame-seconds": 1.0}, "by count or by time"),
        ({"smooth-labels": "mode"}, "smooth-labels: a track keeps the class"),
        ({"tracker": "none", "track-across-classes": True}, "it has no effect without a tracker"),
        ({"merge": "wbf"}, "merge: it has no effect without tiles"),
        ({"merge-threshold": 0.6}, "merge-threshold: it has no effect without tiles"),
        ({"tracker": "none", "max-age": 5}, "max-age: it has no effect without a tracker"),
        ({"tracker": "none", "min-hits": 3}, "min-hits: it has no effect without a tracker"),
        ({"smooth-frames": 5}, "smooth-frames: it has no effect without smoothing"),
        ({"smooth-seconds": 1.0}, "smooth-seconds: it has no effect without smoothing"),
        (
            {"track-across-classes": True, "smooth-labels": "mode", "smooth-seconds": 1, "smooth-frames": 5},
            "over frames or over seconds, not both",
        ),
        (
            {"outputs": "none", "codec": "vp9"},
            "codec: outputs is none, so no video is drawn. Leave --codec out, or choose other --outputs",
        ),
    ],
)
def test_a_combination_without_effect_is_refused(values: dict[str, object], says: str) -> None:
    """The error names the parameter that does nothing, and what to add or leave out."""
    with pytest.raises(ParameterError) as caught:
        parse(values)
    assert says in str(caught.value)
