from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from quadrat.engines import start
from quadrat.engines.onnx import CPU, OnnxEngine, _need_active, providers
from quadrat.errors import DeviceError, EngineRunError, GraphError
from quadrat.parameters import EngineSettings
from quadrat.types import ModelPackage
from tests.engines import graphs
from tests.engines.conftest import ROLES, package_of

DYNAMIC = (None, 3, None, None)
CUDA = ("CUDAExecutionProvider", {"device_id": "0"})
TRT = {
    "device_id": "0",
    "trt_max_workspace_size": "1073741824",
    "trt_min_subgraph_size": "3",
    "trt_fp16_enable": "False",
}
RANGES = {
    "trt_profile_min_shapes": "x:1x3x100x100",
    "trt_profile_opt_shapes": "x:1x3x512x1024",
    "trt_profile_max_shapes": "x:1x3x2000x3000",
}


@pytest.fixture
def engine(tiny: ModelPackage, log: logging.Logger) -> OnnxEngine:
    """The tiny network in ONNX Runtime."""
    made = start(tiny, EngineSettings(engine="onnx"), log)
    assert isinstance(made, OnnxEngine)
    return made


@pytest.mark.process
def test_a_run_leaves_nothing_in_the_home(tiny: ModelPackage, tmp_path: Path) -> None:
    """ONNX Runtime's telemetry is disabled by default: no device id and no stored events."""
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from quadrat.engines.onnx import library\n"
        "runtime = library()\n"
        "session = runtime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])\n"
        "session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3, 8, 8), np.float32)})\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", code, str(tiny.engines["onnx"])]
    subprocess.run(command, check=True, env=env, cwd=Path(__file__).parents[2], timeout=100)
    assert [] == list(home.iterdir())


def test_onnx_and_openvino_agree_on_all_outputs(
    tiny: ModelPackage, engine: OnnxEngine, noise: NDArray[np.float32], log: logging.Logger
) -> None:
    """Both engines give the same labels, which equal numpy's."""
    ours = engine.run(noise, list(ROLES))
    theirs = start(tiny, EngineSettings(engine="openvino"), log).run(noise, list(ROLES))
    np.testing.assert_array_equal(ours["labels"], graphs.scores(noise).argmax(axis=1))
    np.testing.assert_array_equal(ours["labels"], theirs["labels"])
    for name in ("confidence", "logits"):
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5)
    assert [(s.name, s.dtype, s.shape) for s in engine.outputs][2] == ("logits", "float32", DYNAMIC)


def test_batches_and_repeats_give_the_same_bytes(engine: OnnxEngine, noise: NDArray[np.float32]) -> None:
    """A batch of two equals two of one, runs are repeatable, and closing twice is allowed."""
    both = engine.run(noise, ["labels"])["labels"]
    singly = [engine.run(noise[i : i + 1], ["labels"])["labels"] for i in range(2)]
    assert (
        both.tobytes()
        == np.concatenate(singly).tobytes()
        == engine.run(noise, ["labels"])["labels"].tobytes()
    )
    engine.close()
    engine.close()
    with pytest.raises(EngineRunError, match="closed"):
        engine.run(noise, ["labels"])


def test_the_library_prints_no_errors_of_its_own(
    engine: OnnxEngine,
    tiny: ModelPackage,
    tmp_path: Path,
    log: logging.Logger,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A batch that fails and a file that cannot be read are raised, and nothing else is printed."""
    with pytest.raises(EngineRunError):
        engine.run(np.zeros((1, 7, 8, 8), np.float32), [engine.outputs[0].name])
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08garbage")
    with pytest.raises(GraphError):
        start(replace(tiny, engines={"onnx": tmp_path / "model.onnx"}), EngineSettings(engine="onnx"), log)
    assert capfd.readouterr() == ("", "")


def test_only_what_is_asked_for_is_run(engine: OnnxEngine, noise: NDArray[np.float32]) -> None:
    """Only the requested output is returned; a wrong name or shape is an error, and the engine stays usable."""
    assert list(engine.run(noise, ["labels"])) == ["labels"]
    with pytest.raises(EngineRunError, match="no output 'boxes'"):
        engine.run(noise, ["boxes"])
    with pytest.raises(EngineRunError, match=r"batch of shape \(2, 2, 24, 40\)"):
        engine.run(noise[:, :2], ["labels"])
    assert engine.run(noise, ["labels"])["labels"].shape == (2, 24, 40)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (EngineSettings(), [CPU]),
        (EngineSettings(device="gpu"), [CUDA, CPU]),
        (
            EngineSettings(device="gpu", use_trt=True),
            [("TensorrtExecutionProvider", TRT | RANGES), CUDA, CPU],
        ),
        (
            EngineSettings(device="gpu", use_trt=True, precision="fp16", min_subgraph_size=9, batch_size=4),
            [
                (
                    "TensorrtExecutionProvider",
                    TRT
                    | RANGES
                    | {
                        "trt_fp16_enable": "True",
                        "trt_min_subgraph_size": "9",
                        "trt_profile_max_shapes": "x:4x3x2000x3000",
                    },
                ),
                CUDA,
                CPU,
            ],
        ),
        (
            EngineSettings(device="gpu", use_trt=True, enable_auto_tune=True),
            [("TensorrtExecutionProvider", TRT), CUDA, CPU],
        ),
    ],
    ids=["cpu", "cuda", "trt", "trt-fp16", "trt-auto-tune"],
)
def test_settings_become_providers(settings: EngineSettings, expected: list[object]) -> None:
    """On a GPU, the providers are TensorRT, then CUDA, then the CPU for shape arithmetic."""
    assert providers(settings, "x", DYNAMIC, None) == expected


def test_tensorrt_keeps_its_engines_and_fixed_sizes(tmp_path: Path) -> None:
    """The cache has a folder per archive; fixed axes of the network are fixed in every range."""
    settings = EngineSettings(device="gpu", use_trt=True)
    (_, options), *_ = providers(settings, "in", (1, 3, 512, None), tmp_path)
    assert options["trt_engine_cache_enable"] == "True"
    assert options["trt_engine_cache_path"] == str(tmp_path)
    assert options["trt_profile_min_shapes"] == "in:1x3x512x100"
    assert options["trt_profile_max_shapes"] == "in:1x3x512x3000"


def test_tensorrt_is_given_the_networks_own_input_name(
    tiny: ModelPackage, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CPU session provides the name; it is opened only if needed."""
    asked: list[tuple[list[str], str]] = []
    real = onnxruntime.InferenceSession

    def session(path: str, setup: object, *, providers: list[str], provider_options: list[dict[str, str]],
                enable_fallback: int) -> object:  # fmt: skip
        asked.append((providers, provider_options[0].get("trt_profile_min_shapes", "")))
        if providers[0] != CPU[0]:
            raise type("EPFail", (Exception,), {})("no such device")
        return real(path, setup, providers=providers)

    monkeypatch.setattr("quadrat.engines.common.gpu_count", lambda: 1)
    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: [f"{n}ExecutionProvider" for n in ("Tensorrt", "CUDA")],
    )
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    for auto_tune in (False, True):
        with pytest.raises(DeviceError, match="no such device"):
            start(
                tiny,
                EngineSettings(engine="onnx", device="gpu", use_trt=True, enable_auto_tune=auto_tune),
                log,
            )
    gpu = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    assert asked == [([CPU[0]], ""), (gpu, "x:1x3x100x100"), (gpu, "")]


@pytest.mark.parametrize("name", ["openvino", "onnx"])
@pytest.mark.parametrize(
    ("make", "text"), [(graphs.two_inputs, "2 inputs"), (graphs.whole_numbers, "is int32, but must be float")]
)
def test_a_network_has_one_input_and_it_is_float(
    tmp_path: Path, log: logging.Logger, name: str, make: Callable[[], Any], text: str
) -> None:
    """The inputs are checked by both engines."""
    package = package_of(graphs.write(make(), tmp_path / "model.onnx"))
    with pytest.raises(GraphError, match=text):
        start(package, EngineSettings(engine=name), log)


def test_every_option_is_one_that_onnx_runtime_documents() -> None:
    """All options are documented, and all values are strings."""
    for _, options in providers(EngineSettings(device="gpu", use_trt=True), "x", DYNAMIC, Path("c")):
        assert all(isinstance(value, str) for value in options.values())


@pytest.mark.parametrize(
    ("settings", "available", "text"),
    [
        (
            EngineSettings(device="gpu", engine="onnx"),
            ["CPUExecutionProvider"],
            "does not include CUDAExecutionProvider",
        ),
        (
            EngineSettings(device="gpu", engine="onnx", use_trt=True),
            ["CUDAExecutionProvider"],
            "does not include TensorrtExecutionProvider",
        ),
        (
            EngineSettings(device="gpu", engine="onnx", precision="fp16"),
            ["CUDAExecutionProvider"],
            "does not support fp16 on the gpu. Add --use-trt",
        ),
    ],
)
def test_a_gpu_that_the_library_cannot_use_is_an_error(
    *, tiny: ModelPackage, log: logging.Logger, monkeypatch: pytest.MonkeyPatch, settings: EngineSettings,
    available: list[str], text: str,
) -> None:  # fmt: skip
    """A missing provider is an error, never a silent CPU run."""
    monkeypatch.setattr("quadrat.engines.common.gpu_count", lambda: 1)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    with pytest.raises(DeviceError, match=text):
        start(tiny, settings, log)


def test_a_provider_left_out_in_silence_is_an_error() -> None:
    """ONNX Runtime only warns about a provider whose libraries it cannot load."""
    _need_active(["CUDAExecutionProvider", "CPUExecutionProvider"], "CUDAExecutionProvider")
    for active in (["CPUExecutionProvider"], ["CPUExecutionProvider", "CUDAExecutionProvider"], []):
        with pytest.raises(DeviceError, match="CUDAExecutionProvider cannot be loaded"):
            _need_active(active, "CUDAExecutionProvider")


def test_a_network_that_gives_texts_is_refused_before_it_runs(tmp_path: Path, log: logging.Logger) -> None:
    """Outputs that are no numbers are left out; without others, the network is at fault."""
    model = graphs.network(("logits",))
    model.graph.node.append(helper.make_node("Cast", ["logits"], ["texts"], to=TensorProto.STRING))
    texts = helper.make_tensor_value_info("texts", TensorProto.STRING, ["n", 3, "h", "w"])
    model.graph.output.append(texts)
    both = start(package_of(graphs.write(model, tmp_path / "both.onnx")), EngineSettings(engine="onnx"), log)
    assert ["logits"] == [spec.name for spec in both.outputs]
    both.close()

    del model.graph.output[0]
    with pytest.raises(GraphError, match="the network gives string, but must give numbers"):
        start(package_of(graphs.write(model, tmp_path / "texts.onnx")), EngineSettings(engine="onnx"), log)


def test_threads_can_be_changed(engine: OnnxEngine, noise: NDArray[np.float32]) -> None:
    """The same values before and after."""
    before = engine.run(noise, ["labels", "logits"])
    for count in (2, 1):
        engine.set_threads(count)
        after = engine.run(noise, ["labels", "logits"])
        assert all(np.array_equal(after[name], before[name]) for name in before)
