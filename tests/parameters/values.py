"""Values for tests of parameters: for each setting one that is not its default."""

from __future__ import annotations

from quadrat.parameters import SETTINGS, Parameter

MEDIA = ("image", "video", "stream")
TASKS = ("segment", "detect", "classify", "enhance")

SIZES: dict[str, object] = {
    "max-img-size": 1_000_000,
    "tile-size": 640,
    "sample-bits": 12,
    "outputs": ("none",),
    "enhance": ("clahe",),
    "compare": ("none", "clahe"),
    "model-name": "a",
    "classes": "person",
    "memory-limit": 8000,
    "load-seconds": 300.0,
    "source-seconds": 300.0,
    "min-score": 0.5,
    "where": "class = fish",
    "like-row": 7,
    "min-similarity": 0.5,
    "min-probability": 0.7,
    "top-k": 3,
}


def changed(parameter: Parameter) -> object:
    """Give a value of the parameter, as Settings holds it, that is not its default."""
    if parameter.name in SIZES:
        return SIZES[parameter.name]
    if parameter.kind == "bool":
        return True
    if parameter.kind == "option":
        return next(choice for choice in parameter.choices if choice != parameter.default)
    assert isinstance(parameter.default, int | float)
    assert parameter.high is not None
    more = parameter.default + (1 if parameter.kind == "int" or parameter.high > 1 else 0.25)
    assert more <= parameter.high
    return more


def every_default() -> dict[str, object]:
    """Give every setting that has a default its default, as a platform may send it."""
    switches: dict[str, object] = {each.name: False for each in SETTINGS if each.kind == "bool"}
    return switches | {each.name: each.default for each in SETTINGS if each.default is not None}
