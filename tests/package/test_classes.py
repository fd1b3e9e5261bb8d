from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import ClassesError
from quadrat.package import open_archive
from quadrat.package.classes import class_of, read_classes
from quadrat.package.colors import default_color
from quadrat.task_kinds import kind_of
from quadrat.types import ClassInfo
from tests import archives


def _names(count):
    return [{"name": f"class {i}"} for i in range(count)]


@pytest.mark.parametrize(
    ("classes", "model", "count"),
    [
        (archives.ABSENT, {"num_classes": 2}, 2),
        (None, {"num_classes": 2}, 2),
        ([], {"num_classes": 2}, 2),
        (archives.ABSENT, archives.ABSENT, None),
        (None, {}, None),
        ([], "SegFormer", None),
    ],
)
def test_an_archive_without_classes_opens(classes, model, count, tmp_path, into):
    """Classes missing, null or empty are an empty list, whether their number is stated or not."""
    files = archives.contents(classes=classes, model=model)
    package = open_archive(archives.build(tmp_path / "m.tgz", files), into)

    assert () == package.classes
    assert count == package.num_classes


@pytest.mark.parametrize("missing", [{}, {"def_color": []}, {"def_color": None}])
def test_a_class_without_colour_takes_its_own_and_moves_no_other(missing, tmp_path, into):
    """A colour left out is the palette's at that index; the colours after it stay where they are."""
    listed = [
        {"name": "a", "def_color": [9, 8, 7]},
        {"name": "b"} | missing,
        {"name": "c", "def_color": [1, 2, 3]},
    ]
    package = open_archive(archives.build(tmp_path / "m.tgz", archives.contents(classes=listed)), into)

    assert [(9, 8, 7), default_color(1), (1, 2, 3)] == [c.color for c in package.classes]


@given(order=st.permutations(range(6)))
def test_classes_out_of_order_are_sorted(order):
    """`index` says which value a class has, wherever it stands in the list."""
    listed = [{"name": f"class {i}", "index": i, "def_color": [i, i, i]} for i in order]
    classes, count = read_classes({"classes": listed})

    assert [(i, f"class {i}", (i, i, i)) for i in range(6)] == [(c.index, c.name, c.color) for c in classes]
    assert 6 == count


def test_a_class_without_id_has_the_originals():
    """The URN is made of the name as the original exporter made it."""
    classes, _ = read_classes({"classes": [{"name": "Sand/Mud Flat"}, {"name": "x", "id": "urn:my:x"}]})

    assert ["urn:ibenthos:segmentation:class:sand-mud-flat", "urn:my:x"] == [c.id for c in classes]


def test_255_classes_are_the_most(tmp_path, into):
    """All 255 indices below UNKNOWN may be classes."""
    path = archives.build(tmp_path / "m.tgz", archives.contents(classes=_names(255)))

    assert list(range(255)) == [c.index for c in open_archive(path, into).classes]


DISAGREE = {
    "fewer": {"classes": _names(2), "model": {"num_classes": 3}},
    "more": {"classes": _names(3), "model": {"num_classes": 2}},
    "256": {"classes": _names(256)},
    "300": {"classes": _names(300), "model": {}},
    "300-stated": {"classes": [], "model": {"num_classes": 300}},
    "same-index": {"classes": [{"name": "a", "index": 0}, {"name": "b", "index": 0}]},
    "gap": {"classes": [{"name": "a", "index": 0}, {"name": "b", "index": 2}]},
    "from-one": {"classes": [{"name": "a", "index": 1}, {"name": "b", "index": 2}]},
    "negative": {"classes": [{"name": "a", "index": -1}, {"name": "b", "index": 0}]},
    "some-without": {"classes": [{"name": "a", "index": 0}, {"name": "b"}]},
    "text-index": {"classes": [{"name": "a", "index": "0"}]},
    "true-index": {"classes": [{"name": "a", "index": True}]},
    "real-index": {"classes": [{"name": "a", "index": 0.0}]},
}


@pytest.mark.parametrize("changes", DISAGREE.values(), ids=DISAGREE)
def test_numbers_that_disagree_are_refused(changes, tmp_path, refused):
    """Counts and indices that do not fit together are an error of the classes."""
    refused(archives.build(tmp_path / "m.tgz", archives.contents(**changes)), "E_MODEL_CLASSES")


def test_too_many_classes_are_refused_with_the_reason(tmp_path, refused):
    """The message says that a mask has one byte for a pixel."""
    path = archives.build(tmp_path / "m.tgz", archives.contents(classes=_names(256)))

    assert "255 means unknown" in refused(path, "E_MODEL_CLASSES").what


WRONG = {
    "object": {"classes": {"0": "sand"}},
    "texts": {"classes": ["sand", "grass"]},
    "no-name": {"classes": [{"id": "urn:a"}]},
    "empty-name": {"classes": [{"name": " "}]},
    "number-name": {"classes": [{"name": 3}]},
    "line-in-name": {"classes": [{"name": "a\nb"}]},
    "escape-in-name": {"classes": [{"name": "\x1b[31m"}]},
    "long-name": {"classes": [{"name": "x" * 256}]},
    "number-id": {"classes": [{"name": "a", "id": 7}]},
    "colour-256": {"classes": [{"name": "a", "def_color": [0, 0, 256]}]},
    "colour-negative": {"classes": [{"name": "a", "def_color": [0, 0, -1]}]},
    "colour-two": {"classes": [{"name": "a", "def_color": [0, 0]}]},
    "colour-four": {"classes": [{"name": "a", "def_color": [0, 0, 0, 0]}]},
    "colour-text": {"classes": [{"name": "a", "def_color": "#00ff00"}]},
    "colour-real": {"classes": [{"name": "a", "def_color": [0.5, 0.5, 0.5]}]},
    "colour-true": {"classes": [{"name": "a", "def_color": [True, 0, 0]}]},
    "num-text": {"model": {"num_classes": "2"}},
    "num-zero": {"model": {"num_classes": 0}},
    "num-true": {"model": {"num_classes": True}},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_wrong_forms_are_refused(changes, tmp_path, refused):
    """What is no class, name, id or colour is refused, and the message says which one."""
    error = refused(archives.build(tmp_path / "m.tgz", archives.contents(**changes)), "E_MODEL_MANIFEST")

    assert "meta.json: " + ("classes" if "classes" in changes else "model.num_classes") in error.where


@pytest.mark.parametrize(("task", "kind"), [("segment", "segmentation"), ("detect", "detection")])
def test_a_class_that_is_not_listed_is_named_by_its_index(task, kind):
    """An archive without classes gives each index a name, a URN of its task, and its default colour."""
    made = class_of({}, 7, kind_of(task).class_urn)
    assert made == ClassInfo(7, f"urn:ibenthos:{kind}:class:class-7", "class 7", default_color(7))
    assert class_of({7: made}, 7, "urn:other:") is made


@pytest.mark.parametrize(("length", "is_one"), [(255, True), (256, False)])
def test_a_name_has_at_most_255_letters(length, is_one, tmp_path, into, refused):
    """As file names have, so that it can be one."""
    path = archives.build(
        tmp_path / "m.tgz", archives.contents(classes=[{"id": "urn:a", "name": "x" * length}])
    )
    if is_one:
        assert "x" * length == open_archive(path, into).classes[0].name
    else:
        assert "1 to 255 printable characters" in refused(path, "E_MODEL_MANIFEST").what


@pytest.mark.parametrize("meta", [{"classes": [{"name": "a"}]}, {"model": {"num_classes": 1}}])
def test_a_task_without_classes_refuses_them(meta):
    """An embedding has none; the line says what to leave out."""
    with pytest.raises(ClassesError, match="the task embed has no classes, and this one states 1"):
        read_classes({"task": "embed", **meta})
