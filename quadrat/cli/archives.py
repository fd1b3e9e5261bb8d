"""`quadrat pack` and `quadrat verify`: the commands of export_model, which ships beside quadrat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from quadrat.errors import ParameterError
from quadrat.task_kinds import resolve

PACK = "export_model.export:main"
VERIFY = "export_model.verify:main"
EXTRAS = {
    "onnx": "pack", "torch": "export", "safetensors": "export", "paddle": "export", "paddleseg": "export",
}  # fmt: skip
"""Libraries that packing may need and a plain installation lacks, with the extra that has them."""


def pack(words: Sequence[str]) -> int:
    """Pack a network, and return the exit status; see `quadrat pack --help`."""
    return _run(PACK, words, "quadrat pack")


def verify(words: Sequence[str]) -> int:
    """Run the self-test of an archive, and return the exit status; see `quadrat verify --help`."""
    return _run(VERIFY, words, "quadrat verify")


def _run(command: str, words: Sequence[str], name: str) -> int:
    """Run a command of export_model; ParameterError if a library that it needs is not installed."""
    try:
        return cast(Callable[..., int], resolve(command))(list(words), prog=name)
    except ModuleNotFoundError as error:
        library = (error.name or "").split(".")[0]
        if library not in EXTRAS:
            raise
        hint = f"Install it with python -m pip install 'quadrat[{EXTRAS[library]}]'"
        hint += f", or '.[{EXTRAS[library]}]' in the project's folder"
        raise ParameterError(f"{library} is not installed", where=name, hint=hint) from error
