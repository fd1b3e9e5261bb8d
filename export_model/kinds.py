"""Recognise networks that make neither masks nor boxes: classifiers, embeddings, and networks that make pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from export_model.network import F32

LIKE = 0.8
"""Least correlation of each channel of a picture with the same channel of the input."""
WIDTHS = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Usual lengths of embeddings."""
LISTS = (1000, 1001, 21841, 365, 10, 100)
"""Usual numbers of classes: those of ImageNet, Places365 and CIFAR."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a network is, in words, the reason, and how sure that is: "certain" or "likely".

    `picture` is True if it makes pictures; `task` is the one that it can be packed for, "" for none.
    """

    name: str
    reason: str
    sure: str
    picture: bool = False
    task: str = ""


def recognise(outputs: Mapping[str, NDArray[Any]], image: F32) -> Kind | None:
    """Return what a network is that makes neither masks nor boxes; None if it may.

    `outputs` are all outputs by name for `image` (N, C, H, W), a picture in 0..1.
    """
    arrays = [array for array in outputs.values() if array.dtype.kind == "f"]
    if not arrays or len(arrays) != len(outputs):
        return None
    flat = [a.reshape(len(a), -1) for a in arrays if a.ndim == 2 or (a.ndim == 4 and max(a.shape[2:]) == 1)]
    if flat and len(flat) == len(arrays):
        found = [_of_whole_picture(rows) for rows in flat]
        return next((kind for kind in found if kind.task), found[0])
    if len(arrays) == 1:
        return as_picture(arrays[0], image)
    return None


def _of_whole_picture(rows: NDArray[Any]) -> Kind:
    """Return what a network is that gives one row (N, K) per picture."""
    count, values = rows.shape[1], rows.astype(np.float64)
    many = f"it gives {count} numbers for the whole picture"
    if values.min() >= 0 and np.allclose(values.sum(1), 1, atol=1e-2):
        return Kind("a classifier", f"{many}, which sum to 1", "certain", task="classify")
    if np.allclose(np.linalg.norm(values, axis=1), 1, atol=1e-2):
        return Kind("an embedding", f"{many}, a vector of length 1", "certain", task="embed")
    if count in WIDTHS and count not in LISTS:
        return Kind("an embedding", f"{many}, which are no probabilities", "likely", task="embed")
    return Kind("a classifier", f"{many}, which may be the scores of classes", "likely", task="classify")


def as_picture(array: NDArray[Any], image: F32) -> Kind | None:
    """Return a kind if an output is a picture like the input `image` (N, C, H, W), else None."""
    channels = image.shape[1]
    if array.ndim != 4 or channels not in (array.shape[1], array.shape[3]):
        return None
    planes = array[0].transpose(2, 0, 1) if array.shape[1] != channels else array[0]
    height, width = image.shape[2:]
    if min(planes.shape[1:]) < 8 or not np.isfinite(planes).all():
        return None
    small = [
        cv2.resize(plane.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        for plane in planes
    ]
    if any(_correlation(mine, given) < LIKE for mine, given in zip(small, image[0], strict=True)):
        return None
    scale = planes.shape[1] / height
    colours = f"with {channels} channel{'s' * (channels != 1)} like {'that' if channels == 1 else 'those'} of the input"
    if scale > 1:
        return Kind(
            "a super-resolution network",
            f"it gives a picture {scale:g} times as large, {colours}",
            "likely",
            picture=True,
        )
    return Kind("an enhancement network", f"it gives a picture {colours}", "likely", picture=True)


def _correlation(one: NDArray[Any], two: NDArray[Any]) -> float:
    a, b = one.astype(np.float64).ravel(), two.astype(np.float64).ravel()
    if a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
