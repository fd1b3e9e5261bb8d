"""The values of one run: given ones checked, the others filled in."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from quadrat.errors import ParameterError
from quadrat.parameters import OUTPUTS, PARAMETERS, Parameter

INPUTS = ("image", "images", "video", "videos", "streams")
"""Parameters of which exactly one says what is measured."""
MOVING = ("video", "videos", "streams")
"""Those of them whose sources have frames in time."""
NAMES_OF_FILES = ("model", *INPUTS, "config")
"""Parameters that name files, artifacts or addresses: all others are settings."""
RUN = "urn:ibenthos:schema:quadrat.run.1"
"""Schema of run.json, whose `settings` are those of its order by name."""
OF_TRACKS = (
    "tracker", "max_age", "min_hits", "track_across_classes", "smooth_labels", "smooth_frames", "smooth_seconds",
)  # fmt: skip
OF_STREAMS = ("read_mode", "stall_seconds", "reconnect_seconds", "stream_seconds")
OF_MOVING = (
    "frame_step", "frame_seconds", "sequence_rate", *OF_STREAMS, "sources_at_once", "skip_black", "idle_seconds",
    *OF_TRACKS, "codec",
)  # fmt: skip
OF_OBJECTS = (
    "min_score",
    "nms_threshold",
    "max_detections",
    "merge",
    "merge_threshold",
    "idle_seconds",
    *OF_TRACKS,
)
"""Settings, by field, that mean something only for such sources, or for a task that finds objects."""
OF_IMAGES = ("pseudo", "labels", "confidence")
"""Outputs of which a video has none."""
SMALLEST_TILE = 32
LONGEST_SAID = 80
"""Characters of a wrong value that an error shows."""
WHOLE_MASK_PIXELS = 1_000_000
"""The default of max-img-size, which is for masks of whole images and frames only."""


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
    outputs: tuple[str, ...] = ()
    on_error: str = "skip"
    max_failures: int = -1
    min_confidence: float = 0.0
    tile_size: int = 0
    tile_overlap: int = -1
    full_frame: bool = False
    merge: str = "ios"
    merge_threshold: float = 0.5
    min_score: float = 0.25
    nms_threshold: float = 0.5
    max_detections: int = 1000
    frame_step: int = 1
    frame_seconds: float = 0.0
    sequence_rate: float = 10.0
    read_mode: str = "every"
    stall_seconds: float = 10.0
    reconnect_seconds: float = 60.0
    stream_seconds: float = 0.0
    sources_at_once: int = 4
    skip_black: bool = False
    idle_seconds: float = 0.0
    tracker: str = "bytetrack"
    max_age: int = 30
    min_hits: int = 2
    track_across_classes: bool = False
    smooth_labels: str = "none"
    smooth_frames: int = 15
    smooth_seconds: float = 0.0
    codec: str = "h264"

    def for_task(self, task: str) -> Settings:
        """Give these settings with max-img-size as it is meant for a task: its default is for masks without tiles."""
        if self.max_img_size != WHOLE_MASK_PIXELS or (task == "segment" and not self.tile_size):
            return self
        return replace(self, max_img_size=-1)

    def changed(self, names: Iterable[str]) -> list[str]:
        """Give those of some fields whose values are not the defaults, named as parameters."""
        usual = Settings()
        return [name.replace("_", "-") for name in names if getattr(self, name) != getattr(usual, name)]

    @property
    def overlap(self) -> int:
        """Least overlap of neighbouring tiles in pixels."""
        return self.tile_size // 5 if self.tile_overlap < 0 else self.tile_overlap

    @property
    def digest(self) -> str:
        """sha256 (hex) of all values that are set, in a fixed order."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def parse(values: Mapping[str, Any]) -> Settings:
    """Check given values (by parameter name, either spelling of dashes) and fill in defaults.

    Raises ParameterError for an unknown name, a wrong type, a value out of range, a pair that does not go
    together, and a value other than the default that the kind of sources has no use for. None counts as not given.
    """
    found = [(find(raw), value) for raw, value in values.items()]
    given = {parameter: value for parameter, value in found if value is not None}
    wanted = {f.name for f in fields(Settings)}
    settings = Settings(**{p.field: check(p, v) for p, v in given.items() if p.field in wanted})
    _check_pairs(settings)
    sources = [p.name for p, value in given.items() if p.name in INPUTS and value]
    if len(sources) == 1:
        _check_sources(settings, sources[0])
    return settings


def find(name: str) -> Parameter:
    """Give the parameter of a name, in either spelling of dashes; ParameterError where there is none."""
    known = {p.field: p for p in PARAMETERS}
    wanted = name.replace("-", "_")
    if wanted not in known:
        raise ParameterError("there is no such parameter", where=name, hint=_nearest(wanted, known))
    return known[wanted]


def check_inputs(given: Mapping[str, object | None]) -> str:
    """Give which one of INPUTS is given; ParameterError where none or several are."""
    named = [name for name in INPUTS if given.get(name)]
    if len(named) == 1:
        return named[0]
    said = f"{' and '.join(named)} are given" if named else "none is given"
    not_there = "; a config file has settings only" if given.get("config") and not named else ""
    raise ParameterError(
        f"exactly one of {', '.join(INPUTS)} is needed, and {said}",
        where=", ".join(named or INPUTS),
        hint="Give --images FOLDER (or a collection), --image FILE, --videos FOLDER, or --video FILE"
        + not_there,
    )


def check(parameter: Parameter, value: Any) -> Any:
    """Give a value as Settings has it; ParameterError for a wrong type, or one out of range."""
    if parameter.name == "outputs":
        return _check_outputs(parameter, value)
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
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise _wrong(parameter, value, span)
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(parameter, value, span)
    if parameter.name == "max-img-size" and value == 0:
        raise _wrong(parameter, value, "-1, or at least 1")
    if (low is not None and value < low) or (high is not None and value > high):
        raise _wrong(parameter, value, span)
    return value if parameter.kind == "int" else float(value)  # 1 and 1.0 are one setting, with one digest


def _check_outputs(parameter: Parameter, value: Any) -> tuple[str, ...]:
    if not isinstance(value, Iterable):
        raise _wrong(parameter, value, "a text, or several")
    parts = value.split(",") if isinstance(value, str) else list(value)
    names = tuple(dict.fromkeys(str(p).strip() for p in parts if str(p).strip()))
    if names == ("auto",):
        return ()
    unknown = [n[:LONGEST_SAID] for n in names if n not in OUTPUTS]
    if "none" in names and len(names) > 1:
        raise ParameterError(
            "none goes with nothing else", where="outputs", hint="Leave it out, or the others"
        )
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
    _check_tiles(s)
    _check_video(s)


def _check_tiles(s: Settings) -> None:
    if s.tile_size and s.overlap >= s.tile_size:
        raise ParameterError(
            f"an overlap of {s.overlap} pixels leaves nothing of tiles of {s.tile_size}",
            where="tile-overlap",
            hint="Choose one well under tile-size; -1 is a fifth of it",
        )
    if 0 < s.tile_size < SMALLEST_TILE:
        raise ParameterError(f"{s.tile_size} is not 0, or at least {SMALLEST_TILE}", where="tile-size")
    if not s.tile_size and (s.full_frame or s.tile_overlap >= 0):
        raise ParameterError(
            "it goes with tiles",
            where="full-frame" if s.full_frame else "tile-overlap",
            hint="Add --tile-size 640",
        )
    if not s.tile_size and (given := s.changed(("merge", "merge_threshold"))):
        raise ParameterError("it joins boxes of tiles", where=given[0], hint="Add --tile-size 640")


def _check_video(s: Settings) -> None:
    if s.frame_step > 1 and s.frame_seconds > 0:
        raise ParameterError(
            "frames are taken by count or by time, not both",
            where="frame-step, frame-seconds",
            hint="Leave one of them out",
        )
    if s.smooth_labels != "none" and not s.track_across_classes:
        raise ParameterError(
            "a track keeps the class that it began with, so there is nothing to smooth",
            where="smooth-labels",
            hint="Add --track-across-classes",
        )
    if s.smooth_labels == "none" and (given := s.changed(("smooth_frames", "smooth_seconds"))):
        raise ParameterError("no labels are smoothed", where=given[0], hint="Choose --smooth-labels")
    if s.smooth_seconds and s.changed(("smooth_frames",)):
        raise ParameterError(
            "labels are smoothed over frames or over seconds, not both",
            where="smooth-frames, smooth-seconds",
            hint="Leave one of them out",
        )
    if s.tracker == "none" and (given := s.changed(("track_across_classes", "max_age", "min_hits"))):
        raise ParameterError("nothing is tracked", where=given[0], hint="Choose a --tracker, or leave it out")
    if s.outputs == ("none",) and s.changed(("codec",)):
        raise ParameterError(
            "outputs is none, so that no video is drawn",
            where="codec",
            hint="Leave --codec out, or choose other --outputs",
        )


def _check_sources(s: Settings, sources: str) -> None:
    """Refuse what the kind of sources, one of INPUTS, has no use for."""
    kind = "images" if sources not in MOVING else "streams" if sources == "streams" else "videos"
    lacks = {
        "images": (OF_MOVING, "it is for videos and streams", ", or give --videos"),
        "videos": (OF_STREAMS, "it is for live streams", ", or give --streams"),
        "streams": (("sources_at_once",), "streams are all read at once", ""),
    }
    names, what, way_out = lacks[kind]
    if given := s.changed(names):
        said = what if kind == "streams" else f"{what}, and {kind} are given"
        raise ParameterError(said, where=given[0], hint=f"Leave --{given[0]} out{way_out}")
    still = [name for name in s.outputs if name in OF_IMAGES]
    if still and kind != "images":
        raise ParameterError(
            f"{still[0]} is a picture of an image, and {kind} are given",
            where="outputs",
            hint="Choose overlay (masks), annotated (objects) or none",
        )


def _wrong(parameter: Parameter, value: Any, wanted: str) -> ParameterError:
    said = repr(value)
    said = said if len(said) <= LONGEST_SAID else f"{said[:LONGEST_SAID]}..."
    return ParameterError(f"{said} is not {wanted}", where=parameter.name)


def _nearest(name: str, known: Mapping[str, Parameter]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {known[close[0]].name}?" if close else ""
