"""Strict readers for JSON and YAML: plain values only, with limits on size and depth.

Both refuse what the usual readers let through: a key given twice, NaN and infinite numbers, deep nesting and, in
YAML, tags, anchors and aliases (with which a small file can expand without limit).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

import yaml

MAX_JSON = 4 << 20
"""Bytes of a JSON file: the run.json of an order of many videos has an entry for each of them."""
MAX_YAML = 64 << 10
"""Bytes of a YAML file; its reader is slow."""
LONGEST_NUMBER = 200
"""Characters of a whole number: the largest float has 309 digits, or 256 in hexadecimal."""
MAX_DEPTH = 32
"""Levels of nesting in YAML."""


class StrictError(Exception):
    """A file or text that is refused: `what` is wrong with it, and a `hint` on what to do.

    `syntax` is True if a text is not JSON at all; it may then be YAML.
    """

    def __init__(self, what: str, hint: str = "", *, syntax: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.syntax = syntax


def read_text(path: Path, limit: int) -> str:
    """Read a UTF-8 file of at most `limit` bytes, with or without a byte order mark. Raises StrictError."""
    if not path.is_file():  # reading a pipe would block
        raise StrictError("it is not a file")
    try:
        with path.open("rb") as file:
            body = file.read(limit + 1)
    except OSError as error:
        raise StrictError(f"the file cannot be read ({error.strerror})") from error
    if len(body) > limit:
        raise StrictError(f"it is longer than {limit} bytes")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise StrictError("it is not UTF-8") from None


def parse_json(text: str) -> Any:
    """Parse strict JSON: finite numbers, no key twice, no lone surrogates. Raises StrictError."""
    try:
        value = json.loads(
            text,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_pairs,
        )
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate cannot be written to a file
    except RecursionError:
        raise StrictError("it is nested too deeply") from None
    except ValueError as error:
        raise StrictError(f"it is not valid JSON ({error})", syntax=True) from None
    return value


def parse_yaml(text: str) -> Any:
    """Parse plain YAML: no tags of Python, no anchors, no key twice. Raises StrictError."""
    return _yaml(text, "it is not plain YAML")


def parse_either(text: str) -> Any:
    """Parse strict JSON or, if it is not JSON and has at most MAX_YAML bytes, plain YAML. Raises StrictError."""
    try:
        return parse_json(text)
    except StrictError as error:
        if not error.syntax:
            raise
        if len(text.encode()) > MAX_YAML:
            raise StrictError(f"{error.what}, and too long for YAML") from None
    return _yaml(text, "it is neither JSON nor plain YAML")


def is_mapping(value: Any) -> bool:
    """Return True if `value` is a mapping whose keys are all strings."""
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _yaml(text: str, wrong: str) -> Any:
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506  a SafeLoader with less
    except RecursionError:
        raise StrictError("it is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        place = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise StrictError(f"{wrong}: {error.problem}{place}") from None
    except (yaml.YAMLError, ArithmeticError, ValueError, LookupError, TypeError) as error:
        raise StrictError(f"{wrong}: {error}") from None


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader without aliases, deep nesting, and keys given twice."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise StrictError("anchors and aliases are not supported", "Write the value in full")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RecursionError
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value: Any = super().construct_scalar(node)
        if node.tag in _NUMBERS and ":" in value:  # 1:30 is the number 90 in YAML 1.1
            raise StrictError(
                f"{value[:20]} is a number in base 60", "Write a plain number, or put it in quotes"
            )
        if node.tag in _NUMBERS and len(value) > LONGEST_NUMBER:
            raise StrictError(f"the number {value[:20]}... is too large")
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise _twice()
        return super().construct_mapping(node, deep)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"JSON has no number {text}")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _whole(text: str) -> int:
    """Return a whole number; ValueError for one that no other number can be compared with."""
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"{text[:20]}... is too large")
    return int(text)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _twice()
    return value


def _twice() -> StrictError:
    return StrictError("it has a key twice", "Leave one of them out")
