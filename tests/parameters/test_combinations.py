"""Combinations of values that would have no effect are refused."""

from __future__ import annotations

import pytest

from quadrat.errors import ParameterError
from quadrat.parameters import parse

TRT = {"device": "gpu", "use-trt": True}


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
        ({"use-trt": True}, "use-trt: TensorRT runs only on a GPU. Add --device gpu"),
        ({"device": "gpu", "enable-auto-tune": True}, "enable-auto-tune: it has no effect without TensorRT"),
        ({"device": "gpu", "min-subgraph-size": 5}, "min-subgraph-size: it has no effect without TensorRT"),
        ({"precision": "int8"}, "precision: int8 runs only in the paddle engine"),
        ({"precision": "int8", **TRT, "engine": "onnx"}, "precision: int8 runs only in the paddle engine"),
        ({"precision": "bf16", "device": "gpu"}, "precision: bf16 runs only on a CPU. Choose fp16 on a GPU"),
        ({"enable-mkldnn": True, "device": "gpu"}, "enable-mkldnn: oneDNN is part of"),
        ({"enable-mkldnn": True, "engine": "onnx"}, "enable-mkldnn: oneDNN is part of"),
        ({"batch-size": "auto", **TRT}, "batch-size: TensorRT is built for one range of batch sizes"),
        ({"cpu-threads": "auto", "device": "gpu"}, "cpu-threads: threads are those of the CPU"),
        ({"tuning-seconds": 5}, "tuning-seconds: nothing is tried without auto. Add --batch-size auto"),
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


@pytest.mark.parametrize(
    "values",
    [
        {**TRT, "enable-auto-tune": True, "min-subgraph-size": 5},
        {**TRT, "precision": "int8"},
        {**TRT, "precision": "int8", "engine": "paddle"},
        {"device": "gpu", "precision": "fp16"},
        {"precision": "bf16"},
        {"enable-mkldnn": True},
        {"enable-mkldnn": True, "engine": "openvino"},
        {"tile-size": 32, "tile-overlap": 31, "full-frame": True, "merge": "wbf", "merge-threshold": 0.6},
        {"frame-step": 2},
        {"frame-step": 1, "frame-seconds": 1.0},
        {"track-across-classes": True, "smooth-labels": "mode", "smooth-seconds": 1.0},
        {"outputs": "none"},
    ],
    ids=str,
)
def test_a_combination_with_effect_is_accepted(values: dict[str, object]) -> None:
    """What is given is what is in the settings."""
    settings = parse(values).values()
    for name, value in values.items():
        assert settings[name.replace("-", "_")] == (("none",) if value == "none" else value)
