"""What engines share: the graph to read, threads, the GPU, the cache folder, and words for failures."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import DeviceError, EngineRunError, EngineUnavailableError, GraphError
from quadrat.types import ModelPackage

TRT_RANGE = {"min": (100, 100), "opt": (512, 1024), "max": (2000, 3000)}
"""Heights and widths that TensorRT is built for without auto-tune, as in the original service."""

FILES = {"pdmodel": "a .pdmodel file", "pir": "a PIR model.json", "onnx": "an ONNX file"}


def choose_format(package: ModelPackage, readable: Sequence[str]) -> str:
    """Give the first of the `readable` formats that the archive holds; EngineUnavailableError if none."""
    for name in readable:
        if name in package.engines:
            return name
    has = " and ".join(FILES[name] for name in package.engines) or "no network"
    reads = " or ".join(FILES[name] for name in readable)
    raise EngineUnavailableError(
        f"it reads {reads}, and the archive holds {has}",
        hint="Choose --engine auto, or export the model for it",
    )


def load_library(module: str, hint: str) -> Any:
    """Import a library; EngineUnavailableError, with the `hint`, where it is missing or does not import."""
    try:
        return import_module(module)
    except (ImportError, OSError) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == module
        said = "is not installed" if missing else f"does not import: {last_words(error)}"
        raise EngineUnavailableError(f"{module} {said}", hint=hint) from error


def threads(asked: int) -> int:
    """Give the threads to use: those asked for, but no more than the cores this process may use."""
    return max(1, min(asked, len(os.sched_getaffinity(0))))


def gpu_count() -> int:
    """Count the NVIDIA GPUs that the driver shows this process; 0 without a driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def need_gpu() -> None:
    """Raise DeviceError unless a GPU is here: asking for one never ends in a silent CPU run."""
    if gpu_count() == 0:
        raise DeviceError("there is no NVIDIA GPU here", where="device", hint="Choose --device cpu")


def cache_folder() -> Path | None:
    """Give the folder for compiled networks, or None where there is no home; it may not exist yet."""
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


def last_words(error: BaseException, limit: int = 200) -> str:
    """Give the telling line of a library's long message: the last that is not about its own source."""
    noise = ("Exception from", "Check '", "FrontEnd API failed", "[Hint:", "[operator", "File ")
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(noise)]
    text = told[-1] if told else type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


def fit_input(batch: NDArray[np.float32], dtype: str) -> NDArray[np.floating]:
    """Give the batch contiguous and in the network's own float type."""
    return np.ascontiguousarray(batch, dtype=np.dtype(dtype))


def need_float_input(names: Sequence[str], dtype: str, path: Path) -> None:
    """Raise GraphError unless the network has exactly one input, of a float type."""
    if len(names) != 1:
        raise GraphError(f"the network has {len(names)} inputs and must have one", where=path.name)
    if dtype not in ("float32", "float16", "float64"):
        raise GraphError(f"the network's input is {dtype} and must be float", where=path.name)


def need_outputs(asked: Sequence[str], known: Sequence[str], name: str) -> None:
    """Raise EngineRunError if an output is asked for that the network does not have."""
    for output in asked:
        if output not in known:
            raise EngineRunError(f"the network has no output {output!r}, only {', '.join(known)}", where=name)
