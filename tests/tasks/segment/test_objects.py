"""The area of an object is that of its mask, in pixels of the source."""

from __future__ import annotations

import numpy as np

from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.tasks.segment.objects import object_cells
from quadrat.types import ClassInfo

BODY, FIN = ClassInfo(1, "urn:body", "body", (0, 0, 0)), ClassInfo(2, "urn:fin", "fin", (0, 0, 0))


def test_the_areas_of_parts_sum_to_that_of_the_object() -> None:
    """With several classes, each has its own; with one, it is that of the object."""
    labels = np.array([[UNKNOWN, 1, 1], [2, 1, UNKNOWN]], np.uint8)
    assert {"area": 4, "area_body": 3, "area_fin": 1} == object_cells(Segmentation(labels), [BODY, FIN])
    assert {"area": 4} == object_cells(Segmentation(labels), [BODY])


def test_with_several_classes_per_pixel_areas_overlap() -> None:
    """Each class counts all its pixels."""
    members = np.zeros((2, 3, 3), np.float16)
    members[:, :2, 1] = 0.9
    members[0, :, 2] = 0.6
    labels = np.where(members.max(axis=2) > 0, members.argmax(axis=2), UNKNOWN).astype(np.uint8)
    cells = object_cells(Segmentation(labels, None, members), [BODY, FIN])
    assert {"area": 5, "area_body": 4, "area_fin": 3} == cells
