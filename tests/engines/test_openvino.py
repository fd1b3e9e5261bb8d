from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from quadrat.engines import openvino, start
from quadrat.errors import EngineMemoryError, EngineRunError, GraphError
from quadrat.parameters import EngineSettings
from quadrat.types import ModelPackage
from tests.engines import graphs
from tests.engines.conftest import ROLES, package_of

PhotoTensor = Callable[[int, int], NDArray[np.float32]]


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, whose folder is created with the first network."""
    monkeypatch.setenv("QUADRAT_CACHE_DIR", str(tmp_path / "fresh"))
    return tmp_path / "fresh" / "openvino"


def test_a_batch_of_two_is_two_batches_of_one_and_runs_repeat(
    pdmodel: ModelPackage, photo_tensor: PhotoTensor, log: logging.Logger
) -> None:
    """On the real archive, batches and single pictures give the same labels, runs are repeatable, and closing twice is allowed."""
    engine = start(pdmodel, EngineSettings(), log)
    (name,) = [spec.name for spec in engine.outputs]
    photo = photo_tensor(256, 320)
    batch = np.concatenate([photo, photo[:, :, :, ::-1]])
    both = engine.run(batch, [name])[name]
    assert both.shape == (2, 256, 320)
    assert both.dtype.name == engine.outputs[0].dtype
    assert set(np.unique(both)) == {0, 1}
    for i in range(2):
        np.testing.assert_array_equal(engine.run(batch[i : i + 1], [name])[name][0], both[i])
    assert engine.run(batch, [name])[name].tobytes() == both.tobytes()
    engine.close()
    engine.close()
    with pytest.raises(EngineRunError, match="closed"):
        engine.run(batch, [name])


def test_two_runs_at_once_give_what_each_gives_alone(
    pdmodel: ModelPackage, photo_tensor: PhotoTensor, log: logging.Logger
) -> None:
    """Eight photographs from four threads, on an engine for two runs, give the same labels as one by one."""
    photo = photo_tensor(256, 320)
    photos = [np.roll(photo, 31 * n, axis=3) for n in range(8)]
    alone = start(pdmodel, EngineSettings(), log)
    (name,) = [spec.name for spec in alone.outputs]
    expected = [alone.run(one, [name])[name] for one in photos]
    alone.close()
    both = start(pdmodel, EngineSettings(), log, at_once=2)
    assert both.at_once == min(2, len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda one: both.run(one, [name])[name], photos))
    both.close()
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_no_more_runs_at_once_than_threads(tiny: ModelPackage, log: logging.Logger) -> None:
    """With one thread, one run at a time is allowed, freshly compiled or from the cache."""
    for _ in range(2):
        engine = openvino.OpenVINOEngine(tiny, "onnx", EngineSettings(cpu_threads=1), log, at_once=2)
        assert engine.at_once == 1
        assert engine._compiled.requests.get().get_compiled_model().get_property("NUM_STREAMS") == 1


def test_memory_does_not_grow_with_the_number_of_image_sizes(
    pdmodel: ModelPackage, log: logging.Logger
) -> None:
    """A hundred sizes use at most 60 MB more than the first thirty (110 MB with OpenVINO's default)."""

    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    engine = start(pdmodel, EngineSettings(), log)
    name = engine.outputs[0].name
    sizes = [(64 + i % 10 * 8, 64 + i // 10 * 8) for i in range(100)]
    for number, (height, width) in enumerate(sizes):
        if number == 30:
            before = resident()
        engine.run(np.zeros((1, 3, height, width), np.float32), [name])
    assert resident() - before < 60e6
    engine.close()


def test_outputs_are_copies(tiny: ModelPackage, noise: NDArray[np.float32], log: logging.Logger) -> None:
    """A later run of the same shape does not change earlier results."""
    engine = start(tiny, EngineSettings(), log)
    first = engine.run(noise, list(ROLES))
    kept = {name: array.copy() for name, array in first.items()}
    engine.run(-noise, list(ROLES))
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])
    engine.close()


@pytest.mark.parametrize(
    "asked", [["labels"], ["logits"], ["confidence", "labels"], list(ROLES), list(ROLES)[::-1]]
)
def test_only_the_asked_outputs_are_compiled(
    tiny: ModelPackage, noise: NDArray[np.float32], log: logging.Logger, asked: list[str]
) -> None:
    """The compiled network has exactly the requested outputs, with correct values."""
    engine = openvino.OpenVINOEngine(tiny, "onnx", EngineSettings(), log)
    arrays = engine.run(noise, asked)
    assert sorted(arrays) == sorted(asked)
    assert set(engine._compiled.names) == set(asked)
    assert len(engine._compiled.requests.get().model_outputs) == len(asked)
    expected = graphs.scores(noise)
    if "logits" in asked:
        np.testing.assert_allclose(arrays["logits"], expected, atol=1e-5)
    if "labels" in asked:
        np.testing.assert_array_equal(arrays["labels"], expected.argmax(axis=1))
    if "confidence" in asked:
        shares = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(arrays["confidence"], shares.max(axis=1), atol=1e-5)
    assert [spec.name for spec in engine.outputs] == list(ROLES)
    assert engine.outputs[2].shape == (None, 3, None, None)
    engine.close()


def test_an_output_that_the_network_lacks_is_an_error(
    tiny: ModelPackage, noise: NDArray[np.float32], log: logging.Logger
) -> None:
    """Named by the archive, it is a GraphError; requested by a run, an EngineRunError."""
    engine = start(tiny, EngineSettings(), log)
    with pytest.raises(EngineRunError, match="no output 'boxes'"):
        engine.run(noise, ["boxes"])
    with pytest.raises(EngineRunError, match=r"batch of shape \(2, 2, 24, 40\)"):
        engine.run(noise[:, :2], ["labels"])
    np.testing.assert_array_equal(
        engine.run(noise, ["labels"])["labels"], graphs.scores(noise).argmax(axis=1)
    )
    engine.close()
    with pytest.raises(GraphError, match="no output 'mask'"):
        start(replace(tiny, outputs={"labels": "mask"}), EngineSettings(engine="openvino"), log)


def test_an_output_with_two_roles_is_compiled_once(
    tiny: ModelPackage, noise: NDArray[np.float32], log: logging.Logger
) -> None:
    """The library crashes if a network is cut to the same output twice."""
    package = replace(tiny, task="classify", outputs={"logits": "logits", "scores": "logits"})
    engine = openvino.OpenVINOEngine(package, "onnx", EngineSettings(), log)
    np.testing.assert_allclose(engine.run(noise, ["logits"])["logits"], graphs.scores(noise), atol=1e-5)
    engine.close()


def test_an_output_whose_axes_are_free_hinders_no_other(
    tmp_path: Path, noise: NDArray[np.float32], log: logging.Logger
) -> None:
    """An output of dynamic rank, such as PaddleDetection's count, is skipped; it is an error only if requested."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
        net (float[n, 3, h, w] image) => (float[n, 3, h, w] scores, float[a, b] free) {
            scores = Relu (image)
            batch = Shape <start = 0, end = 1> (image)
            ones = ConstantOfShape <value = int64[1] {-1}> (batch)
            free = Reshape (image, ones)
        }"""
    (tmp_path / "model.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    package = package_of(tmp_path / "model.onnx", task="detect", outputs={"predictions": "scores"})
    engine = openvino.OpenVINOEngine(package, "onnx", EngineSettings(), log)
    assert [spec.name for spec in engine.outputs] == ["scores"]
    np.testing.assert_array_equal(engine.run(noise, ["scores"])["scores"], np.maximum(noise, 0))
    engine.close()
    with pytest.raises(GraphError, match="'free' has no fixed number of axes"):
        openvino.OpenVINOEngine(
            replace(package, outputs={"predictions": "free"}), "onnx", EngineSettings(), log
        )


def test_a_network_is_first_read_by_a_child(
    *, tiny: ModelPackage, noise: NDArray[np.float32], log: logging.Logger, fresh_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The network that the child compiled is loaded from the cache; this process reads no model file."""
    monkeypatch.setattr(openvino.OpenVINOEngine, "_compile", None)  # any call of it here would fail
    engine = start(tiny, EngineSettings(engine="openvino"), log)
    assert len(list(fresh_cache.iterdir())) == 1
    labels = engine.run(noise, ["labels", "confidence"])["labels"]
    np.testing.assert_array_equal(labels, graphs.scores(noise).argmax(axis=1))
    engine.close()


def test_precision_is_f32_unless_asked(pdmodel: ModelPackage, log: logging.Logger) -> None:
    """On a CPU with bf16, OpenVINO would use it by default, freshly compiled or from the cache."""
    for _ in range(2):
        engine = openvino.OpenVINOEngine(pdmodel, "pdmodel", EngineSettings(), log)
        compiled = engine._compiled.requests.get().get_compiled_model()
        assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
        assert compiled.get_property("INFERENCE_NUM_THREADS") <= len(os.sched_getaffinity(0))
        engine.close()


def test_bf16_runs_where_the_cpu_has_it_and_is_refused_elsewhere(
    pdmodel: ModelPackage, photo_tensor: PhotoTensor, log: logging.Logger
) -> None:
    """Few pixels differ from f32 (under half a percent on the real photograph)."""
    able = "BF16" in openvino.library().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if not able:
        with pytest.raises(Exception, match="this CPU does not support bf16"):
            start(pdmodel, EngineSettings(engine="openvino", precision="bf16"), log)
        return
    photo = photo_tensor(448, 560)
    masks = []
    for precision in ("fp32", "bf16"):
        engine = start(pdmodel, EngineSettings(precision=precision), log)
        assert engine.precision == precision
        name = engine.outputs[0].name
        masks.append(engine.run(photo, [name])[name])
        engine.close()
    fraction = float((masks[0] != masks[1]).mean())
    log.warning("bf16 differs from f32 in %.2e of the pixels", fraction)
    assert 0 < fraction < 0.005


def test_a_second_start_takes_what_the_first_compiled(
    *, pdmodel: ModelPackage, photo_tensor: PhotoTensor, log: logging.Logger, fresh_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A cache hit reads no graph, and gives the same outputs and bytes."""
    photo = photo_tensor(128, 160)
    first = openvino.OpenVINOEngine(pdmodel, "pdmodel", EngineSettings(), log)
    name = first.outputs[0].name
    expected = first.run(photo, [name])[name]
    assert len(list(fresh_cache.iterdir())) == 1
    monkeypatch.setattr(openvino.OpenVINOEngine, "_compile", None)  # any call of it would fail
    second = openvino.OpenVINOEngine(pdmodel, "pdmodel", EngineSettings(), log)
    assert second.outputs == first.outputs
    assert second.run(photo, [name])[name].tobytes() == expected.tobytes()


@pytest.mark.parametrize("damage", ["flip", "flip in a name", "cut", "empty", "rubbish", "not a network"])
def test_a_damaged_blob_falls_back_to_compiling(
    *, tiny: ModelPackage, noise: NDArray[np.float32], log: logging.Logger, fresh_cache: Path, damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """A flipped bit in the cached file is detected; the network is compiled and cached again."""
    start(tiny, EngineSettings(), log).close()
    (blob,) = fresh_cache.iterdir()
    whole = blob.read_bytes()
    if damage == "not a network":
        engine = openvino.OpenVINOEngine(tiny, "onnx", EngineSettings(), log)
        engine._cache.store(blob.stem, {"input": "", "compiled": [], "outputs": []}, memoryview(b"x" * 999))
    else:
        flipped = bytearray(whole)
        flipped[-20] ^= 1
        named = whole.replace(b'"labels"', b'"mabels"', 1)
        bodies = {
            "flip": bytes(flipped),
            "flip in a name": named,
            "cut": whole[:-7],
            "empty": b"",
            "rubbish": b"r" * 9999,
        }
        blob.write_bytes(bodies[damage])
    engine = start(tiny, EngineSettings(), log)
    assert "ignoring a compiled network" in caplog.text
    labels = engine.run(noise, ["labels"])["labels"]
    np.testing.assert_array_equal(labels, graphs.scores(noise).argmax(axis=1))
    assert blob.read_bytes()[:8] == whole[:8]
    engine.close()


def test_a_cache_that_cannot_be_written_is_no_error(
    *, tiny: ModelPackage, noise: NDArray[np.float32], log: logging.Logger, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """It is logged, and the network runs; a file in place of the folder fails even for root."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("QUADRAT_CACHE_DIR", str(tmp_path / "file"))
    with caplog.at_level(logging.INFO):
        engine = start(tiny, EngineSettings(), log)
    assert "cannot cache the compiled network" in caplog.text
    assert engine.run(noise, ["labels"])["labels"].shape == (2, 24, 40)
    engine.close()


def test_other_archives_precisions_outputs_and_versions_have_other_keys(
    tiny: ModelPackage, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that a compiled network depends on changes its key, so that no stale one is used."""

    def key(package: ModelPackage, settings: EngineSettings, wanted: tuple[str, ...] = ()) -> str:
        return openvino.OpenVINOEngine(package, "onnx", settings, log)._cache_key(wanted)

    keys = [
        key(tiny, EngineSettings()),
        key(replace(tiny, digest="other"), EngineSettings()),
        key(tiny, EngineSettings(cpu_threads=1)),
        key(tiny, EngineSettings(), ("labels",)),
    ]
    monkeypatch.setattr(openvino.library(), "get_version", lambda: "2099.1.0-0")
    keys.append(key(tiny, EngineSettings()))
    assert len(set(keys)) == len(keys)


@pytest.mark.process
def test_a_start_sends_nothing_over_the_network(tiny: ModelPackage, tmp_path: Path) -> None:
    """OpenVINO's telemetry is disabled: no DNS request, no connection, and no consent file in the home folder."""
    code = (
        "import sys, logging, socket\n"
        "def refuse(*a): raise SystemExit('network: %r' % (a,))\n"
        "socket.getaddrinfo = refuse\n"
        "from quadrat.engines.openvino import library\n"
        "library().Core()\n"
        "raise SystemExit('openvino_telemetry.main' in sys.modules)\n"
    )
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=env).returncode == 0
    assert not list(tmp_path.glob("intel"))


def test_a_softmax_that_openvino_cannot_hold_is_refused_by_size(
    tiny: ModelPackage, log: logging.Logger
) -> None:
    """OpenVINO crashes where classes x pixels x 4 bytes exceed 2 GB; a network without that softmax may run."""
    huge = np.broadcast_to(np.zeros((), np.float32), (1, 3, 20_000, 9_000))
    for _ in range(2):  # also from the cache
        engine = start(tiny, EngineSettings(engine="openvino"), log)
        with pytest.raises(
            EngineMemoryError, match=r"3 classes for 180 million pixels needs 2\.2 GB"
        ) as caught:
            engine.run(huge, ["labels", "confidence"])
        engine.close()
        assert "--max-img-size 178000000" in caught.value.hint


def test_threads_can_be_changed(tiny: ModelPackage, noise: NDArray[np.float32], log: logging.Logger) -> None:
    """The same values before and after, and outputs that were compiled stay."""
    engine = start(tiny, EngineSettings(engine="openvino", cpu_threads=1), log)
    assert isinstance(engine, openvino.OpenVINOEngine)
    try:
        before = engine.run(noise, ["labels", "logits"])
        for count in (2, 1):
            engine.set_threads(count)
            after = engine.run(noise, ["labels", "logits"])
            assert all(np.array_equal(after[name], before[name]) for name in before)
    finally:
        engine.close()
