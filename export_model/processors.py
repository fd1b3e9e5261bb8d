"""Map the image processor of a Hugging Face folder to transforms, and prove that both make the same values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from export_model.preprocessing import Transforms
from quadrat.errors import ParameterError, QuadratError
from quadrat.geometry import HW, Geometry
from quadrat.transforms import build
from quadrat.transforms.params import MAX_SIDE
from quadrat.transforms.pillow import FILTERS
from quadrat.types import ImageU8, TransformSpec

FILE = "preprocessor_config.json"
RESAMPLE = {int(value): name for name, value in FILTERS.items()}
"""Name of a filter by Pillow's number, which is what the file holds."""
CLOSE = 1e-5
"""Largest difference between a value of the transforms and one of the processor, which rounds in another order."""
PICTURES: tuple[HW, ...] = ((97, 131), (131, 97), (60, 300), (480, 640), (601, 399), (31, 23), (224, 224))
"""(height, width) of the drawings that both are compared on: odd and even, wide and tall, smaller than a crop."""
WARPED = 384
"""Shortest edge from which on ConvNeXt's processor stretches pictures and does not crop them."""
MAPPED = (
    "do_resize",
    "do_center_crop",
    "do_rescale",
    "do_normalize",
    "do_convert_rgb",
    "do_flip_channel_order",
)
"""Steps of a processor that are mapped; any other one that is on is refused by name."""
HARMLESS = ("do_reduce_labels",)
"""Steps that change label maps only."""


def transforms_of(processor: Any, where: str) -> Transforms:
    """Return the transforms of a transformers image processor of the PIL backend.

    Raises ParameterError that names a setting or a class of processors that cannot be mapped.
    """
    settings = {key: value for key, value in processor.to_dict().items() if value is not None}
    for key, value in settings.items():
        if key.startswith("do_") and value and key not in (*MAPPED, *HARMLESS):
            raise _unmapped(f"{key} is on", where)
    made = (*_sized(settings, where), *_turned(settings), *_valued(settings, where))
    _prove(made, processor, where)
    return made


def _unmapped(what: str, where: str) -> ParameterError:
    return ParameterError(
        f"{what}, which has no equal among quadrat's transforms", where=f"{where}: {FILE}",
        hint="Export the network to ONNX, and pack that with --onnx and --transforms FILE",
    )  # fmt: skip


def _sized(settings: Mapping[str, Any], where: str) -> Transforms:
    """Return the transforms that make the size: a resize and a crop; each may be absent."""
    made: list[dict[str, Any]] = []
    if settings.get("do_resize"):
        number = int(settings.get("resample", 2))
        if number not in RESAMPLE:
            raise _unmapped(f"resample is {number}", where)
        size = {key: value for key, value in dict(settings.get("size") or {}).items() if value}
        if "crop_pct" in settings and set(size) == {"shortest_edge"}:
            share = float(settings["crop_pct"])
            made += _cropped_by_share(size["shortest_edge"], share, where)
        elif set(size) == {"shortest_edge"}:
            made.append({"type": "PilResize", "short_size": _side(size["shortest_edge"], where)})
        elif set(size) == {"height", "width"}:
            sides = [_side(size[key], where) for key in ("width", "height")]
            made.append({"type": "PilResize", "target_size": sides})
        else:
            raise _unmapped(f"size is given by {', '.join(sorted(size)) or 'nothing'}", where)
        made[0]["resample"] = RESAMPLE[number]
    if settings.get("do_center_crop"):
        crop = dict(settings.get("crop_size") or {})
        made.append(_crop(_side(crop.get("width"), where), _side(crop.get("height"), where)))
    return tuple(made)


def _cropped_by_share(side: Any, share: float, where: str) -> list[dict[str, Any]]:
    """Return the transforms of ConvNeXt's processor: a larger resize and a crop, or a stretch to a large size."""
    side = _side(side, where)
    if side >= WARPED:
        return [{"type": "PilResize", "target_size": [side, side]}]
    if not 0 < share <= 1:
        raise _unmapped(f"crop_pct is {share:g}", where)
    return [{"type": "PilResize", "short_size": int(side / share)}, _crop(side, side)]


def _crop(width: int, height: int) -> dict[str, Any]:
    return {"type": "CenterCrop", "size": [width, height], "corner": "floor"}


def _side(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SIDE:
        raise ParameterError(f"{value!r} is not a number of pixels", where=f"{where}: {FILE}")
    return value


def _turned(settings: Mapping[str, Any]) -> Transforms:
    return ({"type": "ToBGR"},) if settings.get("do_flip_channel_order") else ()


def _valued(settings: Mapping[str, Any], where: str) -> Transforms:
    """Return the Normalize that makes the same values: (x f - offset - mean) / std, for pixels x from 0 to 255."""
    factor = float(settings.get("rescale_factor", 1 / 255)) if settings.get("do_rescale") else 1.0
    offset = 1.0 if settings.get("do_rescale") and settings.get("rescale_offset") else 0.0
    mean, std = np.zeros(3), np.ones(3)
    try:
        if settings.get("do_normalize"):
            mean, std = (np.broadcast_to(np.float64(settings[key]), 3) for key in ("image_mean", "image_std"))
            mean, std = mean.copy(), std.copy()
        if settings.get("include_top"):
            std = std * np.broadcast_to(np.float64(settings["image_std"]), 3)
    except (KeyError, ValueError, TypeError) as error:
        raise ParameterError(
            "image_mean and image_std are not three numbers", where=f"{where}: {FILE}"
        ) from error
    if not (std > 0).all() or factor <= 0:
        raise ParameterError("a deviation or a factor is not above 0", where=f"{where}: {FILE}")
    scale = 255 * factor
    return ({"type": "Normalize", "mean": ((mean + offset) / scale).tolist(), "std": (std / scale).tolist()},)


def _prove(made: Transforms, processor: Any, where: str) -> None:
    """Compare the transforms with the processor on drawings; ParameterError that names its class if they differ."""
    name = type(processor).__name__
    specs = [TransformSpec(str(t["type"]), {k: v for k, v in t.items() if k != "type"}) for t in made]
    chain = build(specs)
    for seed, hw in enumerate(PICTURES):
        picture = _drawing(hw, seed)
        try:
            own = chain(picture, Geometry.identity(hw))[0]
            given = np.asarray(processor(images=picture, return_tensors="np")["pixel_values"])[0]
        except QuadratError:
            raise
        except Exception as error:  # the processor raises anything
            first = (str(error).splitlines() or [""])[0]
            raise _unmapped(f"{name} fails on a picture of {hw[1]} x {hw[0]} ({first})", where) from error
        if given.shape != own.shape or not np.allclose(own, given, rtol=CLOSE, atol=CLOSE):
            raise _unmapped(f"{name} prepares pictures in a way of its own", where)


def _drawing(hw: HW, seed: int) -> ImageU8:
    """Return (h, w, 3) uint8 with smooth slopes and noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    slopes = np.stack([rows * 255 / hw[0], columns * 255 / hw[1], (rows + columns) % 256], -1)
    return np.clip(slopes + rng.normal(0, 30, slopes.shape), 0, 255).astype(np.uint8)
