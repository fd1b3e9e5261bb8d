"""Packages of classifiers without a network, for tests of what the task makes of outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quadrat.package.classes import read_classes
from quadrat.package.labels import read_labels
from quadrat.types import ModelPackage, OutputSpec

VALUES = OutputSpec("values", "float32", (None, 3))
FEATURES = OutputSpec("means", "float32", (None, 4))
NAMES = ("red", "green", "blue")


def package(
    names: Sequence[str] = NAMES, *, role: str = "logits", outputs: dict[str, str] | None = None, **words: Any
) -> ModelPackage:
    """Make a package as its manifest would be read; `words` is its entry "classify"."""
    meta = {
        "task": "classify",
        "classes": [{"name": name} for name in names],
        "classify": {key.replace("_", "-"): value for key, value in words.items()},
    }
    read_labels(meta)
    classes, count = read_classes(meta)
    return ModelPackage(
        Path(), "colors", "", "classify", {}, None, (), classes, count, (None, 3, None, None),
        {role: "values"} if outputs is None else outputs, meta=meta,
    )  # fmt: skip


PACKAGE = package()
