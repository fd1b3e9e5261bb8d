from __future__ import annotations

import json

import pytest

from export_model.labels import (
    check_names,
    clean,
    entry,
    from_metadata,
    from_pipeline,
    parse_class,
    read_classes,
    repeated,
)
from quadrat.errors import ParameterError
from quadrat.package.classes import read_classes as package_classes


def test_ids_are_the_originals():
    """Slashes and spaces become dashes and capitals small, as the original exporter has it."""
    assert entry("Halophila ovalis/Dead leaf")["id"] == (
        "urn:ibenthos:segmentation:class:halophila-ovalis-dead-leaf"
    )


def test_a_colour_is_written_in_hex():
    """NAME=#RRGGBB gives three numbers, NAME alone none."""
    assert parse_class("sand=#dec691")["def_color"] == [222, 198, 145]
    assert parse_class("sand") == entry("sand")


@pytest.mark.parametrize("text", ["", "=#010203", "sand=#12", "sand=red", "sand=#12345g", "sand="])
def test_other_forms_are_refused(text):
    """What is no name, or no colour, is an error that shows the form."""
    with pytest.raises(ParameterError, match="NAME=#RRGGBB"):
        parse_class(text)


def test_the_pipeline_lacks_colours():
    """A class of the cv-pipeline JSON without a colour has none; the others keep theirs."""
    classes = from_pipeline(
        {
            "segmentationpostprocessing_classes": ["a", "b"],
            "segmentationpostprocessing_default_class_colours": [[1, 2, 3]],
        }
    )
    assert [c["def_color"] for c in classes] == [[1, 2, 3], []]
    assert from_pipeline({}) == []


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_file_lists_names_or_mappings(tmp_path, suffix):
    """JSON and YAML hold names, or mappings with an id and a colour of their own."""
    path = tmp_path / f"classes{suffix}"
    path.write_text(json.dumps(["sand", {"name": "grass", "id": "urn:x", "def_color": [0, 1, 2]}]))
    assert read_classes(path) == [entry("sand"), {"id": "urn:x", "name": "grass", "def_color": [0, 1, 2]}]


@pytest.mark.parametrize("body", ['{"a": 1}', '"sand"', "[1]", '[{"name": "a", "def_color": [0, 0]}]', "[", '[{"name": "a", "def_color": [0, 0, 256]}]'])  # fmt: skip
def test_a_bad_file_is_refused(tmp_path, body):
    """What is no list of classes is an error of the option, not a traceback."""
    path = tmp_path / "classes.json"
    path.write_text(body)
    with pytest.raises(ParameterError) as caught:
        read_classes(path)
    assert "--classes" in caught.value.where


def test_two_classes_of_one_name_are_refused():
    """The error names the class and the option; names that give one id are no better."""
    check_names([entry("sand"), entry("grass")], "--class")
    with pytest.raises(ParameterError, match="has the id 'urn:ibenthos:segmentation:class:sea-grass'"):
        check_names([entry("Sea grass"), entry("sea-grass")], "--class")
    with pytest.raises(ParameterError, match="'sand'") as caught:
        check_names([entry("sand"), entry("grass"), entry("sand ")], "--class")
    assert caught.value.where == "--class"
    assert repeated(["a", "b", " a", "b", "c"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("herbier\u00a0de posidonie", "herbier de posidonie"),
        ("海草\u3000床", "海草 床"),
        ("\ufeffsand", "sand"),
        ("👨\u200d🔬", "👨🔬"),
        ("two\nlines\tand a tab ", "two lines and a tab"),
        ("line\u2028separator\x85", "line separator"),
        ("turned\u202eround", "turnedround"),
        ("e\u0301", "é"),
        ("сухой песок", "сухой песок"),
        ("x" * 200, "x" * 200),
    ],
)
def test_names_are_cleaned_so_that_an_order_takes_them(name, cleaned):
    """Spaces become plain and invisible characters go; letters of every script stay, and the reader takes them."""
    assert clean(name, "--class") == cleaned
    read, _ = package_classes({"classes": [entry(cleaned)]})
    assert read[0].name == cleaned


@pytest.mark.parametrize(
    "name", ["", " \u3000", "\ufeff", "a\x07b", "a\x1b[31m", "\ue000", "\ud800", "x" * 201]
)
def test_names_that_nothing_can_show_are_refused(name):
    """They are refused at export, by one line, and never by an order."""
    with pytest.raises(ParameterError):
        clean(name, "--class")


@pytest.mark.parametrize("suffix", [".names", ".txt"])
def test_a_file_of_lines(tmp_path, suffix):
    """One name per line, as darknet and others write them; an empty line inside is an error."""
    path = tmp_path / f"coco{suffix}"
    path.write_text("sand\r\nsea grass\n\n", "utf-8")
    assert [each["name"] for each in read_classes(path)] == ["sand", "sea grass"]
    path.write_text("sand\n\nrock\n", "utf-8")
    with pytest.raises(ParameterError, match="line 2"):
        read_classes(path)
    path.write_text("\n", "utf-8")
    with pytest.raises(ParameterError, match="empty"):
        read_classes(path)


@pytest.mark.parametrize(
    "text",
    [
        "{0: 'sand', 1: 'sea\u00a0grass'}",
        '{"1": "sea grass", "0": "sand"}',
        '["sand", "sea grass"]',
        "sand\nsea grass",
    ],
)
def test_a_networks_own_names(text):
    """A Python or JSON dict or list, or lines; anything else is no list of names."""
    assert from_metadata({"names": text}) == ("sand", "sea grass")
    assert from_metadata({"classes": text}) == ("sand", "sea grass")
    assert from_metadata({"author": text}) == ()
    assert from_metadata({"names": "{0: 'sand', 2: 'rock'}"}) == ()
    assert from_metadata({"names": "__import__('os')"}) == ()
