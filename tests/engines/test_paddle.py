from __future__ import annotations

import logging
import os
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quadrat.engines import paddle as engine_module
from quadrat.engines import start
from quadrat.engines.common import thread_count
from quadrat.engines.paddle import PaddleEngine, Plan
from quadrat.errors import DeviceError, EngineUnavailableError
from quadrat.parameters import EngineSettings
from quadrat.types import ModelPackage

Call = tuple[Any, ...]


class Recorder:
    """A fake of paddle.inference.Config that records every call with its arguments."""

    def __init__(self, *files: str) -> None:
        self.calls: list[Call] = [("Config", *files)]

    def __getattr__(self, name: str) -> Any:
        def record(*args: Any, **words: Any) -> None:
            self.calls.append((name, *args, *([words] if words else [])))

        return record


class Library:
    """A fake of paddle, whose predictor returns class 1 where the input's first channel is positive."""

    __version__ = "2.6.2"

    def __init__(self) -> None:
        self.configs: list[Recorder] = []
        self.inference = types.SimpleNamespace(
            Config=Recorder,
            PrecisionType=types.SimpleNamespace(Float32="f32", Half="half", Int8="int8"),
            create_predictor=self._create,
        )

    def _create(self, config: Recorder) -> Predictor:
        self.configs.append(config)
        return Predictor()

    def configurations(self) -> list[list[Call]]:
        """Return the calls of every configuration used for a predictor."""
        return [config.calls for config in self.configs]


class Predictor:
    """A predictor with one input "image" and one output "mask" (N, H, W) int32."""

    def get_input_names(self) -> list[str]:
        """Name the input."""
        return ["image"]

    def get_output_names(self) -> list[str]:
        """Name the output."""
        return ["mask"]

    def get_input_handle(self, name: str) -> Predictor:
        """Give itself."""
        return self

    def get_output_handle(self, name: str) -> Predictor:
        """Give itself."""
        return self

    def reshape(self, shape: Any) -> None:
        """Take the shape."""
        self.shape = tuple(shape)

    def copy_from_cpu(self, batch: NDArray[np.float32]) -> None:
        """Take the batch."""
        self.batch = batch

    def run(self) -> None:
        """Threshold the first channel."""
        self.mask = (self.batch[:, 0] > 0).astype(np.int32)

    def copy_to_cpu(self) -> NDArray[np.int32]:
        """Give the mask."""
        return self.mask.copy()


def plan(*, pir: bool = False, version: tuple[int, int] = (3, 2), **settings: Any) -> Plan:
    """Return a plan for a file that is never read."""
    graph = Path("m.json" if pir else "m.pdmodel")
    return Plan(graph, Path("m.pdiparams"), pir, version, EngineSettings(**settings))


def configured(made: Plan) -> list[Call]:
    """Return the calls of a CPU configuration."""
    config = engine_module.base_config(Library().inference, made)
    engine_module.configure_cpu(config, made)
    return config.calls  # type: ignore[no-any-return]


def test_a_pdmodel_on_the_cpu_runs_with_onednn_and_bounded_shapes() -> None:
    """The calls are: quiet, memory and graph passes, CPU, threads, oneDNN with a cache of ten shapes."""
    assert configured(plan(cpu_threads=1)) == [
        ("Config", "m.pdmodel", "m.pdiparams"),
        ("disable_glog_info",),
        ("enable_memory_optim",),
        ("switch_ir_optim", True),
        ("disable_gpu",),
        ("set_cpu_math_library_num_threads", 1),
        ("set_mkldnn_cache_capacity", 10),
        ("enable_mkldnn",),
    ]


def test_pir_needs_the_new_executor_and_from_3_3_no_onednn() -> None:
    """3.2 runs PIR with oneDNN, 3.3 without it; both need the new IR and executor."""
    for version in ((3, 2), (3, 3)):
        calls = configured(plan(pir=True, version=version))
        assert ("enable_new_ir", True) in calls
        assert ("enable_new_executor", True) in calls
        assert (("disable_mkldnn",) in calls) == (version == (3, 3))
        assert (("enable_mkldnn",) in calls) == (version == (3, 2))
    assert ("enable_new_ir", True) not in configured(plan())


def test_print_detail_leaves_glog_on_and_threads_are_bounded_by_the_cores() -> None:
    """The library's log is enabled, and 4096 threads are limited to the number of cores."""
    calls = configured(plan(print_detail=True, cpu_threads=4096))
    assert ("disable_glog_info",) not in calls
    assert ("set_cpu_math_library_num_threads", len(os.sched_getaffinity(0))) in calls
    assert thread_count(1) == 1


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (plan(pir=True, version=(2, 6)), "too old for a PIR"),
        (plan(pir=True, version=(3, 0)), "too old for a PIR"),
        (plan(pir=True, version=(3, 3), enable_mkldnn=True), "cannot run a PIR model.json with oneDNN"),
    ],
)
def test_versions_that_fail_are_refused_before_they_crash(made: Plan, text: str) -> None:
    """2.6 would crash with SIGSEGV on PIR, and 3.3 with oneDNN fails on the first batch."""
    with pytest.raises(EngineUnavailableError, match=text):
        engine_module.need_version(made)


@pytest.mark.parametrize(
    "made", [plan(version=(2, 6)), plan(pir=True), plan(pir=True, version=(3, 3)), plan(enable_mkldnn=True)]
)
def test_versions_that_work_are_let_through(made: Plan) -> None:
    """enable-mkldnn is accepted if oneDNN is used."""
    engine_module.need_version(made)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"precision": "fp32"}, [("enable_use_gpu", 100, 0, "f32")]),
        ({"precision": "fp16"}, [("enable_use_gpu", 100, 0, "half")]),
    ],
)
def test_a_gpu_without_tensorrt(settings: dict[str, Any], expected: list[Call]) -> None:
    """The arguments are the initial memory, device 0 and the precision."""
    config = Recorder()
    engine_module.configure_gpu(config, Library().inference, plan(device="gpu", **settings))
    assert config.calls[1:] == expected


@pytest.mark.parametrize(("precision", "word"), [("fp32", "f32"), ("fp16", "half"), ("int8", "int8")])
def test_tensorrt_gets_the_settings(precision: str, word: str) -> None:
    """The arguments are a workspace of 1 GiB, batch size, smallest subgraph and precision."""
    config = Recorder()
    made = plan(device="gpu", use_trt=True, precision=precision, batch_size=4, min_subgraph_size=7)
    engine_module.configure_gpu(config, Library().inference, made)
    words = {
        "workspace_size": 1073741824, "max_batch_size": 4, "min_subgraph_size": 7, "precision_mode": word,
        "use_static": False, "use_calib_mode": False,
    }  # fmt: skip
    assert config.calls[1:] == [("enable_use_gpu", 100, 0), ("enable_tensorrt_engine", words)]


def test_without_auto_tune_tensorrt_has_the_originals_ranges_on_the_real_input(log: logging.Logger) -> None:
    """Shapes use the network's input name, where the original always used "x"."""
    library = Library()
    PaddleEngine(library, plan(device="gpu", use_trt=True, batch_size=2), (None, 3, None, None), log)
    probe, real = library.configurations()
    assert ("disable_gpu",) in probe
    assert real[-1] == (
        "set_trt_dynamic_shape_info",
        {"image": [1, 3, 100, 100]},
        {"image": [2, 3, 2000, 3000]},
        {"image": [1, 3, 512, 1024]},
    )


def test_auto_tune_collects_on_the_first_batches_and_then_rebuilds(
    log: logging.Logger, noise: NDArray[np.float32]
) -> None:
    """Runs without TensorRT write the shapes, which TensorRT then reads; all batches have results."""
    library = Library()
    made = plan(device="gpu", use_trt=True, enable_auto_tune=True)
    engine = PaddleEngine(library, made, (None, 3, None, None), log)
    collecting = library.configurations()[1]
    assert collecting[-1][0] == "collect_shape_range_info"
    assert not any(call[0] == "enable_tensorrt_engine" for call in collecting)
    for batch in range(engine_module.TUNE_RUNS + 2):
        assert len(library.configs) == (2 if batch < engine_module.TUNE_RUNS else 3)
        result = engine.run(noise, ["mask"])["mask"]
        np.testing.assert_array_equal(result, noise[:, 0] > 0)
    tuned = library.configurations()[2]
    assert any(call[0] == "enable_tensorrt_engine" for call in tuned)
    assert tuned[-1] == ("enable_tuned_tensorrt_dynamic_shape", collecting[-1][1], True)
    folder = Path(collecting[-1][1]).parent
    assert folder.is_dir()
    engine.close()
    engine.close()
    assert not folder.exists()


def test_outputs_are_learnt_by_probing(log: logging.Logger) -> None:
    """Axes that change with the input are dynamic; sizes that the archive fixes are kept."""
    engine = PaddleEngine(Library(), plan(), (None, 3, None, None), log)
    (spec,) = engine.outputs
    assert (spec.name, spec.dtype, spec.shape) == ("mask", "int32", (None, None, None))
    fixed = PaddleEngine(Library(), plan(), (1, 3, 64, 96), log)
    assert fixed.outputs[0].shape == (1, 64, 96)


def test_pir_on_a_gpu_is_refused_by_name(
    pir: ModelPackage, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This does not depend on whether paddle is installed."""
    monkeypatch.setattr("quadrat.engines.common.gpu_count", lambda: 1)
    with pytest.raises(DeviceError, match=r"a PIR model\.json cannot run on a GPU"):
        start(pir, EngineSettings(device="gpu", engine="paddle"), log)


def test_a_cpu_build_does_not_run_a_gpu_order(
    pdmodel: ModelPackage, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error, where the original silently ran on the CPU."""
    library = types.SimpleNamespace(__version__="2.6.2", is_compiled_with_cuda=lambda: False)
    monkeypatch.setattr(engine_module, "_library", lambda hint: library)
    with pytest.raises(DeviceError, match=r"built for the CPU only.*paddlepaddle-gpu 2\.6\.2"):
        engine_module.load(pdmodel, EngineSettings(device="gpu"), log)
