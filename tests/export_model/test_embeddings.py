"""A real network of its authors becomes an archive that gives its authors' vectors."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from PIL import Image

from export_model import export, verify
from export_model.inspection import inspect
from quadrat import job
from quadrat.parameters import parse
from quadrat.stores.folder import FolderStore

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
REID = DATA / "networks" / "person_reid_0288.onnx"
HOW = ["--stretch", "128", "256", "--bgr", "--range", "0", "255"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed network."""
    path = tmp_path_factory.mktemp("reid") / "reid.tgz"
    assert export.main(["--task", "embed", "--onnx", str(REID), *HOW, "--save-path", str(path)]) == 0
    return path


def test_it_gives_its_authors_vectors(archive, tmp_path):
    """The cosine to ONNX Runtime on the original file, with OpenCV's own resizing, is 1."""
    photos = tmp_path / "photos"
    photos.mkdir()
    names = ["astronaut.png", "dog.jpg", "home.jpg"]
    for name in names:
        (photos / name).symlink_to(DATA / "pictures" / name)
    store = FolderStore(archive, photos, tmp_path / "out")
    assert job.run_order(parse({"executor": "local"}), store, logging.getLogger("test")).exit_status == 0

    session = onnxruntime.InferenceSession(str(REID), providers=["CPUExecutionProvider"])
    with np.load(tmp_path / "out" / "features.npz") as found:
        assert found["names"].tolist() == names
        for name, vector in zip(names, found["vectors"], strict=True):
            bgr = np.asarray(Image.open(photos / name).convert("RGB"))[..., ::-1]
            given = cv2.resize(bgr, (128, 256), interpolation=cv2.INTER_LINEAR).astype(np.float32)[None]
            (own,) = session.run(None, {session.get_inputs()[0].name: given})[0]
            assert np.dot(vector, own / np.linalg.norm(own)) > 0.9999


def test_inspect_names_the_command_that_packs_it():
    """It has no classes to name; what it cannot know, it says."""
    found = inspect(REID)
    assert (found.kind, found.task, found.count) == ("an embedding", "embed", None)
    assert "--task embed" in found.command
    assert any("RGB" in line for line in found.assumed)


def test_every_engine_agrees_with_its_self_test(archive, capsys):
    """The vector of a drawing is part of the archive."""
    assert verify.main([str(archive), "--engine", "onnx"]) == 0
    assert "a vector of 256 values" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--letterbox, --stretch: how images are brought to its size"),
        (["--stretch", "128", "256"], "--range, --mean, --std: what values the network expects"),
        ([*HOW, "--class", "person"], "an embedding has no classes"),
        ([*HOW, "--onnx-output", "x"], "there is no such output"),
        ([*HOW, "--multi-label"], "it only goes with --task segment"),
    ],
)
def test_what_is_open_or_wrong_is_refused(tmp_path, capsys, words, message):
    """With the option that answers it."""
    given = ["--task", "embed", "--onnx", str(REID), *words, "--save-path", str(tmp_path / "m.tgz")]
    assert export.main(given) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "m.tgz").exists()


def test_a_network_that_gives_masks_is_no_embedding(tmp_path, capsys):
    """Its output is refused by name, whatever the options."""
    masks = DATA / "networks" / "deeplab_v3_mnv2.onnx"
    given = ["--task", "embed", "--onnx", str(masks), "--stretch", "257", "257", "--range", "0", "1"]
    assert export.main([*given, "--save-path", str(tmp_path / "m.tgz")]) == 3
    assert "not a vector" in capsys.readouterr().err
