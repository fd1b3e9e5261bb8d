"""What tells the models of a pass apart: URNs, and parts of file names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quadrat.report.base import BUILT_IN

if TYPE_CHECKING:
    from quadrat.pipeline.models import Pass

LONGEST = 48
"""Characters of a part of a file name: the name of the source and an ending are added, and file systems allow 255."""


def label(name: str) -> str:
    """Turn a model's name into a part of file names: plain ASCII letters, digits, dashes and underscores.

    A long one is cut, and ends in digits that different names do not share.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "model"
    if len(plain) <= LONGEST:
        return plain
    return f"{plain[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def labels_of(models: Pass) -> dict[str, str]:
    """Return what tells each model apart in names of files: nothing if it is alone, the variant if only that differs.

    Models without tables of their own do not count, and have their names: their vectors have files.
    """
    if len(models.counted) == 1:
        return {name: "" if name in models.counted else label(name) for name in models}
    variants = [models[name].variant for name in models.counted]
    alone = all(variants) and len(set(variants)) == len(variants)
    return {name: label(model.variant if alone else name) for name, model in models.items()}


def urns_of(models: Pass, urns: Sequence[str]) -> dict[str, str]:
    """Return the URN of each model by its name; `urns` are those of the archives, in order.

    Variants of one archive have one URN, and a built-in task has that of its task.
    """
    if not urns:
        return {name: f"{BUILT_IN}{model.package.task}" for name, model in models.items()}
    each = len(models) // len(urns)
    return {name: urns[number // each] for number, name in enumerate(models)}
