"""What every layout of a detector's outputs shares: finding its tensors, and checking what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError, EngineRunError, LayoutError
from quadrat.geometry import HW
from quadrat.package.detectors import DetectWords
from quadrat.types import OutputSpec

SLACK = 0.01
"""How far a score may lie outside 0..1 by what bf16 rounds."""
NOTHING_SAID = DetectWords()
FAR = np.float32(1e6)
"""Pixels beyond which a box is cut: no input is so large, and numbers beyond could overflow."""
FEW = 3
"""From so many boxes on, a wrong unit is told from an odd picture."""


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """What is known of a detector before it runs: its name, outputs, roles stated, classes and words.

    `batch` is the number of inputs that it takes at once, None where any number will do.
    """

    name: str
    outputs: tuple[OutputSpec, ...]
    roles: Mapping[str, str]
    num_classes: int | None
    words: DetectWords = NOTHING_SAID
    batch: int | None = None

    def find(self, role: str, names: Sequence[str], what: str) -> OutputSpec:
        """Give the output of a role: the one stated, one of these names, or else the only one.

        Raises LayoutError, with `what` it must be, where none is it.
        """
        by_name = {one.name: one for one in self.outputs}
        for name in (self.roles.get(role), role, *names):
            if name in by_name:
                return by_name[name]
        if len(self.outputs) == 1 and not names:
            return self.outputs[0]
        raise self.fault(
            f"no output is its {f'{role} {what}'.strip()}: it has {self.shapes}",
            f'State it in meta.json, as "outputs": {{"{role}": NAME}}',
        )

    @property
    def shapes(self) -> str:
        """All outputs with their shapes, for an error."""
        return ", ".join(f"{one.name} {shape_text(one.shape)}" for one in self.outputs) or "no outputs"

    def fault(self, what: str, hint: str = "") -> LayoutError:
        """Make the error that its outputs are not of the layout."""
        layout = f" ({self.words.layout})" if self.words.layout else ""
        return LayoutError(what, where=f"{self.name}{layout}", hint=hint or HINT)

    def check_classes(self, given: int) -> None:
        """Refuse a network with scores for more or fewer classes than there are."""
        if given < 1:
            raise self.fault("the outputs have no room for a class")
        if self.num_classes is not None and given != self.num_classes:
            raise ClassesError(
                f"there are {self.num_classes} classes, but the network gives scores for {given}",
                where=self.name,
                hint="List every class of the network in meta.json, or mend the layout there",
            )


HINT = "State the layout in meta.json, or export the model again"


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes (M, 4) float32 x0, y0, x1, y1 in pixels of the network's input, scores (M,) float32, classes (M,) int64."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]


class Layout(Protocol):
    """Reads one layout.

    `nms`: boxes of one object are many; `batched`: the outputs have a batch axis; `float_classes`: the
    network calculates class numbers as floats.
    """

    nms: bool
    batched: bool
    float_classes: bool
    wanted: tuple[str, ...]

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Give the boxes with a score of at least `floor` that one input of `tensor_hw` (h, w) has.

        `arrays` are without the batch axis. Raises EngineRunError for NaN, LayoutError for arrays that
        are not of this layout.
        """


def shape_text(shape: Sequence[int | None]) -> str:
    """Write a shape as people do."""
    return "(" + ", ".join("?" if side is None else str(side) for side in shape) + ")"


def fits(shape: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Whether a shape may be `wanted`; None fits all, on either side."""
    return len(shape) == len(wanted) and all(
        a is None or b is None or a == b for a, b in zip(shape, wanted, strict=True)
    )


def as_float(network: DetectorSpec, arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """Give an array as float32, whatever the network's own type; a missing one is an EngineRunError."""
    if name not in arrays:
        raise EngineRunError(f"the engine gave no output {name!r}", where=network.name)
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused as such
        return arrays[name].astype(np.float32, copy=False)


def check_finite(network: DetectorSpec, scores: NDArray[np.float32]) -> tuple[float, float]:
    """Give the least and the greatest score, 0 and 0 of none; EngineRunError for NaN and infinity."""
    low, high = (float(scores.min()), float(scores.max())) if scores.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise EngineRunError("the network gave NaN or infinite scores", where=network.name)
    return low, high


def check_scores(network: DetectorSpec, scores: NDArray[np.float32]) -> None:
    """Refuse NaN and infinity (EngineRunError) and what is no score in 0..1 (LayoutError)."""
    low, high = check_finite(network, scores)
    if low < -SLACK or high > 1 + SLACK:
        raise network.fault(
            f"scores go from {low:.3g} to {high:.3g}, and must lie in 0 to 1",
            "The outputs have another layout, or are raw logits: export the network with its sigmoid",
        )


def candidates(
    network: DetectorSpec,
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[Any],
    tensor_hw: HW,
) -> Candidates:
    """Check boxes in pixels and put them together; they are not yet inside the picture."""
    if not np.isfinite(boxes).all():
        raise EngineRunError("the network gave NaN or infinite boxes", where=network.name)
    boxes = np.clip(boxes, -FAR, FAR)
    sides = boxes[:, 2:] - boxes[:, :2]
    real = (sides > 0).all(axis=1)
    if np.count_nonzero(real) >= FEW and min(tensor_hw) >= 64 and np.abs(boxes[real]).max() <= 1:
        raise network.fault(
            "all boxes lie within one pixel, so they are shares of the picture's sides, not pixels"
        )
    return Candidates(boxes[real], np.clip(scores[real], 0, 1), classes[real].astype(np.int64))


def from_centres(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn centre x, centre y, width, height (M, 4) into x0, y0, x1, y1."""
    half = boxes[:, 2:] * np.float32(0.5)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused in `candidates`
        return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def from_shares(network: DetectorSpec, boxes: NDArray[np.float32], tensor_hw: HW) -> NDArray[np.float32]:
    """Turn centre x, centre y, width, height (M, 4) in shares of the sides into x0, y0, x1, y1 in pixels."""
    if boxes.size and np.isfinite(boxes).all() and np.abs(boxes).max() > 2:
        raise network.fault(
            f"a box has the value {np.abs(boxes).max():.4g} where shares of the picture's sides are due"
        )
    height, width = tensor_hw
    with np.errstate(invalid="ignore"):
        return from_centres(boxes) * np.array([width, height, width, height], np.float32)


def as_classes(network: DetectorSpec, values: NDArray[Any]) -> NDArray[np.int64]:
    """Turn class numbers of any type (M,) into integers; what is none is a LayoutError."""
    wide = values.astype(np.float64)
    if not np.isfinite(wide).all():
        raise EngineRunError("the network gave NaN or infinite classes", where=network.name)
    whole = np.round(wide)
    if (np.abs(wide - whole) > 1e-3).any() or (whole < 0).any():
        odd = wide[(np.abs(wide - whole) > 1e-3) | (whole < 0)][0]
        raise network.fault(f"a class is {odd:.4g}, which is no number of a class")
    return whole.astype(np.int64)
