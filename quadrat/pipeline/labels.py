"""What tells the models of a pass apart: names, URNs, and parts of file names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from quadrat.report.base import BUILT_IN

if TYPE_CHECKING:
    from quadrat.pipeline.models import LoadedModel


def label(name: str) -> str:
    """Turn a model's name into a part of file names: plain ASCII letters, digits, dashes and underscores."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "model"


def distinct_names(names: Sequence[str]) -> list[str]:
    """Number names that occur more than once, so that every model has its own name and label."""
    given: list[str] = []
    for name in names:
        number, candidate = 1, name
        while label(candidate).casefold() in [label(other).casefold() for other in given]:
            number += 1
            candidate = f"{name}-{number}"
        given.append(candidate)
    return given


def labels_of(models: Mapping[str, LoadedModel]) -> dict[str, str]:
    """Return what tells each model apart in names of files: nothing if it is alone, the variant if only that differs."""
    if len(models) == 1:
        return dict.fromkeys(models, "")
    alone = len({model.package.root for model in models.values()}) == 1
    return {name: label(model.variant if alone else name) for name, model in models.items()}


def urns_of(models: Mapping[str, LoadedModel], urns: Sequence[str]) -> list[str]:
    """Return the URN of each model: variants of one archive have one, and a built-in task has that of its task."""
    archives = list(dict.fromkeys(model.package.root for model in models.values()))
    if not urns:
        return [f"{BUILT_IN}{model.package.task}" for model in models.values()]
    return [urns[archives.index(model.package.root)] for model in models.values()]
