"""The embedding task: finds the output that holds the vector, and starts a fold for each frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import LayoutError, ManifestError, VectorError
from quadrat.geometry import Window
from quadrat.predictions import Embedding
from quadrat.tasks.parts import ReceivedParts
from quadrat.types import Frame, FrameKey, ModelPackage, OutputSpec, Part

VECTOR = "vector"
"""The role of the output that holds the vector, in `outputs` of meta.json."""


class Embed:
    """One vector for the whole frame. Raises ManifestError if it is not clear which output holds the vector."""

    name = "embed"
    batched = True

    def __init__(self, package: ModelPackage, outputs: Sequence[OutputSpec]) -> None:
        self._output = vector_output(package, outputs)
        self.wanted = (self._output,)
        self._model = package.name
        self._length = 0

    def start(self, frame: Frame) -> VectorFold:
        """Plan one part: the whole frame."""
        return VectorFold(frame.key, self._read)

    def _read(self, part: Part) -> NDArray[np.float32]:
        """Return the vector of a part. Raises what `unit` raises, and LayoutError if it has not the length of the first."""
        vector = unit(part.arrays[self._output], self._model)
        self._length = self._length or len(vector)
        if len(vector) != self._length:
            raise LayoutError(
                f"its vector has {len(vector)} values, and that of the first picture {self._length}",
                where=self._model,
                hint="The length depends on the picture's size: add a resize to the archive's transforms",
            )
        return vector


def make(package: ModelPackage, outputs: Sequence[OutputSpec]) -> Embed:
    """Make the task. Raises what Embed raises."""
    return Embed(package, outputs)


def vector_output(package: ModelPackage, outputs: Sequence[OutputSpec]) -> str:
    """Return the name of the output that holds the vector: the stated one, or the only one.

    Raises ManifestError if there is no such output, or if there are several and none is stated.
    """
    names = [spec.name for spec in outputs]
    stated = package.outputs.get(VECTOR)
    if stated is not None and stated not in names:
        raise ManifestError(
            f"the network has no output {stated!r}; it has {', '.join(names)}",
            where=f"meta.json: outputs.{VECTOR}",
        )
    if stated is None and len(names) != 1:
        raise ManifestError(
            f"the network has several outputs, {', '.join(names)}, and it is not stated which one holds the vector",
            where="meta.json: outputs",
            hint=f'Write {{"{VECTOR}": "{names[0] if names else "NAME"}"}}',
        )
    return stated or names[0]


class VectorFold:
    """Takes the vector of one frame."""

    windows: tuple[Window | None, ...] = (None,)

    def __init__(self, frame: FrameKey, read: Callable[[Part], NDArray[np.float32]]) -> None:
        self._received = ReceivedParts(frame, 1)
        self._read = read
        self._vector: NDArray[np.float32] | None = None

    def add(self, number: int, part: Part) -> None:
        """Take the vector. Raises LayoutError for another shape, VectorError for values without a direction."""
        self._received.mark(number)
        self._vector = self._read(part)

    def finish(self) -> Embedding:
        """Return the vector at length 1."""
        self._received.check_complete()
        if self._vector is None:  # a fold that has raised is not used again
            raise VectorError("there is no vector")
        return Embedding(self._vector)


def unit(values: NDArray[Any], model: str = "") -> NDArray[np.float32]:
    """Return the vector (D,) float32 of length 1 that an output (D,), (D, 1, 1) or (1, 1, D) holds.

    The length is computed in float64. Raises LayoutError if the output of `model` is not a vector, VectorError if it
    has NaN or infinity, or is zero.
    """
    if not values.size or max(values.shape, default=0) != values.size:
        raise LayoutError(
            f"its output is {' x '.join(map(str, values.shape)) or 'a single number'} for each picture, not a vector",
            where=model,
            hint="Export the network with its pooling, or state another output",
        )
    vector = values.ravel().astype(np.float64)
    if not np.isfinite(vector).all():
        raise VectorError("the vector has values that are no numbers (NaN or infinity)", where=model)
    length = float(np.sqrt((vector * vector).sum()))
    if not 0 < length < np.inf:
        raise VectorError("all values of the vector are zero, so that it has no direction", where=model)
    return (vector / length).astype(np.float32)
