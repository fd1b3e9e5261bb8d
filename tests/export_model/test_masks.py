"""Options of masks on the command line, up to what the archive states."""

from __future__ import annotations

from pathlib import Path

import pytest

from export_model.export import main
from quadrat.package import open_archive
from quadrat.package.scale import trained_size
from tests.networks import brightness_onnx


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A network with two classes that takes every size."""
    path = tmp_path / "net.onnx"
    path.write_bytes(brightness_onnx(("logits",)))
    return path


def packed(network: Path, folder: Path, words: str):
    """Pack with these words and open the archive."""
    path = folder / "m.tgz"
    assert main(["--onnx", str(network), *words.split(), "--save-path", str(path)]) == 0
    return open_archive(path, folder)


@pytest.mark.parametrize(
    ("words", "transforms"),
    [
        ("--range 0 255", []),
        ("--range -1 1", [("Normalize", {"mean": [0.5], "std": [0.5]})]),
        ("--range 0 1", [("Normalize", {"mean": [0.0], "std": [1.0]})]),
        ("--bgr --range 0 255", [("ToBGR", {})]),
        ("--bgr", [("ToBGR", {}), ("Normalize", {"mean": [0.5], "std": [0.5]})]),
        (
            "--stretch 64 48 --mean 0.4 --std 0.2",
            [("Resize", {"target_size": [64, 48]}), ("Normalize", {"mean": [0.4], "std": [0.2]})],
        ),
        (
            "--letterbox 64 48 --pad 0 --position upper-left --range 0 255",
            [("Letterbox", {"size": [64, 48], "color": 0, "center": False})],
        ),
        ("", [("Normalize", {})]),
    ],
)
def test_images_are_prepared_as_for_detectors(network, tmp_path, words, transforms):
    """The same options, in the same order of transforms; without any, PaddleSeg's Normalize."""
    found = packed(network, tmp_path, words).transforms
    close = [(each.type, dict(each.params)) for each in found]
    assert close == transforms


def test_the_scale_of_the_training_is_stated(network, tmp_path, capsys):
    """--trained-size is kept; without it, and without a size, the exporter says what is missing."""
    assert trained_size(packed(network, tmp_path, "--trained-size 1024")) == 1024
    assert "no --trained-size" not in capsys.readouterr().out
    assert trained_size(packed(network, tmp_path, "")) is None
    assert "no --trained-size" in capsys.readouterr().out
    assert trained_size(packed(network, tmp_path, "--stretch 64 48")) == 64
    assert "no --trained-size" not in capsys.readouterr().out


def test_names_of_the_file_are_used_if_they_fit(network, tmp_path, capsys):
    """Names in the metadata are the classes; another number of them is left out, with a line."""
    import onnx

    model = onnx.load(network)
    onnx.helper.set_model_props(model, {"names": "{0: 'sand', 1: 'sea\\u00a0grass'}"})
    onnx.save(model, network)
    assert [each.name for each in packed(network, tmp_path, "").classes] == ["sand", "sea grass"]
    onnx.helper.set_model_props(model, {"names": "['a', 'b', 'c', 'd']"})
    onnx.save(model, network)
    assert packed(network, tmp_path, "").classes == ()
    assert "names 4 classes, the network has 2" in capsys.readouterr().out
    assert packed(network, tmp_path, "").num_classes == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--multiples pad --stretch 8 8", "--multiples: it has no effect"),
        ("--trained-size 0", "a number of pixels"),
        ("--task detect --multi-label", "only goes with --task segment"),
        ("--class a --class b --class d --background c", "no class has this name"),
        ("--name \x07", "cannot be shown"),
    ],
)
def test_mistakes(network, tmp_path, words, said, capsys):
    """One line, with the option."""
    status = main(["--onnx", str(network), *words.split(" "), "--save-path", str(tmp_path / "m.tgz")])
    assert (status, said in capsys.readouterr().err) == (2, True)
