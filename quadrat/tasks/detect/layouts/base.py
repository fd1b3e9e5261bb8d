"""What all layouts of detectors' outputs share: finding the tensors, and checking their values."""

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
"""How far rounding to bf16 may move a score out of 0..1."""
NOT_STATED = DetectWords()
FAR = np.float32(1e6)
"""Boxes are clipped to this many pixels from the origin: no input is that large, and larger numbers could overflow."""
MAX_CLASS = 10_000
"""Class numbers are below this, as in archives: a larger number is not a class."""
LARGEST_FRACTION = 4.0
"""Fractions of the input's sides are smaller than this, even of boxes that reach far beyond it."""
LEAST_ROWS = 64
"""Rows that it takes to judge where the boxes of a network lie."""
NEAR = 0.125
"""Boxes whose centres are on average this close to the origin, as a share of the input, are in units of cells."""
LEAST_BOXES = 3
"""Boxes that it takes to conclude that they are in another unit; fewer may just be tiny."""


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """What is known of a detector before it runs.

    `name` is the model's; `outputs` are the loaded network's; `roles` maps roles to tensor names as the archive
    states them; `num_classes` is None if the archive lists no classes; `words` is `detect` of meta.json; `batch` is
    the number of inputs that the network takes at once, None if any number; `input_hw` is the (height, width) of its
    inputs, None where any will do.
    """

    name: str
    outputs: tuple[OutputSpec, ...]
    roles: Mapping[str, str]
    num_classes: int | None
    words: DetectWords = NOT_STATED
    batch: int | None = None
    input_hw: tuple[int | None, int | None] = (None, None)

    @property
    def fixed_hw(self) -> HW | None:
        """The (height, width) of the inputs if both are fixed, else None."""
        height, width = self.input_hw
        return None if height is None or width is None else (height, width)

    def find(self, role: str, names: Sequence[str], what: str) -> OutputSpec:
        """Return the output of a role: the one stated, else one with the role's or another of `names`, else the only one.

        Raises LayoutError if there is none; `what` describes the expected output in its text.
        """
        by_name = {one.name: one for one in self.outputs}
        for name in (self.roles.get(role), role, *names):
            if name in by_name:
                return by_name[name]
        if len(self.outputs) == 1 and not names:
            return self.outputs[0]
        raise self.fault(
            f"no output has the role {f'{role} {what}'.strip()}: it has {self.shapes}",
            f'State it in meta.json, as "outputs": {{"{role}": NAME}}',
        )

    @property
    def shapes(self) -> str:
        """The names and shapes of all outputs, for errors."""
        return ", ".join(f"{one.name} {shape_text(one.shape)}" for one in self.outputs) or "no outputs"

    def fault(self, what: str, hint: str = "") -> LayoutError:
        """Return the error that its outputs do not have the layout."""
        layout = f" ({self.words.layout})" if self.words.layout else ""
        return LayoutError(what, where=f"{self.name}{layout}", hint=hint or HINT)

    def check_classes(self, given: int) -> None:
        """Raise ClassesError if the network scores more or fewer classes than the archive lists."""
        if given < 1:
            raise self.fault("the outputs are too small to hold a class")
        if self.num_classes is not None and given != self.num_classes:
            raise ClassesError(
                f"there are {self.num_classes} classes, but the network gives scores for {given}",
                where=self.name,
                hint="List every class of the network in meta.json, or correct the layout there",
            )


HINT = "State the layout in meta.json, or export the model again"


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes (M, 4) float32 as x0, y0, x1, y1 in pixels of the network's input, scores (M,) float32, classes (M,) int64."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]


class Layout(Protocol):
    """A reader of one layout.

    `nms` is True if the network gives several boxes per object, so that NMS is needed; `batched` if the outputs
    have a batch axis; `float_classes` if class numbers are floats. `wanted` names the outputs to request, and `roles`
    their roles in the same order.
    """

    nms: bool
    batched: bool
    float_classes: bool
    wanted: tuple[str, ...]
    roles: tuple[str, ...]

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Return the boxes of one input of `tensor_hw` (height, width) with a score of at least `floor`.

        `arrays` have no batch axis. Raises EngineRunError for NaN and infinity, LayoutError for arrays that do not
        have this layout, ClassesError if their shape disagrees with the classes.
        """


def shape_text(shape: Sequence[int | None]) -> str:
    """Format a shape, with ? for a dynamic axis."""
    return "(" + ", ".join("?" if side is None else str(side) for side in shape) + ")"


def fits(shape: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Return True if a shape can be `wanted`; None, on either side, matches any size."""
    return len(shape) == len(wanted) and all(
        a is None or b is None or a == b for a, b in zip(shape, wanted, strict=True)
    )


def as_float(network: DetectorSpec, arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """Return an output as float32; EngineRunError if it is missing, LayoutError if it holds no numbers."""
    if name not in arrays:
        raise EngineRunError(f"the engine returned no output {name!r}", where=network.name)
    if arrays[name].dtype.kind not in "fiub":
        raise network.fault(f"the output {name!r} holds {arrays[name].dtype}, which are no numbers")
    with np.errstate(over="ignore"):  # an overflow becomes infinity, which is refused
        return arrays[name].astype(np.float32, copy=False)


def check_finite(network: DetectorSpec, scores: NDArray[np.float32]) -> tuple[float, float]:
    """Return the least and the greatest score, or 0 and 0 if there are none; EngineRunError for NaN and infinity."""
    low, high = (float(scores.min()), float(scores.max())) if scores.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise EngineRunError("the network gave NaN or infinite scores", where=network.name)
    return low, high


def check_scores(network: DetectorSpec, scores: NDArray[np.float32]) -> None:
    """Raise EngineRunError for NaN and infinity, LayoutError for scores outside 0..1."""
    low, high = check_finite(network, scores)
    if low < -SLACK or high > 1 + SLACK:
        raise network.fault(
            f"scores range from {low:.3g} to {high:.3g}, but they must lie in 0 to 1",
            "The outputs have another layout, or are raw logits: export the network with its sigmoid",
        )


def candidates(
    network: DetectorSpec,
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[Any],
    tensor_hw: HW,
) -> Candidates:
    """Check boxes (M, 4) in input pixels, and drop those without area. They may still reach beyond the input.

    Raises EngineRunError for NaN and infinity, LayoutError if the boxes seem to be fractions of the sides.
    """
    if not np.isfinite(boxes).all():
        raise EngineRunError("the network gave NaN or infinite boxes", where=network.name)
    boxes = np.clip(boxes, -FAR, FAR)
    sides = boxes[:, 2:] - boxes[:, :2]
    real = (sides > 0).all(axis=1)
    if np.count_nonzero(real) >= LEAST_BOXES and min(tensor_hw) >= 64 and np.abs(boxes[real]).max() <= 1:
        raise network.fault(
            "all boxes lie within one pixel, so they are fractions of the input's sides, not pixels"
        )
    return Candidates(boxes[real], np.clip(scores[real], 0, 1), classes[real].astype(np.int64))


def from_centres(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert boxes (M, 4) from centre x, centre y, width, height to x0, y0, x1, y1."""
    half = boxes[:, 2:] * np.float32(0.5)
    with np.errstate(over="ignore", invalid="ignore"):  # `candidates` refuses what is not finite
        return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def to_corners(network: DetectorSpec, boxes: NDArray[np.float32], tensor_hw: HW) -> NDArray[np.float32]:
    """Convert boxes (M, 4) to x0, y0, x1, y1 in input pixels, as the archive states that they are written.

    Raises LayoutError for boxes in pixels that must be fractions of the input's sides.
    """
    words = network.words
    if words.boxes == "corners-yx":
        boxes = boxes[:, [1, 0, 3, 2]]
    if words.unit == "fractions":
        most = np.abs(boxes[np.isfinite(boxes)]).max(initial=0.0)
        if most > LARGEST_FRACTION:
            raise network.fault(
                f"a box has the value {most:.4g}, but must be in fractions of the input's sides"
            )
        boxes = boxes * np.array([tensor_hw[1], tensor_hw[0]] * 2, np.float32)
    return from_centres(boxes) if words.boxes == "centres" else boxes


def from_fractions(network: DetectorSpec, boxes: NDArray[np.float32], tensor_hw: HW) -> NDArray[np.float32]:
    """Convert boxes (M, 4) from centre x, centre y, width, height in fractions of the sides to corners in pixels.

    Raises LayoutError for a value over 2, which is no fraction.
    """
    if boxes.size and np.isfinite(boxes).all() and np.abs(boxes).max() > 2:
        raise network.fault(
            f"a box has the value {np.abs(boxes).max():.4g}, but must be in fractions of the input's sides"
        )
    height, width = tensor_hw
    with np.errstate(invalid="ignore"):
        return from_centres(boxes) * np.array([width, height, width, height], np.float32)


def as_classes(network: DetectorSpec, values: NDArray[Any]) -> NDArray[np.int64]:
    """Convert class numbers (M,) of any dtype to int64; LayoutError for what is not a whole number in 0..MAX_CLASS."""
    if values.dtype.kind not in "fiub":
        raise network.fault(f"the classes are {values.dtype}, not numbers")
    wide = values.astype(np.float64)
    if not np.isfinite(wide).all():
        raise EngineRunError("the network gave NaN or infinite classes", where=network.name)
    whole = np.round(wide)
    wrong = (np.abs(wide - whole) > 1e-3) | (whole < 0) | (whole >= MAX_CLASS)
    if wrong.any():
        raise network.fault(f"a class is {wide[wrong][0]:.4g}, which is not a class number")
    return whole.astype(np.int64)


def check_decoded(network: DetectorSpec, rows: NDArray[np.float32], tensor_hw: HW) -> None:
    """Raise LayoutError if boxes (A, 4), centre and size, are in cells and not in pixels of the input.

    Rows of zeros are padding. The centres of a network's rows are spread over the input; of those of an undecoded
    YOLOX, each is a cell or two from the origin.
    """
    used = rows[(rows != 0).any(axis=1)]
    if len(used) < LEAST_ROWS or min(tensor_hw) < 64:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        near = np.abs(used[:, :2]).mean(axis=0) < NEAR * np.array([tensor_hw[1], tensor_hw[0]])
    if near.all():
        raise network.fault(
            f"the centres of its {len(used)} boxes all lie near the upper left corner, so they are not in pixels",
            'They are relative to cells: state the layout yolox in meta.json, as "detect": {"layout": "yolox"}',
        )
