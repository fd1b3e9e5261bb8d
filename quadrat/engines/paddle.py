"""Run networks with Paddle: PIR archives on the CPU, and .pdmodel on a GPU with TensorRT.

Paddle always runs in a child process, as paddle 2.6.2 crashes with SIGSEGV on a damaged .pdmodel.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.engines.common import (
    TRT_RANGE,
    choose_format,
    load_library,
    need_outputs,
    summarize,
    thread_count,
)
from quadrat.engines.host import HostedEngine
from quadrat.engines.limits import Limits
from quadrat.errors import DeviceError, EngineRunError, EngineUnavailableError, GraphError
from quadrat.parameters import EngineSettings
from quadrat.protocols import Engine
from quadrat.types import ModelPackage, OutputSpec

PYTHON = "QUADRAT_PADDLE_PYTHON"
"""Environment variable for the child's interpreter: paddle 2.6.2 needs numpy 1, and quadrat numpy 2."""

INSTALL = {
    "cpu": "Run make setup-paddle, or pip install 'quadrat[paddle]' in this environment",
    "gpu": f"Install paddlepaddle-gpu 2.6.2 with numpy<2 in its own venv, and set {PYTHON} to its python",
}
"""Hint if paddle is not installed, by device."""

TUNE_RUNS = 3
"""Batches whose shapes are collected before TensorRT is built, with enable-auto-tune."""


def start(
    package: ModelPackage, settings: EngineSettings, log: logging.Logger, *, limits: Limits | None = None
) -> Engine:
    """Start paddle in a child process.

    Raises EngineUnavailableError (not installed, or too old or new for the format), DeviceError (GPU or
    precision not available) or GraphError (it cannot read the network, or crashes on it).
    """
    graph_format = choose_format(package, ("pdmodel", "pir"))
    _need_device(graph_format, settings)
    python = os.environ.get(PYTHON) or sys.executable
    return HostedEngine("quadrat.engines.paddle:load", package, settings, log, limits=limits, python=python)


def _need_device(graph_format: str, settings: EngineSettings) -> None:
    """Raise DeviceError for a device and precision that no version of paddle supports."""
    if settings.device == "gpu" and graph_format == "pir":
        raise DeviceError(
            "a PIR model.json cannot run on a GPU", where="device",
            hint="Export the model as .pdmodel or ONNX, or use --device cpu",
        )  # fmt: skip
    allowed = {"cpu": ("fp32",), "gpu": ("fp32", "fp16", "int8")}[settings.device]
    if settings.precision not in allowed:
        raise DeviceError(
            f"paddle does not support {settings.precision} on the {settings.device}", where="precision"
        )


def load(package: ModelPackage, settings: EngineSettings, log: logging.Logger) -> Engine:
    """Start paddle in this process; only for the child process."""
    graph_format = choose_format(package, ("pdmodel", "pir"))
    paddle = _library(INSTALL[settings.device])
    plan = Plan(
        graph=package.engines[graph_format],
        params=package.params,
        pir=graph_format == "pir",
        version=version_of(paddle.__version__),
        settings=settings,
    )
    need_version(plan)
    if settings.device == "gpu" and not paddle.is_compiled_with_cuda():
        raise DeviceError(
            f"paddle {paddle.__version__} is built for the CPU only", where="device",
            hint=INSTALL["gpu"],
        )  # fmt: skip
    return PaddleEngine(paddle, plan, package.input_shape, log)


def _library(hint: str) -> Any:
    # paddle 2.6.2 exports its own zlib symbols: loading zlib after it crashes
    import tarfile  # noqa: F401
    import zlib  # noqa: F401

    with suppress(ImportError):  # another interpreter may not have it
        import PIL.Image  # noqa: F401

    paddle = load_library("paddle", hint)
    load_library("paddle.inference", hint)
    return paddle


@dataclass(frozen=True, slots=True)
class Plan:
    """The inputs of the configuration: files, whether they are PIR, paddle's (major, minor) version, settings."""

    graph: Path
    params: Path | None
    pir: bool
    version: tuple[int, int]
    settings: EngineSettings


def version_of(text: str) -> tuple[int, int]:
    """Return (major, minor) of a version."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def need_version(plan: Plan) -> None:
    """Raise EngineUnavailableError if this version of paddle is known to be unable to read or run the archive."""
    if plan.pir and plan.version < (3, 2):
        raise EngineUnavailableError(
            "this paddle is too old for a PIR model.json",
            hint="Run make setup-paddle, or pip install 'quadrat[paddle]' in this environment",
        )
    if plan.pir and plan.version >= (3, 3) and plan.settings.enable_mkldnn:
        raise EngineUnavailableError(
            "paddle 3.3 and later cannot run a PIR model.json with oneDNN", where="enable-mkldnn",
            hint="Remove --enable-mkldnn, or install paddlepaddle 3.2.2",
        )  # fmt: skip


def base_config(inference: Any, plan: Plan) -> Any:
    """Return a Config with the options for all devices."""
    config = inference.Config(str(plan.graph), str(plan.params or ""))
    if not plan.settings.print_detail:
        config.disable_glog_info()
    config.enable_memory_optim()
    config.switch_ir_optim(True)
    if plan.pir:
        config.enable_new_ir(True)
        config.enable_new_executor(True)  # the memory pass needs it
    return config


def configure_cpu(config: Any, plan: Plan) -> None:
    """Configure the CPU: threads, and oneDNN if this version supports it for the format."""
    config.disable_gpu()
    config.set_cpu_math_library_num_threads(thread_count(plan.settings.threads))
    if plan.pir and plan.version >= (3, 3):
        config.disable_mkldnn()
        return
    config.set_mkldnn_cache_capacity(
        10
    )  # shapes; unlimited by default, which keeps every image size in memory
    config.enable_mkldnn()


def configure_gpu(config: Any, inference: Any, plan: Plan) -> None:
    """Configure the GPU: device 0, initially 100 MB, and TensorRT if requested (without its shapes)."""
    settings = plan.settings
    kinds = inference.PrecisionType
    precision = {"fp32": kinds.Float32, "fp16": kinds.Half, "int8": kinds.Int8}[settings.precision]
    if not settings.use_trt:
        config.enable_use_gpu(100, 0, precision)
        return
    config.enable_use_gpu(100, 0)
    config.enable_tensorrt_engine(
        workspace_size=1 << 30,
        max_batch_size=settings.size,
        min_subgraph_size=settings.min_subgraph_size,
        precision_mode=precision,
        use_static=False,
        use_calib_mode=False,
    )


def configure_collect(config: Any, shapes: Path) -> None:
    """Configure a GPU run without TensorRT that writes its input shapes to `shapes` when it is freed."""
    config.enable_use_gpu(100, 0)
    config.collect_shape_range_info(str(shapes))


def configure_shapes(config: Any, plan: Plan, name: str, channels: int, shapes: Path | None) -> None:
    """Configure TensorRT's shapes: those collected in `shapes`, or fixed ranges for input `name`."""
    if shapes is not None:
        config.enable_tuned_tensorrt_dynamic_shape(str(shapes), True)  # build missing shapes at run time
        return
    counts = {"min": 1, "max": plan.settings.size, "opt": 1}
    low, high, best = (
        {name: [counts[bound], channels, *TRT_RANGE[bound]]} for bound in ("min", "max", "opt")
    )
    config.set_trt_dynamic_shape_info(low, high, best)


class PaddleEngine:
    """A paddle predictor; with enable-auto-tune, it collects shapes on the first batches and is then rebuilt."""

    name = "paddle"
    at_once = 1

    def __init__(
        self, paddle: Any, plan: Plan, input_shape: Sequence[int | None], log: logging.Logger
    ) -> None:
        self.version = str(paddle.__version__)
        self.device, self.precision = plan.settings.device, plan.settings.precision
        self._inference, self._plan, self._log = paddle.inference, plan, log
        self.outputs: Sequence[OutputSpec]
        self._input, self.outputs = probe(paddle.inference, plan, input_shape)
        self._channels = (len(input_shape) == 4 and input_shape[1]) or 3
        self._tuning = plan.settings.use_trt and plan.settings.enable_auto_tune
        self._folder = tempfile.TemporaryDirectory(prefix="quadrat-trt-") if self._tuning else None
        self._runs = 0
        self._predictor: Any = self._make_predictor(tuned=False)

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run (N, C, H, W) float32; the arrays are copies. Raises EngineRunError."""
        need_outputs(outputs, [spec.name for spec in self.outputs], self.name)
        if self._predictor is None:
            raise EngineRunError("the engine is closed", where=self.name)
        try:
            arrays = feed(self._predictor, self._input, batch)
        except Exception as error:  # C++ exceptions can arrive as any class, such as IndexError
            raise EngineRunError(
                f"a batch of shape {batch.shape} failed: {summarize(error)}", where=self.name
            ) from error
        self._runs += 1
        if self._tuning and self._runs == TUNE_RUNS:
            self._predictor = None  # freeing it writes the shapes
            self._predictor = self._make_predictor(tuned=True)
        return {name: arrays[name] for name in outputs}

    def close(self) -> None:
        """Free the network; a second call does nothing."""
        self._predictor = None
        if self._folder is not None:
            self._folder.cleanup()

    def _make_predictor(self, *, tuned: bool) -> Any:
        config = base_config(self._inference, self._plan)
        shapes = Path(self._folder.name) / "shapes.pbtxt" if self._folder else None
        if self.device == "cpu":
            configure_cpu(config, self._plan)
        elif shapes is not None and not tuned:
            configure_collect(config, shapes)
        else:
            configure_gpu(config, self._inference, self._plan)
            if self._plan.settings.use_trt:
                configure_shapes(config, self._plan, self._input, self._channels, shapes)
        return create(self._inference, config, self._plan)


def create(inference: Any, config: Any, plan: Plan) -> Any:
    """Create a predictor; raise GraphError if paddle cannot read the network."""
    try:
        return inference.create_predictor(config)
    except Exception as error:  # C++ exceptions can arrive as any class, such as IndexError
        raise GraphError(
            f"paddle cannot read the network: {summarize(error)}", where=plan.graph.name
        ) from error


def feed(predictor: Any, name: str, batch: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Run one batch and return all outputs by name."""
    handle = predictor.get_input_handle(name)
    handle.reshape(batch.shape)
    handle.copy_from_cpu(np.ascontiguousarray(batch))
    predictor.run()
    return {out: predictor.get_output_handle(out).copy_to_cpu() for out in predictor.get_output_names()}


def probe(
    inference: Any, plan: Plan, input_shape: Sequence[int | None]
) -> tuple[str, tuple[OutputSpec, ...]]:
    """Return the input's name and the outputs, found by two small runs on the CPU.

    Paddle's predictor does not provide the types and shapes of outputs; sizes that differ between runs
    with different batch, height and width are dynamic.
    """
    config = base_config(inference, plan)
    config.disable_gpu()
    config.switch_ir_optim(False)
    config.disable_mkldnn()
    predictor = create(inference, config, plan)
    names = predictor.get_input_names()
    if len(names) != 1:
        raise GraphError(f"the network has {len(names)} inputs, but must have one", where=plan.graph.name)
    declared = tuple(input_shape) if len(input_shape) == 4 else (None, None, None, None)
    seen: list[Mapping[str, NDArray[Any]]] = []
    for sizes in ((1, 3, 128, 192), (2, 3, 192, 128)):
        shape = [own or size for own, size in zip(declared, sizes, strict=True)]
        try:
            seen.append(feed(predictor, names[0], np.zeros(shape, np.float32)))
        except Exception as error:  # as above
            text = f"paddle cannot run the network on an input of shape {shape}: {summarize(error)}"
            raise GraphError(text, where=plan.graph.name) from error
    return names[0], tuple(_spec(name, array, seen[1][name]) for name, array in seen[0].items())


def _spec(name: str, first: NDArray[Any], second: NDArray[Any]) -> OutputSpec:
    pairs = zip(first.shape, second.shape, strict=True)
    return OutputSpec(name, first.dtype.name, tuple(a if a == b else None for a, b in pairs))
