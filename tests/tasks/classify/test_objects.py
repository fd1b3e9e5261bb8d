"""The cells of one object, and its class for the tables of objects."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.predictions import Classification
from quadrat.tasks.classify.objects import best, cells, names
from tests.tasks.classify.labels import package
from tests.tasks.classify.test_rule import PARENTS, rule

CELLS = ("class_id", "class", "level", "score", "entropy", "class_1", "score_1", "class_2", "score_2")


def found(*values: float, **words: object) -> Classification:
    """Classify an object by these probabilities."""
    return rule(**words).classify(np.array(values, np.float32))


@pytest.mark.parametrize(
    ("one", "name", "score"),
    [
        (found(0.7, 0.2, 0.06, 0.04), "ocellaris", 0.7),
        (found(0.4, 0.3, 0.2, 0.1), "unsure", ""),
        (found(0.4, 0.3, 0.2, 0.1, parents=PARENTS), "Amphiprion", 0.7),
        (found(0.9, 0.1, 0.8, 0.1, multi_label=True), "ocellaris; dascyllus", "0.9; 0.8"),
        (found(0.1, 0.1, 0.2, 0.1, multi_label=True), "no label", ""),
    ],
)
def test_an_object_has_label_and_best_classes(one: Classification, name: str, score: object) -> None:
    """All objects have the same columns; both scores are there, whether they pass or not."""
    made = cells(one, ())

    assert tuple(made) == CELLS
    assert (made["class"], made["score"]) == (name, score)
    assert isinstance(made["score_1"], float)
    assert isinstance(made["score_2"], float)
    assert (best(one) is None) == (score == "")


def test_the_class_of_an_object_is_one_of_the_names() -> None:
    """Names above classes have indices of their own."""
    made = names(package(("ocellaris", "percula", "dascyllus", "blank"), parents=PARENTS))
    index, score = best(found(0.4, 0.3, 0.2, 0.1, parents=PARENTS)) or (0, 0.0)

    assert (made[index].name, score) == ("Amphiprion", pytest.approx(0.7))
    assert [info.index for info in made] == list(range(len(made)))
