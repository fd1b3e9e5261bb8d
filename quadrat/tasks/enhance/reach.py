"""Find out by trying how far a pixel of a network's input reaches into its picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quadrat.package.enhance import EnhanceWords
from quadrat.protocols import Engine
from quadrat.tasks.enhance.picture import read_picture

CHANGES = (1.0, -1.0, 1e3, -1e3)
"""What is added to a pixel. Small changes pass functions that saturate, and large ones do not vanish in rounding."""


def probe_reach(engine: Engine, output: str, image: NDArray[np.float32], words: EnhanceWords) -> int:
    """Change the middle pixel of an input (N, C, h, w), and return how far the picture changes, in pixels of the input.

    It is -1 if the picture does not change. A network has at least this reach; other inputs may show a larger one.
    Raises GraphError if the output has not the shape that `words` state, and EngineRunError.
    """
    hw = (image.shape[2], image.shape[3])
    at = (hw[0] // 2, hw[1] // 2)
    usual = read_picture(
        engine.run(image, [output])[output][0], hw, words
    ).copy()  # a child reuses its memory
    seen = -1
    for change in CHANGES:
        other = image.copy()
        other[:, :, at[0], at[1]] += np.float32(change)
        found = read_picture(engine.run(other, [output])[output][0], hw, words)
        seen = max(seen, distance(usual, found, at, words.scale))
    return seen


def distance(one: NDArray[np.float32], two: NDArray[np.float32], at: tuple[int, int], scale: int) -> int:
    """Return the distance in pixels of the input from the pixel `at` (row, column) to the farthest difference.

    `one` and `two` (K, H, W) are pictures `scale` times as large. The distance is -1 if they are equal.
    """
    rows, columns = np.nonzero((one != two).any(0))
    if not rows.size:
        return -1
    down, across = np.abs(rows // scale - at[0]), np.abs(columns // scale - at[1])
    return int(max(down.max(), across.max()))
