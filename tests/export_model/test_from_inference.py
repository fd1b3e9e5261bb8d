"""A Paddle network is packed as it was exported, without paddle."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from export_model import verify
from export_model.export import main
from tests.export_model.conftest import Made


@pytest.fixture
def exported_network(archive_pdmodel: Path, tmp_path: Path) -> Path:
    """A folder as PaddleSeg's exporter and others write it: inference.pdmodel, inference.pdiparams, deploy.yaml."""
    folder = tmp_path / "export"
    with tarfile.open(archive_pdmodel) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if name in ("model.pdmodel", "model.pdiparams", "deploy.yaml"):
                folder.mkdir(exist_ok=True)
                stream = tar.extractfile(member)
                assert stream is not None
                (folder / name.replace("model.", "inference.")).write_bytes(stream.read())
    return folder / "inference.pdmodel"


@pytest.mark.process
def test_it_is_packed_as_it_is(exported_network: Path, tmp_path: Path) -> None:
    """The archive holds the same network, weights and transforms, and its self-test agrees."""
    path = tmp_path / "made.tgz"
    words = ["--paddle", str(exported_network), "--class", "background", "--class", "seagrass"]
    assert main([*words, "--save-path", str(path)]) == 0
    made = Made(path)
    assert made.members["model.pdmodel"] == exported_network.read_bytes()
    assert made.members["model.pdiparams"] == exported_network.with_suffix(".pdiparams").read_bytes()
    assert made.deploy["transforms"] == [{"type": "Normalize"}]
    assert made.meta["provenance"]["sources"].keys() == {"inference.pdmodel", "inference.pdiparams"}
    assert "segment" not in made.meta
    assert verify.main([str(path)]) == 0


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another suffix, no file, no weights: one line each."""
    (tmp_path / "net.pdmodel").write_bytes(b"")
    for name, said in (
        ("net.onnx", "neither .pdmodel nor .json"), ("no.json", "no such file"), ("net.pdmodel", "net.pdiparams"),
    ):  # fmt: skip
        assert main(["--paddle", str(tmp_path / name), "--save-path", str(tmp_path / "m.tgz")]) == 2
        text = capsys.readouterr().err
        assert said in text
        assert text.count("\n") == 1
