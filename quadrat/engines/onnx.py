"""Run networks with ONNX Runtime: CUDA and TensorRT on a GPU, or the CPU."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.engines.common import (
    TRT_RANGE,
    cache_folder,
    choose_format,
    fit_input,
    load_library,
    need_float_input,
    need_outputs,
    run_error,
    summarize,
    thread_count,
)
from quadrat.engines.wire import DTYPES
from quadrat.errors import DeviceError, EngineRunError, EngineUnavailableError, GraphError
from quadrat.parameters import EngineSettings
from quadrat.protocols import Engine
from quadrat.types import ModelPackage, OutputSpec

GPU = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
SILENT = 4
"""ONNX Runtime's level of messages that precede a crash."""
Provider = tuple[str, dict[str, str]]
CPU: Provider = ("CPUExecutionProvider", {})


def start(package: ModelPackage, settings: EngineSettings, log: logging.Logger) -> Engine:
    """Start the archive's ONNX network.

    Raises EngineUnavailableError (no ONNX file, no library, or oneDNN required), DeviceError
    (provider or precision not available) or GraphError (the file cannot be read).
    """
    choose_format(package, ("onnx",))
    if settings.enable_mkldnn:
        raise EngineUnavailableError("onnx does not support oneDNN", where="enable-mkldnn")
    _need_precision(settings)
    runtime = library()
    _need_providers(settings, runtime.get_available_providers())
    path, name = package.engines["onnx"], ""
    folder = cache_folder() if settings.use_trt else None
    if settings.use_trt and not settings.enable_auto_tune:  # its ranges need the input's name
        name = _inputs_and_outputs(_session(runtime, path, settings, [CPU]), path)[0]
    chosen = providers(settings, name, package.input_shape, folder and folder / "tensorrt" / package.digest)
    return OnnxEngine(runtime, path, settings, chosen, log)


def library() -> Any:
    """Import onnxruntime with its telemetry disabled; it would send events, or store them in the home folder."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return load_library("onnxruntime", "pip install quadrat")


def providers(
    settings: EngineSettings, input_name: str, input_shape: Sequence[int | None], cache: Path | None
) -> list[Provider]:
    """Return ONNX Runtime's providers with their options (all strings), best first.

    TensorRT is built for fixed ranges of the input's shape; with auto-tune no ranges are set, and it starts
    with the shape of the first images and extends it when necessary. `cache` is the folder for its engines.
    """
    if settings.device == "cpu":
        return [CPU]
    cuda: Provider = ("CUDAExecutionProvider", {"device_id": "0"})
    rest: list[Provider] = [cuda, CPU]
    if not settings.use_trt:
        return rest
    options = {
        "device_id": "0",
        "trt_max_workspace_size": str(1 << 30),
        "trt_min_subgraph_size": str(settings.min_subgraph_size),
        "trt_fp16_enable": str(settings.precision == "fp16"),
    }
    if cache is not None:
        options |= {"trt_engine_cache_enable": "True", "trt_engine_cache_path": str(cache)}
    if not settings.enable_auto_tune:
        for bound, (height, width) in TRT_RANGE.items():
            count = settings.size if bound == "max" else 1
            shape = _apply_fixed_sizes((count, 3, height, width), input_shape)
            options[f"trt_profile_{bound}_shapes"] = f"{input_name}:{'x'.join(map(str, shape))}"
    return [("TensorrtExecutionProvider", options), *rest]


def _apply_fixed_sizes(wanted: Sequence[int], declared: Sequence[int | None]) -> list[int]:
    """Return the `wanted` shape with the sizes that the network declares as fixed."""
    fixed = list(declared) if len(declared) == len(wanted) else [None] * len(wanted)
    return [own or size for own, size in zip(fixed, wanted, strict=True)]


def _need_precision(settings: EngineSettings) -> None:
    """Raise DeviceError for a precision that ONNX Runtime would ignore."""
    if settings.precision == "fp32" or (settings.precision == "fp16" and settings.use_trt):
        return
    hint = "Add --use-trt" if settings.precision == "fp16" and settings.device == "gpu" else ""
    raise DeviceError(
        f"onnx does not support {settings.precision} on the {settings.device}", where="precision", hint=hint
    )


def _need_providers(settings: EngineSettings, available: Sequence[str]) -> None:
    """Raise DeviceError unless this build of ONNX Runtime has the required providers."""
    if settings.device == "cpu":
        return
    for name in GPU if settings.use_trt else GPU[1:]:
        if name not in available:
            raise DeviceError(
                f"this ONNX Runtime does not include {name}", where="device",
                hint="Install onnxruntime-gpu instead of onnxruntime",
            )  # fmt: skip


class OnnxEngine:
    """An ONNX Runtime session; it computes only what the requested outputs need."""

    name = "onnx"
    at_once = 1

    def __init__(
        self,
        runtime: Any,
        path: Path,
        settings: EngineSettings,
        chosen: Sequence[Provider],
        log: logging.Logger,
    ) -> None:
        self.version = runtime.__version__
        self.device, self.precision = settings.device, settings.precision
        for _, options in chosen:
            if "trt_engine_cache_path" in options:
                Path(options["trt_engine_cache_path"]).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._open: Callable[[EngineSettings], Any] = partial(_session, runtime, path, chosen=chosen)
        self._settings = settings
        session = self._open(settings)
        _need_active(session.get_providers(), chosen[0][0])
        self._session: Any = session
        self._run_options = runtime.RunOptions()
        self._run_options.log_severity_level = 1 if settings.print_detail else SILENT
        self._run_options.only_execute_path_to_fetches = True
        self.outputs: Sequence[OutputSpec]
        self._input, self._dtype, self.outputs = _inputs_and_outputs(session, path)
        if settings.print_detail:
            log.info("onnx: providers %s", session.get_provider_options())

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run (N, C, H, W) float32; the arrays are new. Raises EngineRunError."""
        need_outputs(outputs, [spec.name for spec in self.outputs], self.name)
        if self._session is None:
            raise EngineRunError("the engine is closed", where=self.name)
        requested = list(dict.fromkeys(outputs))
        try:
            arrays = self._session.run(
                requested, {self._input: fit_input(batch, self._dtype)}, self._run_options
            )
        except Exception as error:  # its errors have no common base class
            raise run_error(error, batch.shape, self.name) from error
        return dict(zip(requested, arrays, strict=True))

    def set_threads(self, count: int) -> None:
        """Read the network again for another number of threads. No run may be in progress."""
        self._settings = replace(self._settings, cpu_threads=count)
        self._session = None  # free the old network first
        self._session = self._open(self._settings)

    def close(self) -> None:
        """Free the network; a second call does nothing."""
        self._session = None


def _session(runtime: Any, path: Path, settings: EngineSettings, chosen: Sequence[Provider]) -> Any:
    """Create a session with the `chosen` providers; raise GraphError or DeviceError if that fails."""
    setup = runtime.SessionOptions()
    setup.intra_op_num_threads = thread_count(settings.threads)
    setup.inter_op_num_threads = 1
    # info, or nothing: it prints errors in red before it raises them
    setup.log_severity_level = 1 if settings.print_detail else SILENT
    names, options = [name for name, _ in chosen], [values for _, values in chosen]
    try:
        return runtime.InferenceSession(
            str(path), setup, providers=names, provider_options=options, enable_fallback=0
        )
    except Exception as error:  # its errors have no common base class
        raise _to_quadrat_error(error, settings, path) from error


def _inputs_and_outputs(session: Any, path: Path) -> tuple[str, str, tuple[OutputSpec, ...]]:
    """Return the input's name and dtype, and the outputs; raise GraphError unless there is one float input."""
    try:
        inputs, outputs = (
            [(entry.name, _numpy_name(entry.type), _dims(entry.shape)) for entry in entries]
            for entries in (session.get_inputs(), session.get_outputs())
        )
    except UnicodeDecodeError as error:  # ONNX Runtime accepts any bytes as a name
        raise GraphError(f"a name in it is not text: {error.reason}", where=path.name) from error
    dtype = inputs[0][1] if inputs else ""
    need_float_input([name for name, _, _ in inputs], dtype, path)
    numbers = tuple(OutputSpec(*values) for values in outputs if values[1] in DTYPES)
    if not numbers:
        kinds = ", ".join(sorted({kind for _, kind, _ in outputs})) or "nothing"
        raise GraphError(f"the network gives {kinds}, but must give numbers", where=path.name)
    return inputs[0][0], dtype, numbers


def _to_quadrat_error(error: Exception, settings: EngineSettings, path: Path) -> GraphError | DeviceError:
    """Return a DeviceError or GraphError for the failure to create a session."""
    if settings.device == "gpu" and type(error).__name__ in ("EPFail", "RuntimeException"):
        hint = "Add --enable-auto-tune" if "profile" in str(error) else ""
        return DeviceError(f"onnx cannot use the GPU: {summarize(error)}", where="device", hint=hint)
    return GraphError(f"onnx cannot read the network: {summarize(error)}", where=path.name)


def _need_active(active: Sequence[str], wanted: str) -> None:
    """Raise DeviceError if ONNX Runtime silently dropped a provider whose libraries it could not load."""
    if not active or active[0] != wanted:
        raise DeviceError(
            f"{wanted} cannot be loaded: its CUDA, cuDNN or TensorRT libraries were not found", where="device"
        )


def _numpy_name(kind: str) -> str:
    """Convert a type such as 'tensor(float)' to numpy's name."""
    word = kind.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(word, word)


def _dims(shape: Sequence[int | str | None]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in shape)
