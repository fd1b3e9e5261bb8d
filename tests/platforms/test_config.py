"""A config file says what the command line would, or is refused in one line."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from quadrat.errors import ParameterError
from quadrat.parameters import NAMES_OF_FILES, PARAMETERS, RUN, Parameter, Settings, parse
from quadrat.platforms.arguments import add_arguments
from quadrat.platforms.config import over_config, read_config
from quadrat.report.base import ModelFacts
from quadrat.report.run_record import run_record
from quadrat.report.survey import Totals
from quadrat.stores.strict import MAX_JSON, MAX_YAML
from quadrat.types import Provenance
from tests.values import settings_of

WHO = Provenance("urn:order", "urn:model", "d1", "d2", "0.1.0", "fake", "1", "fp32", "cpu")
MODEL = ModelFacts("model", "detect", "", WHO, (), None)
SETTINGS = [p for p in PARAMETERS if p.field not in NAMES_OF_FILES]


def read(folder: Path, body: str | bytes) -> dict[str, Any]:
    """Read a config file of this content."""
    path = folder / "dive.yaml"
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return read_config(path, path.name)


def refused(folder: Path, body: str | bytes) -> str:
    """Give the one line with which a config file of this content is refused."""
    with pytest.raises(ParameterError) as caught:
        read(folder, body)
    assert caught.value.line.startswith("E_PARAMETER dive.yaml")
    assert caught.value.line.isprintable()
    assert len(caught.value.line) < 400
    return str(caught.value)


def short(value: str | bytes) -> str:
    """Name a case by its first letters; some are megabytes."""
    return ascii(value)[:40]


LISTS = {
    "outputs": ["auto", "none", "overlay", "annotated,overlay"],
    "enhance": ["none", "clahe", "clahe,grey-world"],
    "compare": ["none,median", "clahe", "clahe,grey-world"],
}
"""Values of the parameters that are lists of names."""


def values_of(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Draw what a parameter takes by itself."""
    if parameter.name in LISTS:
        return st.sampled_from(LISTS[parameter.name])
    if parameter.kind == "bool":
        return st.booleans()
    if parameter.kind == "option":
        return st.sampled_from(parameter.choices)
    if parameter.kind == "size":
        return st.integers(50_000, 10**12) | st.sampled_from(["1MP", "1024px"])
    if parameter.kind in ("int", "float", "auto"):
        whole = st.integers(max(1, int(parameter.low or 0)), int(parameter.high or 0))
        if parameter.kind == "auto":
            whole |= st.just("auto")
        return whole if parameter.kind != "float" else st.floats(parameter.low, parameter.high) | st.just(1)
    return st.text("abc é\"'#:%-1", min_size=1)


@how(max_examples=150, deadline=None)
@given(data=st.data())
def test_file_typed_values_and_words_are_the_same(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each parameter's value is one setting with one digest as JSON, as YAML, typed, and as a word."""
    folder = tmp_path_factory.getbasetemp()
    parameter = data.draw(st.sampled_from(SETTINGS))
    value = data.draw(values_of(parameter))
    entry = data.draw(st.sampled_from([parameter.name, parameter.field]))
    word = f"--{parameter.name}={str(value).lower() if isinstance(value, bool) else value}"
    words = vars(add_arguments(ArgumentParser()).parse_args([word]))

    ways = [
        {entry: value}, read(folder, json.dumps({entry: value})), read(folder, yaml.safe_dump({entry: value})), words,
    ]  # fmt: skip
    settings = []
    for way in ways:
        try:
            settings.append(parse(way))
        except ParameterError as error:  # it does not go by itself, whoever says it
            settings.append(error.line)
    assert [settings[0]] * 4 == settings
    assert len({s.result_digest for s in settings if isinstance(s, Settings)}) <= 1


def test_what_people_write_is_read(tmp_path: Path) -> None:
    """Comments, a byte order mark, either spelling, words of YAML, and a name without a value."""
    body = "\ufeff# of the dive\ntile-size: 640\nfull_frame: yes\ntracker: none\noutputs: [overlay, annotated]\nmodel-name:\n"
    assert {
        "tile_size": 640,
        "full_frame": True,
        "tracker": "none",
        "outputs": ["overlay", "annotated"],
    } == read(tmp_path, body)
    assert parse(read(tmp_path, body)).pictures.outputs == ("overlay", "annotated")
    assert read(tmp_path, "{}") == {}


def test_what_the_order_says_goes_before_the_file() -> None:
    """None is not given; on the platform a default is not told from what nobody said."""
    values: dict[str, Any] = {
        "batch_size": 1,
        "tile_size": None,
        "min_score": 0.5,
        "use_trt": False,
        "images": "a",
    }
    filed = {"batch_size": 4, "tile_size": 640, "min_score": 0.9, "use_trt": True}

    here, there = (over_config(values, filed, platform=platform) for platform in (False, True))
    assert here == {**values, "tile_size": 640}
    assert there == {**filed, "min_score": 0.5, "images": "a"}


@pytest.mark.parametrize("outputs", [(), ("overlay",), ("none",)])
def test_the_record_of_an_order_is_a_config_file(tmp_path: Path, outputs: tuple[str, ...]) -> None:
    """What run.json holds gives the very settings of its order, and so does the aspect beside it."""
    settings = settings_of(outputs=outputs, tile_size=640, min_score=0.5, skip_black=True, tracker="sort")
    product = run_record(settings.values(), [MODEL], [], Totals(), 1.0).product("run.json")
    assert isinstance(product.body, bytes)

    for body in (product.body, json.dumps(dict(product.metadata))):
        again = parse(read(tmp_path, body))
        assert (settings, settings.result_digest) == (again, again.result_digest)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("tile-sise: 640", "dive.yaml, tile-sise: there is no such parameter. Did you mean tile-size?"),
        ('{"colour": "red"}', "dive.yaml, colour: there is no such parameter"),
        ("batch-size: two", "dive.yaml, batch-size: 'two' is not an integer from 1 to 1024, or auto. Write it as a plain"),
        ('{"max-failures": "4"}', "dive.yaml, max-failures: '4' is not an integer"),
        ("batch-size: 9223372036854775807", "dive.yaml, batch-size: 9223372036854775807 is not an integer from"),
        ("batch-size: 9223372036854775808", "dive.yaml, batch-size: it is not a plain value"),
        ("batch-size: 1.5", "dive.yaml, batch-size: 1.5 is not an integer"),
        ("batch_size: 0", "dive.yaml, batch-size: 0 is not an integer from 1 to 1024"),
        ("min-score: .nan", "dive.yaml, min-score: nan is not a number"),
        ("use-trt: maybe", "dive.yaml, use-trt: 'maybe' is not true or false"),
        ("device: GPU", "dive.yaml, device: 'GPU' is not one of cpu, gpu"),
        ("outputs: art", "dive.yaml, outputs: 'art' is not an output"),
        ("outputs: 5", "dive.yaml, outputs: 5 is not a string"),
        ("outputs: [5]", "dive.yaml, outputs: it is not a plain value"),
        ("model-name: 2024-01-01", "dive.yaml, model-name: it is not a plain value"),
        ("batch-size: {a: 1}", "dive.yaml, batch-size: it is not a plain value"),
        ("batch-size: 0x" + "f" * 30_000, "dive.yaml: the number 0xff"),
        ('{"model-name": "\\ud800"}', "dive.yaml, model-name: it is not a plain value"),
        ("device: " + "x" * 30_000, "dive.yaml, device: 'xxx"),
        ("outputs: " + "x" * 30_000, "dive.yaml, outputs: 'xxx"),
        ("? " + "x" * 900 + "\n: 1", "dive.yaml, xxx"),
        ('{"\\u001b[31m": 1}', "dive.yaml, '\\x1b[31m': there is no such parameter"),
        ("batch-size: 1\nbatch_size: 2", "dive.yaml, batch-size: it is given twice"),
        ('{"$schema": "urn:x", "batch-size": 1}', "dive.yaml: its $schema is not that of a run.json"),
        ('{"$schema": "urn:ibenthos:schema:quadrat.run.1"}', "dive.yaml, settings: it does not hold names"),
        (
            '{"$schema": "urn:ibenthos:schema:quadrat.run.1", "settings": {"batch-size": 0}}',
            "dive.yaml, settings, batch-size: 0 is not an integer",
        ),
    ],
    ids=short,
)  # fmt: skip
def test_a_wrong_entry_is_refused_with_file_and_name(tmp_path: Path, body: str, says: str) -> None:
    """Unknown names and wrong values are told as everywhere, with the file and the entry in front."""
    assert refused(tmp_path, body).startswith(says)


@pytest.mark.parametrize("name", NAMES_OF_FILES)
def test_files_and_artifacts_are_named_by_the_order_alone(tmp_path: Path, name: str) -> None:
    """A config file cannot say what is measured, by which model, or where more settings are."""
    assert f"dive.yaml, {name}: it names a file or an artifact" in refused(tmp_path, f"{name}: a")


@pytest.mark.parametrize(
    ("recorded", "in_force", "given"),
    [
        (1_000_000, None, None),
        (1, None, None),
        (1_000_000, 1_000_000, 1_000_000),
        (-1, None, -1),
        (5000, 5000, "0.005MP"),
        ("1024px", "1024px", "1024px"),
        (None, 1_000_000, None),
    ],
)
def test_a_recorded_size_that_was_not_in_force_is_not_given(
    tmp_path: Path, recorded: int | str | None, in_force: int | str | None, given: int | str | None
) -> None:
    """Earlier versions recorded the default for detectors, too, which did not use it."""
    record = {"$schema": RUN, "settings": {"max-img-size": recorded}, "in-force": {"max-img-size": in_force}}
    assert given == read(tmp_path, json.dumps(record)).get("max_img_size")


BOMB = "\n".join(
    [
        "a: &a {x: 1}",
        *(f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}" for a, b in pairwise("abcdefghi")),
    ]
)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "it does not hold names"),
        ("- 1", "it does not hold names"),
        ("[1]", "it does not hold names"),
        ("tracker", "it does not hold names"),
        ("640: tile-size", "it does not hold names"),
        ("a: 1\n---\nb: 2", "neither JSON nor plain YAML"),
        ("a: [1, 2", "neither JSON nor plain YAML"),
        ("? [a]\n: b", "neither JSON nor plain YAML"),
        ("a: !!python/object/apply:os.system ['true']", "neither JSON nor plain YAML"),
        ("a: !own 1", "neither JSON nor plain YAML"),
        ("a: 2024-99-99", "neither JSON nor plain YAML"),
        ("a: \x07", "neither JSON nor plain YAML"),
        ('{"batch-size": 4', "neither JSON nor plain YAML"),
        ('{"batch-size": ' + "9" * 5000 + "}", "is too large"),
        ("a: &a 1", "anchors and aliases are not supported"),
        ("a: &a [x, x]\nb: &b [*a, *a]", "anchors and aliases are not supported"),
        (BOMB, "anchors and aliases are not supported"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ("batch-size: 1\nbatch-size: 2", "it has a key twice"),
        ('{"batch-size": 1, "batch-size": 1}', "it has a key twice"),
        ("a: é".encode("latin-1"), "it is not UTF-8"),
        (b"a: " + b"x" * MAX_YAML, "too long for YAML"),
        (b'{"model-name": "' + b"x" * MAX_JSON + b'"}', f"it is longer than {MAX_JSON} bytes"),
    ],
    ids=short,
)  # fmt: skip
def test_what_holds_no_settings_is_refused(tmp_path: Path, body: str | bytes, says: str) -> None:
    """No mapping, no text, bombs, depth and size end in one line, and nothing of the file runs."""
    assert says in refused(tmp_path, body)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, and a pipe that nobody writes into, are not waited for."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ParameterError, match="it is not a file"):
            read_config(path, path.name)


@how(max_examples=200, deadline=None)
@given(body=st.binary(max_size=60) | st.text("[]{}&*!<>|-?:,#'\"%@ \nab1.~$", max_size=60).map(str.encode))
def test_any_bytes_are_settings_or_one_error(body: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No bytes make the reader fail in another way than its own error."""
    try:
        value: object = read(tmp_path_factory.getbasetemp(), body)
    except ParameterError as error:
        value = error.line

    assert isinstance(value, dict) or (isinstance(value, str) and value.isprintable())
