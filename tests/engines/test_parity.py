from __future__ import annotations

import json
import logging
import os
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quadrat.engines import start
from quadrat.errors import EngineUnavailableError, GraphError
from quadrat.package import open_archive
from quadrat.parameters import EngineSettings
from quadrat.types import ModelPackage

ROOT = Path(__file__).resolve().parents[2]
PhotoTensor = Callable[[int, int], NDArray[np.float32]]


def labels_of(package: ModelPackage, name: str, photo: NDArray[np.float32]) -> NDArray[Any]:
    """Run the network's one output on the photograph, on the engine of this name."""
    engine = start(package, EngineSettings(engine=name), logging.getLogger("quadrat.test"))
    try:
        assert engine.name == name
        (output,) = [spec.name for spec in engine.outputs]
        return engine.run(photo, [output])[output]
    finally:
        engine.close()


@pytest.fixture(scope="module")
def paddle_mask(pdmodel: ModelPackage, photo_tensor: PhotoTensor) -> NDArray[Any]:
    """Paddle's labels of the real photograph at one megapixel."""
    return labels_of(pdmodel, "paddle", photo_tensor(894, 1118))


@pytest.mark.needs_paddle
def test_pir_and_pdmodel_give_the_same_mask_on_paddle(
    pir: ModelPackage, paddle_mask: NDArray[Any], photo_tensor: PhotoTensor
) -> None:
    """Both formats of the same weights give identical masks."""
    assert (labels_of(pir, "paddle", photo_tensor(894, 1118)) != paddle_mask).sum() == 0


@pytest.mark.needs_paddle
def test_paddle_and_openvino_give_the_same_mask(
    pdmodel: ModelPackage, paddle_mask: NDArray[Any], photo_tensor: PhotoTensor
) -> None:
    """In f32, the masks are identical at one megapixel."""
    assert (labels_of(pdmodel, "openvino", photo_tensor(894, 1118)) != paddle_mask).sum() == 0


@pytest.fixture(scope="module")
def both_formats(
    pdmodel: ModelPackage, archive_pdmodel: Path, tmp_path_factory: pytest.TempPathFactory
) -> ModelPackage:
    """The real archive with an added ONNX file from paddle2onnx."""
    folder = tmp_path_factory.mktemp("both")
    with tarfile.open(archive_pdmodel) as archive:
        archive.extractall(folder, filter="data")
    onnx = folder / "model.onnx"
    subprocess.run(
        [
            os.environ["QUADRAT_PADDLE2_PYTHON"], str(ROOT / "export_model" / "paddle_to_onnx.py"),
            str(folder / "model.pdmodel"), str(folder / "model.pdiparams"), str(onnx),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    meta = json.loads((folder / "meta.json").read_text())
    meta |= {
        "engines": {"onnx": "model.onnx", "pdmodel": "model.pdmodel"},
        "outputs": {"labels": "save_infer_model/scale_0.tmp_0"},
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    packed = folder / "both.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        for path in sorted(folder.iterdir()):
            if path != packed:
                archive.add(path, path.name)
    return open_archive(packed, tmp_path_factory.mktemp("opened"))


@pytest.mark.needs_paddle
@pytest.mark.needs_paddle2
def test_three_engines_give_the_same_mask_from_one_archive(
    both_formats: ModelPackage, paddle_mask: NDArray[Any], photo_tensor: PhotoTensor
) -> None:
    """OpenVINO and ONNX Runtime on ONNX, and OpenVINO and Paddle on .pdmodel, give identical masks."""
    photo = photo_tensor(894, 1118)
    assert set(both_formats.engines) == {"onnx", "pdmodel"}
    classic = replace(both_formats, engines={"pdmodel": both_formats.engines["pdmodel"]})
    for package, name in (
        (both_formats, "openvino"),
        (both_formats, "onnx"),
        (classic, "openvino"),
        (both_formats, "paddle"),
    ):
        assert (labels_of(package, name, photo) != paddle_mask).sum() == 0, name


@pytest.mark.needs_paddle
def test_auto_runs_a_pir_archive_on_paddle_and_repeats(
    pir: ModelPackage, photo_tensor: PhotoTensor, log: logging.Logger
) -> None:
    """In a child, a batch of two equals two of one, specs match the arrays, and runs are repeatable."""
    engine = start(pir, EngineSettings(), log)
    assert (engine.name, engine.device) == ("paddle", "cpu")
    (spec,) = engine.outputs
    photo = photo_tensor(128, 160)
    batch = np.concatenate([photo, photo[:, :, ::-1]])
    both = engine.run(batch, [spec.name])[spec.name]
    assert (both.dtype.name, both.shape, spec.shape) == (spec.dtype, (2, 128, 160), (None, None, None))
    assert engine.run(batch, [spec.name])[spec.name].tobytes() == both.tobytes()
    for i in range(2):
        np.testing.assert_array_equal(engine.run(batch[i : i + 1], [spec.name])[spec.name][0], both[i])
    engine.close()


@pytest.mark.needs_paddle
@pytest.mark.parametrize("which", ["pdmodel", "pir"])
@pytest.mark.parametrize("body", [b"", b"no network " * 999])
def test_a_corrupt_graph_on_paddle_is_the_models_fault(
    request: pytest.FixtureRequest, tmp_path: Path, log: logging.Logger, which: str, body: bytes
) -> None:
    """An exception or crash of the library becomes a GraphError."""
    package: ModelPackage = request.getfixturevalue(which)
    path = tmp_path / package.engines[which].name
    path.write_bytes(body)
    broken = replace(package, engines={which: path}, digest="")
    with pytest.raises(GraphError) as caught:
        start(broken, EngineSettings(engine="paddle"), log)
    assert "\n" not in caught.value.line


@pytest.fixture
def _paddle2(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine uses Paddle 2.6.2 in its own venv."""
    monkeypatch.setenv("QUADRAT_PADDLE_PYTHON", os.environ["QUADRAT_PADDLE2_PYTHON"])


@pytest.mark.needs_paddle2
@pytest.mark.usefixtures("_paddle2")
def test_paddle_of_another_interpreter_gives_the_same_mask(
    pdmodel: ModelPackage, photo_tensor: PhotoTensor, log: logging.Logger
) -> None:
    """The child has 2.6.2 with numpy 1, this process numpy 2; they exchange only JSON and bytes."""
    photo = photo_tensor(448, 560)
    engine = start(pdmodel, EngineSettings(engine="paddle"), log)
    assert engine.version == "2.6.2"
    mask = engine.run(photo, [engine.outputs[0].name])[engine.outputs[0].name]
    engine.close()
    assert (mask != labels_of(pdmodel, "openvino", photo)).sum() == 0


@pytest.mark.needs_paddle2
@pytest.mark.usefixtures("_paddle2")
def test_paddle_2_6_2_survives_what_kills_it(
    pdmodel: ModelPackage, pir: ModelPackage, tmp_path: Path, log: logging.Logger
) -> None:
    """Its SIGSEGV on invalid files is reported, and it is not started for PIR."""
    path = tmp_path / "model.pdmodel"
    path.write_bytes(b"no network " * 999)
    with pytest.raises(GraphError, match="terminated by SIGSEGV while reading the network"):
        start(replace(pdmodel, engines={"pdmodel": path}), EngineSettings(engine="paddle"), log)
    with pytest.raises(EngineUnavailableError, match=r"too old for a PIR model\.json"):
        start(pir, EngineSettings(engine="paddle"), log)
