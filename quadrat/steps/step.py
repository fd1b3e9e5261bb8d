"""One enhancement step: its name, its family, how far it looks, and the function that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quadrat.types import ImageU8

FAMILIES = ("denoise", "colour", "contrast", "super-resolution")
"""The families of steps, in the order in which they run: noise is removed before anything amplifies it.

Super-resolution is not a step of this room: it is a network in an archive of its own.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A function from pixels (h, w, 3) uint8 RGB to new pixels of the same shape, which never changes its argument.

    `radius` says how many pixels away a pixel of the picture can be and still influence a pixel of the result; None
    means that every pixel can. `run` takes a C-contiguous array.
    """

    name: str
    family: str
    radius: int | None
    run: Callable[[ImageU8], ImageU8]
