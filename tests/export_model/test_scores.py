"""What scores mean is read from their values and the options, and asked for where neither tells."""

from __future__ import annotations

import numpy as np
import pytest

from export_model.scores import ScoreOptions, determine
from quadrat.errors import ParameterError
from quadrat.package.masks import read_masks

RNG = np.random.default_rng(0)
LOGITS = [RNG.normal(0, 3, (1, 3, 8, 8)).astype(np.float32) for _ in range(2)]
SIGMOIDS = [1 / (1 + np.exp(-one)) for one in LOGITS]
SOFTMAX = [np.exp(one) / np.exp(one).sum(1, keepdims=True) for one in LOGITS]
ONE = [one[:, :1] for one in SIGMOIDS]
NAMES = ("skin", "clothes", "hair")


def meaning(values, **options):
    """Determine a meaning; the words must be a valid entry of meta.json."""
    found = determine(values, ScoreOptions(**options), lambda _: None)
    count = values[0].shape[1]
    names = options.get("names") or tuple("abc"[:count])
    names = (found.added, *names) if found.added else names
    if found.words["background"] is not None and len(names) == count and count == 1:
        names = ("background", *names)
    read_masks({"segment": dict(found.words), "classes": [{"name": n} for n in names]})
    return found


def test_values_tell_what_the_network_has_applied():
    """Sums of 1 are a softmax, other values in 0..1 are sigmoids, and the rest are logits."""
    assert meaning(SOFTMAX).applied == "softmax"
    assert meaning(LOGITS).applied == ""
    assert meaning(SIGMOIDS, multi_label=True).applied == "sigmoid"
    assert meaning(LOGITS).words["activation"] == "softmax"
    assert not meaning(LOGITS).separate


def test_independent_classes_are_asked_about():
    """Both ways to use them are in the question; each option answers it."""
    (asked,) = meaning(SIGMOIDS).questions
    assert "--multi-label" in asked.options
    assert "--background NAME" in asked.options
    many = meaning(SIGMOIDS, multi_label=True, threshold=(0.3, 0.4, 0.5))
    assert many.words == {
        "activation": "none", "background": None, "multi-label": True, "threshold": [0.3, 0.4, 0.5],
    }  # fmt: skip
    best = meaning(SIGMOIDS, background="background", names=NAMES)
    assert (best.words["background"], best.words["threshold"], best.added) == (0, 0.5, "background")
    assert meaning(SIGMOIDS, background="none").words["multi-label"] is False
    assert not any(one.questions for one in (many, best))


def test_a_softmax_that_stays_is_not_applied_again():
    """With a background by threshold, or where nothing is appended, its scores are probabilities already."""
    assert meaning(SOFTMAX, background="0").words["activation"] == "none"
    assert determine(SOFTMAX, ScoreOptions(), print, appended=False).words["activation"] == "none"
    assert determine(LOGITS, ScoreOptions(), print, appended=False).words["activation"] == "softmax"
    one = determine(ONE, ScoreOptions(), print, appended=False)
    assert (one.words["activation"], one.words["background"], one.separate) == ("none", 0, True)


def test_logits_of_independent_classes_are_said():
    """Their values do not tell; the option does."""
    found = meaning(LOGITS, activation="sigmoid", multi_label=True)
    assert found.words["activation"] == "sigmoid"
    assert found.separate
    assert meaning(LOGITS, multi_label=True).words["activation"] == "sigmoid"


@pytest.mark.parametrize(("values", "applied"), [(ONE, "sigmoid"), ([one[:, :1] for one in LOGITS], "")])
def test_one_channel_is_a_class_against_a_background(values, applied):
    """At one half it becomes two classes in the graph; another threshold is stated."""
    half = meaning(values)
    assert (half.applied, half.separate) == (applied, False)
    third = meaning(values, threshold=(0.3,), names=("text",))
    assert third.words == {
        "activation": "none" if applied else "sigmoid", "background": 0, "multi-label": False, "threshold": 0.3,
    }  # fmt: skip
    assert third.added == "background"


def test_constant_scores_do_not_tell_what_they_are():
    """The operation that makes them decides, or else the option; logits are never assumed."""
    flat = [np.zeros((1, 1, 8, 8), np.float32)]
    assert "--activation" in determine(flat, ScoreOptions(), print).questions[0].options
    assert determine(flat, ScoreOptions(), print, "Sigmoid").applied == "sigmoid"
    assert determine(flat, ScoreOptions(activation="sigmoid"), print).applied == "sigmoid"
    assert determine(flat, ScoreOptions(activation="softmax"), print).applied == ""


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        (SIGMOIDS, {"activation": "softmax"}, "independent probabilities"),
        (SOFTMAX, {"multi_label": True}, "sum to 1"),
        (SOFTMAX, {"activation": "sigmoid"}, "sum to 1"),
        (LOGITS, {"activation": "none"}, "not in 0..1"),
        (SIGMOIDS, {"multi_label": True, "background": "sand"}, "no class"),
        (LOGITS, {"multi_label": True, "activation": "softmax"}, "exclude each other"),
        (SIGMOIDS, {"multi_label": True, "threshold": (1.0,)}, "between 0 and 1"),
        (SIGMOIDS, {"multi_label": True, "threshold": (0.5,) * 5}, "one for each"),
        (LOGITS, {"threshold": (0.5,)}, "class of the pixels that are below"),
        (SIGMOIDS, {"background": "none", "threshold": (0.5,)}, "needs a background"),
        (ONE, {"background": "none"}, "needs a class for the other"),
        (SIGMOIDS, {"background": "7"}, "no class of this index"),
        (SIGMOIDS, {"background": "rock", "names": ("a", "b", "c", "d")}, "the classes are a, b, c, d"),
    ],
)
def test_contradictions_are_refused(values, options, said):
    """The line names the option."""
    with pytest.raises(ParameterError) as caught:
        determine(values, ScoreOptions(**options), lambda _: None)
    assert said in caught.value.line
    assert "--" in caught.value.where
