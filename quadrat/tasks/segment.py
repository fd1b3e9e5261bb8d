"""Semantic segmentation: what the network gives -> one class and one confidence per pixel of the result.

Of tiles the scores are joined as the network gives them, logits in most cases, and class and confidence
taken of the joined scores: the very step that a whole picture takes. A constant that a tile adds to all its
logits at a pixel then changes nothing, and the class is exact where the tiles agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError, EngineRunError, GraphError, ManifestError, ParameterError
from quadrat.geometry import HW, Geometry, pull_back
from quadrat.media.scratch import scratch
from quadrat.parameters import Settings
from quadrat.tasks.blend import Blend
from quadrat.transforms.tiles import plan_masks
from quadrat.types import UNKNOWN, Frame, ModelPackage, OutputSpec, Part, Segmentation

ROLES = ("labels", "confidence", "logits")

BF16_SUM = 0.02
"""How far probabilities rounded to bf16 (8 bits) may sum beside 1."""

_LOWEST = np.float32(-1e30)
_ROWS = 256

Mask = tuple[NDArray[np.uint8], NDArray[np.float16] | None]


class Segment:
    """Labels and, where the network gives scores, the confidence of each label.

    `outputs` are the network's; roles come from the archive, or from an only output's shape and
    dtype as in an original archive: (N, H, W) or (N, 1, H, W) integers are labels, (N, K, H, W)
    floats are logits (or probabilities, told apart by their values).
    """

    name = "segment"
    batched = True

    def __init__(self, package: ModelPackage, outputs: Sequence[OutputSpec], settings: Settings) -> None:
        self._roles = find_roles(package, outputs)
        self._classes = package.num_classes
        self._model = package.name
        self._source_size = settings.masks.result_size == "source"
        self._floor = settings.masks.min_confidence
        self._tile, self._overlap = settings.tiles.tile_size, settings.tiles.overlap
        self._check_channels(outputs)
        self._check_settings(settings)
        self.wanted = self._choose(settings)

    def _check_channels(self, outputs: Sequence[OutputSpec]) -> None:
        """Refuse a network whose scores have more or fewer channels than there are classes."""
        name = self._roles.get("logits")
        channels = next((o.shape[1] for o in outputs if o.name == name and len(o.shape) == 4), None)
        if channels is None:
            return
        if channels < 2:
            raise ClassesError(
                "the network gives one channel, and a mask needs one for each class",
                where=self._model,
                hint="Export the model with export_model, which makes two classes of it",
            )
        if self._classes is not None and channels != self._classes:
            raise ClassesError(
                f"meta.json lists {self._classes} classes and the network gives {channels} channels",
                where=self._model,
                hint="Export the model again with one class per channel",
            )
        if channels > UNKNOWN:
            raise ClassesError(
                f"the network gives {channels} channels; up to {UNKNOWN} classes fit a mask",
                where=self._model,
            )

    def _check_settings(self, settings: Settings) -> None:
        """Refuse what this network, or a mask, cannot give."""
        if "confidence" in self._roles or "logits" in self._roles:
            if settings.masks.with_argmax and "logits" not in self._roles:
                raise self._lacks("with-argmax", "no scores", "Leave --with-argmax out")
            return
        if settings.masks.with_argmax:
            raise self._lacks("with-argmax", "classes, not scores", "Leave --with-argmax out")
        if settings.masks.min_confidence > 0:
            raise self._lacks(
                "min-confidence",
                "no confidence",
                "Leave --min-confidence out, or export the model with its scores",
            )
        if "confidence" in settings.pictures.outputs:
            raise self._lacks(
                "outputs",
                "no confidence",
                "Leave confidence out of --outputs, or export the model with its scores",
            )

    def _lacks(self, parameter: str, gives: str, hint: str) -> ParameterError:
        return ParameterError(f"the model {self._model!r} gives {gives}", where=parameter, hint=hint)

    def _choose(self, settings: Settings) -> tuple[str, ...]:
        """The least outputs that answer the settings, as tensor names."""
        roles = self._roles
        if (
            "labels" not in roles
            or settings.masks.with_argmax
            or (settings.tiles.tile_size and "logits" in roles)
        ):
            return (roles["logits"],)
        if "confidence" in roles:
            return (roles["labels"], roles["confidence"])
        return (roles["labels"], roles["logits"]) if "logits" in roles else (roles["labels"],)

    def predict(self, frame: Frame, parts: Iterable[Part]) -> Segmentation:
        """Put the parts of a frame, the whole of it or its tiles, back into result pixels.

        The result is (H, W) of the frame's working size, or of its source with result-size=source; that of
        a mosaic lies on disk. Raises ClassesError for a label that no class has, EngineRunError for NaN scores.
        """
        remaining = iter(parts)
        first = next(remaining)
        if first.window is not None:
            return self._from_tiles(frame, chain([first], remaining))
        out_hw: HW = frame.source_hw if self._source_size else frame.pixels.shape[:2]
        labels, confidence = self._read(first.arrays)
        self._check_size(labels.shape, first.geometry.tensor_hw)
        labels = pull_back(labels, first.geometry, out_hw)
        if confidence is not None:
            confidence = pull_back(confidence, first.geometry, out_hw)
        return Segmentation(self._known(labels, confidence), confidence)

    def _known(self, labels: NDArray[np.uint8], confidence: NDArray[np.float16] | None) -> NDArray[np.uint8]:
        """Make pixels under the floor UNKNOWN."""
        if confidence is None or self._floor <= 0:
            return labels
        return np.where(confidence < self._floor, np.uint8(UNKNOWN), labels)

    def _from_tiles(self, frame: Frame, parts: Iterator[Part]) -> Segmentation:
        """Write each tile's share of the picture as soon as no later tile has a say in it."""
        hw: HW = frame.pixels.shape[:2]
        windows = plan_masks(hw, self._tile, self._overlap)
        scored = "logits" in self._roles
        blend = Blend(windows, hw, soft=scored)
        labels = scratch(hw, np.uint8)
        confidence = scratch(hw, np.float16) if scored or "confidence" in self._roles else None
        probabilities = True
        for index, (window, part) in enumerate(zip(windows, parts, strict=True)):
            if part.window != window:
                raise ValueError(f"tile {index} is {part.window}, and {window} was due")
            if scored:
                joined = blend.join(index, self._tile_scores(frame, part))
                probabilities = probabilities and are_probabilities(joined)
                some: Mask = decide(joined, probabilities=probabilities)
            else:
                some = self._tile_mask(frame, part, blend, index)
            share = blend.share(index)
            place = np.s_[share.top : share.bottom, share.left : share.right]
            labels[place] = self._known(*some)
            if confidence is not None:
                confidence[place] = some[1]
        if not self._source_size:
            return Segmentation(labels, confidence)
        at_source = None if confidence is None else _resampled(confidence, frame.source_hw)
        return Segmentation(_resampled(labels, frame.source_hw), at_source)

    def _tile_scores(self, frame: Frame, part: Part) -> NDArray[np.floating]:
        """Give the finite scores (K, h, w) of a tile in the frame's pixels."""
        name = self._roles["logits"]
        if name not in part.arrays:
            raise EngineRunError("the engine gave none of the outputs asked for", where=self._model)
        scores = part.arrays[name]
        if len(scores) < 2:
            raise ClassesError(f"scores of {len(scores)} channel cannot be told apart")
        self._check_size(scores.shape[1:], part.geometry.tensor_hw)
        if not np.isfinite(scores).all():
            _check_best(scores.max(axis=0))
            scores = np.maximum(scores, _LOWEST)  # minus infinity cannot be joined
        channels_last = scores.transpose(1, 2, 0)
        return _in_tile(channels_last, frame, part).transpose(2, 0, 1)

    def _tile_mask(self, frame: Frame, part: Part, blend: Blend, index: int) -> Mask:
        """Give the labels of a tile's share, and their confidence where the network gives one."""
        labels, confidence = self._read(part.arrays)
        self._check_size(labels.shape, part.geometry.tensor_hw)
        labels = blend.cut(index, _in_tile(labels, frame, part))
        if confidence is None:
            return labels, None
        return labels, blend.cut(index, _in_tile(confidence, frame, part))

    def _check_size(self, given: tuple[int, ...], due: HW) -> None:
        """Refuse a mask of another size than the input: stretched labels would be a wrong measure."""
        if given != due:
            raise GraphError(
                f"the network gives {given[1]} x {given[0]} pixels for an input of {due[1]} x {due[0]}",
                where=self._model,
                hint="Export the model with export_model, which brings its scores to the input's size",
            )

    def _read(self, arrays: Mapping[str, NDArray[Any]]) -> Mask:
        given = {role: arrays[name] for role, name in self._roles.items() if name in arrays}
        labels, confidence = None, None
        if "logits" in given:
            labels, confidence = decide(given["logits"])
        if "confidence" in given:
            confidence = _plane(given["confidence"]).astype(np.float16)
            if not np.isfinite(confidence).all():
                raise EngineRunError("the network gave NaN or infinite confidences", where=self._model)
        if "labels" in given:
            labels = self._as_labels(_plane(given["labels"]))
        if labels is None:
            raise EngineRunError("the engine gave none of the outputs asked for", where=self._model)
        return labels, confidence

    def _as_labels(self, plane: NDArray[Any]) -> NDArray[np.uint8]:
        """Narrow integers to uint8, refusing any that is no class."""
        low, high = int(plane.min()), int(plane.max())
        limit = self._classes if self._classes is not None else UNKNOWN
        if low < 0 or high >= limit:
            raise ClassesError(
                f"the network gives class {low if low < 0 else high}, and there are {limit} classes (0 to {limit - 1})",
                where=self._model,
                hint="List every class of the network in meta.json",
            )
        return plane.astype(np.uint8, copy=False)


def find_roles(package: ModelPackage, outputs: Sequence[OutputSpec]) -> dict[str, str]:
    """Map "labels", "confidence", "logits" to tensor names of the loaded network.

    Uses the names the archive states, as far as the network has them; an original archive's first
    output is told by dtype and rank. Raises ManifestError where neither tells.
    """
    names = {o.name for o in outputs}
    stated = {role: name for role, name in package.outputs.items() if role in ROLES and name in names}
    if "labels" in stated or "logits" in stated:
        return stated
    if not outputs:
        raise ManifestError("the network has no outputs", where=package.name)
    first = outputs[0]
    integer = first.dtype.startswith(("int", "uint", "bool"))
    if integer and len(first.shape) in (3, 4):
        return {"labels": first.name}
    if not integer and len(first.shape) == 4:
        return {"logits": first.name}
    raise ManifestError(
        f"its first output is {first.dtype} with {len(first.shape)} axes, neither labels (N, H, W) nor scores (N, K, H, W)",
        where=package.name,
    )


def decide(
    scores: NDArray[Any], *, probabilities: bool | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """Take the best class and its probability from scores (K, H, W) of floats.

    Scores that are `probabilities`, told by their values where it is None, are used as they are; others go
    through a softmax. Ties go to the lower class, as argmax does. Raises ClassesError for fewer than two
    channels, EngineRunError for NaN.
    """
    if scores.shape[0] < 2:
        raise ClassesError(f"scores of {scores.shape[0]} channel cannot be told apart")
    best = scores[0].astype(np.float32)
    labels = np.zeros(best.shape, np.uint8)
    for index in range(1, scores.shape[0]):
        higher = scores[index] > best
        labels[higher] = index
        np.maximum(best, scores[index], out=best)
    _check_best(best)
    if are_probabilities(scores) if probabilities is None else probabilities:
        return labels, np.minimum(best, 1).astype(np.float16)
    spread = np.zeros_like(best)
    for plane in scores:
        spread += np.exp(plane.astype(np.float32) - best)
    return labels, (1.0 / spread).astype(np.float16)


def are_probabilities(scores: NDArray[Any]) -> bool:
    """Whether scores (K, H, W) are in 0..1 and sum to 1, within what bf16 rounds."""
    total = scores.sum(axis=0, dtype=np.float32)
    return float(scores.min()) >= 0 and np.allclose(total, 1.0, atol=BF16_SUM)


def _check_best(best: NDArray[Any]) -> None:
    if not np.isfinite(best).all():
        raise EngineRunError("the network gave NaN or infinite scores")


def _in_tile(plane: NDArray[Any], frame: Frame, part: Part) -> NDArray[Any]:
    """Sample a tensor-sized plane (h, w, ...) at the pixels of its tile, whatever the transforms did to it."""
    window, (height, width), (source_h, source_w) = part.window, frame.pixels.shape[:2], frame.source_hw
    if window is None:
        raise ValueError("the whole picture came among its tiles")
    scale = np.diag([source_w / width, source_h / height, 1.0])
    shift = np.array([[1.0, 0.0, window.left], [0.0, 1.0, window.top], [0.0, 0.0, 1.0]])
    hw = (window.height, window.width)
    return pull_back(plane, Geometry(hw, part.geometry.tensor_hw, part.geometry.matrix @ scale @ shift), hw)


def _resampled(plane: NDArray[Any], hw: HW) -> NDArray[Any]:
    """Sample a plane at the pixel centres of another size, by rows; a large one lies on disk."""
    if plane.shape == hw:
        return plane
    rows, columns = (
        ((np.arange(new) + 0.5) * (old / new) + 1e-9).astype(np.intp)
        for new, old in zip(hw, plane.shape, strict=True)
    )
    out = scratch(hw, plane.dtype)
    for top in range(0, hw[0], _ROWS):
        out[top : top + _ROWS] = plane[rows[top : top + _ROWS]][:, columns]
    return out


def _plane(array: NDArray[Any]) -> NDArray[Any]:
    """(1, H, W) or (H, W) -> (H, W)."""
    plane = array.squeeze(0) if array.ndim == 3 and array.shape[0] == 1 else array
    if plane.ndim != 2:
        raise EngineRunError(f"an output has shape {array.shape} where one plane (H, W) was due")
    return plane
