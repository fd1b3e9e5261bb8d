from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from export_model import ARTIFACT, archive, metadata_path
from export_model.labels import entry
from export_model.network import Network
from quadrat.errors import ClassesError, ModelError
from quadrat.package.write import write_archive


def run(image):
    """Give three scores per pixel."""
    return np.concatenate([image[:, :1], image[:, 1:2], -image[:, :1]], 1)


NETWORK = Network(
    name="net",
    model={"type": "Net"},
    files={"model.pdmodel": b"graph", "model.pdiparams": b"weights", "model.onnx": b"onnx"},
    engines={"pdmodel": "model.pdmodel", "onnx": "model.onnx"},
    params="model.pdiparams",
    outputs={"labels": "labels"},
    shape=(None, 3, None, None),
    run=run,
)
CLASSES = [entry("a"), entry("b"), entry("c")]


def test_the_same_content_gives_the_same_bytes(tmp_path):
    """Two exports of one network are equal byte for byte, and carry no time, owner or name."""
    digests = {
        write_archive(archive.assemble(NETWORK, CLASSES, "net", print)[0], tmp_path / f"{n}.tgz")
        for n in ("a", "b")
    }
    assert len(digests) == 1
    assert (tmp_path / "a.tgz").read_bytes()[3:8] == bytes(5)  # gzip: no name, no time
    with tarfile.open(tmp_path / "a.tgz") as tar:
        members = tar.getmembers()
    assert [m.name for m in members] == sorted(m.name for m in members)
    assert {(m.mtime, m.uid, m.uname, m.mode) for m in members} == {(0, 0, "", 0o644)}


def test_the_original_reads_it(tmp_path):
    """Unpacked as the original service unpacks, with its keys: deploy.yaml, meta.json, the Paddle files."""
    import json

    import yaml

    write_archive(archive.assemble(NETWORK, CLASSES, "net", print)[0], tmp_path / "m.tgz")
    with tarfile.open(tmp_path / "m.tgz", "r|gz") as tar:
        files = {m.name.removeprefix("./"): tar.extractfile(m).read() for m in tar if m.isfile()}
    deploy = yaml.safe_load(files["deploy.yaml"])["Deploy"]
    assert deploy == {
        "model": "model.pdmodel",
        "params": "model.pdiparams",
        "transforms": [{"type": "Normalize"}],
    }
    assert files[deploy["model"]] == b"graph"
    assert files[deploy["params"]] == b"weights"
    meta = json.loads(files["meta.json"])
    assert list(meta)[:5] == ["$schema", "name", "model", "classes", "shape"]
    assert meta["$schema"] == "urn:ibenthos:schema:paddle.seg.model.1"
    assert [set(c) for c in meta["classes"]] == [{"id", "name", "def_color"}] * 3
    assert "artifact" not in meta


def test_an_onnx_archive_names_no_weights():
    """Without a Paddle network deploy.yaml names the ONNX file and no params."""
    only = replace(NETWORK, files={"model.onnx": b""}, engines={"onnx": "model.onnx"}, params=None)
    assert archive.assemble(only, [], "net", print)[0]["deploy.yaml"] == (
        b"Deploy:\n  model: model.onnx\n  transforms:\n  - type: Normalize\n"
    )


def test_every_file_has_its_digest():
    """meta.json states the sha256 of all other members."""
    import json

    files, _ = archive.assemble(NETWORK, CLASSES, "net", print)
    stated = json.loads(files["meta.json"])["sha256"]
    assert stated == {n: hashlib.sha256(b).hexdigest() for n, b in files.items() if n != "meta.json"}


def test_the_self_test_is_the_networks_own_answer():
    """The labels in the archive are what the network says to the input in the archive."""
    files, _ = archive.assemble(NETWORK, CLASSES, "net", print)
    image, labels = (np.load(io.BytesIO(files[f"selftest-{part}.npy"])) for part in ("input", "labels"))
    assert (run(image.astype(np.float32)).argmax(1) == labels).all()


def test_a_fixed_batch_is_fed_whole():
    """A network that insists on a batch of four gets four, and the self-test keeps one."""
    seen = []

    def four(image):
        seen.append(len(image))
        return run(image)

    files, _ = archive.assemble(replace(NETWORK, run=four, shape=(4, 3, 32, 32)), [], "net", print)
    assert set(seen) == {4}
    assert np.load(io.BytesIO(files["selftest-labels.npy"])).shape == (1, 32, 32)


def test_classes_must_be_as_many_as_channels():
    """Two names for three channels is an error that says both numbers."""
    with pytest.raises(ClassesError, match=r"2 classes.*has 3"):
        archive.assemble(NETWORK, CLASSES[:2], "net", print)


def test_labels_must_be_as_large_as_the_input():
    """A network that gives a smaller mask cannot serve."""
    small = replace(NETWORK, run=lambda image: run(image)[:, :, ::2, ::2])
    with pytest.raises(ModelError, match="for an input of"):
        archive.assemble(small, [], "net", print)


def test_more_classes_than_a_mask_holds():
    """Masks have 8 bits and one value is kept for unknown."""
    wide = replace(NETWORK, run=lambda image: np.repeat(image, 100, 1))
    with pytest.raises(ClassesError, match="300"):
        archive.assemble(wide, [], "net", print)


def test_the_metadata_beside_it_waits_for_the_artifact(tmp_path):
    """NAME-meta.json is meta.json with a placeholder for the URN."""
    import json

    files, _ = archive.assemble(NETWORK, CLASSES, "net", print)
    path = archive.write_metadata(files, tmp_path / "model.artifact.tgz")
    assert path == metadata_path(tmp_path / "model.artifact.tgz") == tmp_path / "model.artifact-meta.json"
    beside = json.loads(path.read_text())
    assert beside.pop("artifact") == ARTIFACT == "@@ARTIFACT@@"
    assert beside == json.loads(files["meta.json"])
