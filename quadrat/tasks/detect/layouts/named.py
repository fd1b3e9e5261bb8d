"""Detectors with separate outputs: boxes, scores and labels, or the boxes and logits of RF-DETR."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError
from quadrat.geometry import HW
from quadrat.tasks.detect.layouts.base import (
    Candidates,
    DetectorSpec,
    as_classes,
    as_float,
    candidates,
    check_finite,
    check_scores,
    fits,
    from_fractions,
    shape_text,
    to_corners,
)
from quadrat.types import OutputSpec

NAMES = {
    "boxes": ("bboxes", "det_boxes", "detection_boxes"),
    "scores": ("det_scores", "detection_scores"),
    "labels": ("classes", "class_ids", "det_classes", "detection_classes"),
}
"""Names that exporters give to the output of each role, besides the role itself."""


def find_named(network: DetectorSpec) -> dict[str, OutputSpec]:
    """Return the outputs for boxes, scores and labels: as stated, by name, or the only one of the right kind.

    Labels are integers, boxes are floats with a last axis of 4, scores are the other floats. Raises LayoutError.
    """
    axes = [len(one.shape) for one in network.outputs if _is_boxes(one)]
    flat = [one for one in network.outputs if axes and len(one.shape) == axes[0] - 1]
    can_be: dict[str, Callable[[OutputSpec], bool]] = {
        "boxes": _is_boxes,
        "scores": lambda one: one in flat and one.dtype.startswith("float"),
        "labels": lambda one: one in flat and one.dtype.startswith(("int", "uint")),
    }
    found = {}
    for role, fitting in can_be.items():
        only = [one.name for one in network.outputs if fitting(one)]
        found[role] = network.find(role, NAMES[role] + tuple(only if len(only) == 1 else ()), "")
    return found


def _is_boxes(one: OutputSpec) -> bool:
    return len(one.shape) in (2, 3) and one.shape[-1] == 4 and one.dtype.startswith("float")


class Boxes:
    """boxes (N, K, 4) as x0, y0, x1, y1 in pixels of the input, scores (N, K), labels (N, K); or all without N.

    This is what torchvision's detectors and others with built-in NMS give. Without N the network takes one input at
    a time, and K may differ between inputs; with N it may not.
    """

    nms = False
    float_classes = False
    roles: tuple[str, ...] = ("boxes", "scores", "labels")
    with_batch_only = False

    def __init__(self, network: DetectorSpec) -> None:
        self._network = network
        found = find_named(network)
        self._boxes, self._scores, self._labels = (found[role].name for role in ("boxes", "scores", "labels"))
        self.wanted: tuple[str, ...] = (self._boxes, self._scores, self._labels)
        shape = found["boxes"].shape
        self.batched = len(shape) == 3
        lead: tuple[int | None, ...] = (None, shape[1]) if self.batched else shape[:1]
        given = [found[role].shape for role in ("boxes", "scores", "labels")]
        if (
            not (self.batched or (len(shape) == 2 and not self.with_batch_only))
            or not fits(shape, (*lead, 4))
            or not all(fits(each, lead) for each in given[1:])
        ):
            listed = ", ".join(shape_text(each) for each in given)
            raise network.fault(
                f"boxes, scores and labels are {listed}; they must be (N, K, 4), (N, K) and (N, K)"
            )

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Return the boxes as they are, without those of the background."""
        boxes = as_float(self._network, arrays, self._boxes)
        scores = as_float(self._network, arrays, self._scores)
        labels = arrays.get(self._labels, np.zeros(0))
        if boxes.ndim != 2 or not (
            boxes.shape == (len(boxes), 4) and scores.shape == labels.shape == (len(boxes),)
        ):
            shapes = ", ".join(shape_text(each.shape) for each in (boxes, scores, labels))
            raise self._network.fault(
                f"boxes, scores and labels of one input are {shapes}; they must be (K, 4), (K) and (K)"
            )
        return objects_of(self._network, (boxes, scores, labels), tensor_hw, floor)


def objects_of(
    network: DetectorSpec,
    found: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[Any]],
    tensor_hw: HW,
    floor: float,
) -> Candidates:
    """Return the boxes (K, 4), scores (K,) and labels (K,) of one input with at least `floor`, without the background."""
    boxes, scores, labels = found
    check_scores(network, scores)
    keep = scores >= np.float32(floor)
    classes = as_classes(network, labels[keep])
    background = network.words.background
    boxes, scores = boxes[keep], scores[keep]
    if background is not None:
        object_ = classes != background
        boxes, scores, classes = boxes[object_], scores[object_], classes[object_]
        classes = classes - (classes > background)
    return candidates(network, to_corners(network, boxes, tensor_hw), scores, classes, tensor_hw)


class Mmdet:
    """dets (N, K, 5) as x0, y0, x1, y1, score, and labels (N, K): exports of MMDeploy, with built-in NMS."""

    nms = False
    batched = True
    float_classes = False
    roles: tuple[str, ...] = ("boxes", "labels")

    def __init__(self, network: DetectorSpec) -> None:
        self._network = network
        boxes = network.find("boxes", ("dets",), "dets (N, K, 5)")
        labels = network.find("labels", NAMES["labels"], "labels (N, K)")
        self._boxes, self._labels = boxes.name, labels.name
        self.wanted: tuple[str, ...] = (boxes.name, labels.name)
        self._check(boxes.shape, labels.shape)

    def _check(self, boxes: tuple[int | None, ...], labels: tuple[int | None, ...]) -> None:
        if not (fits(boxes, (None, None, 5)) and fits(labels, (None, boxes[1]))):
            raise self._network.fault(
                f"{self._boxes!r} is {shape_text(boxes)} and {self._labels!r} {shape_text(labels)}, "
                "but they must be (N, K, 5) and (N, K)"
            )

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Return the rows as they are; rows that pad the output have a score of 0."""
        dets, labels = as_float(self._network, arrays, self._boxes), arrays.get(self._labels, np.zeros(0))
        self._check((None, *dets.shape), (None, *labels.shape))
        used = labels != -1
        return objects_of(self._network, (dets[used, :4], dets[used, 4], labels[used]), tensor_hw, floor)


class Rtdetr(Boxes):
    """labels (N, K), boxes (N, K, 4) as x0, y0, x1, y1 in input pixels, scores (N, K): RT-DETR's own export, D-FINE."""

    with_batch_only = True


class Rfdetr:
    """dets (N, K, 4) as centre x, centre y, width, height in fractions of the sides; labels (N, K, C) as raw logits.

    The two are distinguished by name only: with three classes and a background their shapes are equal. Which logit
    is the background's depends on the checkpoint: the archive states it; if not, it is the last one if there is one
    more than there are classes. Each query is one object, of its best class.
    """

    nms = False
    batched = True
    float_classes = False
    roles: tuple[str, ...] = ("boxes", "logits")

    def __init__(self, network: DetectorSpec) -> None:
        self._network = network
        boxes = network.find("boxes", ("dets",), "dets (N, K, 4)")
        logits = network.find("logits", ("labels",), "labels (N, K, classes)")
        self._boxes, self._logits = boxes.name, logits.name
        self.wanted: tuple[str, ...] = (boxes.name, logits.name)
        self._check((boxes.shape, logits.shape))
        if logits.shape[2] is not None:
            self._background(logits.shape[2])

    def _check(self, given: tuple[tuple[int | None, ...], tuple[int | None, ...]]) -> None:
        boxes, logits = given
        if not (fits(boxes, (None, None, 4)) and fits(logits, (None, boxes[1], None))):
            raise self._network.fault(
                f"{self._boxes!r} is {shape_text(boxes)} and {self._logits!r} {shape_text(logits)}, "
                "but they must be (N, K, 4) and (N, K, classes)"
            )

    def _background(self, channels: int) -> int | None:
        """Return the index of the background among `channels` logits, or None; ClassesError if they disagree with the classes."""
        words, classes = self._network.words, self._network.num_classes
        if not words.stated:
            last = channels - 1 if classes is not None and channels == classes + 1 else None
            self._network.check_classes(channels - (last is not None))
            return last
        if words.background is not None and words.background >= channels:
            raise ClassesError(
                f"the background is stated as class {words.background}, but the network has {channels} classes",
                where=self._network.name,
                hint="Correct detect.background in meta.json",
            )
        self._network.check_classes(channels - (words.background is not None))
        return words.background

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Score each query by the sigmoid of its best class."""
        boxes = as_float(self._network, arrays, self._boxes)
        logits = as_float(self._network, arrays, self._logits)
        self._check(((None, *boxes.shape), (None, *logits.shape)))
        check_finite(self._network, logits)
        if logits.size and logits.min() >= 0:
            raise self._network.fault(
                "no logit is negative, so they are scores already",
                "Export the network without its sigmoid, or state another layout in meta.json",
            )
        background = self._background(logits.shape[1])
        if background is not None:
            logits = np.delete(logits, background, axis=1)
        scores = sigmoid(logits.max(axis=1))
        keep = scores >= np.float32(floor)
        corners = from_fractions(self._network, boxes[keep], tensor_hw)
        return candidates(self._network, corners, scores[keep], logits[keep].argmax(axis=1), tensor_hw)


def sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / (1 + exp(-x)) as float32, without overflow."""
    return np.float32(1) / (np.float32(1) + np.exp(-np.clip(values, -80, 80)))
