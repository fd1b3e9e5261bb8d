"""Every parameter of the service, once: type, range, default, unit, help."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from quadrat.errors import ParameterError

Kind = Literal["int", "float", "bool", "option", "string", "artifact", "collection"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter; `kind` is the platform's word for its type.

    `default` None means: must be given, unless `optional`. `low` and `high` are inclusive.
    """

    name: str
    kind: Kind
    help: str
    default: int | float | str | None = None
    optional: bool = False
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    since: str = "original"

    @property
    def field(self) -> str:
        """The parameter's name as a Python identifier."""
        return self.name.replace("-", "_")


NAME = "infer-with-paddle-paddle"
"""The service's name on the platform, as its users know it."""
DESCRIPTION = "Measures images with a segmentation model: masks, cover per class, and a table of the survey."
MEMORY, CPU, DISK = "5Gi", "2", "8Gi"
"""What an order asks of the platform, as Kubernetes quantities."""

OUTPUTS = ("pseudo", "labels", "confidence", "overlay")

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("model", "artifact", "Model archive (model.tgz) made by export_model."),
    Parameter(
        "images", "collection", "Images to measure: a collection, or a folder.", optional=True
    ),
    Parameter(
        "image", "artifact", "One image to measure, in place of images; on a laptop a folder is taken too.", optional=True, since="1"
    ),
    Parameter(
        "max-img-size",
        "int",
        "Shrink an image to at most this many pixels before measuring; -1 leaves it as it is.",
        default=1_000_000,
        unit="pixels",
        low=-1,
        high=10**12,
    ),
    Parameter(
        "batch-size", "int", "Images of one size that go through the network at once.",
        default=1, unit="images", low=1, high=1024,
    ),
    Parameter(
        "device", "option", "Where the network runs. gpu without a GPU is an error.",
        default="cpu", choices=("cpu", "gpu"),
    ),
    Parameter("use-trt", "bool", "Run through TensorRT. Needs device=gpu."),
    Parameter(
        "precision", "option",
        "Number format of the network: fp32 is exact, bf16 is faster where the CPU has it, "
        "fp16 needs a GPU or a CPU that has it, int8 needs use-trt with the paddle engine.",
        default="fp32", choices=("fp32", "bf16", "fp16", "int8"),
    ),
    Parameter(
        "min-subgraph-size", "int", "Smallest part of the network that TensorRT takes over. Used with use-trt.",
        default=3, unit="operators", low=1, high=10_000,
    ),
    Parameter(
        "enable-auto-tune", "bool",
        "Collect TensorRT's input shapes from the first images. Needs use-trt.",
    ),
    Parameter(
        "cpu-threads", "int", "Threads of the network on the CPU; never more than the machine has.",
        default=10, unit="threads", low=1, high=4096,
    ),
    Parameter(
        "enable-mkldnn", "bool",
        "Insist on oneDNN on the CPU. The openvino engine always has it, paddle uses it where the model allows, "
        "onnx has none and is refused.",
    ),
    Parameter(
        "benchmark", "bool",
        "Warm up with the first batch and log machine, model, settings and the time of every stage.",
    ),
    Parameter(
        "model-name", "string", "Name of the model in the log.", optional=True
    ),
    Parameter(
        "with-argmax", "bool",
        "Take the class from the network's scores, not from its own argmax. Refused where the archive gives no scores.",
    ),
    Parameter("print-detail", "bool", "Log what the engine says of itself."),
    Parameter(
        "engine", "option", "Engine that runs the network; auto takes the first that can.",
        default="auto", choices=("auto", "openvino", "onnx", "paddle"), since="1",
    ),
    Parameter(
        "result-size", "option",
        "Size of masks and counts: working is the size after max-img-size, source is the image's own.",
        default="working", choices=("working", "source"), since="1",
    ),
    Parameter(
        "outputs", "string",
        "Pictures to deliver for each image, separated by commas: " + ", ".join(OUTPUTS) + ".",
        default="pseudo", since="1",
    ),
    Parameter(
        "on-error", "option", "What an image that cannot be measured does: skip goes on, stop ends the order.",
        default="skip", choices=("skip", "stop"), since="1",
    ),
    Parameter(
        "max-failures", "int", "End the order when more images than this have failed; -1 sets no limit.",
        default=-1, unit="images", low=-1, high=10**9, since="1",
    ),
    Parameter(
        "min-confidence", "float",
        "Count pixels below this confidence as unknown; 0 counts all. Refused where the archive gives no confidence.",
        default=0.0, low=0.0, high=1.0, since="1",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of one run, checked; the artifacts themselves are the store's."""

    max_img_size: int = 1_000_000
    batch_size: int = 1
    device: str = "cpu"
    use_trt: bool = False
    precision: str = "fp32"
    min_subgraph_size: int = 3
    enable_auto_tune: bool = False
    cpu_threads: int = 10
    enable_mkldnn: bool = False
    benchmark: bool = False
    model_name: str = ""
    with_argmax: bool = False
    print_detail: bool = False
    engine: str = "auto"
    result_size: str = "working"
    outputs: tuple[str, ...] = ("pseudo",)
    on_error: str = "skip"
    max_failures: int = -1
    min_confidence: float = 0.0

    @property
    def digest(self) -> str:
        """sha256 (hex) of all values that are set, in a fixed order."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def parse(values: Mapping[str, Any]) -> Settings:
    """Check given values (by parameter name, either spelling of dashes) and fill in defaults.

    Raises ParameterError for an unknown name, a wrong type, a value out of range, or a pair that
    does not go together. None counts as not given.
    """
    known = {p.field: p for p in PARAMETERS}
    given: dict[str, Any] = {}
    for raw, value in values.items():
        name = raw.replace("-", "_")
        if name not in known:
            raise ParameterError("there is no such parameter", where=raw, hint=_nearest(name, known))
        if value is not None:
            given[name] = value
    wanted = {f.name for f in fields(Settings)}
    checked = {name: _check(known[name], value) for name, value in given.items() if name in wanted}
    settings = Settings(**checked)
    _check_pairs(settings)
    return settings


def check_inputs(image: object | None, images: object | None) -> None:
    """Raise ParameterError unless exactly one of `image` and `images` is given."""
    if (image is None) == (images is None):
        said = "neither is given" if image is None else "both are given"
        raise ParameterError(
            f"exactly one of image and images is needed, and {said}",
            where="image, images",
            hint="Give --images FOLDER (or a collection), or --image FILE",
        )


def _check(parameter: Parameter, value: Any) -> Any:
    if parameter.name == "outputs":
        return _check_outputs(value)
    if parameter.kind == "bool":
        if isinstance(value, bool):
            return value
        raise _wrong(parameter, value, "true or false")
    if parameter.kind == "option":
        if value in parameter.choices:
            return value
        raise _wrong(parameter, value, "one of " + ", ".join(parameter.choices))
    if parameter.kind in ("int", "float"):
        return _check_number(parameter, value)
    if isinstance(value, str):
        return value
    raise _wrong(parameter, value, "a text")


def _check_number(parameter: Parameter, value: Any) -> int | float:
    kinds = int if parameter.kind == "int" else (int, float)
    low, high = parameter.low, parameter.high
    span = f"a{'n integer' if parameter.kind == 'int' else ' number'} from {low:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
        raise _wrong(parameter, value, span)
    if parameter.name == "max-img-size" and value == 0:
        raise _wrong(parameter, value, "-1, or at least 1")
    if (low is not None and value < low) or (high is not None and value > high):
        raise _wrong(parameter, value, span)
    return value


def _check_outputs(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    names = tuple(dict.fromkeys(str(p).strip() for p in parts if str(p).strip()))
    unknown = [n for n in names if n not in OUTPUTS]
    if unknown or not names:
        said = f"{unknown[0]!r} is no output" if unknown else "no output is named"
        raise ParameterError(said, where="outputs", hint="Choose from " + ", ".join(OUTPUTS))
    return names


def _check_pairs(s: Settings) -> None:
    """Refuse pairs that would silently do nothing."""
    if s.use_trt and s.device != "gpu":
        raise ParameterError("TensorRT runs on a GPU only", where="use-trt", hint="Add --device gpu")
    if s.enable_auto_tune and not s.use_trt:
        raise ParameterError(
            "auto-tune collects shapes for TensorRT", where="enable-auto-tune", hint="Add --use-trt"
        )
    if s.min_subgraph_size != Settings().min_subgraph_size and not s.use_trt:
        raise ParameterError(
            "the smallest part is one that TensorRT takes over",
            where="min-subgraph-size",
            hint="Add --use-trt",
        )
    if s.precision == "int8" and not (s.use_trt and s.engine in ("auto", "paddle")):
        raise ParameterError(
            "int8 runs only through TensorRT in the paddle engine",
            where="precision",
            hint="Add --device gpu --use-trt --engine paddle, or choose fp32 or bf16",
        )
    if s.precision == "bf16" and s.device == "gpu":
        raise ParameterError("bf16 is for the CPU", where="precision", hint="Choose fp16 on a GPU")
    if s.enable_mkldnn and (s.device == "gpu" or s.engine == "onnx"):
        raise ParameterError(
            "oneDNN is part of the openvino and paddle engines on the CPU",
            where="enable-mkldnn",
            hint="Leave it out, or choose --engine openvino or paddle on --device cpu",
        )


def _wrong(parameter: Parameter, value: Any, wanted: str) -> ParameterError:
    return ParameterError(f"{value!r} is not {wanted}", where=parameter.name)


def _nearest(name: str, known: Mapping[str, Parameter]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {known[close[0]].name}?" if close else ""
