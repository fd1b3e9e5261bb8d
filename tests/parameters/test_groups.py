"""Every parameter is declared once, in one group of at most 12, and code sees the declared defaults."""

from __future__ import annotations

import ast
import dataclasses
import typing
from collections import Counter
from pathlib import Path

import pytest

from quadrat.errors import ParameterError
from quadrat.parameters import (
    GROUPS,
    NAMES_OF_FILES,
    PARAMETERS,
    SETTINGS,
    Parameter,
    Settings,
    parameters_of,
)
from quadrat.parameters.declare import TILED, Group
from tests.parameters.values import TASKS

ROOT = Path(__file__).parents[2]
MOST = 12
ORIGINAL = [
    "model", "images", "max-img-size", "batch-size", "device", "use-trt", "precision", "min-subgraph-size",
    "enable-auto-tune", "cpu-threads", "enable-mkldnn", "benchmark", "model-name", "with-argmax", "print-detail",
]  # fmt: skip


def test_every_parameter_of_the_original_is_kept() -> None:
    """A user of the original finds all names again, with the original's defaults."""
    assert set(ORIGINAL) == {p.name for p in PARAMETERS if p.since == "original"}
    assert Settings().frames_for(shrinks=True).max_img_size == 1_000_000
    engine = Settings().engine
    assert (1, "cpu", "fp32", 3, 10) == (
        engine.batch_size, engine.device, engine.precision, engine.min_subgraph_size, engine.cpu_threads,
    )  # fmt: skip


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.title)
def test_a_group_is_small_frozen_and_described(group: type[Group]) -> None:
    """People read one group at a time, and code cannot change its values."""
    assert 1 <= len(list(group.declared())) <= MOST
    assert group.title
    assert group.about.endswith(".")
    assert group.__dataclass_params__.frozen  # type: ignore[attr-defined]
    first = next(group.declared()).field
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(group(), first, None)


def test_every_parameter_is_in_exactly_one_group() -> None:
    """Names are unique, titles too, and every field of Settings is a group."""
    names = Counter(each.name for group in GROUPS for each in group.declared())
    assert set(names.values()) == {1}
    assert list(names) == [each.name for each in PARAMETERS]
    assert len({group.title for group in GROUPS}) == len(GROUPS)
    assert {each.group for each in PARAMETERS} == {group.title for group in GROUPS}
    held = {type(getattr(Settings(), each.name)) for each in dataclasses.fields(Settings)}
    assert held == {group for group in GROUPS if group.title not in ("inputs", "results", "index")}
    assert set(NAMES_OF_FILES) == {each.field for each in PARAMETERS} - {each.field for each in SETTINGS}


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.title)
def test_declared_defaults_are_those_of_the_class(group: type[Group]) -> None:
    """What help and the platform show is what code sees; what has no default is None or empty in code."""
    values, kinds = group(), typing.get_type_hints(group)
    for parameter in group.declared():
        value = getattr(values, parameter.field)
        if parameter.name == "outputs":
            assert ("auto", ()) == (parameter.default, value)
        elif parameter.kind == "bool":
            assert parameter.default is None
            assert value is False
        elif parameter.default is None:
            assert not value
        else:
            assert value == parameter.default
            assert kinds[parameter.field] in (type(value), type(value) | str)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda p: p.name)
def test_a_declaration_is_consistent(parameter: Parameter) -> None:
    """A default is in range or among the choices; tasks and media are known; hints are for those left out."""
    if parameter.default is not None:
        assert not parameter.choices or parameter.default in parameter.choices
        assert parameter.low is None or parameter.low <= float(parameter.default)
        assert parameter.high is None or parameter.high >= float(parameter.default)
    assert (
        (parameter.kind in ("int", "float", "auto"))
        == (parameter.low is not None)
        == (parameter.high is not None)
    )
    assert (parameter.kind == "option") == bool(parameter.choices)
    assert set(parameter.tasks) <= set(TASKS)
    assert set(parameter.media) <= {"image", "video", "stream"}
    left_out = {*TASKS, "image", "video", "stream"} - {*parameter.tasks, *parameter.media}
    assert {kind for kind, _ in parameter.hints} <= left_out


@pytest.mark.parametrize("task", TASKS)
def test_the_parameters_of_a_task(task: str) -> None:
    """Those that name the task, and those that name none."""
    names = {each.name for each in parameters_of(task)}
    assert {"model", "images", "batch-size", "outputs"} <= names
    assert ("tile-size" in names) == (task in TILED)
    assert ("min-probability" in names) == ("top-k" in names) == (task == "classify")
    assert ("min-score" in names) == ("tracker" in names) == (task == "detect")
    assert ("min-confidence" in names) == ("result-size" in names) == (task == "segment")
    assert list(PARAMETERS) == parameters_of()


def test_the_parameters_of_an_unknown_task() -> None:
    """A misspelt task would be described as one without parameters of its own."""
    with pytest.raises(ParameterError) as caught:
        parameters_of("dance")
    assert (
        "E_PARAMETER TASK: there is no such task as 'dance'. Choose from classify, detect, enhance, segment"
        == caught.value.line
    )


def compared(tree: ast.AST) -> list[tuple[str, object, int]]:
    """Give each number that an attribute is compared with for equality: the attribute's name, the number, the line."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        if not all(isinstance(word, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for word in node.ops):
            continue
        names = [each.attr for each in sides if isinstance(each, ast.Attribute)]
        for side in sides:
            try:
                value = ast.literal_eval(side)
            except ValueError:
                parts = side.elts if isinstance(side, ast.Tuple | ast.Set | ast.List) else []
                values = [each.value for each in parts if isinstance(each, ast.Constant)]
            else:
                values = list(value) if isinstance(value, tuple | set | list) else [value]
            found += [(name, value, node.lineno) for name in names for value in values]
    return found


def test_no_code_compares_a_setting_with_its_literal_default() -> None:
    """A default that also means "not given" ignores a value that was given on purpose; only numbers can mean that."""
    assert [("batch_size", 1, 1)] == compared(ast.parse("settings.engine.batch_size not in (1, fixed)"))
    numbers = {
        each.field: each.default for each in SETTINGS if each.default and each.kind in ("int", "float")
    }
    numbers["max_img_size"] = 1_000_000
    files = [*ROOT.glob("*.py"), *(ROOT / "quadrat").rglob("*.py"), *(ROOT / "export_model").rglob("*.py")]
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in files
        if "parameters" not in path.relative_to(ROOT).parts
        for name, value, line in compared(ast.parse(path.read_text("utf-8")))
        if name in numbers and value == numbers[name]
    ]
    assert not wrong


def test_only_what_may_be_unset_is_optional() -> None:
    """A switch is False unless it is given, and a parameter with a default has that."""
    optional = {each.name for each in PARAMETERS if each.optional}

    assert {"model", "models", "image", "streams", "config", "max-img-size", "model-name"} <= optional
    assert not any(each.kind == "bool" or each.default is not None for each in PARAMETERS if each.optional)
