"""Text of a manifest -> plain values, without what JSON and YAML readers let through."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

import yaml

from quadrat.errors import ManifestError

MAX_JSON = 4 << 20
MAX_YAML = 64 << 10
MAX_DEPTH = 32


def read_json(path: Path) -> dict[str, Any]:
    """Read an object of strict JSON: UTF-8, finite numbers, no key twice. Raises ManifestError."""
    text = _text(path, MAX_JSON)
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_pairs)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate could be written to no file
    except RecursionError:
        raise _wrong(path, "it is nested too deeply") from None
    except ValueError as error:
        raise _wrong(path, f"it is not valid JSON ({error})") from None
    return _object(path, value)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping of plain YAML: no tags of Python, no anchors, no key twice. Raises ManifestError."""
    text = _text(path, MAX_YAML)
    try:
        value = yaml.load(text, Loader=_PlainLoader)  # noqa: S506  a SafeLoader with less
    except RecursionError:
        raise _wrong(path, "it is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        place = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _wrong(path, f"it is not plain YAML: {error.problem}{place}") from None
    except (yaml.YAMLError, ValueError, LookupError, TypeError) as error:
        raise _wrong(path, f"it is not plain YAML: {error}") from None
    return _object(path, value)


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader without aliases (which make bombs), deep nesting, and keys given twice."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise yaml.composer.ComposerError(
                None, None, "anchors and aliases are not read, write the value in full", event.start_mark
            )
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RecursionError
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _text(path: Path, limit: int) -> str:
    if path.stat().st_size > limit:
        raise _wrong(path, f"it is longer than {limit} bytes")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _wrong(path, "it is not UTF-8") from None


def _object(path: Path, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _wrong(path, "it does not hold names with values")
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is given twice")
    return value


def _wrong(path: Path, what: str) -> ManifestError:
    return ManifestError(what, where=path.name, hint="Mend the file, or export the model again")
