from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from quadrat import engines
from quadrat.engines import start
from quadrat.errors import DeviceError, EngineUnavailableError, GraphError
from quadrat.package import open_archive
from quadrat.parameters import EngineSettings
from quadrat.types import ModelPackage
from tests import archives
from tests.engines import graphs
from tests.engines.conftest import package_of

PADDLE_MISSING = (
    "paddle is not installed. Run make setup-paddle, or pip install 'quadrat[paddle]' in this environment"
)


def _module(folder: Path, name: str, body: str) -> Path:
    """Write a module and return its folder."""
    folder.mkdir()
    (folder / f"{name}.py").write_text(body)
    return folder


@pytest.fixture
def _no_paddle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without paddle, as the child sees it."""
    body = "raise ModuleNotFoundError(\"No module named 'paddle'\", name='paddle')"
    monkeypatch.setenv("PYTHONPATH", str(_module(tmp_path / "no-paddle", "paddle", body)))


@pytest.fixture
def _a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose driver reports a GPU."""
    monkeypatch.setattr("quadrat.engines.common.gpu_count", lambda: 1)


def test_auto_takes_openvino_for_pdmodel_and_for_onnx(
    pdmodel: ModelPackage, tiny: ModelPackage, log: logging.Logger
) -> None:
    """On the CPU, auto starts openvino for both formats."""
    for package in (pdmodel, tiny):
        engine = start(package, EngineSettings(), log)
        assert (engine.name, engine.device, engine.precision) == ("openvino", "cpu", "fp32")
        assert engine.version[:4].isdigit()
        engine.close()


def test_auto_goes_on_to_the_next_and_logs_why(
    tiny: ModelPackage, log: logging.Logger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If openvino is not installed, onnx is started, and the reason is logged."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    with caplog.at_level(logging.INFO):
        engine = start(tiny, EngineSettings(), log)
    assert engine.name == "onnx"
    assert "openvino is not installed" in caplog.text
    engine.close()


@pytest.mark.process
@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("raise ImportError('libtbb.so.12: cannot open shared object file')", "libtbb.so.12: cannot open"),
        ("raise OSError('libtbb.so.12: file too short')", "libtbb.so.12: file too short"),
        ("import a_library_of_no_one", "No module named 'a_library_of_no_one'"),
    ],
)
def test_auto_goes_on_where_a_library_does_not_import(
    tmp_path: Path, tiny: ModelPackage, body: str, text: str
) -> None:
    """A library that cannot be imported is logged as a reason, and the next engine is started."""
    folder = _module(tmp_path / "broken", "openvino", body)
    code = (
        "import logging, sys\n"
        "from pathlib import Path\n"
        "from quadrat.engines import start\n"
        "from quadrat.parameters import EngineSettings\n"
        "from tests.engines.conftest import package_of\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "engine = start(package_of(Path(sys.argv[1])), EngineSettings(), logging.getLogger())\n"
        "raise SystemExit(engine.name != 'onnx')\n"
    )
    root = Path(__file__).parents[2]
    env = os.environ | {"PYTHONPATH": f"{folder}:{root}"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny.engines["onnx"])], env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "engine openvino cannot start" in done.stderr
    assert f"openvino cannot be imported: {text}" in done.stderr


def test_paddle_that_does_not_import_is_no_engine(
    tmp_path: Path, pir: ModelPackage, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error contains the reason from the child."""
    folder = _module(tmp_path / "broken", "paddle", "raise ImportError('libgomp.so.1: cannot open')")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delenv("QUADRAT_PADDLE_PYTHON", raising=False)
    with pytest.raises(EngineUnavailableError, match=r"paddle cannot be imported: libgomp\.so\.1"):
        start(pir, EngineSettings(engine="paddle"), log)


@pytest.mark.usefixtures("_no_paddle")
def test_pir_without_paddle_names_the_extra_and_every_reason(pir: ModelPackage, log: logging.Logger) -> None:
    """One line states what each engine lacks and what to install."""
    with pytest.raises(EngineUnavailableError) as caught:
        start(pir, EngineSettings(), log)
    line = caught.value.line
    assert "\n" not in line
    for part in ("openvino: it reads", "onnx: it reads", "a PIR model.json", f"paddle: {PADDLE_MISSING}"):
        assert part in line
    assert "--engine auto" not in line
    assert caught.value.exit_status == 4


@pytest.mark.usefixtures("_no_paddle")
@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "flipped"])
def test_a_corrupt_pdmodel_is_the_models_fault(
    pdmodel: ModelPackage, tmp_path: Path, log: logging.Logger, damage: str
) -> None:
    """A graph that no engine can read is a GraphError with exit status 3."""
    whole = pdmodel.engines["pdmodel"].read_bytes()
    body = {
        "cut": whole[: len(whole) // 2],
        "garbage": b"no network at all " * 99,
        "empty": b"",
        "flipped": whole[:40] + bytes(b ^ 0x55 for b in whole[40:400]) + whole[400:],
    }[damage]
    path = tmp_path / "model.pdmodel"
    path.write_bytes(body)
    broken = replace(pdmodel, engines={"pdmodel": path}, digest="")
    for name in ("auto", "openvino"):
        with pytest.raises(GraphError) as caught:
            start(broken, EngineSettings(engine=name), log)
        assert caught.value.exit_status == 3
        assert "\n" not in caught.value.line


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_an_onnx_with_a_flipped_bit_starts_or_is_the_models_fault(
    tmp_path: Path, log: logging.Logger, name: str
) -> None:
    """Any flipped bit gives an engine or a GraphError, never a crash."""
    whole = graphs.network(("labels",)).SerializeToString()
    count = {"openvino": 30, "onnx": 400}[name]  # openvino starts a child process for each
    bits = [*_lost_input(whole), *random.Random(5).sample(range(len(whole) * 8), count)]
    lines: list[str] = []
    for bit in bits:
        body = bytearray(whole)
        body[bit // 8] ^= 1 << bit % 8
        files = archives.contents(network=("model.onnx", bytes(body)), params=None)
        try:
            package = open_archive(archives.build(tmp_path / "m.tgz", files), tmp_path)
            start(package, EngineSettings(engine=name), log).close()
        except GraphError as error:
            lines.append(error.line)
    assert 2 <= len(lines) < len(bits)
    assert not any("\n" in line for line in lines)


def _lost_input(whole: bytes) -> list[int]:
    """Return the two bits that turn an input of the convolution into its name, which crash OpenVINO."""
    at = whole.index(b"\n\x01x\n\x01w")
    return [at * 8 + 4, (at + 3) * 8 + 4]


@pytest.mark.parametrize("name", ["auto", "openvino", "onnx"])
@pytest.mark.parametrize("body", [b"", b"rubbish" * 50, "cut", "unknown"])
def test_a_corrupt_onnx_is_the_models_fault(
    tmp_path: Path, log: logging.Logger, name: str, body: bytes | str
) -> None:
    """An ONNX file that is empty, invalid, truncated or has an unknown operator is a GraphError."""
    path = tmp_path / "model.onnx"
    whole = graphs.network().SerializeToString()
    words = {"cut": whole[: len(whole) // 2], "unknown": graphs.unknown_operator().SerializeToString()}
    path.write_bytes(words[body] if isinstance(body, str) else body)
    with pytest.raises(GraphError) as caught:
        start(package_of(path), EngineSettings(engine=name), log)
    assert "\n" not in caught.value.line


@pytest.mark.parametrize("name", ["auto", "openvino", "onnx", "paddle"])
def test_gpu_without_a_gpu_is_an_error_of_the_device(
    tiny: ModelPackage, log: logging.Logger, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A request for a GPU never silently runs on the CPU."""
    monkeypatch.setattr("quadrat.engines.common.gpu_count", lambda: 0)
    with pytest.raises(DeviceError, match="no NVIDIA GPU"):
        start(tiny, EngineSettings(device="gpu", engine=name), log)


@pytest.mark.process
def test_the_driver_is_asked_for_gpus() -> None:
    """A process without visible GPUs counts none, even on a machine with GPUs."""
    code = "from quadrat.engines.common import gpu_count; raise SystemExit(gpu_count())"
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, env={"CUDA_VISIBLE_DEVICES": ""}).returncode
        == 0
    )


@pytest.mark.usefixtures("_a_gpu", "_no_paddle")
def test_gpu_order_is_onnx_then_paddle_and_never_openvino(pir: ModelPackage, log: logging.Logger) -> None:
    """On a GPU, only onnx and paddle are tried, and PIR is refused."""
    with pytest.raises(EngineUnavailableError) as caught:
        start(pir, EngineSettings(device="gpu"), log)
    assert "a PIR model.json cannot run on a GPU" in str(caught.value)
    assert "openvino" not in str(caught.value)


@pytest.mark.usefixtures("_a_gpu")
def test_a_cpu_build_of_onnx_runtime_does_not_run_a_gpu_order(
    tiny: ModelPackage, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the provider in the library, the error states what to install."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match="onnxruntime-gpu"):
        start(tiny, EngineSettings(device="gpu", engine="onnx"), log)


@pytest.mark.parametrize(
    ("engine", "settings", "text"),
    [
        ("onnx", {"precision": "bf16"}, "onnx does not support bf16 on the cpu"),
        ("onnx", {"precision": "fp16"}, "onnx does not support fp16 on the cpu"),
        ("openvino", {"precision": "int8"}, "openvino does not support int8"),
        ("paddle", {"precision": "bf16"}, "paddle does not support bf16 on the cpu"),
    ],
)
def test_a_precision_that_an_engine_lacks_is_refused(
    *, pdmodel: ModelPackage, tiny: ModelPackage, log: logging.Logger, engine: str, settings: dict[str, str],
    text: str,
) -> None:  # fmt: skip
    """No engine silently uses another precision."""
    package = tiny if engine == "onnx" else pdmodel
    with pytest.raises(DeviceError, match=text):
        start(package, EngineSettings(engine=engine, **settings), log)


def test_when_every_engine_lacks_the_precision_the_device_is_at_fault(
    tiny: ModelPackage, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bf16 on a CPU without it is a DeviceError with the reason for each engine."""
    monkeypatch.setitem(engines.ORDER, "cpu", ("openvino", "onnx"))
    monkeypatch.setattr("quadrat.engines.openvino.PRECISIONS", {"bf16": ("bf16", "A CAPABILITY OF NO CPU")})
    with pytest.raises(DeviceError, match=r"openvino: .*this CPU does not support bf16.*onnx: ") as caught:
        start(tiny, EngineSettings(precision="bf16"), log)
    assert caught.value.exit_status == 4


def test_onnx_is_refused_when_onednn_is_insisted_on(tiny: ModelPackage, log: logging.Logger) -> None:
    """With enable-mkldnn, auto starts openvino, and onnx is an error."""
    with pytest.raises(EngineUnavailableError, match="does not support oneDNN"):
        start(tiny, EngineSettings(engine="onnx", enable_mkldnn=True), log)
    assert start(tiny, EngineSettings(enable_mkldnn=True), log).name == "openvino"


def test_an_unknown_engine_is_an_error(tiny: ModelPackage, log: logging.Logger) -> None:
    """An unknown engine name is an EngineUnavailableError."""
    with pytest.raises(EngineUnavailableError, match="unknown engine 'tflite'"):
        start(tiny, EngineSettings(engine="tflite"), log)


@pytest.mark.process
def test_starting_imports_no_engine_that_is_not_used() -> None:
    """Importing quadrat.engines imports none of the libraries."""
    code = (
        "import sys, quadrat.engines as e; "
        "import quadrat.engines.openvino, quadrat.engines.onnx, quadrat.engines.paddle; "
        "raise SystemExit(any(n in sys.modules for n in ('openvino', 'onnxruntime', 'onnx', 'paddle')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
