"""Options for models that measure the objects of a detector, and what an archive states about them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from quadrat.errors import ParameterError
from quadrat.package.objects import MIN_SIZE, ON, PADDING

KEYS = {"padding": "padding", "min_size": "min-size", "of_class": "classes", "not_object": "background"}
"""The keys of `objects` in meta.json by option."""


def add_options(made: argparse.ArgumentParser) -> None:
    """Add the options of models about objects."""
    about = made.add_argument_group("models about objects")
    about.add_argument(
        "--on", choices=ON, default=ON[0],
        help=f"what the network measures: whole frames, or the crop of each object that a detector finds [{ON[0]}]",
    )  # fmt: skip
    about.add_argument(
        "--padding", type=float, metavar="SHARE",
        help=f"what a crop has on each side of the box, as a share of the box [{PADDING}]",
    )  # fmt: skip
    about.add_argument(
        "--min-size", type=float, metavar="PIXELS",
        help=f"least shorter side of an object in pixels of the source; smaller ones are not measured [{MIN_SIZE}]",
    )  # fmt: skip
    about.add_argument(
        "--of-class", action="append", metavar="NAME", help="a class of the detector to measure [all of them]"
    )
    about.add_argument(
        "--not-object",
        metavar="NAME|none",
        help="masks: the class that is not part of an object, such as sand",
    )


def stated(given: argparse.Namespace) -> Mapping[str, Any] | None:
    """Return the `objects` of meta.json; None for a network of whole frames. Raises ParameterError."""
    words = {
        key: getattr(given, option) for option, key in KEYS.items() if getattr(given, option) is not None
    }
    if given.on == ON[0]:
        if words:
            option = next(option for option, key in KEYS.items() if key in words)
            raise ParameterError("it only goes with --on objects", where="--" + option.replace("_", "-"))
        return None
    if words.get("background") == "none":
        words["background"] = None
    return words
