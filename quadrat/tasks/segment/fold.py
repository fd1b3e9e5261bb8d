"""Parts of one frame -> its mask: the whole frame at once, or tiles blended row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW, Geometry, Window, pull_back
from quadrat.media.scratch import scratch
from quadrat.parameters import MaskSettings
from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.tasks.parts import ReceivedParts
from quadrat.tasks.segment.blend import Blend
from quadrat.tasks.segment.reader import OutputReader
from quadrat.types import Frame, Part

_ROWS = 256
"""Rows that are resampled at a time."""


class WholeMask:
    """The fold of a frame that the network sees whole, in one part."""

    windows: tuple[Window | None, ...] = (None,)

    def __init__(self, frame: Frame, reader: OutputReader, masks: MaskSettings) -> None:
        self._frame = frame
        self._reader = reader
        self._masks = masks
        self._received = ReceivedParts(frame.key, 1)
        self._mask = Segmentation(np.zeros((0, 0), np.uint8))

    def add(self, number: int, part: Part) -> None:
        """Read the only part. Raises what OutputReader.read raises."""
        self._received.mark(number)
        frame = self._frame
        at_source = self._masks.result_size == "source"
        out_hw: HW = frame.source_hw if at_source else frame.pixels.shape[:2]
        found = self._reader.read(part)
        labels = pull_back(found.labels, part.geometry, out_hw)
        confidence, members = (
            None if plane is None else pull_back(plane, part.geometry, out_hw)
            for plane in (found.confidence, found.members)
        )
        labels = _apply_floor(labels, confidence, self._masks.min_confidence)
        self._mask = Segmentation(labels, confidence, members)

    def finish(self) -> Segmentation:
        """Return the mask, at working size, or at source size with result-size=source."""
        self._received.check_complete()
        return self._mask


class TiledMask:
    """The fold of a frame that the network sees in tiles.

    Scores are blended as the network gives them, logits in most cases, and class and confidence follow from the
    blended scores, as they do for a whole frame. A constant that a tile adds to all logits of a pixel therefore
    changes nothing, and where tiles agree the class is exact. Labels cannot be blended: each pixel takes the
    label of the tile in which it lies farthest from a seam.

    Blending needs tiles row by row. Parts that arrive early are held until their turn, so memory beyond the mask
    is one row of overlaps plus the parts that are early; planes of a mosaic are on disk.
    """

    def __init__(
        self, frame: Frame, windows: tuple[Window, ...], reader: OutputReader, masks: MaskSettings
    ) -> None:
        self.windows: tuple[Window | None, ...] = windows
        self._frame = frame
        self._reader = reader
        self._masks = masks
        self._hw: HW = frame.pixels.shape[:2]
        self._blend = Blend(windows, self._hw, soft=reader.gives_scores)
        self._received = ReceivedParts(frame.key, len(windows))
        self._early: dict[int, Part] = {}
        self._next = 0
        self._probabilities = True
        self._planes: Segmentation | None = None

    def add(self, number: int, part: Part) -> None:
        """Add a tile, and write all tiles whose turn it is. Raises what OutputReader raises, and ImageSizeError."""
        self._received.mark(number)
        self._early[number] = part
        while self._next in self._early:
            self._write(self._next, self._early.pop(self._next))
            self._next += 1

    def finish(self) -> Segmentation:
        """Return the mask, at working size, or at source size with result-size=source."""
        self._received.check_complete()
        planes = self._planes
        if planes is None:
            raise RuntimeError("the frame has no parts")
        if self._masks.result_size != "source":
            return planes
        hw = self._frame.source_hw
        return Segmentation(
            _resampled(planes.labels, hw),
            None if planes.confidence is None else _resampled(planes.confidence, hw),
            None if planes.members is None else _resampled(planes.members, hw),
        )

    def _write(self, index: int, part: Part) -> None:
        """Write the pixels that no later tile changes."""
        if self._reader.gives_scores:
            joined = self._blend.join(index, self._sampled_scores(index, part))
            self._probabilities = self._reader.still_probabilities(joined, self._probabilities)
            found = self._reader.decide(joined, probabilities=self._probabilities)
        else:
            found = self._own_share(index, part)
        share = self._blend.share(index)
        place = np.s_[share.top : share.bottom, share.left : share.right]
        planes = self._allocated(found)
        planes.labels[place] = _apply_floor(found.labels, found.confidence, self._masks.min_confidence)
        if planes.confidence is not None:
            planes.confidence[place] = found.confidence
        if planes.members is not None:
            planes.members[place] = found.members

    def _allocated(self, found: Segmentation) -> Segmentation:
        """Return the planes of the mask; they are made for the first tile, not while the frame waits for it."""
        if self._planes is None:
            many = None if found.members is None else (*self._hw, found.members.shape[2])
            self._planes = Segmentation(
                scratch(self._hw, np.uint8),
                scratch(self._hw, np.float16) if self._reader.gives_confidence else None,
                None if many is None else scratch(many, np.float16),
            )
        return self._planes

    def _sampled_scores(self, index: int, part: Part) -> NDArray[np.floating]:
        """Return the finite scores (K, h, w) of a tile at the frame's pixels."""
        channels_last = self._reader.read_scores(part).transpose(1, 2, 0)
        return self._sampled(index, channels_last, part).transpose(2, 0, 1)

    def _own_share(self, index: int, part: Part) -> Segmentation:
        """Return labels and confidence of a tile's share at the frame's pixels."""
        found = self._reader.read(part)
        labels = self._blend.cut(index, self._sampled(index, found.labels, part))
        if found.confidence is None:
            return Segmentation(labels)
        return Segmentation(labels, self._blend.cut(index, self._sampled(index, found.confidence, part)))

    def _sampled(self, index: int, plane: NDArray[Any], part: Part) -> NDArray[Any]:
        """Sample a plane (h, w, ...) in tensor pixels at the frame's pixels inside tile `index`."""
        window = self._blend.windows[index]
        (height, width), (source_h, source_w) = self._hw, self._frame.source_hw
        scale = np.diag([source_w / width, source_h / height, 1.0])
        shift = np.array([[1.0, 0.0, window.left], [0.0, 1.0, window.top], [0.0, 0.0, 1.0]])
        hw = (window.height, window.width)
        return pull_back(
            plane, Geometry(hw, part.geometry.tensor_hw, part.geometry.matrix @ scale @ shift), hw
        )


def _apply_floor(
    labels: NDArray[np.uint8], confidence: NDArray[np.float16] | None, floor: float
) -> NDArray[np.uint8]:
    """Replace labels whose confidence is under `floor` by UNKNOWN."""
    if confidence is None or floor <= 0:
        return labels
    return np.where(confidence < floor, np.uint8(UNKNOWN), labels)


def _resampled(plane: NDArray[Any], hw: HW) -> NDArray[Any]:
    """Sample a plane (h, w, ...) at the pixel centres of size `hw`, some rows at a time; a large result is on disk."""
    if plane.shape[:2] == hw:
        return plane
    rows, columns = (
        ((np.arange(new) + 0.5) * (old / new) + 1e-9).astype(np.intp)
        for new, old in zip(hw, plane.shape[:2], strict=True)
    )
    out = scratch((*hw, *plane.shape[2:]), plane.dtype)
    for top in range(0, hw[0], _ROWS):
        out[top : top + _ROWS] = plane[rows[top : top + _ROWS]][:, columns]
    return out
