"""Settings from a config file: JSON, YAML, or the run.json of an earlier order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quadrat.errors import ParameterError
from quadrat.parameters import NAMES_OF_FILES, RUN, Parameter, check, find
from quadrat.parameters.sizes import LEAST_BARE, in_megapixels
from quadrat.stores.strict import MAX_JSON, StrictError, is_mapping, parse_either, read_text

LONGEST_NAME = 60
LARGEST_NUMBER = 2**63


def over_config(given: Mapping[str, Any], filed: Mapping[str, Any], *, platform: bool) -> dict[str, Any]:
    """Return the values of a config file, overridden by the order's own values (by field; None is not given).

    On the `platform` a value that equals the parameter's default does not count as given: the platform may fill in the
    default of every parameter, so that it is unknown whether the user gave it.
    """
    own = {name: v for name, v in given.items() if v is not None and not (platform and _is_default(name, v))}
    return {**given, **filed, **own}


def read_config(path: Path, name: str) -> dict[str, Any]:
    """Return the settings in a file by field, each of them checked; errors call the file `name`.

    Raises ParameterError if the file does not contain a mapping of plain values, or if a name is unknown, names a
    file, or is given twice, or if a parameter does not accept its value.
    """
    content, where = _mapping(_read(path, name), name), name
    if "$schema" in content:
        if content["$schema"] != RUN:
            raise _no("its $schema is not that of a run.json of this version", name, "Leave it out")
        where = f"{name}, settings"
        content = _recorded(content, _mapping(content.get("settings"), where))
    settings: dict[str, Any] = {}
    for entry, value in content.items():
        parameter = _setting(entry, where)
        if parameter.field in settings:
            raise _no("it is given twice", f"{where}, {parameter.name}", "Leave one of them out")
        _check(parameter, value, f"{where}, {parameter.name}")
        settings[parameter.field] = value
    return {field: value for field, value in settings.items() if value is not None}


def _recorded(record: Mapping[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Give the settings of a run.json, without a max-img-size that was not in force.

    Records of earlier versions give a default of 1000000, also for tiles and detectors, which kept the size.
    """
    in_force, size = record.get("in-force"), settings.get("max-img-size")
    unused = isinstance(in_force, dict) and in_force.get("max-img-size", size) is None
    if unused and isinstance(size, int) and size > 0:
        return {name: value for name, value in settings.items() if name != "max-img-size"}
    if (
        isinstance(size, int) and 0 < size < LEAST_BARE
    ):  # a record holds small numbers without the unit that was given
        return settings | {"max-img-size": in_megapixels(size)}
    return settings


def _setting(entry: str, file: str) -> Parameter:
    """Return the parameter that an entry names; ParameterError if there is none, or if it names a file."""
    shown = entry[:LONGEST_NAME]
    where = f"{file}, {shown if shown.isprintable() else ascii(shown)}"
    try:
        parameter = find(shown)
    except ParameterError as error:
        raise _no(error.what, where, error.hint) from None
    if parameter.field in NAMES_OF_FILES:
        what = "it names a file or an artifact, but a config file only contains settings"
        raise _no(what, where, f"Give it with the order, as --{parameter.name}")
    return parameter


def _check(parameter: Parameter, value: Any, where: str) -> None:
    """Check a value against its parameter; None means not given."""
    if not _is_plain(value):
        hint = "Write a number, true or false, or a text (in quotes if it looks like something else)"
        raise _no("it is not a plain value", where, hint)
    try:
        if value is not None:
            check(parameter, value)
    except ParameterError as error:
        is_text = parameter.kind in ("int", "float", "auto", "bool") and isinstance(value, str)
        raise _no(
            error.what,
            where,
            error.hint or "Write it as a plain number or true or false, without quotes" * is_text,
        ) from None


def _is_plain(value: Any) -> bool:
    """Return True for the kinds of value that parameters have: valid text, a number, a boolean, or a list of texts."""
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
    """Read a file as JSON, or else as YAML; ParameterError if it is neither."""
    try:
        return parse_either(read_text(path, MAX_JSON))
    except StrictError as error:
        raise _no(error.what, name, error.hint) from error


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not is_mapping(value):
        raise _no("it does not hold names with values", where, "Write a line for each: batch-size: 4")
    mapping: dict[str, Any] = value
    return mapping


def _no(what: str, where: str, hint: str = "") -> ParameterError:
    return ParameterError(what, where=where, hint=hint)
