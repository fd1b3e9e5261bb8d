"""Descriptions generated from settings and errors: service.json and the reference of parameters.

python -m quadrat.describe        writes both anew; a test fails while they differ from this
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from quadrat import errors
from quadrat.parameters import CPU, DESCRIPTION, DISK, MEMORY, NAME, PARAMETERS, Parameter
from quadrat.settings import INPUTS, OF_IMAGES, OF_MOVING, OF_OBJECTS, OF_STREAMS

ROOT = Path(__file__).resolve().parent.parent
JSON_TYPES = {
    "int": "integer", "float": "number", "bool": "boolean", "option": "string", "string": "string",
    "artifact": "string", "collection": "array",
}  # fmt: skip


def service_json() -> dict[str, Any]:
    """Give the newer platform's definition of a batch service, with the platform's own placeholders.

    It is registered only once the adapter of that platform exists; `#...#` are filled in then.
    """
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
        "request-schema": request_schema(),
        "parameters": [platform_parameter(parameter) for parameter in PARAMETERS],
        "tags": ["segmentation", "detection", "tracking", "video", "cover", "seagrass", "paddle", "onnx"],
    }


def request_schema() -> dict[str, Any]:
    """Give the JSON schema of an order's parameters."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": NAME,
        "type": "object",
        "properties": {parameter.name: _property(parameter) for parameter in PARAMETERS},
        "required": [p.name for p in PARAMETERS if _is_required(p)],
        "oneOf": [{"required": [name]} for name in INPUTS],
        "additionalProperties": False,
    }


def platform_parameter(parameter: Parameter) -> dict[str, Any]:
    """Give one parameter as the platform's API lists it; clients need `options`, be it empty."""
    return {
        "name": parameter.name,
        "label": parameter.name,
        "description": parameter.help,
        "type": parameter.kind,
        "unit": parameter.unit,
        "constant": False,
        "unary": parameter.kind == "bool",
        "optional": not _is_required(parameter),
        "default": None if parameter.default is None else str(parameter.default),
        "options": [{"value": choice, "description": choice} for choice in parameter.choices],
    }


def _is_required(parameter: Parameter) -> bool:
    return parameter.default is None and not parameter.optional and parameter.kind != "bool"


def _property(parameter: Parameter) -> dict[str, Any]:
    words: dict[str, Any] = {"type": JSON_TYPES[parameter.kind], "description": parameter.help}
    if parameter.kind == "collection":
        words["items"] = {"type": "string", "format": "uri"}
    if parameter.kind == "artifact":
        words["format"] = "uri"
    if parameter.choices:
        words["enum"] = list(parameter.choices)
    bounds = {"minimum": parameter.low, "maximum": parameter.high}
    whole = parameter.kind == "int"
    words |= {k: int(v) if whole else v for k, v in bounds.items() if v is not None}
    if parameter.default is not None:
        words["default"] = parameter.default
    return words


def reference() -> str:
    """Give the reference of parameters, exit statuses and error codes, as Markdown."""
    return "\n".join([*_parameter_lines(), "", *_status_lines(), "", *_environment_lines(), ""])


def _parameter_lines() -> Iterator[str]:
    yield "# Parameters, exit statuses and errors"
    yield ""
    yield "<!-- Written by `make docs` from quadrat/parameters.py and quadrat/errors.py; do not edit. -->"
    yield ""
    yield "On the command line each is `--name value`; switches (bool) stand alone. Exactly one of `image`, `images`,"
    yield "`video`, `videos` and `streams` is needed. Those marked * are the original service's, with its defaults."
    yield ""
    yield "| parameter | type | default | range | meaning |"
    yield "|---|---|---|---|---|"
    for parameter in PARAMETERS:
        star = " *" if parameter.since == "original" else ""
        kind = parameter.kind + (f", {parameter.unit}" if parameter.unit else "")
        default = "needed" if _is_required(parameter) else _default(parameter)
        yield f"| `{parameter.name}`{star} | {kind} | {default} | {_range(parameter)} | {parameter.help} |"
    yield ""
    yield from _vain_lines()


def _vain_lines() -> Iterator[str]:
    """Say what is refused because it would do nothing."""
    yield "What would do nothing is refused, unless it is the default:"
    yield ""
    yield "| with | refused |"
    yield "|---|---|"
    yield f"| `image`, `images` | {_named(OF_MOVING)} |"
    yield f"| `video`, `videos` | {_named(OF_STREAMS)}; {_named(OF_IMAGES)} in `outputs` |"
    yield f"| `streams` | `sources-at-once`; {_named(OF_IMAGES)} in `outputs` |"
    yield f"| a model that makes masks | {_named(OF_OBJECTS)}, `full-frame` |"
    yield "| a model that finds objects | `with-argmax`, `min-confidence`, `result-size` |"


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name.replace('_', '-')}`" for name in names)


def _default(parameter: Parameter) -> str:
    if parameter.kind == "bool":
        return "off"
    return "" if parameter.default is None else f"`{parameter.default}`"


def _range(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    return "" if parameter.low is None else f"{parameter.low:g} to {parameter.high:g}"


def _status_lines() -> Iterator[str]:
    yield "## Exit statuses"
    yield ""
    yield "| status | meaning |"
    yield "|---|---|"
    yield "| 0 | The order has delivered all that it lists; single images may have failed, see `survey.csv`. |"
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.QuadratError)]
    for kind in kinds:
        if kind is errors.QuadratError:
            yield "| 1 | A fault of the service itself. |"
        elif kind.__base__ is errors.QuadratError:
            yield f"| {kind.exit_status} | {(kind.__doc__ or '').splitlines()[0]} |"
    yield "| 130, 143 | The order was interrupted or terminated by a signal; images under way are not acknowledged. |"
    yield "| 255 | The platform's SDK ended the process itself. |"
    yield ""
    yield "## Error codes"
    yield ""
    yield "Each error is one line that begins with its code; in `survey.csv` the code has a column of its own."
    yield ""
    yield "| code | status | meaning |"
    yield "|---|---|---|"
    for kind in kinds:
        meaning = "A fault of the service itself." if kind is errors.QuadratError else (kind.__doc__ or "")
        yield f"| `{kind.code}` | {kind.exit_status} | {meaning.splitlines()[0]} |"


def _environment_lines() -> Iterator[str]:
    yield "## Environment"
    yield ""
    yield "| variable | meaning |"
    yield "|---|---|"
    yield "| `QUADRAT_CACHE_DIR` | Where compiled networks are kept; else `$XDG_CACHE_HOME/quadrat` or `~/.cache/quadrat`. |"
    yield "| `QUADRAT_PADDLE_PYTHON` | Another Python for the paddle engine's process, with a Paddle of its own (`make setup-paddle-gpu`). |"
    yield "| `IVCAP_STORAGE_URL`, `IVCAP_CACHE_URL`, `IVCAP_ORDER_ID`, `IVCAP_IN_DIR`, `IVCAP_OUT_DIR` | The platform's own. |"


def generated() -> dict[Path, str]:
    """Give every generated file and its text."""
    return {
        ROOT / "service.json": json.dumps(service_json(), indent=2) + "\n",
        ROOT / "docs" / "reference" / "parameters.md": reference(),
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
