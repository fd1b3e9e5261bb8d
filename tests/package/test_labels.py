"""What an archive states about its labels: every value of the wrong kind, and every hierarchy that is no tree, is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import HierarchyError, ModelError
from quadrat.package import open_archive
from quadrat.package.labels import MOST_LEVELS, LabelWords, depths, read_labels
from tests.classifiers import color_archive

NAMES = ("ocellaris", "percula", "blank")


def meta(words: Any, names: tuple[str, ...] = NAMES, **more: Any) -> dict[str, Any]:
    """Make the meta.json of a classifier."""
    return {"classes": [{"name": name} for name in names], "classify": words, **more}


def test_nothing_is_required() -> None:
    """An archive that states nothing has one label, by a softmax, from 0.5 on."""
    assert read_labels({}) == read_labels(meta({})) == read_labels(meta(None)) == LabelWords()


def test_everything_is_read() -> None:
    """Each key has its place."""
    parents = {"ocellaris": "Amphiprion", "percula": ["Amphiprion"], "Amphiprion": None}
    words = read_labels(
        meta({
            "activation": "softmax", "multi-label": False, "temperature": 1.7, "threshold": [0.5, 0.6, 0.7],
            "top-k": 3, "parents": parents, "levels": ["genus", "species"],
        })
    )  # fmt: skip

    assert words == LabelWords(
        "softmax", False, 1.7, (0.5, 0.6, 0.7), 3,
        {"ocellaris": "Amphiprion", "percula": "Amphiprion", "Amphiprion": None}, ("genus", "species"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], "E_MODEL_MANIFEST", "does not hold names"),
        ({"treshold": 0.5}, "E_MODEL_MANIFEST", "'treshold' is not one of its keys"),
        ({"activation": "relu"}, "E_MODEL_MANIFEST", "'relu' is not an activation"),
        ({"multi-label": "yes"}, "E_MODEL_MANIFEST", "neither true nor false"),
        ({"multi-label": True, "activation": "softmax"}, "E_MODEL_MANIFEST", "there is no softmax"),
        ({"temperature": 0}, "E_MODEL_MANIFEST", "not a number from 0.01 to 100"),
        ({"temperature": "1"}, "E_MODEL_MANIFEST", "not a number from 0.01 to 100"),
        ({"temperature": float("nan")}, "E_MODEL_MANIFEST", "not a number from 0.01 to 100"),
        ({"temperature": 10**400}, "E_MODEL_MANIFEST", "not a number from 0.01 to 100"),
        ({"threshold": [0.5, 0.5, 10**400]}, "E_MODEL_MANIFEST", "not a number from 0 to 1"),
        ({"threshold": 1.5}, "E_MODEL_MANIFEST", "not a number from 0 to 1"),
        ({"threshold": []}, "E_MODEL_MANIFEST", "not a number from 0 to 1"),
        ({"threshold": [0.5, 0.5]}, "E_MODEL_CLASSES", "2 numbers for 3 classes"),
        ({"top-k": 0}, "E_MODEL_MANIFEST", "not an integer from 1"),
        ({"top-k": True}, "E_MODEL_MANIFEST", "not an integer from 1"),
        ({"levels": ["species"]}, "E_MODEL_MANIFEST", "no hierarchy that has levels"),
        ({"levels": "species"}, "E_MODEL_MANIFEST", "not a list of names"),
        ({"parents": []}, "E_MODEL_HIERARCHY", "does not hold names with their parents"),
        ({"parents": {"ocellaris": ["A", "B"]}}, "E_MODEL_HIERARCHY", "'ocellaris' has 2 parents"),
        ({"parents": {"ocellaris": "A"}}, "E_MODEL_HIERARCHY", "'A', the parent of 'ocellaris', is neither"),
        ({"parents": {"ocellaris": "A", "A": "B", "B": "A"}}, "E_MODEL_HIERARCHY", "loop: A > B > A"),
        ({"parents": {"ocellaris": "ocellaris"}}, "E_MODEL_HIERARCHY", "loop: ocellaris > ocellaris"),
        ({"parents": {"ocelaris": "A", "A": None}}, "E_MODEL_HIERARCHY", "no class is 'ocelaris' or below"),
        ({"parents": {"ocellaris": "A", "A": None}, "multi-label": True}, "E_MODEL_HIERARCHY", "cannot be added up"),
        ({"parents": {"ocellaris": "A", "A": None}, "levels": ["a", "b", "c"]}, "E_MODEL_HIERARCHY", "it has 2 levels"),
        ({"parents": {"ocellaris": "A", "A": None}, "levels": ["a", "a"]}, "E_MODEL_MANIFEST", "a level twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(words: Any, code: str, text: str) -> None:
    """One line that says where and what, with a code."""
    with pytest.raises(ModelError) as caught:
        read_labels(meta(words))

    assert caught.value.code == code
    assert text in caught.value.line
    assert caught.value.where.startswith("meta.json: classify")


@pytest.mark.parametrize(
    "classes",
    [
        [{"name": "fish"}, {"name": "crab"}, {"name": "fish"}],
        [{"name": "Fish"}, {"name": "fish "}],
        [{"name": "fish", "id": "urn:a"}, {"name": "crab", "id": "urn:a"}],
        [{"name": "sea star"}, {"name": "sea/star"}],
    ],
)
def test_labels_that_repeat_are_refused(classes: list[dict[str, str]]) -> None:
    """A label names one class, also in tables that know only its id."""
    with pytest.raises(ModelError) as caught:
        read_labels({"classes": classes})

    assert caught.value.code == "E_MODEL_CLASSES"


def test_an_archive_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    """The line names the archive."""
    archive = color_archive(tmp_path / "m.tgz", words={"parents": {"red": "warm", "warm": "red"}})
    with pytest.raises(HierarchyError) as caught:
        open_archive(archive, tmp_path)

    assert caught.value.line.startswith(
        "E_MODEL_HIERARCHY m.tgz: meta.json: classify.parents: it has a loop: red > warm > red"
    )


@pytest.mark.parametrize("up", [True, False])
def test_a_hierarchy_of_an_untrusted_archive_is_followed_in_no_time(up: bool) -> None:
    """It has at most MOST_LEVELS, from whichever end they are listed; exactly these pass."""
    for count, passes in ((MOST_LEVELS, True), (MOST_LEVELS + 1, False), (100_000, False)):
        chain = [
            ("ocellaris" if n == 0 else f"n{n}", f"n{n + 1}" if n + 1 < count else None) for n in range(count)
        ]
        words = {
            "classes": [{"name": "ocellaris"}],
            "classify": {"parents": dict(chain if up else chain[::-1])},
        }
        if passes:
            assert depths(read_labels(words).parents)["ocellaris"] == MOST_LEVELS - 1
        else:
            with pytest.raises(HierarchyError, match="more than 100 levels"):
                read_labels(words)


def test_a_hierarchy_needs_names() -> None:
    """Indices have no parents."""
    with pytest.raises(HierarchyError):
        read_labels({"model": {"num_classes": 3}, "classify": {"parents": {"a": None}}})


@given(st.dictionaries(st.sampled_from("abcdefg"), st.none() | st.sampled_from("abcdefg"), max_size=7))
def test_a_tree_has_depths_and_anything_else_a_loop(parents: dict[str, str | None]) -> None:
    """Law: a name is one deeper than its parent; where that cannot be, there is a loop."""
    try:
        found = depths(parents)
    except HierarchyError:
        assert any(_returns(name, parents) for name in parents)
        return
    for name, parent in parents.items():
        assert found[name] == (0 if parent is None else found[parent] + 1)


def _returns(name: str, parents: dict[str, str | None]) -> bool:
    place: str | None = name
    for _ in range(len(parents) + 1):
        place = parents.get(place) if place is not None else None
    return place is not None
