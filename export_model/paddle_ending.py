"""The layer that is appended to a PaddleSeg network in the archive.

It is at module level because paddle rewrites `forward` when it traces: the rewritten method sees only globals and
attributes, and its first argument must be called self.
"""

from __future__ import annotations

from typing import Any

import paddle


def first(given: Any) -> Any:
    """Return the main scores: networks return a list whose other members are for training."""
    return given[0] if isinstance(given, (list, tuple)) else given


class Ending(paddle.nn.Layer):  # type: ignore[misc]  # paddle ships no types
    """A network whose only output is scores (N, K, H, W), their softmax, or classes (N, H, W) int64."""

    def __init__(self, network: Any, *, softmax: bool, argmax: bool) -> None:
        super().__init__()
        self.network = network
        self.softmax = softmax
        self.argmax = argmax
        self.eval()

    def forward(self, image: Any) -> Any:
        """Map (N, C, H, W) float32 to the output described above."""
        given = first(self.network(image))
        if self.softmax:
            given = paddle.nn.functional.softmax(given, axis=1)
        if self.argmax:
            given = paddle.argmax(given, axis=1)
        return given
