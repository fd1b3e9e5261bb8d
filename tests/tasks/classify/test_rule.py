"""Probabilities become labels by thresholds and by the hierarchy."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from quadrat.parameters import LabelSettings
from quadrat.tasks.classify.rule import LabelRule, entropy
from quadrat.types import ClassInfo

URN = "urn:t:"
FISH = ("ocellaris", "percula", "dascyllus", "blank")
PARENTS = {
    "ocellaris": "Amphiprion", "percula": "Amphiprion", "Amphiprion": "Pomacentridae",
    "dascyllus": "Dascyllus", "Dascyllus": "Pomacentridae", "Pomacentridae": None,
}  # fmt: skip
LEVELS = ["family", "genus", "species"]


def rule(names: Sequence[str] = FISH, *, settings: LabelSettings | None = None, **words: Any) -> LabelRule:
    """Make the rule of an archive with these classes and words."""
    meta = {
        "classes": [{"name": name} for name in names],
        "classify": {key.replace("_", "-"): v for key, v in words.items()},
    }
    infos = [ClassInfo(index, URN + name, name, (0, 0, 0)) for index, name in enumerate(names)]
    return LabelRule.of(meta, infos, len(names), URN, settings or LabelSettings())


def scores(*values: float) -> np.ndarray:
    """Make probabilities."""
    return np.array(values, np.float32)


def shares(count: int) -> st.SearchStrategy[np.ndarray]:
    """Draw probabilities of `count` classes that sum to 1."""
    numbers = st.lists(st.floats(0.001, 1), min_size=count, max_size=count)
    return numbers.map(lambda values: (np.array(values) / sum(values)).astype(np.float32))


@given(shares(4), st.floats(0, 1))
def test_no_label_is_less_probable_than_its_threshold(values: np.ndarray, least: float) -> None:
    """Law: a label is at least as probable as the threshold and as the best class; else there is none."""
    made = rule(parents=PARENTS, levels=LEVELS, threshold=least)
    found = made.classify(values)

    assert all(np.float32(label.probability) >= np.float32(least) for label in found.labels)
    assert all(label.probability >= values.max() - 1e-6 for label in found.labels)
    assert [label.index for label in found.top] == np.argsort(-values, kind="stable").tolist()
    reached = made.hierarchy.roll_up(values).astype(np.float32) >= np.float32(least)
    assert bool(found.labels) == bool(reached.any() or not least)


@given(shares(4), st.floats(0, 1))
def test_a_class_that_passes_is_reported_as_without_a_hierarchy(values: np.ndarray, least: float) -> None:
    """Law: the hierarchy only helps where no class passes."""
    flat = rule(threshold=least).classify(values)
    if flat.labels:
        assert rule(parents=PARENTS, threshold=least).classify(values).labels[0].index == flat.labels[0].index


@given(shares(4))
def test_names_above_sum_what_is_below(values: np.ndarray) -> None:
    """Law: roots and classes without parents sum to 1, and a parent is at least as probable as its child."""
    made = rule(parents=PARENTS)
    rolled = dict(zip([info.name for info in made.names], made.hierarchy.roll_up(values), strict=True))

    assert rolled["Pomacentridae"] + rolled["blank"] == pytest.approx(1)
    assert all(rolled[parent] >= rolled[name] - 1e-6 for name, parent in PARENTS.items() if parent)
    assert rolled["Amphiprion"] == pytest.approx(values[0] + values[1])


@pytest.mark.parametrize(
    ("values", "label", "level", "probability"),
    [
        ((0.7, 0.2, 0.05, 0.05), "ocellaris", "species", 0.7),
        ((0.45, 0.4, 0.1, 0.05), "Amphiprion", "genus", 0.85),
        ((0.3, 0.15, 0.45, 0.1), "Pomacentridae", "family", 0.9),
        ((0.25, 0.15, 0.15, 0.45), "Pomacentridae", "family", 0.55),
        ((0.1, 0.1, 0.1, 0.7), "blank", "", 0.7),
        ((0.2, 0.15, 0.14, 0.5), "blank", "", 0.5),
    ],
)
def test_the_deepest_level_that_passes(
    values: tuple[float, ...], label: str, level: str, probability: float
) -> None:
    """Species, else genus, else family; what is in no family has no level."""
    found = rule(parents=PARENTS, levels=LEVELS).classify(scores(*values))

    (one,) = found.labels
    assert (one.name, one.level, one.probability) == (label, level, pytest.approx(probability))


def test_nothing_passes() -> None:
    """Without a label, the best classes are still listed."""
    found = rule(parents=PARENTS, threshold=0.6).classify(scores(0.2, 0.2, 0.1, 0.5))

    assert found.labels == ()
    assert [label.name for label in found.top] == ["blank", "ocellaris", "percula", "dascyllus"]


def test_a_class_can_be_a_parent() -> None:
    """A network that knows "Amphiprion" and a species of it: the genus is the sum of both."""
    made = rule(("Amphiprion", "ocellaris", "blank"), parents={"ocellaris": "Amphiprion"})
    found = made.classify(scores(0.4, 0.35, 0.25))

    assert [info.name for info in made.names] == ["Amphiprion", "ocellaris", "blank"]
    assert [(label.name, label.probability) for label in found.labels] == [
        ("Amphiprion", pytest.approx(0.75))
    ]


@given(shares(4), st.floats(0, 1))
def test_a_class_above_others_does_not_hide_them(values: np.ndarray, least: float) -> None:
    """Law: a class that passes is reported as without a hierarchy, also below another class, and by maximum too."""
    names = ("Amphiprion", "ocellaris", "percula", "blank")
    parents = {
        "ocellaris": "Amphiprion",
        "percula": "Amphiprion",
        "Amphiprion": "Pomacentridae",
        "Pomacentridae": None,
    }
    flat, made = rule(names, threshold=least), rule(names, parents=parents, threshold=least)
    expected = flat.classify(values).labels
    if not expected:
        return

    (one,) = made.classify(values).labels
    assert one.index == expected[0].index
    assert one.probability == pytest.approx(
        values[:3].sum() if one.index == 0 else values[one.index], abs=1e-6
    )
    every = [
        rule_.choose(rule_.hierarchy.roll_up(values), values, 0.0, several=True) for rule_ in (flat, made)
    ]
    assert [label.index for label in every[0].labels] == [label.index for label in every[1].labels]


def test_the_species_is_reported_although_its_genus_is_a_class() -> None:
    """The sum of the genus is always higher."""
    made = rule(("Amphiprion", "ocellaris", "blank"), parents={"ocellaris": "Amphiprion"})

    assert ["ocellaris"] == [label.name for label in made.classify(scores(0.1, 0.7, 0.2)).labels]


@pytest.mark.parametrize("least", [0.1, 0.3, 0.6, 0.7, 0.9])
def test_a_probability_reaches_a_threshold_that_is_written_alike(least: float) -> None:
    """Float32 rounds some decimals down and others up."""
    assert rule(("a", "b"), threshold=[least, 1.0]).classify(scores(least, 1 - least)).labels[0].name == "a"


@given(st.floats(0.01, 0.99), st.floats(0, 1))
def test_a_binary_threshold_is_never_unsure(least: float, value: float) -> None:
    """Law: with thresholds 1 - t and t, the second class is reported from t on, and the first below it."""
    found = rule(("no fire", "fire"), threshold=[1 - least, least]).classify(scores(1 - value, value))
    assert len(found.labels) == 1
    if abs(value - least) > 1e-6:
        assert [label.name for label in found.labels] == ["fire" if value > least else "no fire"]


def test_several_labels() -> None:
    """Each class holds by its own threshold; the order is that of probability."""
    made = rule(multi_label=True, threshold=[0.5, 0.2, 0.9, 0.5])

    assert [label.name for label in made.classify(scores(0.6, 0.3, 0.8, 0.1)).labels] == [
        "ocellaris",
        "percula",
    ]
    assert made.classify(scores(0.1, 0.1, 0.8, 0.1)).labels == ()


def test_the_parameter_replaces_what_the_archive_states() -> None:
    """min-probability counts for all classes; top-k is what is listed."""
    given_ = LabelSettings(min_probability=0.3, top_k=1)
    found = rule(threshold=[0.9, 0.9, 0.9, 0.9], settings=given_).classify(scores(0.4, 0.3, 0.2, 0.1))

    assert [label.name for label in found.labels] == ["ocellaris"]
    assert rule(settings=given_).top_k == 1
    assert len(found.top) == 2  # the second is needed where objects are compared


@given(shares(5))
def test_entropy_is_shannons(values: np.ndarray) -> None:
    """In bits; of independent labels it is the sum of theirs."""
    assert entropy(values, False) == pytest.approx(scipy_entropy(values, base=2), abs=1e-4)
    both = [scipy_entropy([value, 1 - value], base=2) for value in values.astype(float)]
    assert entropy(values, True) == pytest.approx(sum(both), abs=1e-4)
    assert entropy(scores(1, 0), False) == 0


def test_thousands_of_classes() -> None:
    """Memory grows with the number of names, not with its square."""
    names = [f"species {n}" for n in range(5000)]
    parents = {name: f"genus {n % 1000}" for n, name in enumerate(names)}
    tracemalloc.start()
    made = rule(names, parents={**parents, **{f"genus {n}": None for n in range(1000)}})
    values = np.full(len(names), 0.4 / (len(names) - 5), np.float32)
    values[[7, 1007, 2007, 3007, 4007]] = 0.12
    found = made.classify(values)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [label.name for label in found.labels] == ["genus 7"]
    assert most < 20_000_000
