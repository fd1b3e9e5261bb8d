"""Exact search in large tables with faiss, an extra. Its index is made from the table each time, and never stored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.index.vectors import BLOCK


def nearest(
    table: NDArray[np.float32], queries: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return what `quadrat.index.vectors.nearest` returns.

    Similarities are rounded differently in the last bits, so that rows that are equally similar up to these may
    change places.
    """
    import faiss

    made: Any = faiss.IndexFlatIP(table.shape[1])
    for start in range(0, len(table), BLOCK):
        made.add(np.ascontiguousarray(table[start : start + BLOCK]))
    scores, rows = made.search(np.ascontiguousarray(queries), min(count, len(table)))
    return rows.astype(np.int64), scores.astype(np.float32)
