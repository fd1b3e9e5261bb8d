from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.stores.strict import (
    MAX_DEPTH,
    MAX_JSON,
    MAX_YAML,
    StrictError,
    is_mapping,
    parse_either,
    parse_json,
    parse_yaml,
    read_text,
)


def read_json(path: Path) -> Any:
    """Read a JSON file as the manifest's is read."""
    return parse_json(read_text(path, MAX_JSON))


def read_yaml(path: Path) -> Any:
    """Read a YAML file as the manifest's is read."""
    return parse_yaml(read_text(path, MAX_YAML))


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.text("abc é/{}[]\"'\n", max_size=8)
)
VALUES = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=6),
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz"), inner), max_leaves=8),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(value=VALUES)
def test_plain_values_come_back_unchanged(value, tmp_path_factory):
    """What the usual writers write is read back as it was, with or without a byte order mark."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "a.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8-sig")
    (folder / "a.yaml").write_text(yaml.dump(value, allow_unicode=True, Dumper=_NoAliases), encoding="utf-8")

    assert value == read_json(folder / "a.json")
    assert value == read_yaml(folder / "a.yaml")


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


BAD_JSON = {
    "empty": b"",
    "nan": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "overflow": b'{"a": 1e999}',
    "long-integer": b'{"a": ' + b"9" * 5000 + b"}",
    "beyond-floats": b'{"a": 1' + b"0" * 400 + b"}",
    "comma": b'{"a": 1,}',
    "comment": b'{"a": 1} // one',
    "twice": b'{"a": 1, "a": 2}',
    "deep": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "surrogate": b'{"a": "\\ud800"}',
    "large": b'{"a": "' + b"x" * MAX_JSON + b'"}',
}
BAD_YAML = {
    "python-tag": b"a: !!python/object/apply:os.system ['touch /tmp/quadrat-was-here']",
    "python-name": b"a: !!python/name:os.system",
    "own-tag": b"a: !thing {b: 1}",
    "laughs": b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]",
    "anchor": b"a: &a 1",
    "beyond-floats": b"a: 1" + b"0" * 400,
    "beyond-floats-in-hexadecimal": b"a: 0x1" + b"0" * 300,
    "loop": b"a: &a [*a]",
    "merge": b"a: &a {b: 1}\nc: {<<: *a}",
    "deep-flow": b"a: " + b"[" * 5000 + b"]" * 5000,
    "deep-block": b"\n".join(b" " * i + b"a:" for i in range(300)),
    "twice": b"a: 1\na: 2",
    "two-documents": b"a: 1\n---\nb: 2",
    "list-key": b"? [a]\n: b",
    "tab": b"a:\n\t- 1",
    "open": b"a: [1, 2",
    "control": b"a: \x07",
    "latin-1": "a: é".encode("latin-1"),
    "date": b"a: 2024-99-99",
    "large": b"a: " + b"x" * MAX_YAML,
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_json_that_is_not_strict_is_refused(body, tmp_path):
    """What is no JSON object of finite numbers and UTF-8 text is refused with a reason."""
    (tmp_path / "meta.json").write_bytes(body)
    with pytest.raises(StrictError) as caught:
        read_json(tmp_path / "meta.json")

    assert " ".join(caught.value.what.split()).isprintable()


@pytest.mark.parametrize("body", BAD_YAML.values(), ids=BAD_YAML)
def test_yaml_that_is_not_plain_is_refused(body, tmp_path):
    """Tags, anchors, depth, doubled keys and what is no YAML are refused with a reason, and nothing runs."""
    (tmp_path / "deploy.yaml").write_bytes(body)
    with pytest.raises(StrictError) as caught:
        read_yaml(tmp_path / "deploy.yaml")

    assert " ".join(caught.value.what.split()).isprintable()


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=60) | st.text("[]{}&*!<>|-?:,#'\"%@ \nab1.~", max_size=60).map(str.encode))
def test_any_bytes_give_values_or_one_error(body, tmp_path_factory):
    """No bytes make a reader fail in another way than its own error."""
    folder = tmp_path_factory.mktemp("any")
    for name, read in (("a.json", read_json), ("a.yaml", read_yaml)):
        (folder / name).write_bytes(body)
        with suppress(StrictError):
            read(folder / name)


@pytest.mark.parametrize(
    ("value", "is_one"), [({}, True), ({"a": 1}, True), ({1: 1}, False), ([1], False), (None, False)]
)
def test_a_mapping_has_text_for_keys(value, is_one):
    """Lists, nothing, and keys that are numbers hold no names with values."""
    assert is_mapping(value) == is_one


def test_a_file_may_be_as_long_as_its_limit(tmp_path):
    """One byte more is refused."""
    (tmp_path / "a").write_bytes(b"x" * 100)
    assert "x" * 100 == read_text(tmp_path / "a", 100)
    with pytest.raises(StrictError, match="longer than 99 bytes"):
        read_text(tmp_path / "a", 99)


def test_yaml_may_be_as_deep_as_its_limit():
    """One level more is refused."""
    value = parse_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert [] == value
    with pytest.raises(StrictError, match="nested too deeply"):
        parse_yaml("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_json_with_a_fault_of_its_own_is_not_read_as_yaml():
    """What is JSON and not strict is refused as that; only a text that is not JSON may be YAML, of few bytes."""
    long = '{"a": "' + "x" * MAX_YAML + '", "a": 2}'
    with pytest.raises(StrictError) as caught:
        parse_either(long)
    assert "it has a key twice" == caught.value.what
    letters = "\u00e9" * (MAX_YAML // 2 - 10)
    assert {"a": letters} == parse_either(f"a: {letters}")
    with pytest.raises(StrictError, match="too long for YAML"):
        parse_either(f"a: {letters}{letters[:20]}")


def test_a_fault_of_yaml_has_its_line():
    """Lines are counted from 1, as editors do."""
    with pytest.raises(StrictError, match="in line 3"):
        parse_yaml("a: 1\nb: 2\nc: [1, }")


@pytest.mark.parametrize("number", ["1:30", "190:20:30", "1:30.5", "9" + ":59" * 400 + ".5"])
def test_a_number_in_base_60_is_refused(number):
    """YAML 1.1 reads 1:30 as 90, which nobody means; in quotes it is a text."""
    with pytest.raises(StrictError, match="is a number in base 60"):
        parse_yaml(f"a: [{number}]")
    assert {"a": number} == parse_yaml(f"a: '{number}'")
