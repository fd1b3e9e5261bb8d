from __future__ import annotations

import json

import pytest

from export_model.labels import check_names, entry, from_pipeline, parse_class, read_classes, repeated
from quadrat.errors import ParameterError


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
