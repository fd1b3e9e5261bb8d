from __future__ import annotations

import numpy as np
import pytest

from export_model.selftest import HW, choose, labels_of, picture

ANY = (None, 3, None, None)


def test_the_input_is_exact_and_repeatable():
    """The picture survives float16 exactly, lies in -1..1, and one seed gives one picture."""
    image = picture(3, ANY)
    assert image.shape == (1, 3, *HW)
    assert (image.astype(np.float32).astype(np.float16) == image).all()
    assert np.abs(image).max() <= 1
    assert (image == picture(3, ANY)).all()
    assert (image != picture(4, ANY)).any()


def test_a_fixed_shape_is_kept():
    """A network of one size is tested at that size."""
    assert picture(0, (1, 3, 32, 48)).shape == (1, 3, 32, 48)


def test_the_input_is_far_from_a_tie():
    """Of the pictures tried, the one is taken whose closest pixel is furthest from a tie."""
    calls = []

    def run(image):
        calls.append(image)
        half = np.ones(image.shape[2:], np.float32)
        half[: len(half) // 2] *= -1
        half[0, 0] = -(0.5 if len(calls) == 3 else 0.01)
        return np.stack([half, -half])[None]

    image, labels = choose(run, ANY)
    assert len(calls) > 3
    assert (image == calls[2]).all()
    assert np.unique(labels).tolist() == [0, 1]


def test_one_class_everywhere_proves_little():
    """A picture on which only one class is seen is taken only if no other shows more."""
    calls = []

    def run(image):
        calls.append(image)
        scores = np.zeros((1, 2, *image.shape[2:]), np.float32)
        scores[:, 0] = 100
        if len(calls) == 5:
            scores[:, 1, :5] = 100.001
        return scores

    image, labels = choose(run, ANY)
    assert (image == calls[4]).all()
    assert labels.max() == 1


@pytest.mark.parametrize(
    "given",
    [
        np.array([[[[2.0, 0.0]], [[1.0, 1.0]]]], np.float32),
        np.array([[[0, 1]]], np.int64),
        np.array([[[[0, 1]]]], np.int32),
    ],
)
def test_scores_and_labels_are_told_apart(given):
    """Scores are decided, labels of either rank are taken as they are."""
    labels = labels_of(given)
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[[0, 1]]]
