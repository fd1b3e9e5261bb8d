"""What a tracker by appearance compares: rows of vectors, with zeros where there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from quadrat.errors import VectorError
from quadrat.geometry import Window
from quadrat.pipeline.appearance import Appearance
from quadrat.predictions import Detections, Embedding, ObjectResult
from quadrat.types import Frame, FrameKey

FRAME = Frame(FrameKey("v", 0), (20, 20), np.zeros((20, 20, 3), np.uint8), time_s=0.0)


def found(vectors: Sequence[Sequence[float] | None], model: str = "reid") -> Detections:
    """Make objects with these vectors; None for an object without one."""
    count = len(vectors)
    results = tuple(
        None if each is None else ObjectResult(Window(0, 0, 5, 5), Embedding(np.array(each, np.float32)))
        for each in vectors
    )
    boxes = np.tile(np.array([2, 2, 9, 9], np.float32), (count, 1))
    scores = np.full(count, 0.9, np.float32)
    return Detections(boxes, scores, np.zeros(count, np.int32), details={model: results})


def test_each_object_has_its_vector_and_zeros_without_one() -> None:
    """In order of the rows."""
    given = Appearance("reid").embeddings(FRAME, found([[1, 0, 0], None, [0, 1, 0]]))

    assert given is not None
    assert given.dtype == np.float32
    np.testing.assert_array_equal([[1, 0, 0], [0, 0, 0], [0, 1, 0]], given)


def test_before_the_first_vector_there_are_none() -> None:
    """Their length is not known yet; later, a frame without one has zeros of that length."""
    made = Appearance("reid")

    assert made.embeddings(FRAME, found([None, None])) is None
    assert made.embeddings(FRAME, Detections.none()) is None
    assert np.shape(made.embeddings(FRAME, found([[1, 0]]))) == (1, 2)
    np.testing.assert_array_equal(np.zeros((2, 2)), made.embeddings(FRAME, found([None, None])))
    assert np.shape(made.embeddings(FRAME, Detections.none())) == (0, 2)


@pytest.mark.parametrize(("before", "now"), [([], [[1, 0], [1, 0, 0]]), ([[1, 0]], [[1, 0, 0]])])
def test_vectors_of_different_lengths_are_refused(before: list[list[float]], now: list[list[float]]) -> None:
    """In one frame, and from frame to frame: they cannot be compared."""
    made = Appearance("reid")
    made.embeddings(FRAME, found(before))
    with pytest.raises(VectorError) as raised:
        made.embeddings(FRAME, found(now))
    assert "E_VECTOR reid" in raised.value.line
    assert "2 and 3 values" in raised.value.line


def test_without_a_model_of_vectors_colours_are_compared() -> None:
    """Whatever other models found in the objects."""
    given = Appearance().embeddings(FRAME, found([[1, 0]]))
    assert given is not None
    assert given.shape[1] > 100
