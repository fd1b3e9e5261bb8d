"""Functions that engines share: choice of the graph, threads, GPU, cache folder, checks and error messages."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import DeviceError, EngineMemoryError, EngineRunError, EngineUnavailableError, GraphError
from quadrat.types import ModelPackage

TRT_RANGE = {"min": (100, 100), "opt": (512, 1024), "max": (2000, 3000)}
"""(Height, width) ranges for which TensorRT is built without auto-tune, as in the original service."""

OTHER_ENGINE = "Use --engine auto, or export the model for this engine"
"""Hint for an engine that reads none of the archive's networks; not for `auto`, which has tried the others."""

FILES = {"pdmodel": "a .pdmodel file", "pir": "a PIR model.json", "onnx": "an ONNX file"}


def choose_format(package: ModelPackage, readable: Sequence[str]) -> str:
    """Return the first of the `readable` formats in the archive; raise EngineUnavailableError if there is none."""
    for name in readable:
        if name in package.engines:
            return name
    has = " and ".join(FILES[name] for name in package.engines) or "no network"
    reads = " or ".join(FILES[name] for name in readable)
    raise EngineUnavailableError(
        f"it reads {reads}, but the archive contains {has}",
        hint=OTHER_ENGINE,
    )


def load_library(module: str, hint: str) -> Any:
    """Import a library; raise EngineUnavailableError with the `hint` if it is missing or cannot be imported."""
    try:
        return import_module(module)
    except (ImportError, OSError) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == module
        text = "is not installed" if missing else f"cannot be imported: {summarize(error)}"
        raise EngineUnavailableError(f"{module} {text}", hint=hint) from error


def thread_count(requested: int) -> int:
    """Return the number of threads to use: `requested`, but at most the cores available to this process."""
    return max(1, min(requested, usable_cores()))


def usable_cores() -> int:
    """Return the number of cores that this process may use, if the system can tell; otherwise all cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_count() -> int:
    """Return the number of NVIDIA GPUs visible to this process; 0 without a driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def need_gpu() -> None:
    """Raise DeviceError without a GPU, so that a request for a GPU never silently runs on the CPU."""
    if gpu_count() == 0:
        raise DeviceError("no NVIDIA GPU was found", where="device", hint="Use --device cpu")


def cache_folder() -> Path | None:
    """Return the folder for compiled networks, which may not exist yet, or None without a home folder."""
    chosen = os.environ.get("QUADRAT_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "quadrat"
    try:
        return Path.home() / ".cache" / "quadrat"
    except RuntimeError:
        return None


def summarize(error: BaseException, limit: int = 200) -> str:
    """Return the informative line of a library's long message: the last one that is not about its source code."""
    noise = ("Exception from", "Check '", "FrontEnd API failed", "[Hint:", "[operator", "File ")
    lines = [line.strip() for line in str(error).splitlines()]
    candidates = [line for line in lines if line and not line.startswith(noise)]
    text = candidates[-1] if candidates else type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


def run_error(error: BaseException, shape: Sequence[int], engine: str) -> EngineRunError:
    """Return the error of a batch of this shape on which a library failed: EngineMemoryError for lack of memory."""
    text = str(error)
    if isinstance(error, MemoryError) or "bad_alloc" in text or "Failed to allocate memory" in text:
        return EngineMemoryError(
            f"there is not enough memory for a batch of shape {tuple(shape)}",
            where=engine, hint="Measure at a smaller size (--max-img-size, --tile-size, --batch-size)",
        )  # fmt: skip
    return EngineRunError(f"a batch of shape {tuple(shape)} failed: {summarize(error)}", where=engine)


def fit_input(batch: NDArray[np.float32], dtype: str) -> NDArray[np.floating]:
    """Return the batch contiguous and in the network's float type."""
    return np.ascontiguousarray(batch, dtype=np.dtype(dtype))


def need_float_input(names: Sequence[str], dtype: str, path: Path) -> None:
    """Raise GraphError unless the network has exactly one input, of a float type."""
    if len(names) != 1:
        raise GraphError(f"the network has {len(names)} inputs, but must have one", where=path.name)
    if dtype not in ("float32", "float16", "float64"):
        raise GraphError(f"the network's input is {dtype}, but must be float", where=path.name)


def need_outputs(requested: Sequence[str], known: Sequence[str], name: str) -> None:
    """Raise EngineRunError if the network lacks a requested output."""
    for output in requested:
        if output not in known:
            raise EngineRunError(f"the network has no output {output!r}, only {', '.join(known)}", where=name)
