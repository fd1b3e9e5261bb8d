"""How images reach the network: the command line's options, and the list of transforms that they make."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export_model import labels
from quadrat.errors import ParameterError
from quadrat.transforms.params import MAX_SIDE, MAX_TENSOR_PIXELS
from quadrat.transforms.pillow import FILTERS

Transforms = tuple[Mapping[str, Any], ...]
INEFFECTIVE = {
    "stretch": ("position", "pad"),
    "crop": ("position", "pad"),
    "letterbox": ("resample",),
    "transforms": ("position", "pad", "bgr", "pixel_range", "mean", "std", "resample"),
}
"""Options that have no effect together with another one."""
UNIT = (0.0, 1.0)
ASSUMED = "Assumed: "
"""Beginning of the lines that state what neither the command line nor the network's file says."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's pixels in 0..1, in RGB order."""
PLAIN = ((0.0,), (1.0,))
"""Pixels from 0 to 1."""
BYTES = ((0.0,), (1 / 255,))
"""Pixels from 0 to 255."""


@dataclass(frozen=True, slots=True)
class Usual:
    """How a family of networks is trained: what applies if the command line does not say otherwise.

    `stretch` is False for a letterbox, which is `centred` or in the upper left corner, and padded with `pad`, and
    None if families differ;
    `normalize` is mean and standard deviation of pixels in 0..1, in the order of the channels, None if families
    differ; `ask` says what must be given instead of what is usual; `resample` is the filter of Pillow that resizes, ""
    for OpenCV.
    """

    stretch: bool | None = False
    centred: bool = True
    pad: int = 114
    bgr: bool = False
    normalize: tuple[Sequence[float], Sequence[float]] | None = PLAIN
    ask: str = ""
    resample: str = ""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The options of the command line; None if not given.

    `letterbox`, `stretch` and `crop` are (width, height); `short_side` is the length in pixels of the short side before
    the crop; `resample` is one of Pillow's filters, without which OpenCV resizes; `position` "center" or "upper-left", `pad` a grey value, `mean`
    and `std` refer to pixels scaled to `pixel_range`, `transforms` is the complete list.
    """

    letterbox: tuple[int, int] | None = None
    stretch: tuple[int, int] | None = None
    position: str | None = None
    pad: int | None = None
    bgr: bool | None = None
    pixel_range: tuple[float, float] | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    transforms: Transforms | None = None
    crop: tuple[int, int] | None = None
    short_side: int | None = None
    resample: str | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """The (width, height) that images are brought to, if it is given."""
        return self.letterbox or self.stretch or self.crop

    @property
    def normalized(self) -> bool:
        """True if the command line says what values pixels have."""
        return self.mean is not None or self.pixel_range is not None

    def listed(self, usual: Usual, size: tuple[int, int] | None) -> Transforms:
        """Return the transforms; images are brought to `size` (width, height) unless an option gives one.

        Raises ParameterError if neither the options nor `usual` say what values pixels have.
        """
        if self.transforms is not None:
            return self.transforms
        return (*self.fitted(usual, size), *self.valued(usual))

    def fitted(self, usual: Usual, size: tuple[int, int] | None) -> Transforms:
        """Return the transform that brings images to `size` (width, height), or to that of the options; () for none."""
        size = self.size or size
        if size is None:
            return ()
        if self.size is None and usual.stretch is None:
            raise ParameterError(
                "how images are brought to its size is not known", where="--letterbox, --stretch",
                hint=f"Give --stretch {size[0]} {size[1]} or --letterbox {size[0]} {size[1]}. {usual.ask}",
            )  # fmt: skip
        resample = self.resample or usual.resample
        if self.crop is not None:
            short = self.short_side or min(self.crop)
            resized = {"type": "PilResize", "short_size": short, "resample": resample or "bilinear"}
            return (resized, {"type": "CenterCrop", "size": list(self.crop)})
        stretch = bool(self.stretch) or (self.letterbox is None and bool(usual.stretch))
        if stretch and resample:
            return ({"type": "PilResize", "target_size": list(size), "resample": resample},)
        if stretch:
            return ({"type": "Resize", "target_size": list(size)},)
        centred = usual.centred if self.position is None else self.position == "center"
        pad = usual.pad if self.pad is None else self.pad
        extra = ({"color": pad} if pad != 114 else {}) | ({} if centred else {"center": False})
        return ({"type": "Letterbox", "size": list(size), **extra},)

    def turned(self, usual: Usual) -> Transforms:
        """Return the transform for networks that take BGR; () for RGB."""
        return ({"type": "ToBGR"},) if (usual.bgr if self.bgr is None else self.bgr) else ()

    def valued(self, usual: Usual) -> Transforms:
        """Return the transforms that make the network's values of pixels. Raises ParameterError as `listed`."""
        turn = self.turned(usual)
        if not self.normalized:
            if usual.normalize is None:
                raise ParameterError(
                    "what values the network expects is not known",
                    where="--range, --mean, --std",
                    hint=usual.ask,
                )
            mean, std = usual.normalize
            return turn if (mean, std) == BYTES else (*turn, _normalize(mean, std))
        low, high = self.pixel_range or UNIT
        mean = [(m - low) / (high - low) for m in self.mean or [0.0]]
        std = [s / (high - low) for s in self.std or [1.0]]
        if (low, high) == (0, 255) and self.mean is None:
            return turn
        return (*turn, _normalize(mean, std))


def _normalize(mean: Sequence[float], std: Sequence[float]) -> dict[str, Any]:
    return {"type": "Normalize", "mean": list(mean), "std": list(std)}


def assumed(what: str, options: str) -> str:
    """Return the line for an assumption; `options` are those that replace it."""
    return f"{ASSUMED}{what}; check this with whoever trained the network ({options} set it)"


def add_options(made: argparse.ArgumentParser) -> None:
    """Add the options to a command line."""
    group = made.add_argument_group("how images reach the network")
    group.add_argument(
        "--transforms",
        type=Path,
        metavar="FILE",
        help="JSON or YAML list of all transforms, in place of what follows",
    )
    for way, what in (
        ("--letterbox", "keep the aspect ratio and pad"),
        ("--stretch", "change the aspect ratio"),
    ):
        group.add_argument(
            way, type=int, nargs=2, metavar=("W", "H"), help=f"resize images to this size: {what}"
        )
    group.add_argument(
        "--crop", type=int, nargs=2, metavar=("W", "H"),
        help="resize so that the short side is --short-side, and cut this size out of the middle, as many classifiers do",
    )  # fmt: skip
    group.add_argument(
        "--short-side", type=int, metavar="PIXELS", help="short side before --crop [that of the crop]"
    )
    group.add_argument(
        "--resample",
        choices=tuple(FILTERS),
        help="resize with this filter of Pillow, as torchvision and timm do",
    )
    group.add_argument(
        "--position", choices=("center", "upper-left"), help="where --letterbox puts the image [center]"
    )
    group.add_argument(
        "--pad", type=int, metavar="GREY", help="value that --letterbox pads with, 0 to 255 [114]"
    )
    group.add_argument(
        "--bgr",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="the network takes channels in the order blue, green, red; --mean and --std are in that order",
    )
    group.add_argument(
        "--range", dest="pixel_range", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="scale pixels to these values, before --mean and --std: 0 1, 0 255 or -1 1 [0 1]",
    )  # fmt: skip
    group.add_argument(
        "--mean", type=float, nargs="+", metavar="M", help="mean, subtracted from the scaled pixels"
    )
    group.add_argument("--std", type=float, nargs="+", metavar="S", help="standard deviation, divided by")


def _check_sizes(given: argparse.Namespace) -> None:
    """Raise ParameterError for sizes that an archive cannot have."""
    for option in ("letterbox", "stretch", "crop"):
        sides = getattr(given, option) or ()
        if any(side < 1 for side in sides):
            raise ParameterError("a width and a height above 0 are needed", where=f"--{option}")
        if any(side > MAX_SIDE for side in sides) or math.prod(sides) > MAX_TENSOR_PIXELS:
            most = MAX_TENSOR_PIXELS // 10**6
            raise ParameterError(
                f"sides are at most {MAX_SIDE}, and pictures {most} million pixels", where=f"--{option}"
            )
    if given.short_side is not None and given.short_side > MAX_SIDE:
        raise ParameterError(f"it is at most {MAX_SIDE}", where="--short-side")


def check(given: argparse.Namespace) -> None:
    """Raise ParameterError for options that exclude each other, have no effect, or are out of range."""
    ways = [
        option
        for option in ("letterbox", "stretch", "crop", "transforms")
        if getattr(given, option) is not None
    ]
    if len(ways) > 1:
        raise ParameterError("give only one of them", where=", ".join(f"--{way}" for way in ways))
    if given.short_side is not None and given.crop is None:
        raise ParameterError("it only goes with --crop", where="--short-side")
    if given.crop and given.short_side is not None and given.short_side < min(given.crop):
        raise ParameterError("it is at least the short side of --crop", where="--short-side")
    _check_sizes(given)
    for option, names in INEFFECTIVE.items():
        for name in names:
            if getattr(given, option) is not None and getattr(given, name) is not None:
                raise ParameterError(
                    f"it has no effect with --{option}", where="--" + name.removeprefix("pixel_")
                )
    if given.pad is not None and not 0 <= given.pad <= 255:
        raise ParameterError("a grey value in 0..255 is needed", where="--pad")
    _check_values(given)


def _check_values(given: argparse.Namespace) -> None:
    """Raise ParameterError for a range, a mean or a standard deviation that cannot be meant."""
    low, high = given.pixel_range or UNIT
    if not low < high:
        raise ParameterError("the first value must be below the second", where="--range")
    if (given.mean is None) != (given.std is None):
        raise ParameterError("give both, or neither", where="--mean, --std")
    for values in (given.mean, given.std):
        if values is not None and len(values) not in (1, 3):
            raise ParameterError("one number is needed, or three", where="--mean, --std")
    means, deviations = given.mean or (), given.std or ()
    if not all(low <= m <= high for m in means) or not all(0 < s <= high - low for s in deviations):
        raise ParameterError(
            f"a mean is in {low:g}..{high:g}, a standard deviation above 0 and at most {high - low:g}",
            where="--mean, --std",
            hint="They refer to pixels from 0 to 1 unless --range gives another range; "
            "for pixels from 0 to 255 add --range 0 255",
        )


def of(given: argparse.Namespace) -> Preprocessing:
    """Return the options of a parsed command line. Raises ParameterError for a --transforms file that is no list."""
    return Preprocessing(
        letterbox=_pair(given.letterbox),
        stretch=_pair(given.stretch),
        position=given.position,
        pad=given.pad,
        bgr=given.bgr,
        pixel_range=tuple(given.pixel_range) if given.pixel_range else None,
        mean=given.mean,
        std=given.std,
        transforms=_read(given.transforms) if given.transforms else None,
        crop=_pair(given.crop),
        short_side=given.short_side,
        resample=given.resample,
    )


def _pair(sides: list[int] | None) -> tuple[int, int] | None:
    return (sides[0], sides[1]) if sides else None


def _read(path: Path) -> Transforms:
    listed = labels.read_document(path, "--transforms")
    if not isinstance(listed, list) or not all(
        isinstance(t, dict) and isinstance(t.get("type"), str) for t in listed
    ):
        raise ParameterError("a list of {type: ...} is needed", where=f"--transforms {path}")
    return tuple(listed)
