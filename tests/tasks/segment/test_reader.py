"""The outputs of one part are read as classes and confidence, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quadrat.errors import (
    ClassesError,
    EngineRunError,
    GraphError,
)
from quadrat.geometry import Geometry
from quadrat.tasks.segment.reader import OutputReader
from quadrat.types import Part
from tests.tasks.folding import make_task, predict
from tests.tasks.segment.masks import (
    LABELS,
    SCORES,
    STATED,
    THREE,
    frame,
    package,
    part,
)
from tests.values import settings_of


def test_a_mask_of_another_size_than_the_input_is_refused() -> None:
    """Stretching a mask of a quarter of the input's size would give a wrong cover."""
    f = frame(8, 12)
    with pytest.raises(GraphError, match="3 x 2 pixels for an input of 12 x 8"):
        predict(
            make_task(package(), [LABELS], settings_of()), f, [part(f, argmax_0=np.zeros((2, 3), np.int64))]
        )


def test_an_original_argmax_archive_gives_labels_and_no_confidence() -> None:
    """Integers (N, H, W) are labels, and there is no confidence."""
    task = make_task(package(), [LABELS], settings_of())
    f = frame()
    got = predict(task, f, [part(f, argmax_0=np.full((4, 6), 2, np.int64))])

    assert ("argmax_0",) == task.wanted
    assert (2, None) == (int(got.labels.max()), got.confidence)
    assert np.uint8 == got.labels.dtype


def test_an_archive_without_argmax_is_decided_here() -> None:
    """Floats (N, K, H, W) are scores: class and confidence come from them (the original's IndexError)."""
    task = make_task(package(), [SCORES], settings_of())
    f = frame()
    scores = np.zeros((3, 4, 6), np.float32)
    scores[1] = 5
    got = predict(task, f, [part(f, scores=scores)])

    assert got.confidence is not None
    assert (1, True) == (int(got.labels.min()), bool((got.confidence > 0.98).all()))


def test_labels_and_logits_agree() -> None:
    """with-argmax gives the same mask as the network's own labels."""
    f = frame()
    logits = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    own = make_task(package(outputs=STATED), THREE, settings_of())
    forced = make_task(package(outputs=STATED), THREE, settings_of(with_argmax=True))
    confidence = np.ones((4, 6), np.float32)
    labels = logits.argmax(0).astype(np.uint8)

    np.testing.assert_array_equal(
        predict(own, f, [part(f, labels=labels, confidence=confidence)]).labels,
        predict(forced, f, [part(f, logits=logits)]).labels,
    )


@pytest.mark.parametrize(("classes", "label"), [(3, 3), (3, -1), (None, 255)])
def test_a_label_that_no_class_has_stops_the_order(classes: int | None, label: int) -> None:
    """Class ids never wrap or vanish (the original cast 256 to 0)."""
    f = frame()
    task = make_task(package(classes), [LABELS], settings_of())

    with pytest.raises(ClassesError, match=f"class {label}"):
        predict(task, f, [part(f, argmax_0=np.full((4, 6), label, np.int64))])


def reader(**roles: str) -> OutputReader:
    """Make the reader of a network of three classes with these roles."""
    return OutputReader("tiny", 3, roles)


def small(**arrays: Any) -> Part:
    """Make a part of 1 x 2 pixels."""
    return Part(arrays, Geometry.identity((1, 2)))


def test_scores_of_minus_infinity_are_replaced_for_blending() -> None:
    """A class that is ruled out stays the worst, without a NaN when two tiles are subtracted."""
    scores = np.array([[[1, 2]], [[-np.inf, 0]], [[0, -np.inf]]], np.float32)
    got = reader(logits="s").read_scores(small(s=scores))

    assert np.isfinite(got).all()
    np.testing.assert_array_equal(scores.argsort(axis=0), got.argsort(axis=0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_without_a_finite_best_are_refused(value: float) -> None:
    """NaN and infinity are errors, and so is a pixel for which every class is ruled out."""
    scores = np.zeros((3, 1, 2), np.float32)
    scores[:, 0, 1] = value
    with pytest.raises(EngineRunError, match="NaN or infinite scores"):
        reader(logits="s").read_scores(small(s=scores))


def test_confidence_must_be_finite() -> None:
    """A NaN would make the mean confidence of its class NaN."""
    labels, confidence = np.zeros((1, 2), np.uint8), np.array([[0.5, np.nan]], np.float32)
    with pytest.raises(EngineRunError, match="NaN or infinite confidences"):
        reader(labels="l", confidence="c").read(small(l=labels, c=confidence))


@pytest.mark.parametrize("shape", [(1, 2), (1, 1, 2)])
def test_a_plane_may_have_a_channel_axis_of_one(shape: tuple[int, ...]) -> None:
    """Archives give labels as (h, w) or (1, h, w)."""
    assert (1, 2) == reader(labels="l").read(small(l=np.zeros(shape, np.int64))).labels.shape


def test_two_planes_where_one_is_expected_are_refused() -> None:
    """Two planes of labels are not one mask."""
    with pytest.raises(EngineRunError, match="expected one plane"):
        reader(labels="l").read(small(l=np.zeros((2, 1, 2), np.int64)))


def test_missing_outputs_are_refused() -> None:
    """An engine that returns other outputs than requested is at fault."""
    with pytest.raises(EngineRunError, match="none of the requested outputs"):
        reader(labels="l").read(small(x=np.zeros((1, 2))))
    with pytest.raises(EngineRunError, match="none of the requested outputs"):
        reader(logits="s").read_scores(small(x=np.zeros((1, 2))))
