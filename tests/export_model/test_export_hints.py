from __future__ import annotations

import json

import numpy as np
import pytest

from export_model import export_hints
from export_model.export import main
from export_model.verify import main as verify
from quadrat.errors import ClassesError, LayoutError
from quadrat.geometry import Geometry
from quadrat.package.detectors import DetectWords
from quadrat.package.write import write_archive
from quadrat.tasks.detect import layouts
from quadrat.types import Frame, FrameKey, Part
from tests.detectors import bright_onnx, constant_onnx, encode, package, specs
from tests.export_model.conftest import Made
from tests.tasks.folding import make_task, predict
from tests.values import settings_of

THREE = [word for name in ("Seestern", "Alge", "Blau") for word in ("--class", name)]
BOXES = [[0, 0, 20, 20], [20, 20, 40, 40], [40, 40, 60, 60]]
TORCHVISION = encode("boxes", BOXES, [0.9, 0.8, 0.7], [1, 2, 3], num_classes=4)
"""Three objects as torchvision labels them: from 1, for 0 is the background."""


@pytest.fixture
def export(tmp_path, capsys):
    """Export a network's bytes as a detector: the status, what was printed, and the error's line."""

    def run(data: bytes, *words: str, name: str = "net.onnx"):
        (tmp_path / name).write_bytes(data)
        given = ["--task", "detect", "--onnx", str(tmp_path / name), *words]
        status = main([*given, "--save-path", str(tmp_path / "m.tgz")])
        said = capsys.readouterr()
        assert (tmp_path / "m.tgz").exists() == (status == 0)
        assert said.err.count("\n") == (status != 0)
        return status, said.out, said.err

    return run


@pytest.mark.parametrize(("layout", "batched"), [("boxes", False), ("boxes", True), ("rtdetr", True)])
@pytest.mark.parametrize("background", [(), ("--background", "none"), ("--background", "7")])
def test_labels_from_one_without_the_background_are_refused(export, layout, batched, background):
    """A class beyond the list cannot be right, and the line says what it most likely is."""
    data = constant_onnx(TORCHVISION, batched=batched)
    status, _, said = export(data, "--layout", layout, "--stretch", "64", "64", *background, *THREE)
    assert status == 3
    assert said.startswith("E_MODEL_CLASSES --class: in the self-test the network outputs class 3, but 3 are")
    assert "--background 0 if its labels count from 1, as torchvision's do" in said
    assert "else with every class of the network" in said


def test_with_the_background_it_exports_and_verifies(export, tmp_path, capsys):
    """What the line says to do, does it; and so does a list of all classes."""
    data = constant_onnx(TORCHVISION, batched=False)
    words = ("--layout", "boxes", "--stretch", "64", "64", *THREE)
    for more in (("--background", "0"), ("--class", "Rest")):
        assert export(data, *words, *more)[0] == 0
        assert verify([str(tmp_path / "m.tgz")]) == 0
        assert "FAILS" not in capsys.readouterr().out


def test_what_is_not_certain_is_not_refused(export):
    """Labels 1 and 2 of three classes may be from 0, and classes without names may be any."""
    sized = ("--layout", "boxes", "--stretch", "64", "64")
    two = encode("boxes", BOXES[:2], [0.9, 0.8], [1, 2], num_classes=3)
    assert export(constant_onnx(two, batched=False), *sized, *THREE)[0] == 0
    assert export(constant_onnx(TORCHVISION, batched=False), *sized)[0] == 0


def test_where_no_background_can_be_the_hint_names_none(export):
    """With --background 0 already said, or in a layout without one, classes are missing."""
    boxes = constant_onnx(TORCHVISION, batched=False)
    words = ("--layout", "boxes", "--stretch", "64", "64", "--background", "0", "--class", "a")
    yolo = constant_onnx(encode("yolov10", BOXES, [0.9, 0.8, 0.7], [1, 2, 3], num_classes=4))
    for data, given in ((boxes, words), (yolo, ("--layout", "yolov10", *THREE))):
        status, _, said = export(data, *given)
        assert status == 3
        assert "Export it with every class of the network in its order (--class)" in said
        assert "background" not in said


def test_an_archive_made_elsewhere_does_not_verify(tmp_path, export, capsys):
    """verify.py refuses its self-test, and names --background 0."""
    words = ("--layout", "boxes", "--stretch", "64", "64", *THREE, "--class", "Rest")
    assert export(constant_onnx(TORCHVISION, batched=False), *words)[0] == 0
    made = Made(tmp_path / "m.tgz")
    meta = {key: value for key, value in made.meta.items() if key != "sha256"}
    meta["classes"] = meta["classes"][:3]
    write_archive({**made.members, "meta.json": json.dumps(meta).encode()}, made.path)
    assert verify([str(made.path)]) == 3
    said = capsys.readouterr().err
    assert said.startswith(
        "E_MODEL_CLASSES net: in the self-test the network outputs class 3, but 3 are listed"
    )
    assert "Export it with --background 0 if its labels count from 1" in said


@pytest.mark.parametrize(
    ("layout", "words", "hinted"),
    [("boxes", {}, True), ("boxes", {"background": 0}, False), ("yolov10", {}, False)],
)
def test_the_service_says_so_too(layout, words, hinted):
    """At run-time the error of such a class speaks of meta.json, and of the background where there may be one."""
    task = make_task(package(layout, 3, **words), specs(layout, 3), settings_of())
    given = encode(layout, [BOXES[0]], [0.9], [4], num_classes=5)
    part = Part(given, Geometry.identity((64, 64)))
    with pytest.raises(ClassesError) as caught:
        predict(task, Frame(FrameKey("test"), (64, 64), np.zeros((64, 64, 3), np.uint8)), [part])
    assert "List every class of the network in meta.json" in caught.value.hint
    assert ('state "background": 0' in caught.value.hint) == hinted


TWO = ("--class", "fish", "--class", "crab")
HEADS = {name: np.full((1200, 7), 0.5, np.float32) for name in ("small", "large")}
RAW = encode("yolov8", BOXES[:1], [5.0], [1], num_classes=2)


@pytest.mark.parametrize(
    ("data", "words", "where", "hint"),
    [
        (bright_onnx("yolov5"), "yolov8", "E_MODEL_CLASSES --layout yolov8: ", "look like yolov5: give --layout yolov5"),
        (bright_onnx("yolov8"), "yolov5", "E_MODEL_CLASSES --layout yolov5: ", "look like yolov8: give --layout yolov8"),
        (bright_onnx("yolov8"), "rtdetr", "E_MODEL_LAYOUT --layout rtdetr: ", "look like yolov8: give --layout yolov8"),
        (bright_onnx("boxes", batched=False), "rtdetr", "E_MODEL_LAYOUT --layout rtdetr: ", "look like boxes: give"),
        (bright_onnx("boxes", batched=False), "rfdetr", "E_MODEL_LAYOUT --layout rfdetr: ", "look like boxes: give"),
        (bright_onnx("yolov8"), "yolov8 --class more", "E_MODEL_CLASSES --class, --layout: there are 3 classes, but",
         "List every class of the network in its order with --class, or choose another --layout"),
        (bright_onnx("rfdetr"), "rfdetr --class more", "E_MODEL_CLASSES --class, --background: ",
         "or give the class that means no object with --background"),
        (bright_onnx("rfdetr"), "rfdetr --background 9", "E_MODEL_CLASSES --class, --background: ",
         "or give the class that means no object with --background"),
        (constant_onnx(HEADS), "yolov8", "E_MODEL_LAYOUT --layout yolov8: no output has the role predictions",
         "Name the output with --onnx-output, or choose another --layout: yolov5, "),
        (bright_onnx("yolov10"), "boxes", "E_MODEL_LAYOUT --layout boxes: ", ". Choose another --layout: yolov5, "),
        (constant_onnx(RAW), "yolov8", "E_MODEL_LAYOUT --layout yolov8: scores range from 0 to 5",
         "or are raw logits: export the network with its sigmoid"),
    ],
)  # fmt: skip
def test_what_the_layout_gets_wrong_is_said_in_options(data, words, where, hint, export):
    """No line speaks of a meta.json that nobody wrote, and the only layout that fits is named."""
    status, _, said = export(data, "--layout", *words.split(), *TWO)
    assert status == 3
    assert said.startswith(where)
    assert hint in said
    assert "meta.json" not in said


def test_the_first_run_speaks_of_options_too():
    """Shapes that are open at the start are compared when the network has run; boxes reads all that rtdetr does."""
    known = layouts.DetectorSpec("net", specs("yolov5", 2), {}, 2, DetectWords("yolov8"))
    with pytest.raises(LayoutError, match="odd") as caught, export_hints.by_options(known):
        raise known.fault("it is odd")
    assert caught.value.hint == "The outputs look like yolov5: give --layout yolov5"
    known = layouts.DetectorSpec("net", specs("rtdetr", 2), {}, 2, DetectWords("boxes"))
    with pytest.raises(LayoutError) as caught, export_hints.by_options(known):
        raise known.fault("it is odd")
    assert caught.value.hint.startswith("Choose another --layout: ")
