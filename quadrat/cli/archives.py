"""`quadrat pack`, `quadrat verify`, `quadrat inspect` and `quadrat calibrate`: the commands of export_model, which ships beside quadrat."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from quadrat.cli.words import strict
from quadrat.errors import ParameterError
from quadrat.task_kinds import resolve

PROJECT = Path(__file__).resolve().parent.parent.parent
"""The folder that holds quadrat: the project's, or that of the installed packages."""
PACK = "export_model.export:main"
VERIFY = "export_model.verify:main"
INSPECT = "export_model.inspection:main"
CALIBRATE = "export_model.calibrate:main"
EXTRAS = {
    "onnx": "pack", "torch": "export", "safetensors": "export", "transformers": "export", "paddle": "export", "paddleseg": "export",
}  # fmt: skip
"""Libraries that packing may need and a plain installation lacks, with the extra that has them."""


FILES = {".onnx": "--onnx", ".pdmodel": "--paddle", ".yml": "--config", ".yaml": "--config"}
"""The option of `quadrat pack` that takes a file, by its suffix."""
MEANT = {suffix: f"Write {option} {{}}" for suffix, option in FILES.items()}


def pack(words: Sequence[str]) -> int:
    """Pack a network, and return the exit status; see `quadrat pack --help`."""
    return _run(PACK, words, "quadrat pack")


def verify(words: Sequence[str]) -> int:
    """Run the self-test of an archive, and return the exit status; see `quadrat verify --help`."""
    return _run(VERIFY, words, "quadrat verify")


def inspect(words: Sequence[str]) -> int:
    """Print what networks are and how to pack them, and return the exit status; see `quadrat inspect --help`."""
    return _run(INSPECT, words, "quadrat inspect")


def calibrate(words: Sequence[str]) -> int:
    """Calibrate a classifier's archive, and return the exit status; see `quadrat calibrate --help`."""
    return _run(CALIBRATE, words, "quadrat calibrate")


def _run(command: str, words: Sequence[str], name: str) -> int:
    """Run a command of export_model; ParameterError if a library that it needs is not installed."""
    _find_export_model()
    try:
        parser = resolve(command.replace(":main", ":parser"))
        strict(parser(name), MEANT if command == PACK else None).parse_args(
            words
        )  # a mistake is one line, not the whole usage
        return cast(Callable[..., int], resolve(command))(list(words), prog=name)
    except ModuleNotFoundError as error:
        library = (error.name or "").split(".")[0]
        if library not in EXTRAS:
            raise
        hint = f"Install it with python -m pip install 'quadrat[{EXTRAS[library]}]'"
        hint += f", or '.[{EXTRAS[library]}]' in the project's folder"
        raise ParameterError(f"{library} is not installed", where=name, hint=hint) from error


def _find_export_model() -> None:
    """Make export_model importable from the project's folder, for an editable installation that does not list it."""
    if find_spec("export_model") is None and (PROJECT / "export_model" / "__init__.py").is_file():
        sys.path.append(str(PROJECT))
