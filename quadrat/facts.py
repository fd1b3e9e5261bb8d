"""The facts about a picture that flags and tables need, without its pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SampleDepth:
    """How many `bits` of 16-bit samples are used, and the `source` of this number: a parameter, a tag, or the values."""

    bits: int
    source: str


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """Cheap facts about a picture as it is stored.

    `brightness` is the mean of its grey values and `contrast` their standard deviation, both as shares of white;
    `sharpness` is the variance of the Laplacian over that of the grey values; `clipped` is the share of pixels with
    a channel at 0 or 255; `hash` is the perceptual hash, 256 bits in hexadecimal.
    """

    brightness: float
    contrast: float
    sharpness: float
    clipped: float
    hash: str
