"""Room 4: enhance frames before they are measured or delivered. Frame in, frame of the same size out.

All steps take and return pixels (h, w, 3) uint8 RGB: the pipeline decodes 16-bit images to 8 bits before the steps.
The same pixels always give the same result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import cast

import numpy as np

from quadrat.errors import ImageSizeError, ParameterError
from quadrat.geometry import Window
from quadrat.steps.step import FAMILIES, Step
from quadrat.types import ImageU8

STEPS: dict[str, str] = {
    "median": "quadrat.steps.denoise:MEDIAN",
    "bilateral": "quadrat.steps.denoise:BILATERAL",
    "nlm": "quadrat.steps.denoise:NLM",
    "grey-world": "quadrat.steps.colour:GREY_WORLD",
    "shades-of-grey": "quadrat.steps.colour:SHADES_OF_GREY",
    "lab-grey-world": "quadrat.steps.colour:LAB_GREY_WORLD",
    "red-compensation": "quadrat.steps.colour:RED_COMPENSATION",
    "fusion": "quadrat.steps.fusion:FUSION",
    "udcp": "quadrat.steps.udcp:UDCP",
    "msrcr": "quadrat.steps.retinex:MSRCR",
    "clahe": "quadrat.steps.contrast:CLAHE",
    "stretch": "quadrat.steps.contrast:STRETCH",
}
"""All steps by name, in the order of their families."""

ENLARGING = "super-resolution"
"""What an order may ask for as a step, and is refused."""
NONE = "none"
"""The text that stands for no step."""
TILE = 2048
"""Side in pixels of the windows in which `Steps.windows` cuts a picture."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps to apply to a picture, at most one of each family, in the order of the families."""

    records: tuple[Step, ...] = ()

    def __str__(self) -> str:
        """Return the text that `parse_steps` reads: names separated by commas, or "none"."""
        return ",".join(self.names) or NONE

    def __bool__(self) -> bool:
        """Return True if there is a step."""
        return bool(self.records)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the steps, in the order in which they run."""
        return tuple(step.name for step in self.records)

    @property
    def radius(self) -> int | None:
        """How many pixels away a pixel can be and still influence a pixel of the result; None if every pixel can."""
        radii = [step.radius for step in self.records]
        return None if None in radii else sum(radius or 0 for radius in radii)

    @property
    def is_local(self) -> bool:
        """True if the steps can run window by window and give the pixels that they give for the whole picture."""
        return self.radius is not None

    def apply(self, pixels: ImageU8) -> ImageU8:
        """Return the enhanced picture: a new array (h, w, 3) uint8 RGB, or `pixels` itself if there is no step.

        `pixels` (h, w, 3) uint8 RGB may be read-only or a memory map, and is not changed.
        """
        for step in self.records:
            pixels = step.run(np.ascontiguousarray(pixels))
        return pixels

    def apply_window(self, pixels: ImageU8, window: Window) -> ImageU8:
        """Return the pixels (h, w, 3) uint8 of a window of the enhanced picture, without enhancing the whole.

        `window` is in pixels of `pixels`. The result equals that part of `apply(pixels)` exactly. Raises ParameterError
        if a step is global.
        """
        radius = self.radius
        if radius is None:
            raise ParameterError(f"the step {self._global()} needs the whole picture", where="enhance")
        top, left = max(0, window.top - radius), max(0, window.left - radius)
        near = self.apply(pixels[top : window.bottom + radius, left : window.right + radius])
        top, left = window.top - top, window.left - left
        return near[top : top + window.height, left : left + window.width]

    def windows(self, pixels: ImageU8, side: int = TILE) -> Iterator[tuple[Window, ImageU8]]:
        """Yield the windows of a picture, row by row, each with its pixels of the enhanced picture.

        Windows have `side` pixels in height and width, less at the lower and right border. Raises ParameterError if a
        step is global.
        """
        height, width = pixels.shape[:2]
        for top in range(0, height, side):
            for left in range(0, width, side):
                window = Window(top, left, min(side, height - top), min(side, width - left))
                yield window, self.apply_window(pixels, window)

    def check_mosaic(self, name: str) -> None:
        """Raise ImageSizeError if a step needs the whole of a mosaic at once; `name` is the mosaic's."""
        if not self.is_local:
            local = [key for key in STEPS if load(key).radius is not None]
            raise ImageSizeError(
                f"the step {self._global()} needs the whole picture at once, and this is a mosaic",
                where=name,
                hint=f"For mosaics, use no step or one of: {', '.join(local)}",
            )

    def _global(self) -> str:
        return " and ".join(step.name for step in self.records if step.radius is None)


def load(name: str) -> Step:
    """Return the record of a step that is in STEPS."""
    module, _, attribute = STEPS[name].partition(":")
    return cast(Step, getattr(import_module(module), attribute))


def parse_steps(text: str, where: str = "enhance") -> Steps:
    """Return the steps that a text names, such as "grey-world,clahe"; "none" is no step.

    The order of the names does not matter: steps run in the order of their families. Raises ParameterError, with
    `where` as the parameter's name, for an unknown name, a repeated one, two steps of one family, or no name at all.
    """
    names = [name.strip() for name in text.split(",")]
    if names == [NONE]:
        return Steps()
    for name in names:
        if name == ENLARGING:
            raise ParameterError(
                "super-resolution needs a network of its own, and is no step: it invents details, which a model would "
                "measure as if they were real", where=where,
                hint="To enlarge pictures for people, give its archive alone as the model",
            )  # fmt: skip
        if name not in STEPS:
            shown = f"{NONE!r} beside a step" if name == NONE else f"unknown step {name!r}"
            raise ParameterError(shown, where=where, hint=_choices())
        if names.count(name) > 1:
            raise ParameterError(f"the step {name!r} is given twice", where=where, hint="Give it once")
    found = sorted((load(name) for name in names), key=lambda step: FAMILIES.index(step.family))
    for one, other in pairwise(found):
        if one.family == other.family:
            raise ParameterError(
                f"{one.name!r} and {other.name!r} are both {one.family} steps",
                where=where,
                hint=f"Give one {one.family} step. {_choices()}",
            )
    return Steps(tuple(found))


def _choices() -> str:
    families = [
        f"{family}: {', '.join(name for name in STEPS if load(name).family == family)}"
        for family in FAMILIES
        if any(load(name).family == family for name in STEPS)
    ]
    return f"The steps are, by kind: {'; '.join(families)}. Or give {NONE} alone"
