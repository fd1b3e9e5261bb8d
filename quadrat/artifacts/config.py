"""Settings of an order in a file: JSON or YAML, or the run.json of an earlier order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from quadrat.errors import ParameterError
from quadrat.parameters import NAMES_OF_FILES, RUN, Parameter, check, find

LARGEST = 4 << 20
"""Bytes of a file: the run.json of an order of many videos has a part for each of them."""
LARGEST_YAML = 64 << 10
"""Bytes of one that is no JSON; its reader is slow."""
DEEPEST = 32
LONGEST_NAME = 60
LARGEST_NUMBER = 2**63


def over_config(given: Mapping[str, Any], filed: Mapping[str, Any], *, platform: bool) -> dict[str, Any]:
    """Give an order's values (by field, None is not given) over those of its config file.

    On the `platform` a value that is the parameter's default does not count as given: it knows the defaults and may
    give every parameter its own, so that nobody can tell whether it was said.
    """
    said = {name: v for name, v in given.items() if v is not None and not (platform and _is_default(name, v))}
    return {**given, **filed, **said}


def read_config(path: Path, name: str) -> dict[str, Any]:
    """Give the settings in a file by field, each of them checked; `name` is what errors call the file.

    Raises ParameterError for what is no mapping of plain values, for a name that is no setting's or is there twice,
    and for a value that its parameter does not take.
    """
    content, where = _mapping(_read(path, name), name), name
    if "$schema" in content:
        if content["$schema"] != RUN:
            raise _no("its $schema is not that of a run.json of this version", name, "Leave it out")
        where = f"{name}, settings"
        content = _mapping(content.get("settings"), where)
    settings: dict[str, Any] = {}
    for entry, value in content.items():
        parameter = _setting(entry, where)
        if parameter.field in settings:
            raise _no("it is there twice", f"{where}, {parameter.name}", "Leave one of them out")
        _check(parameter, value, f"{where}, {parameter.name}")
        settings[parameter.field] = value
    return {field: value for field, value in settings.items() if value is not None}


def _setting(entry: str, file: str) -> Parameter:
    """Give the parameter that an entry names; ParameterError where it is none, or names a file."""
    shown = entry[:LONGEST_NAME]
    where = f"{file}, {shown if shown.isprintable() else ascii(shown)}"
    try:
        parameter = find(shown)
    except ParameterError as error:
        raise _no(error.what, where, error.hint) from None
    if parameter.field in NAMES_OF_FILES:
        what = "it names a file or an artifact, and a config file has settings only"
        raise _no(what, where, f"Give it with the order, as --{parameter.name}")
    return parameter


def _check(parameter: Parameter, value: Any, where: str) -> None:
    """Check a value as it is checked everywhere; None means not given."""
    if not _is_plain(value):
        hint = "Write a number, true or false, or a text (in quotes, if it looks like something else)"
        raise _no("it is not a plain value", where, hint)
    try:
        if value is not None:
            check(parameter, value)
    except ParameterError as error:
        is_text = parameter.kind in ("int", "float", "bool") and isinstance(value, str)
        raise _no(
            error.what,
            where,
            error.hint or "Write it as a plain number or true or false, without quotes" * is_text,
        ) from None


def _is_plain(value: Any) -> bool:
    """Whether a value is what a parameter can be: a text that can be printed, a number, a truth, or some texts."""
    if isinstance(value, list):
        return all(isinstance(part, str) and _is_plain(part) for part in value)
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, int):
        return abs(value) < LARGEST_NUMBER
    return value is None or isinstance(value, float)


def _is_default(name: str, value: Any) -> bool:
    parameter = find(name)
    return bool(value == (False if parameter.kind == "bool" else parameter.default))


def _read(path: Path, name: str) -> Any:
    if not path.is_file():  # a pipe would be waited for
        raise _no("it is not a file", name)
    try:
        with path.open("rb") as file:
            body = file.read(LARGEST + 1)
    except OSError as error:
        raise _no(f"the file cannot be read ({error.strerror})", name) from error
    if len(body) > LARGEST:
        raise _no(f"it is longer than {LARGEST} bytes", name)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _no("it is not UTF-8", name) from None
    try:
        return json.loads(text, object_pairs_hook=partial(_pairs, name))
    except RecursionError:
        raise _no("it is nested too deeply", name) from None
    except ValueError as error:
        if len(body) > LARGEST_YAML:
            raise _no(f"it is not JSON ({error}), and too long for YAML", name) from None
    return _read_yaml(text, name)


def _pairs(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _no("it has a name twice", name, "Leave one of them out")
    return value


def _read_yaml(text: str, name: str) -> Any:
    """Read YAML of plain values; aliases, of which bombs are made, and depth are seen before anything is built."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise _no("anchors and aliases are not read", name, "Write the value in full")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise _no("it is nested too deeply", name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if isinstance(node, yaml.MappingNode):
            _pairs(name, [(str(key.value), None) for key, _ in node.value])
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        place = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _no(f"it is neither JSON nor plain YAML: {error.problem}{place}", name) from None
    except (yaml.YAMLError, ValueError, LookupError, TypeError) as error:
        raise _no(f"it is neither JSON nor plain YAML: {error}", name) from None


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _no("it does not hold names with values", where, "Write a line for each: batch-size: 4")
    return value


def _no(what: str, where: str, hint: str = "") -> ParameterError:
    return ParameterError(what, where=where, hint=hint)
