"""Descriptions generated from parameters and errors: service.json and the reference of parameters.

`python -m quadrat.describe` writes both. A test fails if they are not up to date.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from quadrat import errors
from quadrat.parameters import (
    CPU,
    DESCRIPTION,
    DISK,
    GROUPS,
    INPUTS,
    MEMORY,
    MODELS,
    NAME,
    PARAMETERS,
    SETTINGS,
    Parameter,
    parameters_of,
)
from quadrat.parameters.applies import MEDIA, ONLY_IMAGES
from quadrat.parameters.declare import AUTO
from quadrat.task_kinds import TASKS, needs_model

ROOT = Path(__file__).resolve().parent.parent
JSON_TYPES: dict[str, Any] = {
    "int": "integer", "float": "number", "bool": "boolean", "option": "string", "string": "string",
    "size": ["integer", "string"], "auto": ["integer", "string"], "artifact": "string", "collection": "array",
}  # fmt: skip


def service_json(task: str = "") -> dict[str, Any]:
    """Return the definition of a batch service for the newer platform, with the platform's placeholders.

    With `task`, it lists only the parameters that apply to that task. The service is not registered until an
    adapter for that platform exists; `#...#` are filled in then.
    """
    parameters = parameters_of(task)
    resources = {"cpu": CPU, "memory": MEMORY, "ephemeral-storage": DISK}
    return {
        "$schema": "urn:ivcap:schema.service.2",
        "$id": "#SERVICE_ID#",
        "name": NAME,
        "description": DESCRIPTION,
        "contact": {"name": "quadrat", "email": "quadrat@example.org"},
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        "policy": "urn:ivcap:policy:ivcap.open.service",
        "controller-schema": "urn:ivcap:schema.service.batch.1",
        "controller": {
            "$schema": "urn:ivcap:schema.service.batch.1",
            "image": "#DOCKER_IMG#",
            "command": ["python", "/app/service.py"],
            "resources": {"limits": resources, "requests": resources},
        },
        "request-schema": request_schema(parameters),
        "parameters": [platform_parameter(parameter) for parameter in parameters],
        "tags": ["segmentation", "detection", "tracking", "video", "cover", "seagrass", "paddle", "onnx"],
    }


def request_schema(parameters: Sequence[Parameter] = PARAMETERS) -> dict[str, Any]:
    """Return the JSON schema of an order's parameters."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": NAME,
        "type": "object",
        "properties": {parameter.name: _property(parameter) for parameter in parameters},
        "required": [p.name for p in parameters if p.required],
        "allOf": [
            {"oneOf": [*_required(MODELS), *([alone] if (alone := _without_model(parameters)) else [])]},
            {"oneOf": _required(INPUTS)},
        ],
        "additionalProperties": False,
    }


def _required(names: Iterable[str]) -> list[dict[str, Any]]:
    return [{"required": [name]} for name in names]


def _without_model(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the schema of orders that need no model: none of them may be given, and the task is one of a few."""
    tasks = [name for name in TASKS if not needs_model(name)]
    if not tasks or "task" not in [parameter.name for parameter in parameters]:
        return {}
    stated = {"properties": {"task": {"enum": tasks}}, "required": ["task"]}
    return stated | {"not": {"anyOf": _required(MODELS)}}


def platform_parameter(parameter: Parameter) -> dict[str, Any]:
    """Return one parameter as the platform's API lists it; clients need `options` even if it is empty."""
    return {
        "name": parameter.name,
        "label": f"{parameter.group}: {parameter.name}",
        "description": parameter.help,
        "type": parameter.platform_kind,
        "unit": parameter.unit,
        "constant": False,
        "unary": parameter.kind == "bool",
        "optional": not parameter.required,
        "default": None if parameter.default is None else str(parameter.default),
        "options": [{"value": choice, "description": choice} for choice in parameter.choices],
    }


def _property(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": JSON_TYPES[parameter.kind], "description": parameter.help}
    if parameter.kind == "collection":
        schema["items"] = {"type": "string", "format": "uri"}
    if parameter.kind == "artifact":
        schema["format"] = "uri"
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    bounds = {"minimum": parameter.low, "maximum": parameter.high}
    whole = parameter.kind in ("int", "auto")
    schema |= {k: int(v) if whole else v for k, v in bounds.items() if v is not None}
    if parameter.kind == "auto":
        schema["pattern"] = f"^({AUTO}|[0-9]+)$"  # of a text; the bounds are those of a number
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema


def reference() -> str:
    """Return the reference of parameters, exit statuses and error codes, as Markdown."""
    return "\n".join([*_parameter_lines(), "", *_status_lines(), "", *_environment_lines(), ""])


def _parameter_lines() -> Iterator[str]:
    yield "# Parameters, exit statuses and errors"
    yield ""
    yield "<!-- Written by `make docs` from quadrat/parameters and quadrat/errors.py; do not edit. -->"
    yield ""
    yield "On the command line, write each parameter as `--name value`; switches (bool) need no value. Exactly one of `image`,"
    yield "`images`, `video`, `videos` and `streams` is required, and one of `model` and `models`. Parameters marked * and"
    yield "their defaults are those of the original service. The column `affects results` marks parameters that can change"
    yield "a result. Two orders with the same values of these parameters have the same `result-digest`; with the same image,"
    yield "model and engine, they give the same masks and boxes."
    for group in GROUPS:
        yield ""
        yield f"## {group.title.capitalize()}"
        yield ""
        yield group.about
        yield ""
        yield "| parameter | type | default | range | affects results | meaning |"
        yield "|---|---|---|---|---|---|"
        for parameter in group.declared():
            star = " *" if parameter.since == "original" else ""
            kind = ("int or auto" if parameter.kind == "auto" else parameter.kind) + (
                f", {parameter.unit}" if parameter.unit else ""
            )
            default = "required" if parameter.required else _default(parameter)
            affects = "yes" if parameter.shapes_result else ""
            yield (
                f"| `{parameter.name}`{star} | {kind} | {default} | {_range(parameter)} | {affects} | {parameter.help} |"
            )
    yield ""
    yield from _refused_lines()


def _refused_lines() -> Iterator[str]:
    """List the parameters that are refused because they would have no effect."""
    yield "## Parameters that do not apply"
    yield ""
    yield "A value other than the default is refused if it would have no effect:"
    yield ""
    yield "| with | refused |"
    yield "|---|---|"
    for media, text in MEDIA.items():
        inputs = " or ".join(f"`{name}`" for name, kind in INPUTS.items() if kind == media)
        others = [each.name for each in SETTINGS if each.media and media not in each.media]
        pictures = f"; {_named(ONLY_IMAGES)} in `outputs`" if media != "image" else ""
        yield f"| {text} ({inputs}) | {_named(others)}{pictures} |"
    for task in sorted({task for each in SETTINGS for task in each.tasks}):
        others = [each.name for each in SETTINGS if each.tasks and task not in each.tasks]
        yield f"| a model of the task `{task}` | {_named(others)} |"


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _default(parameter: Parameter) -> str:
    if parameter.kind == "bool":
        return "off"
    return "" if parameter.default is None else f"`{parameter.default}`"


def _range(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    return "" if parameter.low is None else f"{_number(parameter.low)} to {_number(parameter.high)}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.16g}"


def _status_lines() -> Iterator[str]:
    yield "## Exit statuses"
    yield ""
    yield "| status | meaning |"
    yield "|---|---|"
    yield "| 0 | The order delivered everything that its table lists. Single images may have failed; see `survey.csv`. |"
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.QuadratError)]
    for kind in kinds:
        if kind is errors.QuadratError:
            yield "| 1 | An error in the service itself. |"
        elif kind.__base__ is errors.QuadratError:
            yield f"| {kind.exit_status} | {(kind.__doc__ or '').splitlines()[0]} |"
    yield (
        "| 130, 143 | SIGINT or SIGTERM ended the order. Unfinished images are not acknowledged. SIGHUP, which a closed "
        "terminal sends, does not end it. |"
    )
    yield "| 255 | The platform's SDK ended the process. |"
    yield ""
    yield "## Error codes"
    yield ""
    yield "Each error is one line that begins with its code; in `survey.csv` the code has its own column."
    yield ""
    yield "| code | status | meaning |"
    yield "|---|---|---|"
    for kind in kinds:
        meaning = "An error in the service itself." if kind is errors.QuadratError else (kind.__doc__ or "")
        yield f"| `{kind.code}` | {kind.exit_status} | {meaning.splitlines()[0]} |"


def _environment_lines() -> Iterator[str]:
    yield "## Environment"
    yield ""
    yield "| variable | meaning |"
    yield "|---|---|"
    yield "| `QUADRAT_CACHE_DIR` | The folder of compiled networks. The default is `$XDG_CACHE_HOME/quadrat` or `~/.cache/quadrat`. |"
    yield "| `QUADRAT_FONTS` | A folder with fonts that legends and labels use before those of the system. |"
    yield "| `QUADRAT_PADDLE_PYTHON` | The Python for the paddle engine's process, if another one has Paddle (`make setup-paddle-gpu`). |"
    yield "| `IVCAP_STORAGE_URL`, `IVCAP_CACHE_URL`, `IVCAP_ORDER_ID`, `IVCAP_IN_DIR`, `IVCAP_OUT_DIR` | Set by the platform. |"


def generated() -> dict[Path, str]:
    """Return every generated file and its text."""
    return {
        ROOT / "service.json": json.dumps(service_json(), indent=2) + "\n",
        ROOT / "docs" / "reference" / "parameters.md": reference(),
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
