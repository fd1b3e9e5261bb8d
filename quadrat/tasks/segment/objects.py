"""What the mask of one object says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.types import ClassInfo


def object_cells(mask: Segmentation, classes: Sequence[ClassInfo], *_groups: object) -> Mapping[str, Any]:
    """Return the area of an object in pixels of the source, and that of each of `classes` if there are several.

    The mask is that of the object's crop at the size of the source; pixels that are not part of it are UNKNOWN. With
    several classes per pixel, the areas of the classes overlap.
    """
    cells: dict[str, Any] = {"area": int(np.count_nonzero(mask.labels != UNKNOWN))}
    if len(classes) < 2:
        return cells
    counts = np.bincount(mask.labels.ravel(), minlength=256)
    if mask.members is not None:
        counts = np.count_nonzero(mask.members, axis=(0, 1))
    return cells | {f"area_{each.name}": int(counts[each.index]) for each in classes}
