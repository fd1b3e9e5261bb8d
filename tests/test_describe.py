"""What is generated is what is committed, and it says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from quadrat import errors
from quadrat.describe import generated, platform_parameter, reference, request_schema, service_json
from quadrat.parameters import PARAMETERS, Parameter, parameters_of


@pytest.mark.parametrize("path", list(generated()), ids=lambda p: p.name)
def test_generated_files_have_not_drifted(path: Path) -> None:
    """service.json and the reference are as `make docs` writes them."""
    assert generated()[path] == path.read_text(encoding="utf-8"), "run `make docs`"


def test_the_batch_definition_has_what_the_platform_requires() -> None:
    """The fields that the newer platform's type requires are there, with its placeholders."""
    definition = service_json()

    assert {"controller-schema", "controller", "policy", "$id", "description", "parameters"} <= set(
        definition
    )
    assert ("#SERVICE_ID#", "#DOCKER_IMG#") == (definition["$id"], definition["controller"]["image"])
    assert [p.name for p in PARAMETERS] == [p["name"] for p in definition["parameters"]]
    assert [f"{p.group}: {p.name}" for p in PARAMETERS] == [p["label"] for p in definition["parameters"]]


@pytest.mark.parametrize("task", ["segment", "detect"])
def test_the_definition_of_one_task(task: str) -> None:
    """Its parameters alone, in the list and in the schema of an order."""
    definition = service_json(task)
    names = [parameter.name for parameter in parameters_of(task)]

    assert names == [listed["name"] for listed in definition["parameters"]]
    assert names == list(definition["request-schema"]["properties"])
    assert len(names) < len(PARAMETERS)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda p: p.name)
def test_every_parameter_can_be_declared(parameter: Parameter) -> None:
    """Each avoids what breaks the SDK: percent signs in a description, prefixes of its options, switch defaults."""
    listed = platform_parameter(parameter)

    assert listed["description"]
    assert "%" not in listed["description"]
    assert parameter.field.isidentifier()
    assert not any(own.startswith(parameter.name) for own in ("print-config", "help", "ivcap:"))
    assert parameter.kind != "bool" or parameter.default is None
    assert isinstance(listed["options"], list)


def test_the_request_schema_asks_for_one_kind_of_sources() -> None:
    """Exactly one of model and models, and one of image, images, video, videos and streams."""
    schema = request_schema()

    assert schema["required"] == []
    alternatives = [
        [name for option in each["oneOf"] for name in option["required"]] for each in schema["allOf"]
    ]
    assert alternatives == [["model", "models", "task"], ["image", "images", "video", "videos", "streams"]]
    assert {p.name for p in PARAMETERS} == set(schema["properties"])


def test_the_reference_lists_every_parameter_code_and_status() -> None:
    """Nothing that a user can meet is left out."""
    text = reference()
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.QuadratError)]

    assert [] == [p.name for p in PARAMETERS if f"| `{p.name}`" not in text]
    assert [] == [k.code for k in kinds if f"| `{k.code}` | {k.exit_status} |" not in text]
    assert [] == [s for s in (0, 1, 2, 3, 4, 5, 6, 255) if f"\n| {s} | " not in text]
