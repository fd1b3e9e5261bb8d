"""Read the EXIF tags that a measurement needs: orientation, camera, time and position."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from quadrat.types import ImageU8

_LONGEST = 100


def orientation(tags: Mapping[int, Any]) -> int:
    """Return the EXIF orientation 1..8; any other value of the tag counts as 1 (upright)."""
    value = tags.get(ExifTags.Base.Orientation)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(pixels: ImageU8, turn: int) -> ImageU8:
    """Rotate and flip stored pixels (H, W, 3) upright by EXIF orientation `turn`, 1..8; C-contiguous."""
    if turn >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def kept_tags(tags: Image.Exif) -> dict[str, str]:
    """Return Make, Model and DateTimeOriginal as stored, GPSLatitude and GPSLongitude in decimal degrees.

    Missing, empty and invalid tags are left out: a position needs both coordinates in range, and a time
    must have EXIF's format.
    """
    detail = tags.get_ifd(ExifTags.IFD.Exif)
    found = {
        "Make": _text(tags.get(ExifTags.Base.Make)),
        "Model": _text(tags.get(ExifTags.Base.Model)),
        "DateTimeOriginal": _time(detail.get(ExifTags.Base.DateTimeOriginal)),
    }
    found |= _position(tags.get_ifd(ExifTags.IFD.GPSInfo))
    return {name: value for name, value in found.items() if value}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    # Cameras pad with NUL and blanks; unprintable characters must not reach the tables.
    return "".join(c for c in value if c.isprintable()).strip()[:_LONGEST]


def _time(value: Any) -> str:
    text = _text(value)
    return text if re.fullmatch(r"[1-9]\d{3}:[01]\d:[0-3]\d [0-2]\d:[0-5]\d:[0-6]\d", text, re.ASCII) else ""


def _position(gps: Mapping[int, Any]) -> dict[str, str]:
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "NS", 90)
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "EW", 180)
    if latitude is None or longitude is None:
        return {}
    return {"GPSLatitude": f"{latitude:.6f}", "GPSLongitude": f"{longitude:.6f}"}


def _degrees(parts: Any, ref: Any, signs: str, limit: int) -> float | None:
    """Convert (degrees, minutes, seconds) and a hemisphere to signed decimal degrees; None if invalid."""
    side = _text(ref)
    if not (isinstance(parts, tuple) and len(parts) == 3 and len(side) == 1 and side in signs):
        return None
    degrees, minutes, seconds = (_number(part) for part in parts)
    # Cameras round seconds up to 60, and write 0/0 for the parts below a fraction of a degree or minute.
    seconds = 0.0 if math.isnan(seconds) else seconds
    minutes = 0.0 if math.isnan(minutes) and degrees % 1 else minutes
    value = degrees + minutes / 60 + seconds / 3600
    if not (degrees >= 0 and 0 <= minutes < 60 and 0 <= seconds <= 60 and value <= limit):
        return None
    return value if side == signs[0] or value == 0 else -value


def _number(value: Any) -> float:
    """Convert a rational to float; a zero denominator gives NaN, which is in no range."""
    try:
        return float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return math.nan
