"""An archive is the same bytes for the same content, states its digests, and is read back as it was written."""

from __future__ import annotations

import hashlib
import json
import stat
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quadrat.package import open_archive
from quadrat.package.write import ArchiveSpec, archive_members, replace_file, write_archive
from tests.networks import brightness_onnx

CLASSES = [{"name": "sand"}, {"name": "seagrass"}]
SPEC = ArchiveSpec(
    name="net",
    model={"type": "Net"},
    files={"model.onnx": brightness_onnx()},
    engines={"onnx": "model.onnx"},
    shape=(None, 3, None, None),
    transforms=({"type": "Normalize", "mean": [0.5], "std": [0.5]},),
)


def members(spec: ArchiveSpec = SPEC) -> dict[str, bytes]:
    """Give the members of an archive whose self-test is an image."""
    image = np.zeros((1, 3, 4, 4), np.uint8)
    return archive_members(spec, CLASSES, "named", self_test={"input": "in.npy"}, arrays={"in.npy": image})


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """The reader of archives finds name, classes, network, transforms and self-test."""
    digest = write_archive(members(), tmp_path / "m.tgz")
    package = open_archive(tmp_path / "m.tgz", tmp_path)

    assert (package.name, package.digest, package.task) == ("named", digest, "segment")
    assert [info.name for info in package.classes] == ["sand", "seagrass"]
    assert {kind: path.read_bytes() for kind, path in package.engines.items()} == {"onnx": brightness_onnx()}
    assert [(t.type, dict(t.params)) for t in package.transforms] == [
        ("Normalize", {"mean": [0.5], "std": [0.5]})
    ]
    assert package.input_shape == SPEC.shape
    assert package.self_test == {"input": "in.npy"}
    assert np.load(package.root / "in.npy").shape == (1, 3, 4, 4)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    """Order of members, time and owner change nothing."""
    backwards = dict(reversed(members().items()))
    digests = {write_archive(each, tmp_path / "m.tgz") for each in (members(), backwards)}
    assert digests == {hashlib.sha256((tmp_path / "m.tgz").read_bytes()).hexdigest()}
    with tarfile.open(tmp_path / "m.tgz") as tar:
        found = tar.getmembers()
    assert [m.name for m in found] == sorted(members())
    assert {(m.mtime, m.uid, m.uname, m.mode) for m in found} == {(0, 0, "", 0o644)}
    assert bytes(4) == (tmp_path / "m.tgz").read_bytes()[4:8], "the time of the gzip"
    assert 0o644 == stat.S_IMODE((tmp_path / "m.tgz").stat().st_mode)


def test_every_member_has_its_digest() -> None:
    """meta.json states the sha256 of all other members."""
    made = members()
    stated = json.loads(made["meta.json"])["sha256"]
    assert stated == {n: hashlib.sha256(b).hexdigest() for n, b in made.items() if n != "meta.json"}


def test_deploy_yaml_names_the_paddle_network_first() -> None:
    """With weights of Paddle it is the original's form; without them it names no params."""
    paddle = replace(
        SPEC, engines={"onnx": "model.onnx", "pdmodel": "model.pdmodel"}, params="model.pdiparams"
    )
    assert members(replace(paddle, transforms=()))["deploy.yaml"] == (
        b"Deploy:\n  model: model.pdmodel\n  params: model.pdiparams\n  transforms: []\n"
    )
    assert b"params" not in members()["deploy.yaml"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If writing fails, what was there stays and no half of a file remains."""
    path = tmp_path / "m.tgz"
    path.write_bytes(b"old")

    def fail(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_versions_of_the_exporter_are_kept() -> None:
    """Those of this process are added to them."""
    made = members(replace(SPEC, provenance={"from": "a.onnx", "versions": {"torch": "9.9"}}))
    provenance = json.loads(made["meta.json"])["provenance"]

    assert "a.onnx" == provenance["from"]
    assert {"torch", "python", "numpy", "quadrat"} == set(provenance["versions"])
    assert "9.9" == provenance["versions"]["torch"]
