"""What the service says of itself, and what it does not load to say it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from quadrat.parameters import GROUPS, PARAMETERS, parameters_of
from tests.service.run import ServiceProcess

HEAVY = {"openvino", "onnxruntime", "onnx", "paddle", "torch", "cv2", "PIL", "simplejpeg", "numpy"}
KEYS = {
    "id", "provider-id", "account-id",  # printed by the SDK, unknown to the platform
    "name", "description", "parameters", "tags", "banner", "references", "policy", "workflow",
}  # fmt: skip
PARAMETER_KEYS = {
    "name",
    "label",
    "type",
    "description",
    "unit",
    "constant",
    "optional",
    "unary",
    "default",
    "options",
}
TYPES = {"string", "int", "float", "bool", "option", "artifact", "collection"}
QUANTITY = re.compile(r"[0-9]+(m|Ki|Mi|Gi)?")


@pytest.fixture
def description(process: ServiceProcess) -> dict[str, Any]:
    """The printed service description."""
    ran = process.run_bare(
        "--ivcap:print-service-description",
        env={"IVCAP_CONTAINER": "host.example/quadrat:1", "PYTHONWARNINGS": "ignore"},
    )
    assert ran.status == 0, ran.said
    return yaml.safe_load(ran.said)


@pytest.mark.parametrize(
    "words", [("-h",), ("-H",), ("--ivcap:service-help",), ("--ivcap:print-service-description",)]
)
def test_saying_what_it_is_loads_nothing_and_leaves_nothing(
    process: ServiceProcess, words: tuple[str, ...]
) -> None:
    """Help and description load no engine and no array, exit with 0 and write no file or folder."""
    before = sorted(process.folder.rglob("*"))
    ran = process.run_bare(*words, env={"PYTHONPROFILEIMPORTTIME": "1"})

    assert ran.status == 0, ran.said
    loaded = {
        line.rsplit("|", 1)[1].strip() for line in ran.said.splitlines() if line.startswith("import time:")
    }
    assert "ivcap_sdk_service" in loaded
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
    assert sorted(process.folder.rglob("*")) == before


@pytest.mark.parametrize("word", ["-H", "--ivcap:service-help"])
def test_help_names_every_parameter(process: ServiceProcess, word: str) -> None:
    """The service's help has every group, and every parameter with what it does."""
    lines = process.run_bare(word).said
    assert [group.title for group in GROUPS if f"\n{group.title}:\n" not in lines] == []
    said = " ".join(lines.split())
    for group in GROUPS:
        assert group.about in said

    for parameter in PARAMETERS:
        assert f"--{parameter.name} " in said
        assert parameter.help in said


def test_the_description_has_what_the_platform_takes(description: dict[str, Any]) -> None:
    """Keys are those of the platform's XServiceDefinitionT, the required ones are there and texts are texts."""
    assert {"name", "description", "parameters", "workflow"} <= set(description) <= KEYS
    assert all(isinstance(description[key], str) and description[key] for key in ("name", "description"))
    assert [p["name"] for p in description["parameters"]] == [p.name for p in PARAMETERS]


def test_labels_begin_with_the_group(description: dict[str, Any]) -> None:
    """A form that shows parameters in one long list still shows what belongs together."""
    labels = [parameter["label"] for parameter in description["parameters"]]
    assert labels == [f"{group.title}: {each.name}" for group in GROUPS for each in group.declared()]


@pytest.mark.parametrize("task", ["segment", "detect"])
def test_a_task_is_described_by_itself(process: ServiceProcess, task: str) -> None:
    """Only the parameters that the task uses, in the same order."""
    env = {"QUADRAT_DESCRIBE_TASK": task, "PYTHONWARNINGS": "ignore"}
    ran = process.run_bare("--ivcap:print-service-description", env=env)

    assert ran.status == 0, ran.said
    names = [parameter["name"] for parameter in yaml.safe_load(ran.said)["parameters"]]
    assert names == [each.name for each in parameters_of(task)]
    assert ("min-score" in names, "min-confidence" in names) == (task == "detect", task == "segment")


def test_the_description_starts_the_service(description: dict[str, Any]) -> None:
    """The workflow is the one image with the platform's fixed command and room to run."""
    workflow = description["workflow"]
    assert workflow["type"] == "basic"
    basic = workflow["basic"]
    assert set(basic) <= {"image", "command", "memory", "cpu", "ephemeral-storage"}
    assert basic["image"] == "host.example/quadrat:1"
    assert basic["command"] == ["python", "/app/service.py"]
    for resource in ("memory", "cpu", "ephemeral-storage"):
        assert all(QUANTITY.fullmatch(v) for v in basic[resource].values())


def test_every_parameter_is_described(description: dict[str, Any]) -> None:
    """Each has a type the platform knows, a text, choices where it has some, and a default only where it may."""
    for parameter, said in zip(PARAMETERS, description["parameters"], strict=True):
        assert set(said) <= PARAMETER_KEYS
        assert said["type"] in TYPES
        assert said["description"] == parameter.help
        assert [o["value"] for o in said.get("options") or []] == list(parameter.choices)
        if parameter.kind == "bool":
            assert "default" not in said
        elif parameter.default is not None:
            assert str(said["default"]) == str(parameter.default)
        given = parameter.default is not None
        assert bool(said.get("optional")) == (parameter.optional or parameter.kind == "bool") or given
