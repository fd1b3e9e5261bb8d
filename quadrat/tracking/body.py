"""What is remembered of whole objects, of which only a part may be seen: behind a border, a rock, or each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quadrat.tracking.kalman import F64, sides

WHOLE = 0.85
"""Of the remembered side: from it on a side is not cut off."""
HIDDEN = 0.7
"""Of the remembered side: under it a side of an object that is lost sight of was surely cut off."""
FADES = 0.05
"""Part by which a frame in which a side is not cut off changes what is remembered of it."""


def remember(body: F64, seen: F64) -> tuple[F64, NDArray[np.bool_]]:
    """Put remembered bodies (N, 4), moved on to now, to what is seen (N, 4) of them; tell cut sides (N, 2), too.

    On each axis the edge that is nearer to where it is due is the object's own, and the body goes with it; the
    other one may be where the object is cut off. A body grows to what is seen.
    """
    edges, found = body.reshape(-1, 2, 2), seen.reshape(-1, 2, 2)  # (object, low or high, x or y)
    off = found - edges
    low = np.abs(off[:, 0]) <= np.abs(off[:, 1])
    edges = edges + np.where(low, off[:, 0], off[:, 1])[:, None]
    edges = np.stack([np.minimum(edges[:, 0], found[:, 0]), np.maximum(edges[:, 1], found[:, 1])], axis=1)
    cut = sides(seen) < WHOLE * (edges[:, 1] - edges[:, 0])
    edges = edges + np.where(cut, 0.0, FADES)[:, None] * (found - edges)
    return edges.reshape(-1, 4), cut


def excess(body: F64, boxes: F64, spread: F64) -> F64:
    """Give squared how far boxes (N, 4) are from being parts of bodies (N, 4), in standard deviations `spread` (N, 4).

    Edges outside the body count, and on each axis the one of two edges inside that is nearer to the body's: the
    other is where it is cut off.
    """
    off = ((boxes - body) / spread).reshape(-1, 2, 2)
    inward = np.stack([off[:, 0], -off[:, 1]], axis=1)
    outside = np.square(np.minimum(inward, 0)).sum(axis=(1, 2))
    inside: F64 = outside + np.square(np.maximum(inward, 0).min(axis=1)).sum(axis=1)
    return inside


def within(bodies: F64, boxes: F64) -> F64:
    """Give the share (T, N) of boxes (N, 4) that lies in bodies (T, 4)."""
    high = np.minimum(bodies[:, None, 2:], boxes[:, 2:])
    common = np.maximum(high - np.maximum(bodies[:, None, :2], boxes[:, :2]), 0)
    share: F64 = common.prod(axis=2) / sides(boxes).prod(axis=1)
    return share
