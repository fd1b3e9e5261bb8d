"""Classifiers from ONNX: what their scores mean, which options they ask for, and archives that give the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from export_model import heads, verify
from export_model.export import main
from export_model.inspection import describe, inspect
from export_model.label_outputs import activated
from tests.classifiers import color_onnx
from tests.export_model.conftest import Made
from tests.export_model.graphs import classifier, saved

ANY = "--task classify --stretch 32 32 --range 0 1"
IMAGE = np.random.default_rng(5).random((2, 3, 32, 32)).astype(np.float32)
SOFTMAX, SIGMOID = ("Softmax", {"axis": -1}), ("Sigmoid", {})


def pack(tmp_path: Path, model, words: str = ANY, classes: str = "a b c", status: int = 0) -> Made | None:
    """Pack a network, and open the archive; None if that must fail."""
    source = saved(tmp_path / "net.onnx", model)
    named = [word for name in classes.split() for word in ("--class", name)]
    path = tmp_path / "made.tgz"
    assert main(["--onnx", str(source), *words.split(), *named, "--save-path", str(path)]) == status
    return Made(path) if not status else None


def shares(made: Made, image: np.ndarray = IMAGE) -> np.ndarray:
    """Return the probabilities that an archive's network and meta.json give."""
    role = next(role for role in ("logits", "scores") if role in made.meta["outputs"])
    scores = heads.Runner(made.members["model.onnx"])(image, made.meta["outputs"][role])
    return activated(scores, made.meta["classify"]["activation"])


@pytest.mark.parametrize(
    ("tail", "activation", "role", "multi"),
    [
        ([], "softmax", "logits", False),
        ([SOFTMAX], "softmax", "logits", False),
        ([("Identity", {}), SOFTMAX, ("Identity", {})], "softmax", "logits", False),
        ([("LogSoftmax", {"axis": -1})], "softmax", "logits", False),
        ([SIGMOID], "sigmoid", "logits", True),
        ([SOFTMAX, ("Clip", {})], "none", "scores", False),
        ([SIGMOID, ("Clip", {})], "none", "scores", True),
    ],
)
def test_scores_are_what_the_network_means_by_them(tmp_path, tail, activation, role, multi):
    """Logits become the output where the network's own activation can be taken off; probabilities never change."""
    made = pack(tmp_path, classifier(tail=tail))
    own = heads.Runner(classifier(tail=tail).SerializeToString())(IMAGE, f"scores_{len(tail)}")
    assert (made.meta["classify"]["activation"], made.meta["classify"]["multi-label"]) == (activation, multi)
    assert set(made.meta["outputs"]) == {role, "features"}
    applied = tail and tail[-1][0] != "LogSoftmax"
    expected = own if applied else activated(own, "softmax")
    np.testing.assert_allclose(shares(made), expected, atol=1e-6)


@pytest.mark.parametrize("tail", ["", "Identity"])
def test_small_logits_are_no_probabilities(tmp_path, tail):
    """A last layer that is linear gives logits, even if those of all drawings happen to be from 0 to 1."""
    weights, bias = [[0.3, 0.1, 0.1], [0.1, 0.2, 0.1], [0.1, 0.1, 0.4]], [0.1, 0.1, 0.1]
    made = pack(
        tmp_path, onnx.load_from_string(color_onnx(weights, bias, tail=tail)), ANY + " --onnx-output values"
    )
    assert (made.meta["classify"]["activation"], made.meta["classify"]["multi-label"]) == ("softmax", False)
    given = heads.Runner(color_onnx(weights, bias))(IMAGE, "values")
    assert 0 < given.min() < given.max() < 1
    np.testing.assert_allclose(shares(made), activated(given, "softmax"), atol=1e-6)
    told = pack(
        tmp_path,
        onnx.load_from_string(color_onnx(weights, bias)),
        ANY + " --onnx-output values --activation none",
    )
    assert told.meta["classify"]["activation"] == "none"


def test_features_are_what_the_last_layer_takes(tmp_path):
    """Found without being named; the values are those of the inner tensor."""
    made = pack(tmp_path, classifier(tail=[SOFTMAX]))
    run = heads.Runner(made.members["model.onnx"])
    whole = heads.Runner(classifier(extra=True).SerializeToString())
    np.testing.assert_array_equal(run(IMAGE, made.meta["outputs"]["features"]), whole(IMAGE, "vector"))


def test_features_can_be_named(tmp_path, capsys):
    """Any tensor with a row for each picture; another one is refused by name."""
    made = pack(tmp_path, classifier(tail=[SOFTMAX]), ANY + " --features scores_0")
    assert heads.Runner(made.members["model.onnx"])(IMAGE, made.meta["outputs"]["features"]).shape == (2, 3)
    pack(tmp_path, classifier(), ANY + " --features conv", status=2)
    assert "--features conv" in capsys.readouterr().err


def test_one_score_is_a_choice_of_two(tmp_path):
    """A sigmoid of one score is the probability of the second class; one name gets an opposite."""
    for classes, names in (("fire", ["no fire", "fire"]), ("none fire", ["none", "fire"])):
        made = pack(tmp_path, classifier(1), classes=classes)
        assert [each["name"] for each in made.meta["classes"]] == names
        assert made.meta["classify"]["activation"] == "sigmoid"
        assert not made.meta["classify"]["multi-label"]
        stated = made.array("selftest-probabilities.npy")
        assert stated.shape == (2,)
        assert abs(stated.sum() - 1) < 1e-6


def test_which_output_has_the_scores(tmp_path, capsys):
    """The one with a number for each class; if that does not tell, it is asked for with the others."""
    made = pack(tmp_path, classifier(3, extra=True))
    assert made.array("selftest-probabilities.npy").shape == (3,)
    pack(tmp_path, classifier(6, width=6, extra=True), classes="a b c d e f", status=2)
    assert "--onnx-output NAME" in capsys.readouterr().err
    named = pack(tmp_path, classifier(3, extra=True), ANY + " --onnx-output scores_0 --features vector")
    np.testing.assert_allclose(shares(named), shares(made), atol=1e-6)


def test_everything_open_is_asked_for_at_once(tmp_path, capsys):
    """The size and the values of pixels: neither is guessed."""
    pack(tmp_path, classifier(), "--task classify", status=2)
    said = capsys.readouterr().err
    for asked in ("--crop 32 32", "--stretch 32 32", "--letterbox 32 32", "--mean 0.485", "--range 0 1"):
        assert asked in said
    assert said.count("\n") == 1
    pack(tmp_path, classifier(hw=("h", "w")), "--task classify --range 0 1", status=2)
    assert "trained on" in capsys.readouterr().err


def test_how_pictures_reach_the_network(tmp_path):
    """The crop, its short side and the filter are as torchvision has them; a network of open size gets that size."""
    words = "--task classify --crop 32 24 --short-side 40 --resample bicubic --bgr --range 0 1"
    made = pack(tmp_path, classifier(hw=("h", "w")), words)
    assert made.deploy["transforms"] == [
        {"type": "PilResize", "short_size": 40, "resample": "bicubic"},
        {"type": "CenterCrop", "size": [32, 24]},
        {"type": "ToBGR"},
        {"type": "Normalize", "mean": [0.0], "std": [1.0]},
    ]
    assert made.meta["shape"] == [None, 3, 24, 32]
    stretched = pack(tmp_path, classifier())
    assert stretched.deploy["transforms"][0] == {
        "type": "PilResize", "target_size": [32, 32], "resample": "bilinear",
    }  # fmt: skip


WRONG = [
    ("--class d", 3, "4 classes are named, but the network gives 3 scores"),
    ("--class a", 3, "E_"),
    ("--activation sigmoid", 2, "--activation sigmoid"),
    ("--multi-label", 2, "--multi-label"),
    ("--background a", 2, "--background"),
    ("--threshold 0.5 0.6", 2, "--threshold"),
    ("--threshold 2", 2, "--threshold"),
    ("--levels family", 2, "--levels"),
    ("--layout yolox", 2, "--task detect"),
    ("--short-side 20", 2, "--short-side"),
    ("--multiples pad", 2, "--multiples"),
]


@pytest.mark.parametrize(("words", "status", "said"), WRONG)
def test_mistakes_are_one_line(tmp_path, capsys, words, status, said):
    """Options that contradict the network or each other."""
    source = saved(tmp_path / "net.onnx", classifier(tail=[SOFTMAX]))
    given = [
        "--onnx",
        str(source),
        *ANY.split(),
        *["--class", "a", "--class", "b", "--class", "c"],
        *words.split(),
    ]
    assert main([*given, "--save-path", str(tmp_path / "made.tgz")]) in (status, 2)
    text = capsys.readouterr().err
    assert said in text
    assert text.count("\n") == 1
    assert not (tmp_path / "made.tgz").exists()


@pytest.mark.parametrize("classes", ["a a c", "a b a"])
def test_labels_that_repeat_are_refused(tmp_path, capsys, classes):
    """Two rows of a table with one name cannot be told apart."""
    pack(tmp_path, classifier(), classes=classes, status=2)
    assert "more than one class is named 'a'" in capsys.readouterr().err


def test_a_file_names_its_classes(tmp_path, capsys):
    """If their number fits; else they are left out, and that is said."""
    made = pack(tmp_path, classifier(names='{"0": "x", "1": "y", "2": "z"}'), classes="")
    assert [each["name"] for each in made.meta["classes"]] == ["x", "y", "z"]
    unnamed = pack(tmp_path, classifier(names='["x", "y"]'), classes="")
    assert unnamed.meta["classes"] == []
    assert unnamed.meta["model"]["num_classes"] == 3
    assert "they are not used" in capsys.readouterr().out


def test_nan_is_refused(tmp_path, capsys):
    """A network that gives NaN for a drawing gives it for photographs, too."""
    tail = [("Log", {})]
    assert pack(tmp_path, classifier(offset=-99, tail=tail), status=3) is None
    assert "NaN" in capsys.readouterr().err


@pytest.mark.parametrize("batch", [1, 2, "n"])
def test_the_self_test_agrees_on_every_engine(tmp_path, capsys, batch):
    """Also for a network of a fixed batch; verify fails if the network is changed."""
    pack(tmp_path, classifier(tail=[SOFTMAX], batch=batch))
    assert verify.main([str(tmp_path / "made.tgz")]) == 0
    assert "agrees" in capsys.readouterr().out


def test_the_same_network_gives_the_same_bytes(tmp_path):
    """Nothing in an archive depends on when it was made."""
    first = pack(tmp_path, classifier()).path.read_bytes()
    assert pack(tmp_path, classifier()).path.read_bytes() == first


def test_a_hierarchy_and_thresholds_go_into_the_archive(tmp_path):
    """From a CSV file, with the names of its levels."""
    tree = tmp_path / "tree.csv"
    tree.write_text("name,parent\na,g\nb,g\nc,h\ng,\nh,\n")
    words = f"{ANY} --hierarchy {tree} --levels genus species --threshold 0.5 0.6 0.7"
    made = pack(tmp_path, classifier(), words)
    assert made.meta["classify"]["parents"] == {"a": "g", "b": "g", "c": "h", "g": None, "h": None}
    assert made.meta["classify"]["levels"] == ["genus", "species"]
    assert made.meta["classify"]["threshold"] == [0.5, 0.6, 0.7]


def test_a_real_classifier(shared: Path, tmp_path, capsys):
    """PaddleOCR's, whose axes are stored as -1: its own probabilities come out, and verify agrees."""
    source = shared / "networks" / "ppocr_cls.onnx"
    words = "--letterbox 192 48 --position upper-left --pad 127 --bgr --mean 0.5 --std 0.5"
    path = tmp_path / "made.tgz"
    given = [
        "--onnx",
        str(source),
        "--task",
        "classify",
        *words.split(),
        "--class",
        "upright",
        "--class",
        "turned",
    ]
    assert main([*given, "--save-path", str(path)]) == 0
    made = Made(path)
    assert made.meta["shape"] == [None, 3, 48, 192]
    image = np.random.default_rng(0).uniform(-1, 1, (2, 3, 48, 192)).astype(np.float32)
    own = heads.Runner(source.read_bytes())
    (name,) = own.every(image)
    np.testing.assert_allclose(shares(made, image), own(image, name), atol=1e-5)
    assert verify.main([str(path)]) == 0
    assert main(["--onnx", str(source), "--save-path", str(path)]) == 3
    assert "--task classify" in capsys.readouterr().err


def test_an_inspection_gives_the_command(tmp_path):
    """It packs as it is printed, with what is assumed beside it; what cannot be guessed is left to packing."""
    found = inspect(saved(tmp_path / "net.onnx", classifier(tail=[SOFTMAX])))
    assert (found.kind, found.task, found.sure, found.count) == ("a classifier", "classify", "certain", 3)
    assert "--task classify" in found.command
    assert found.assumed
    assert main([*found.command.split()[2:-1], str(tmp_path / "made.tgz")]) == 0
    open_size = inspect(saved(tmp_path / "open.onnx", classifier(hw=("h", "w"))))
    assert "trained on" in open_size.assumed[0]
    assert "pack it" in describe(open_size, "open.onnx")
    json.dumps(open_size.command)
