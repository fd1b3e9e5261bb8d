"""Hints in terms of export.py's options, for errors of code that the exporter shares with the service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError, LayoutError
from quadrat.package.detectors import LAYOUTS, WITH_BACKGROUND, DetectWords
from quadrat.tasks.detect import layouts


@contextmanager
def by_options(network: layouts.DetectorSpec) -> Iterator[None]:
    """Raise LayoutError and ClassesError again with options for hints, as meta.json is not written yet.

    The layout of `network` is stated. If only another layout fits its outputs, the hint names it.
    """
    try:
        yield
    except (LayoutError, ClassesError) as error:
        where, hint = _option_hint(network, error)
        raise error.at(where, hint) from error


def check_classes(classes: NDArray[np.int64], count: int | None, words: DetectWords, where: str) -> None:
    """Raise ClassesError for objects of a class that is not listed. A `count` of None allows every class."""
    if count is None or not classes.size or classes.max() < count:
        return
    hint = "with every class of the network in its order (--class)"
    if words.layout in (None, *WITH_BACKGROUND) and words.background != 0:
        hint = f"with --background 0 if its labels count from 1, as torchvision's do, else {hint}"
    raise ClassesError(
        f"in the self-test the network outputs class {classes.max()}, but {count} are listed (0 to {count - 1})",
        where=where,
        hint=f"Export it {hint}",
    )


def _option_hint(network: layouts.DetectorSpec, error: LayoutError | ClassesError) -> tuple[str, str]:
    """Return the options at fault, and what to do about them."""
    layout = network.words.layout
    other = _other(network)
    if other is not None:
        hint = f"The outputs look like {other}: give --layout {other}"
        if isinstance(error, ClassesError):
            hint += f"; or, if they are {layout}, list every class of the network with --class"
        return f"--layout {layout}", hint
    if isinstance(error, ClassesError):
        hint = "List every class of the network in its order with --class, or "
        if layout in WITH_BACKGROUND:
            return "--class, --background", f"{hint}give the class that means no object with --background"
        return "--class, --layout", f"{hint}choose another --layout"
    right = re.search(r"the layout ([a-z0-9-]+) in meta\.json", error.hint)
    if right is not None:
        return f"--layout {layout}", f"Give --layout {right[1]}"
    if "meta.json" not in error.hint:
        return f"--layout {layout}", error.hint
    named = (
        "name the output with --onnx-output, or "
        if layout not in WITH_BACKGROUND and len(network.outputs) > 1
        else ""
    )
    hint = f"{named}choose another --layout: {', '.join(LAYOUTS)}"
    return f"--layout {layout}", hint[0].upper() + hint[1:]


def _other(network: layouts.DetectorSpec) -> str | None:
    """Return the only layout that fits the outputs, unless it is the stated one."""
    try:
        other, _ = layouts.guess(network.outputs, network.num_classes, network.fixed_hw)
    except LayoutError:
        return None
    stated = network.words.layout
    read_alike = (stated, other) == ("boxes", "rtdetr")
    return None if other == stated or read_alike else other
