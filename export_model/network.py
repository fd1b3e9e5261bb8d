"""The network that every route of the exporter makes, and checks that the routes share."""

from __future__ import annotations

import hashlib
import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model.questions import Question
from quadrat.errors import GraphError, ParameterError
from quadrat.package.write import ArchiveSpec
from quadrat.transforms.params import MAX_TENSOR_PIXELS
from quadrat.types import ImageU8

F32 = NDArray[np.float32]
Shape = tuple[int | None, ...]
MOST_TRIED = 3 * MAX_TENSOR_PIXELS
"""Values of the largest input that a network is tried on."""
OTHER_FORMS = {
    **dict.fromkeys(
        (".pt", ".pth", ".ckpt", ".pkl", ".pickle"), "a checkpoint, which can run code when it is loaded"
    ),
    **dict.fromkeys((".torchscript", ".ts", ".pt2"), "TorchScript, which is a program"),
    **dict.fromkeys(
        (".engine", ".plan", ".trt"), "a TensorRT plan, which works on one GPU and one version only"
    ),
    ".tflite": "TensorFlow Lite",
    ".pb": "TensorFlow",
    ".h5": "Keras",
    ".keras": "Keras",
    ".mlmodel": "Core ML",
    ".xml": "OpenVINO's own format",
}
"""Suffixes of networks that are not ONNX, and what each is."""
DYNAMIC: Shape = (None, 3, None, None)
"""(N, C, H, W) with None for a dynamic axis."""


def check_size(shape: Shape) -> None:
    """Raise GraphError for an input (N, C, H, W), None for open axes, that is too large for the network to be tried."""
    values = math.prod(size or 1 for size in shape)
    if values > MOST_TRIED:
        raise GraphError(
            f"its input of {' x '.join(str(size or 'any') for size in shape)} has {values / 1e6:.0f} million values, and "
            f"{MOST_TRIED / 1e6:.0f} million are the most that it can be tried on",
            where="--input-shape", hint="Give a smaller one, or export the network with a smaller input",
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Network(ArchiveSpec):
    """A network in the formats that an archive carries, and a function that runs it where it came from.

    `run` maps (N, C, H, W) float32 to scores (N, K, H, W) float32 or labels (N, H, W) integer. For a detector it
    maps to all outputs by name, and `outputs` names the tensor of each role of its `detect["layout"]`. `pictures`
    (h, w, 3) uint8 RGB are photographs that a detector's self-test may use. `added` is the name of a background class that has no channel and is not listed yet; `questions` are what the
    network leaves open; `names` are the classes that its file states. `probe` is a shape at which it runs, with None
    for a height or width that does not matter; empty for the shape itself.
    """

    run: Callable[[F32], Any]
    pictures: Sequence[ImageU8] = ()
    added: str = ""
    questions: tuple[Question, ...] = ()
    names: tuple[str, ...] = ()
    probe: Shape = ()


def need(option: str, *libraries: str, hint: str = "Run make setup-export") -> None:
    """Import the libraries of a route; ParameterError naming `option` and the first library that cannot be imported."""
    if libraries == ("onnx",):
        hint = "Run make setup-pack, or python -m pip install '.[pack]' in the project's folder"
    for library in libraries:
        try:
            importlib.import_module(library)
        except ImportError as error:
            absent = isinstance(error, ModuleNotFoundError) and error.name == library
            raise ParameterError(
                f"{library} is not installed" if absent else f"{library} cannot be imported: {error}",
                where=option, hint=f"{hint}, see Set up in export_model/README.md",
            ) from error  # fmt: skip


def refuse_programs(path: Path, option: str) -> None:
    """Raise ParameterError if the suffix is that of another kind of network, with a hint on how to get ONNX."""
    kind = OTHER_FORMS.get(path.suffix.lower())
    if kind:
        raise ParameterError(
            f"it is {kind}, not ONNX", where=f"{option} {path}",
            hint="Export it to ONNX with the tool that made it; for a YOLO that is: yolo export model=NAME.pt format=onnx",
        )  # fmt: skip


def existing(path: Path, option: str) -> Path:
    """Return `path` if it is a file; ParameterError naming `option` if it is not."""
    if not path.is_file():
        raise ParameterError("there is no such file", where=f"{option} {path}")
    return path


def digest(path: Path) -> str:
    """Return the sha256 (hex) of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
