"""One record per task holds all that other code needs to know of it."""

from __future__ import annotations

import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from quadrat import task_kinds
from quadrat.errors import ManifestError
from quadrat.parameters import MaskSettings, PictureSettings, Settings, TileSettings
from quadrat.predictions import Detections, Segmentation
from quadrat.task_kinds import TASKS, TaskKind, default_task, kind_of, resolve

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("make", "collector", "tables")
OPTIONAL = ("read_meta", "is_empty", "fault", "annotate", "entries")


@pytest.fixture(params=sorted(TASKS))
def kind(request: pytest.FixtureRequest) -> TaskKind:
    """The record of each task in turn."""
    return kind_of(request.param)


def test_a_record_is_found_by_its_name(kind: TaskKind) -> None:
    """The name is the one that archives give."""
    assert kind.name in TASKS
    assert kind_of(kind.name) is kind
    assert kind is resolve(TASKS[kind.name])


def test_every_part_is_there(kind: TaskKind) -> None:
    """What a record names can be imported and called; a part that it lacks is None."""
    assert all(callable(kind.part(name)) for name in PARTS)
    for name in OPTIONAL:
        assert callable(kind.part(name)) == bool(getattr(kind, name))
    assert TaskKind("x", object, {}, (), "", "", "", "", "", 1, "").part("fault") is None


def test_every_group_is_one_of_the_settings(kind: TaskKind) -> None:
    """The parts receive their groups, not the whole."""
    settings = Settings()

    assert kind.groups_of(settings) == tuple(getattr(settings, name) for name in kind.groups)
    assert not any(isinstance(group, Settings) for group in kind.groups_of(settings))


def test_every_medium_has_pictures(kind: TaskKind) -> None:
    """The first is drawn by default; each is listed once for all media. A task without pictures draws none."""
    assert set(kind.pictures) == {"image", "video", "stream"}
    assert all(kind.pictures.values()) == bool(kind.annotate)
    assert sorted(kind.all_pictures) == sorted({name for names in kind.pictures.values() for name in names})
    assert kind.class_urn.startswith("urn:")
    assert kind.class_urn.endswith(":")


def test_a_record_survives_pickle(kind: TaskKind) -> None:
    """Executors send it to other processes."""
    assert pickle.loads(pickle.dumps(kind)) == kind


def test_the_two_tasks_differ_as_they_should() -> None:
    """Masks are of whole images, shrunk, with one class per pixel; objects can be followed."""
    segment, detect = kind_of("segment"), kind_of("detect")

    assert (segment.prediction, detect.prediction) == (Segmentation, Detections)
    assert (segment.tracks, segment.shrinks, segment.max_classes) == (False, True, 255)
    assert (detect.tracks, detect.shrinks) == (True, False)
    assert segment.all_pictures == ("pseudo", "labels", "confidence", "overlay")
    assert detect.all_pictures == ("annotated",)
    groups = segment.groups_of(Settings())
    assert [type(group) for group in groups] == [MaskSettings, TileSettings, PictureSettings]


def test_an_archive_that_names_no_task_makes_masks() -> None:
    """Archives of the original service name none."""
    assert default_task() == "segment"


def test_an_unknown_task_is_a_fault_of_the_archive() -> None:
    """The error names the archive, and the tasks that there are."""
    with pytest.raises(ManifestError) as raised:
        kind_of("pose", "m.tgz")

    assert raised.value.code == "E_MODEL_MANIFEST"
    assert "'pose'" in raised.value.line
    assert raised.value.where == "m.tgz"
    assert raised.value.hint == f"It has: {', '.join(TASKS)}"


def test_a_task_is_added_by_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry is the only place that knows all tasks."""
    monkeypatch.setitem(task_kinds.TASKS, "count", "tests.test_task_kinds:COUNT")

    assert kind_of("count").part("make") is default_task
    assert kind_of("count").all_pictures == ("bars", "dots", "lines")


COUNT = TaskKind(
    name="count",
    prediction=object,
    pictures={"image": ("bars", "dots"), "video": ("dots", "lines")},
    groups=(),
    make="quadrat.task_kinds:default_task",
    collector="",
    tables="",
    annotate="",
    class_urn="urn:count:",
    max_classes=1,
    model_schema="",
)


def literal_tasks(path: Path) -> Iterator[str]:
    """Find the places of a file that compare something with the name of a task, or match it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        compared = [*node.comparators, node.left] if isinstance(node, ast.Compare) else []
        compared += [node.value] if isinstance(node, ast.MatchValue) else []
        parts = [each for item in compared for each in getattr(item, "elts", [item])]
        names = [each.value for each in parts if isinstance(each, ast.Constant) and each.value in TASKS]
        if names:
            yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def test_no_code_decides_by_the_name_of_a_task() -> None:
    """What differs between tasks is in their records."""
    paths = [*(ROOT / "quadrat").rglob("*.py"), *ROOT.glob("*.py")]

    assert len(paths) > 100
    assert [place for path in paths for place in literal_tasks(path)] == []
