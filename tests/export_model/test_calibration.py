"""Calibration: the temperature, the error of confidence, and thresholds by a preference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from export_model import calibration
from quadrat.errors import ParameterError

rows = arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(2, 9)), elements=st.floats(-30, 30))


def drawn(
    seed: int, temperature: float, count: int = 4000, classes: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits of a classifier that is over- or underconfident by `temperature`, and the truth (N, K)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, classes))
    shares = calibration.tempered(logits, 1.0, independent=False)
    chosen = (shares.cumsum(1) > rng.random((count, 1))).argmax(1)
    return logits * temperature, np.eye(classes, dtype=bool)[chosen]


@given(rows, st.floats(0.05, 20), st.booleans())
def test_a_temperature_never_changes_the_order(logits, temperature, independent):
    """Whatever was less probable stays so, or becomes equal by rounding."""
    before = calibration.tempered(logits, 1.0, independent=independent)
    after = calibration.tempered(logits, temperature, independent=independent)
    order = np.argsort(before, axis=1, kind="stable")
    steps = np.diff(np.take_along_axis(after, order, 1), axis=1)
    ties = np.diff(np.take_along_axis(before, order, 1), axis=1) == 0
    assert (steps >= -1e-12)[~ties].all()


@given(rows, st.floats(0.1, 10), st.booleans())
def test_probabilities_hold_all_that_a_temperature_needs(logits, temperature, independent):
    """The temperature of an archive's probabilities is that of its logits."""
    logits = logits / 4
    shares = calibration.tempered(logits, 1.0, independent=independent)
    recovered = calibration.as_logits(shares, independent=independent)
    np.testing.assert_allclose(
        calibration.tempered(recovered, temperature, independent=independent),
        calibration.tempered(logits, temperature, independent=independent), atol=1e-5,
    )  # fmt: skip


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5, 6.0])
def test_the_temperature_that_was_drawn_is_found(temperature):
    """Sharpening and softening are undone, and the error of confidence falls to that of chance."""
    logits, truth = drawn(1, temperature)
    found = calibration.fit(logits, truth, independent=False)
    assert found == pytest.approx(temperature, rel=0.06)
    before, after = (
        calibration.reliability(calibration.tempered(logits, t, independent=False), truth, independent=False)
        for t in (1.0, found)
    )
    assert after.ece < 0.03
    assert after.ece <= before.ece + 0.01


def test_independent_labels_are_fitted_too():
    """With a sigmoid for each."""
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 2, (2000, 3))
    truth = rng.random((2000, 3)) < 1 / (1 + np.exp(-logits))
    assert calibration.fit(logits * 3, truth, independent=True) == pytest.approx(3, rel=0.08)


def test_the_fit_is_the_least_of_all():
    """No other temperature of a grid has a lower negative log-likelihood."""
    logits, truth = drawn(3, 1.7, count=500)
    best = calibration.fit(logits, truth, independent=False)

    def loss(t: float) -> float:
        return calibration.nll(calibration.tempered(logits, t, independent=False), truth, independent=False)

    assert all(loss(best) <= loss(t) + 1e-9 for t in np.geomspace(0.06, 18, 200))


def test_images_that_do_not_determine_it_are_refused():
    """A classifier that is always right on them would be made certain; one that knows nothing, indifferent."""
    truth = np.eye(3, dtype=bool)[np.arange(90) % 3]
    with pytest.raises(ParameterError, match="right on all of them"):
        calibration.fit(truth * 2.0, truth, independent=False)
    with pytest.raises(ParameterError, match="say nothing"):
        calibration.fit(truth * -2.0, truth, independent=False)


def test_the_expected_calibration_error_by_hand():
    """Two bins: |0.9 - 0.5| for two images and |0.6 - 1| for two, so 0.4."""
    shares = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.4, 0.6]])
    truth = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], bool)
    found = calibration.reliability(shares, truth, independent=False, bins=10)
    assert found.ece == pytest.approx(0.4)
    assert found.count.tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 2]
    assert found.accuracy[9] == 0.5


@settings(max_examples=40)
@given(
    arrays(np.float64, 20, elements=st.floats(0, 1)), arrays(np.bool_, 20), st.floats(0.05, 1), st.booleans()
)
def test_a_threshold_is_the_best_that_keeps_the_promise(scores, holds, share, by_recall):
    """The fewest labels with the recall, or the best recall with the precision; it is refused if there is none."""
    holds[:2] = True, False

    def decide(limit):
        return scores >= limit

    wanted = {"recall": share if by_recall else None, "precision": None if by_recall else share}
    figures = [calibration._measured(limit, decide(limit), holds) for limit in np.linspace(0.001, 0.999, 101)]
    good = [each for each in figures if (each.recall if by_recall else each.precision) >= share]
    try:
        found = calibration.choose(scores, holds, decide, **wanted)
    except ParameterError:
        assert not good or not scores[holds].max() > 1e-3
        return
    assert (found.recall if by_recall else found.precision) >= share
    if by_recall:
        assert all(decide(found.threshold).sum() <= decide(each.threshold).sum() for each in good)
    else:
        assert all(each.recall <= found.recall + 1e-9 for each in good)
