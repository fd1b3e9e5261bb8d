"""Outputs become calibrated probabilities, and what is no classifier's output is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from quadrat.errors import QuadratError
from quadrat.package.labels import read_labels
from quadrat.tasks.classify.reader import ScoreReader
from quadrat.types import OutputSpec
from tests.tasks.classify.labels import FEATURES, NAMES, VALUES, package

LOGITS = st.lists(st.floats(-12, 12), min_size=3, max_size=3).map(lambda v: np.array(v, np.float32))
TEMPERATURES = st.floats(0.5, 4)


def reader(
    *specs: OutputSpec, names: Any = NAMES, role: str = "logits", features: bool = False, **words: Any
) -> ScoreReader:
    """Make the reader of a network with these outputs."""
    outputs = {role: "values", **({"features": "means"} if FEATURES in specs else {})}
    made = package(names, outputs=outputs, **words)
    return ScoreReader.of(made, specs or (VALUES,), read_labels(made.meta), features=features)


@given(LOGITS, TEMPERATURES)
def test_a_temperature_divides_logits(values: np.ndarray, temperature: float) -> None:
    """Law: it changes how sure a classifier is, and never the order of its classes."""
    plain = reader().read({"values": values})
    calibrated = reader(temperature=temperature).read({"values": values})

    np.testing.assert_allclose(plain, softmax(values.astype(float)), atol=1e-6)
    np.testing.assert_allclose(calibrated, softmax(values.astype(float) / temperature), atol=1e-6)
    assert calibrated[plain.argmax()] >= calibrated.max() - 1e-6  # nearly equal ones may tie
    np.testing.assert_array_equal(
        plain, reader(temperature=temperature).read({"values": values}, calibrated=False)
    )


@given(LOGITS, TEMPERATURES)
def test_probabilities_are_calibrated_as_their_logits_would_be(
    values: np.ndarray, temperature: float
) -> None:
    """Law: a network with a softmax or sigmoid of its own gives the same, because log p differs by a constant."""
    for multi, function in ((False, softmax), (True, expit)):
        shares = function(values.astype(float)).astype(np.float32)
        words: dict[str, Any] = {"multi_label": multi, "temperature": temperature}
        of_shares = reader(role="scores", **words).read({"values": shares})
        of_logits = reader(**words).read({"values": values})

        np.testing.assert_allclose(of_shares, of_logits, atol=2e-2 if multi else 1e-4)


def test_saturated_probabilities_are_no_certainty() -> None:
    """A sigmoid that rounds to 1 is finite before it: a temperature lowers it, and gives no NaN."""
    shares = np.array([1, 0, 0.5], np.float32)
    found = reader(role="scores", multi_label=True, temperature=4.0).read({"values": shares})

    assert np.isfinite(found).all()
    assert 0.9 < found[0] < 1
    assert reader(role="scores", temperature=2.0).read({"values": np.eye(3, dtype=np.float32)[0]})[0] == 1


def test_one_value_for_two_classes() -> None:
    """A sigmoid, or a probability, is that of the second class."""
    spec = OutputSpec("values", "float32", (None, 1))
    by_logit = reader(spec, names=("no fire", "fire"), activation="sigmoid")
    by_share = reader(spec, names=("no fire", "fire"), role="scores")

    np.testing.assert_allclose(
        by_logit.read({"values": np.array([2.0], np.float32)}), [1 - expit(2), expit(2)], atol=1e-6
    )
    np.testing.assert_allclose(by_share.read({"values": np.array([0.8], np.float32)}), [0.2, 0.8], atol=1e-6)


@pytest.mark.parametrize("shape", [(3,), (3, 1, 1), (1, 3), (1, 1, 3)])
def test_the_shape_of_a_vector(shape: tuple[int, ...]) -> None:
    """Pooling may leave axes of length 1."""
    values = np.array([1, 2, 3], np.float32).reshape(shape)
    np.testing.assert_allclose(reader().read({"values": values}), softmax([1, 2, 3]), atol=1e-6)


@pytest.mark.parametrize(
    ("specs", "how", "code"),
    [
        ((OutputSpec("values", "float32", (None, 4)),), {}, "E_MODEL_CLASSES"),
        ((OutputSpec("values", "float32", (None, 4, 1, 1)),), {}, "E_MODEL_CLASSES"),
        ((OutputSpec("values", "float32", (None, 1)),), {}, "E_MODEL_CLASSES"),
        ((OutputSpec("values", "float32", (None, 1)),), {"names": ("fire",)}, "E_MODEL_CLASSES"),
        ((OutputSpec("other", "float32", (None, 3)),), {}, "E_MODEL_MANIFEST"),
        ((VALUES,), {"activation": "sigmoid"}, "E_MODEL_MANIFEST"),
        ((VALUES,), {"features": True}, "E_PARAMETER"),
        ((VALUES,), {"names": ()}, "E_MODEL_CLASSES"),
    ],
)  # fmt: skip
def test_outputs_that_do_not_fit_are_refused_at_the_start(
    specs: tuple[OutputSpec, ...], how: dict[str, Any], code: str
) -> None:
    """Before a picture is measured."""
    with pytest.raises(QuadratError) as caught:
        reader(*specs, **how)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("values", "how", "code"),
    [
        ([1, np.nan, 2], {}, "E_ENGINE_RUN"),
        ([1, np.inf, 2], {}, "E_ENGINE_RUN"),
        ([-np.inf, -np.inf, -np.inf], {}, "E_ENGINE_RUN"),
        ([1, 2], {}, "E_MODEL_CLASSES"),
        ([[1, 2, 3], [1, 2, 3]], {}, "E_MODEL_MANIFEST"),
        ([0.2, 3.5, 1.0], {"role": "scores"}, "E_MODEL_MANIFEST"),
        ([-0.5, 0.5, 1.0], {"role": "scores", "multi_label": True}, "E_MODEL_MANIFEST"),
        ([0.9, 0.8, 0.7], {"role": "scores"}, "E_MODEL_MANIFEST"),
    ],
)  # fmt: skip
def test_values_that_are_no_scores_are_refused(values: Any, how: dict[str, Any], code: str) -> None:
    """A picture without a number has no label; values that contradict the archive end the order."""
    with pytest.raises(QuadratError) as caught:
        reader(OutputSpec("values", "float32", (None, None)), **how).read(
            {"values": np.array(values, np.float32)}
        )
    assert caught.value.code == code


def test_a_class_can_be_impossible() -> None:
    """Minus infinity is a probability of 0."""
    found = reader().read({"values": np.array([0, -np.inf, 0], np.float32)})
    np.testing.assert_allclose(found, [0.5, 0, 0.5])


def test_features_are_read_on_request() -> None:
    """They are a vector with a direction; NaN and zeros are refused."""
    asked, not_asked = reader(VALUES, FEATURES, features=True), reader(VALUES, FEATURES)
    vector = np.array([1, 2, 3, 4], np.float32)

    assert (asked.wanted, not_asked.wanted) == (("values", "means"), ("values",))
    assert not_asked.read_features({}) is None
    np.testing.assert_array_equal(asked.read_features({"means": vector}), vector)
    for wrong in (vector * np.nan, vector * 0):
        with pytest.raises(QuadratError) as caught:
            asked.read_features({"means": wrong})
        assert caught.value.code == "E_VECTOR"


@pytest.mark.parametrize("far", [1e3, 1e30, float("inf")])
def test_a_sigmoid_of_far_values_is_0_or_1(far: float) -> None:
    """Without a warning of an overflow."""
    made = reader(multi_label=True, activation="sigmoid").read(
        {"values": np.array([-far, 0, 1e3], np.float32)}
    )
    np.testing.assert_allclose(made, [0, 0.5, 1], atol=1e-30)
