"""The options of the command line for networks that make pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from export_model.network import Shape, check_size
from quadrat.errors import ParameterError
from quadrat.package.enhance import MAX_MULTIPLE, MAX_SCALE, RANGES

Range = tuple[int, int]
NO_EFFECT = (
    "names", "classes", "background", "activation", "threshold", "letterbox", "stretch", "position", "pad", "mean",
    "std", "transforms", "trained_size", "cv_config", "short_side", "crop", "resample",
)  # fmt: skip
"""Options that say nothing about a network that makes pictures."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line; None if not given. `multiple`, `scale` and the ranges are checked by running."""

    output: str | None = None
    shape: Shape | None = None
    bgr: bool | None = None
    pixel_range: Range | None = None
    output_range: Range | None = None
    scale: int | None = None
    multiple: int | None = None
    quick: bool = False
    """True to leave out the search for the reach, which takes long."""


def add_options(made: argparse.ArgumentParser) -> None:
    """Add the options for networks that make pictures to a command line."""
    group = made.add_argument_group("networks that make pictures (--task enhance)")
    group.add_argument(
        "--scale", type=int, metavar="N", help="how much larger the pictures are; checked by a run"
    )
    group.add_argument(
        "--multiple-of",
        type=int,
        metavar="N",
        help="what width and height must be multiples of; found by trying",
    )
    group.add_argument(
        "--output-range", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="values of black and white in the output [those of --range]",
    )  # fmt: skip


def options_of(given: argparse.Namespace) -> Options:
    """Return the options of a parsed command line. Raises ParameterError for one that is wrong or has no effect."""
    for option in NO_EFFECT:
        if getattr(given, option, None) not in (None, False):
            where = "--" + {"names": "class"}.get(option, option).replace("_", "-")
            raise ParameterError("it has no effect on a network that makes pictures", where=where)
    options = Options(
        given.onnx_output, _shape(given.input_shape), given.bgr, _range(given.pixel_range, "--range"),
        _range(given.output_range, "--output-range"), given.scale, given.multiple_of, getattr(given, "quick", False),
    )  # fmt: skip
    for value, most, where in (
        (given.scale, MAX_SCALE, "--scale"),
        (given.multiple_of, MAX_MULTIPLE, "--multiple-of"),
    ):
        if value is not None and not 1 <= value <= most:
            raise ParameterError(f"a whole number from 1 to {most} is needed", where=where)
    return options


def _shape(shape: list[int] | None) -> Shape | None:
    if shape is None:
        return None
    if any(side == 0 or side < -1 for side in shape) or shape[1] not in (1, 3, -1):
        raise ParameterError("four sizes are needed, above 0 or -1; C is 3 or 1", where="--input-shape")
    made: Shape = tuple(None if side == -1 else side for side in shape)
    check_size(made)
    return made


def _range(given: Sequence[float] | None, where: str) -> Range | None:
    if given is None:
        return None
    for known in RANGES:
        if tuple(given) == known:
            return known
    raise ParameterError(
        f"{given[0]:g} to {given[1]:g} is not a range that networks which make pictures have", where=where,
        hint="Give 0 1, -1 1 or 0 255",
    )  # fmt: skip
