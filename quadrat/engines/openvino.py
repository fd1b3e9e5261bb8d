"""Run networks with OpenVINO on the CPU: it reads .pdmodel and ONNX without paddle, and caches compiled networks."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.engines.common import (
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
from quadrat.engines.compile_cache import CompileCache
from quadrat.engines.host import HostedEngine
from quadrat.errors import DeviceError, EngineMemoryError, EngineRunError, GraphError
from quadrat.parameters import EngineSettings
from quadrat.protocols import Engine
from quadrat.task_kinds import kind_of
from quadrat.types import ModelPackage, OutputSpec

FORMATS = ("onnx", "pdmodel")
CACHE_VERSION = 3
"""Increased when cached networks of earlier versions must not be used."""
SOFTMAX_BYTES = 2**31 - 1
"""Size from which OpenVINO's softmax over channels crashes: it computes offsets with 32 bits."""
PRECISIONS = {"fp32": ("f32", "FP32"), "bf16": ("bf16", "BF16"), "fp16": ("f16", "FP16")}
"""Value of `precision` -> OpenVINO's inference precision, and the capability that the CPU must have."""


def start(package: ModelPackage, settings: EngineSettings, log: logging.Logger, at_once: int = 1) -> Engine:
    """Start the network on the CPU; a network that is not in the cache is first read in a child process.

    Up to `at_once` runs share the threads, which is more efficient than using all threads for one run.
    Raises EngineUnavailableError (no supported format, or no library), DeviceError (a GPU, or a precision
    that the CPU lacks) or GraphError (the file cannot be read or compiled, or crashes the child).
    """
    if settings.device != "cpu":
        raise DeviceError("openvino runs only on the CPU", where="engine", hint="Use --engine onnx")
    graph_format = choose_format(package, FORMATS)

    def trial() -> None:
        if os.name != "posix":  # a child gets its socket by inheritance, which Windows lacks
            return
        HostedEngine("quadrat.engines.openvino:load", package, settings, log).close()

    return OpenVINOEngine(package, graph_format, settings, log, trial, at_once=at_once)


def load(package: ModelPackage, settings: EngineSettings, log: logging.Logger, at_once: int = 1) -> Engine:
    """Start the network in this process, which an invalid file may crash; only for a child process."""
    if settings.device != "cpu":
        raise DeviceError("openvino runs only on the CPU", where="engine", hint="Use --engine onnx")
    return OpenVINOEngine(package, choose_format(package, FORMATS), settings, log, at_once=at_once)


def library() -> Any:
    """Import openvino with its telemetry disabled; importing it would send an event."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None makes the import fail
    return load_library("openvino", "pip install quadrat")


@cache
def shared_core() -> Any:
    """Return the Core of this process, which is never freed.

    The CPU plugin installs a signal stack for the thread, and frees it when it is freed itself; the next signal,
    such as Ctrl-C in a notebook, would then crash the process with SIGSEGV.
    """
    return library().Core()


def _config(core: Any, settings: EngineSettings) -> dict[str, Any]:
    """Return the compile options; raise DeviceError for a precision that this CPU does not support."""
    if settings.precision not in PRECISIONS:
        raise DeviceError(f"openvino does not support {settings.precision}", where="precision")
    hint, capability = PRECISIONS[settings.precision]
    if capability not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise DeviceError(
            f"this CPU does not support {settings.precision}", where="precision", hint="Use --precision fp32"
        )
    return {
        "INFERENCE_PRECISION_HINT": hint,  # explicit, as the default is bf16 on CPUs that support it
        "INFERENCE_NUM_THREADS": thread_count(settings.threads),
        "PERFORMANCE_HINT": "LATENCY",
        "CPU_RUNTIME_CACHE_CAPACITY": 64,  # kernels for other image sizes; the default grows by 2 MB per size
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Compiled:
    """A network ready to run: idle requests, input dtype, output names in order, and the memory of its weights.

    `softmax` is the largest number of channels of a softmax over the channels of a picture, 0 without one.
    """

    requests: SimpleQueue[Any]
    dtype: str
    names: tuple[str, ...]
    softmax: int
    blob: NDArray[np.uint8] | None = None


class OpenVINOEngine:
    """A network compiled for exactly the requested outputs; more than `at_once` concurrent calls wait.

    At the start, it is compiled for the outputs that the archive names (labels and confidence of a mask, all
    outputs of a detector), or for all outputs if it names none, so that an invalid graph is found early. A run
    that requests other outputs compiles it again. If the network is not in the cache, `trial` is called before its
    file is read, as OpenVINO crashes with SIGSEGV on some invalid files (a convolution with one input); the
    network that `trial` compiled is then loaded from the cache.
    """

    name = "openvino"
    device = "cpu"

    def __init__(
        self,
        package: ModelPackage,
        graph_format: str,
        settings: EngineSettings,
        log: logging.Logger,
        trial: Callable[[], None] | None = None,
        *,
        at_once: int = 1,
    ) -> None:
        self.version = library().get_version().split("-")[0]
        self.precision = settings.precision
        self.outputs: Sequence[OutputSpec] = ()
        self._core, self._log = shared_core(), log
        self._config = _config(self._core, settings)
        self.at_once = min(at_once, self._config["INFERENCE_NUM_THREADS"])
        self._path = package.engines[graph_format]
        self._params = package.params if graph_format == "pdmodel" else None
        self._roles = tuple(package.outputs.values()) if graph_format == "onnx" else ()
        self._digest = package.digest or _digest(self._path, self._params)
        folder = cache_folder()
        self._cache = CompileCache(folder / "openvino" if folder else None, log)
        self._detail = settings.print_detail
        self._changing = Lock()
        self._closed = False
        roles = package.outputs if graph_format == "onnx" else {}
        first = kind_of(package.task).first_roles or tuple(roles)
        wanted = tuple(dict.fromkeys(roles[role] for role in first if role in roles))
        self._compiled: _Compiled | None = self._load_or_compile(wanted, trial)

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run (N, C, H, W) float32; the arrays are copies. Raises EngineRunError."""
        need_outputs(outputs, [spec.name for spec in self.outputs], self.name)
        compiled = self._compiled_for(tuple(dict.fromkeys(outputs)))
        self._check_softmax(compiled.softmax, batch)
        request = compiled.requests.get()
        try:
            request.infer({0: fit_input(batch, compiled.dtype)}, share_inputs=True)
            return {
                name: np.array(request.get_output_tensor(compiled.names.index(name)).data) for name in outputs
            }
        except (RuntimeError, MemoryError) as error:
            raise run_error(error, batch.shape, self.name) from error
        finally:
            compiled.requests.put(request)

    def _check_softmax(self, channels: int, batch: NDArray[np.float32]) -> None:
        """Raise EngineMemoryError for a size at which the softmax over these channels would crash.

        Its height and width are taken to be those of the input, as for a mask with a confidence.
        """
        pixels = batch[:, :1].size
        size = 4 * channels * pixels
        if size <= SOFTMAX_BYTES:
            return
        most = SOFTMAX_BYTES // (4 * channels) // 10**6 * 10**6
        raise EngineMemoryError(
            f"a confidence of {channels} classes for {pixels / 1e6:.0f} million pixels needs {size / 1e9:.1f} GB in one "
            f"piece, and openvino can use {SOFTMAX_BYTES / 1e9:.1f} GB",
            where=self.name, hint=f"Use --max-img-size {most} or --tile-size, or export the model again",
        )  # fmt: skip

    def set_threads(self, count: int) -> None:
        """Compile the network again for another number of threads. No run may be in progress."""
        with self._changing:
            names = self._compiled.names if self._compiled is not None else ()
            self._compiled = None  # free the old network first
            self._config = self._config | {"INFERENCE_NUM_THREADS": thread_count(count)}
            self._compiled = self._load_or_compile(names)

    def close(self) -> None:
        """Free the network; a second call does nothing."""
        self._closed, self._compiled = True, None

    def _compiled_for(self, requested: tuple[str, ...]) -> _Compiled:
        """Return the network compiled for these outputs."""
        with self._changing:
            if self._closed:
                raise EngineRunError("the engine is closed", where=self.name)
            if self._compiled is None or set(requested) != set(self._compiled.names):
                self._compiled = None  # free the old network first
                self._compiled = self._load_or_compile(requested)
            return self._compiled

    def _load_or_compile(self, wanted: tuple[str, ...], trial: Callable[[], None] | None = None) -> _Compiled:
        """Load the network for the outputs `wanted` (all if empty) from the cache, or compile it."""
        key = self._cache_key(wanted)
        compiled = self._load_cached(key)
        if compiled is None and trial is not None:
            trial()
            compiled = self._load_cached(key)
        return compiled or self._compile(wanted, key)

    def _with_requests(
        self, network: Any, dtype: str, names: Sequence[str], softmax: int, blob: Any = None
    ) -> _Compiled:
        """Create the requests of a compiled network."""
        if self._detail:
            self._log.info("openvino: %s", _detail(network))
        requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.at_once):
            requests.put(network.create_infer_request())
        return _Compiled(requests, dtype, tuple(names), softmax, blob)

    def _compile_options(self) -> dict[str, Any]:
        """Return the compile options for `at_once` runs; a cached network can be used with any number."""
        return self._config | {"NUM_STREAMS": self.at_once}

    def _cache_key(self, wanted: tuple[str, ...]) -> str:
        """Return the digest of everything that a compiled network depends on."""
        cpu = self._core.get_property("CPU", "FULL_DEVICE_NAME")
        able = sorted(self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        parts = [
            CACHE_VERSION,
            self._digest,
            self._path.name,
            wanted,
            self._roles,
            library().get_version(),
            cpu,
            able,
        ]
        return hashlib.sha256(json.dumps([*parts, self._config]).encode()).hexdigest()

    def _load_cached(self, key: str) -> _Compiled | None:
        entry = self._cache.load(key)
        if entry is None:
            return None
        header, blob = entry
        try:
            tensor = library().Tensor(blob, shared_memory=True)
            compiled = self._core.import_model(tensor, "CPU", self._compile_options())
        except RuntimeError as error:
            self._log.warning("ignoring a compiled network in the cache: %s", summarize(error))
            self._cache.drop(key)
            return None
        self.outputs = tuple(OutputSpec(n, d, tuple(s)) for n, d, s in header["outputs"])
        return self._with_requests(compiled, header["input"], header["compiled"], header["softmax"], blob)

    def _compile(self, wanted: tuple[str, ...], key: str) -> _Compiled:
        try:
            model = self._core.read_model(self._path, *([self._params] if self._params else []))
            ports = {_port_name(port, i, self._roles): port for i, port in enumerate(model.outputs)}
            inputs = [str(port.any_name) for port in model.inputs]
            dtype = model.inputs[0].element_type.to_dtype().name if inputs else ""
            need_float_input(inputs, dtype, self._path)
            self.outputs = _specs(ports, wanted)
            missing = [name for name in wanted if name not in ports]
            if missing:
                raise GraphError(f"the network has no output {missing[0]!r}", where=self._path.name)
            all_outputs = not wanted or set(wanted) == set(ports)
            names = tuple(ports) if all_outputs else wanted  # in the order of the requests' outputs
            if not all_outputs:
                chosen = [ports[name] for name in wanted]
                model = library().Model(chosen, model.get_parameters(), model.friendly_name)
            softmax = _softmax_channels(model)
            compiled = self._core.compile_model(model, "CPU", self._compile_options())
        except GraphError:
            raise
        except Exception as error:  # each of its frontends has its own errors
            raise GraphError(
                f"openvino cannot read the network: {summarize(error)}", where=self._path.name
            ) from error
        self._store(key, compiled, dtype, names, softmax)
        return self._with_requests(compiled, dtype, names, softmax)

    def _store(self, key: str, compiled: Any, dtype: str, names: tuple[str, ...], softmax: int) -> None:
        stream = io.BytesIO()
        compiled.export_model(stream)
        header = {
            "input": dtype,
            "compiled": names,
            "softmax": softmax,
            "outputs": [(spec.name, spec.dtype, spec.shape) for spec in self.outputs],
        }
        self._cache.store(key, header, stream.getbuffer())


def _softmax_channels(model: Any) -> int:
    """Return the largest number of channels of a softmax over axis 1 of (N, K, H, W) of any size, 0 without one."""
    found = [0]
    for op in model.get_ops():
        if op.get_type_name() != "Softmax" or op.get_attributes().get("axis") not in (1, -3):
            continue
        shape = op.get_output_partial_shape(0)
        if shape.rank.is_static and len(shape) == 4 and shape[1].is_static and shape[2].is_dynamic:
            found.append(int(shape[1].get_length()))
    return max(found)


def _digest(*paths: Path | None) -> str:
    total = hashlib.sha256()
    for path in paths:
        if path is not None:
            total.update(path.read_bytes())
    return total.hexdigest()


def _port_name(port: Any, index: int, roles: Sequence[str]) -> str:
    """Return an output's name: the one that the archive uses for a role if there is one, else its first name."""
    names = sorted(port.get_names())
    known = [name for name in names if name in roles]
    return str((known or names or [f"output{index}"])[0])


def _specs(ports: Mapping[str, Any], wanted: Sequence[str]) -> tuple[OutputSpec, ...]:
    """Describe the outputs; one with a dynamic number of axes is skipped, or a GraphError if it is wanted."""
    found = []
    for name, port in ports.items():
        shape = port.partial_shape
        if not shape.rank.is_dynamic:
            dims = tuple(None if axis.is_dynamic else axis.get_length() for axis in shape)
            found.append(OutputSpec(name, port.element_type.to_dtype().name, dims))
        elif name in wanted:
            raise GraphError(f"output {name!r} has no fixed number of axes", where=name)
    if not found:
        raise GraphError("no output has a fixed number of axes", where=", ".join(ports))
    return tuple(found)


def _detail(compiled: Any) -> str:
    names = ("NETWORK_NAME", "INFERENCE_PRECISION_HINT", "INFERENCE_NUM_THREADS", "NUM_STREAMS")
    return ", ".join(f"{name}={compiled.get_property(name)}" for name in names)
