"""Scores become the class that argmax and softmax give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quadrat.errors import ClassesError, EngineRunError
from quadrat.tasks.segment.scores import are_probabilities, decide


@given(hnp.arrays(np.float32, (5, 4, 3), elements=st.floats(-20, 20, width=32)))
def test_decide_is_argmax_and_softmax(scores: np.ndarray) -> None:
    """The class is numpy's argmax, ties to the lower; the confidence is the softmax of that class."""
    labels, confidence = decide(scores, probabilities=False)
    soft = np.exp(scores - scores.max(0)) / np.exp(scores - scores.max(0)).sum(0)

    np.testing.assert_array_equal(scores.argmax(0), labels)
    np.testing.assert_allclose(soft.max(0), confidence, atol=1e-3)


def test_probabilities_are_not_softened_again() -> None:
    """A network that ends in a softmax keeps its own confidences."""
    scores = np.array([[[0.9, 0.2]], [[0.1, 0.8]]], np.float32)

    np.testing.assert_allclose(decide(scores)[1], [[0.9, 0.8]], atol=1e-3)


def test_probabilities_rounded_to_bf16_are_still_probabilities() -> None:
    """The output of a softmax in bf16 sums to 1 only approximately."""
    scores = np.array([[[0.7461]], [[0.2617]]], np.float32)

    np.testing.assert_allclose(decide(scores)[1], [[0.7461]], atol=1e-3)


def test_nan_scores_are_no_cover() -> None:
    """A network that gives NaN is an error, never a class."""
    scores = np.zeros((2, 2, 2), np.float32)
    scores[1, 0, 0] = np.nan

    with pytest.raises(EngineRunError, match="NaN"):
        decide(scores)


def test_one_channel_leaves_nothing_to_choose_from() -> None:
    """Scores of one channel are refused, never taken for a picture of class 0."""
    with pytest.raises(ClassesError, match="scores of 1 channel"):
        decide(np.zeros((1, 4, 4), np.float32))


def test_probabilities_over_1_by_rounding_give_a_confidence_of_1() -> None:
    """Rounding in bf16 may put the best probability slightly over 1."""
    scores = np.array([[[1.004]], [[0.0]]], np.float32)

    assert [[1.0]] == decide(scores)[1].tolist()


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.5, 0.5], True),
        ([0.0, 1.0], True),
        ([0.75, 0.26], True),
        ([0.75, 0.22], False),
        ([0.75, 0.28], False),
        ([-0.2, 1.2], False),
    ],
)
def test_probabilities_are_told_by_their_values(scores: list[float], expected: bool) -> None:
    """They are at least 0 and sum to 1 within 0.02, at every pixel."""
    planes = np.array(scores, np.float32)[:, None, None]
    certain = np.broadcast_to(np.array([1.0, 0.0], np.float32)[:, None, None], (2, 1, 3))

    assert expected == are_probabilities(planes)
    assert expected == are_probabilities(np.concatenate([certain, planes], axis=2))
