"""What the vector of one object says about it in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quadrat.predictions import Embedding
from quadrat.types import ClassInfo


def object_cells(_embedding: Embedding, _classes: Sequence[ClassInfo], *_groups: object) -> Mapping[str, Any]:
    """Return no cells: the vectors are in features.npz and in the index."""
    return {}
