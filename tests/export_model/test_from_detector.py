from __future__ import annotations

import logging
import sys

import numpy as np
import onnx
import pytest

from export_model.export import main
from export_model.verify import main as verify
from quadrat.engines import start
from quadrat.geometry import Geometry
from quadrat.package import open_archive
from quadrat.parameters import parse
from quadrat.transforms import build
from quadrat.types import Frame, FrameKey, Part
from tests.detectors import LAYOUTS, bright_onnx, constant_onnx, encode
from tests.export_model.conftest import Made, readme_example
from tests.tasks.folding import make_task, predict

CLASSES = ("--class", "fish", "--class", "crab=#d73c2d")
SIZED = dict.fromkeys(("rtdetr", "rtdetr-ultralytics", "rfdetr", "paddledet"), "--stretch")


@pytest.fixture
def save(tmp_path):
    """Write a network's bytes and give the file."""

    def write(data: bytes, name: str = "net.onnx"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def detector(save, tmp_path, capsys):
    """Export a network's bytes as a detector, in this process: its archive and what was printed."""

    def export(data: bytes, *words: object):
        path = tmp_path / "model.tgz"
        given = ["--task", "detect", "--onnx", save(data), *words, "--save-path", path]
        status = main([str(word) for word in given])
        said = capsys.readouterr()
        assert status == 0, said.err
        return Made(path), said.out

    return export


def find(path, folder, engine: str, picture: np.ndarray):
    """Open an archive and find the objects of a picture with it."""
    package = open_archive(path, folder)
    settings = parse({"engine": engine})
    started = start(package, settings.engine, logging.getLogger("test"))
    task = make_task(package, started.outputs, settings)
    hw = picture.shape[:2]
    tensor, geometry = build(package.transforms)(picture, Geometry.identity(hw))
    batch = np.ascontiguousarray(tensor[None], np.float32).repeat(package.input_shape[0] or 1, 0)
    given = started.run(batch, task.wanted)
    started.close()
    part = Part({name: array[0] if task.batched else array for name, array in given.items()}, geometry)
    return predict(task, Frame(FrameKey("test"), hw, picture), [part])


def green_box() -> np.ndarray:
    """Draw 128 x 128 pixels with one bright green box."""
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[32:80, 16:112] = (40, 250, 60)
    return picture


@pytest.mark.parametrize(
    ("layout", "batch"), [*((layout, "n") for layout in LAYOUTS), ("yolov8", 1), ("rfdetr", 2)]
)
def test_each_layout_becomes_an_archive_that_finds(detector, tmp_path, layout, batch):
    """From ONNX to objects in source pixels on both engines, open batch and fixed; the self-test proves them."""
    words = ("--mean", "0", "--std", "1", SIZED.get(layout, "--letterbox"), "64", "64")
    made, said = detector(bright_onnx(layout, batch=batch), "--layout", layout, *words, *CLASSES)
    assert made.meta["task"] == "detect"
    assert made.meta["detect"] == {"layout": layout}
    assert made.meta["shape"] == [None if batch == "n" else batch, 3, 64, 64]
    assert f"layout: {layout}; batch: {'any' if batch == 'n' else f'{batch}, fixed'}" in said
    for engine in ("openvino", "onnx"):
        found = find(made.path, tmp_path, engine, green_box())
        assert np.allclose(found.boxes, [[16, 32, 112, 80]], atol=0.01)
        assert found.classes.tolist() == [1]
    assert verify([str(made.path)]) == 0


def test_two_exports_are_the_same_bytes(detector):
    """The same command gives the same archive."""
    data = bright_onnx()
    first = detector(data, "--layout", "yolov8", *CLASSES)[0].path.read_bytes()
    assert detector(data, "--layout", "yolov8", *CLASSES)[0].path.read_bytes() == first


def test_a_layout_is_guessed_with_its_reason(detector):
    """Without --layout the only one that fits is taken, and the line says why."""
    made, said = detector(bright_onnx("yolov8"), *CLASSES)
    assert made.meta["detect"] == {"layout": "yolov8"}
    assert "no --layout: guessed yolov8, because the network gives output0 (?, 6, 1200): " in said


def test_a_doubtful_layout_is_asked_for(save, tmp_path, capsys):
    """Where two layouts fit, the error names them and the option."""
    given = constant_onnx(encode("yolov10", [], [], [], num_classes=2))
    assert (
        main(
            ["--task", "detect", "--onnx", str(save(given)), *CLASSES, "--save-path", str(tmp_path / "m.tgz")]
        )
        == 3
    )
    said = capsys.readouterr().err
    assert said.startswith("E_MODEL_LAYOUT ")
    assert "yolov10 or rtdetr-ultralytics" in said
    assert "Give --layout" in said
    assert said.count("\n") == 1


def with_words(data: bytes, **words: str) -> bytes:
    """Add metadata to a network, as exporters do."""
    model = onnx.load_model_from_string(data)
    onnx.helper.set_model_props(model, words)
    return model.SerializeToString()


def test_class_names_of_the_file_are_taken(detector):
    """The dict that YOLO exporters write names the classes; names given by hand go first."""
    data = with_words(bright_onnx(), names="{0: 'fish', 1: \"sea urchin\"}")
    made, said = detector(data, "--layout", "yolov8")
    assert [(c["name"], c["id"]) for c in made.meta["classes"]] == [
        ("fish", "urn:ibenthos:detection:class:fish"),
        ("sea urchin", "urn:ibenthos:detection:class:sea-urchin"),
    ]
    assert "classes: 2, from the metadata of the file" in said
    made, _ = detector(data, "--layout", "yolov8", *CLASSES)
    assert [c["name"] for c in made.meta["classes"]] == ["fish", "crab"]


def test_class_names_that_the_file_repeats_are_taken_and_told(detector):
    """What a file names twice does not block the export; a line names it, and --class mends it."""
    data = with_words(bright_onnx(), names="{0: 'fish', 1: 'fish'}")
    made, said = detector(data, "--layout", "yolov8")
    assert [c["name"] for c in made.meta["classes"]] == ["fish", "fish"]
    assert said.count("warning: ") == 1
    assert "warning: the file names several classes 'fish'" in said
    assert "warning" not in detector(data, "--layout", "yolov8", *CLASSES)[1]


@pytest.mark.parametrize(
    ("layout", "transforms"),
    [
        ("yolov8", [("Letterbox", [64, 64]), ("Normalize", [0.0])]),
        ("rtdetr", [("Resize", [64, 64]), ("Normalize", [0.0])]),
        ("rfdetr", [("Resize", [64, 64]), ("Normalize", [0.485, 0.456, 0.406])]),
    ],
)
def test_transforms_are_those_of_the_family(detector, layout, transforms):
    """A network of fixed size gets what its family is trained with, and the lines say so."""
    made, said = detector(bright_onnx(layout), "--layout", layout, *CLASSES)
    given = [
        (t["type"], t.get("size") or t.get("target_size") or t["mean"]) for t in made.deploy["transforms"]
    ]
    assert given == transforms
    way = "a letterbox of" if transforms[0][0] == "Letterbox" else "images stretched to"
    assert f"Assumed: {way} 64 x 64" in said
    assert "Assumed: pixels from 0 to 1" in said


def open_onnx(stride: int) -> bytes:
    """Make a yolov8 of open size, with one anchor for each `stride` x `stride` pixels, all of which must be whole."""
    return onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 17]>
        net (float[n, 3, h, w] images) => (float[n, 5, a] output0)
        <float[5, 3, 1, 1] weight = {{9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 0, 0.5, 0}},
         int64[6] cells = {{0, 3, -1, {stride}, 0, {stride}}}, int64[6] parted = {{0, 3, -1, {stride}, -1, {stride}}},
         int64[3] flat = {{0, 5, -1}}, int64[1] three = {{3}}, int64[1] four = {{4}}, int64[1] stride = {{{stride}}}>
        {{
            shape = Shape (images)
            wide = Slice (shape, three, four)
            whole = Div (wide, stride)
            again = Mul (whole, stride)
            head = Constant <value_ints: ints = [0, 3, -1]> ()
            sizes = Concat <axis = 0> (head, again)
            same = Reshape (images, sizes)
            small = AveragePool <kernel_shape: ints = [{stride}, {stride}], strides: ints = [{stride}, {stride}]> (same)
            given = Conv (small, weight)
            output0 = Reshape (given, flat)
        }}
    """).SerializeToString()


def test_a_network_of_open_size_with_a_stride(detector, save, tmp_path, capsys):
    """It is not left to fail on photographs: its size is asked for, or taken from what the file says."""
    words = ["--task", "detect", "--layout", "yolov8", "--onnx", str(save(open_onnx(32))), "--class", "fish"]
    assert main([*words, "--save-path", str(tmp_path / "m.tgz")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("E_PARAMETER --letterbox: the network does not accept images of every size")
    made, _ = detector(open_onnx(32), "--layout", "yolov8", "--class", "fish", "--letterbox", "160", "96")
    assert made.deploy["transforms"][0] == {"type": "Letterbox", "size": [160, 96]}
    assert made.meta["shape"] == [None, 3, None, None]
    assert made.array("selftest-input.npy").shape == (1, 3, 96, 160)
    made, _ = detector(with_words(open_onnx(32), imgsz="[96, 160]"), "--layout", "yolov8", "--class", "fish")
    assert made.deploy["transforms"][0] == {"type": "Letterbox", "size": [160, 96]}
    made, _ = detector(open_onnx(1), "--layout", "yolov8", "--class", "fish")
    assert [t["type"] for t in made.deploy["transforms"]] == ["Normalize"]


def test_the_mean_of_a_paddledetection_network_is_asked_for(save, tmp_path, capsys):
    """Its families differ in it, and a self-test goes through whatever mean is taken: none is guessed."""
    words = [
        "--task",
        "detect",
        "--layout",
        "paddledet",
        "--onnx",
        str(save(bright_onnx("paddledet"))),
        *CLASSES,
    ]
    assert main([*words, "--stretch", "64", "64", "--save-path", str(tmp_path / "m.tgz")]) == 2
    assert "NormalizeImage in its infer_cfg.yml" in capsys.readouterr().err
    assert not (tmp_path / "m.tgz").exists()


def test_the_background_is_stated(detector):
    """--background goes into meta.json, a class's number or none."""
    words = ("--layout", "rfdetr", "--background")
    made, _ = detector(bright_onnx("rfdetr", num_classes=3), *words, "2", *CLASSES)
    assert made.meta["detect"] == {"layout": "rfdetr", "background": 2}
    made, _ = detector(bright_onnx("rfdetr", num_classes=2), *words, "none", *CLASSES)
    assert made.meta["detect"] == {"layout": "rfdetr", "background": None}


def test_thresholds_and_nms_are_stated(detector):
    """One threshold for all classes or one for each, and NMS across classes, go into meta.json."""
    words = ("--layout", "yolov8", "--nms", "agnostic", *CLASSES)
    made, _ = detector(bright_onnx(), *words, "--threshold", "0.4", "0.6")
    assert made.meta["detect"] == {"layout": "yolov8", "nms": "agnostic", "threshold": [0.4, 0.6]}
    made, _ = detector(bright_onnx(), *words, "--threshold", "0.4")
    assert made.meta["detect"]["threshold"] == [0.4]


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ("--layout yolov8 --onnx {onnx}", 2, "--layout: it only goes with --task detect"),
        ("--nms agnostic --onnx {onnx}", 2, "--nms: it only goes with --task detect"),
        ("--picture a.jpg --onnx {onnx}", 2, "--picture: it only goes with --task detect"),
        ("--task detect --onnx {onnx} --picture {onnx}", 2, "net.onnx: it is not a picture that can be read"),
        ("--task detect --onnx {onnx} --stretch 64 64 --pad 0", 2, "--pad: it has no effect with --stretch"),
        ("--task detect --onnx {onnx} --threshold 1.5", 2, "--threshold: a score in 0..1 is needed"),
        ("--task detect --onnx {onnx} --threshold 0.1 0.2 0.3", 2, "3 thresholds are given, and 2 classes"),
        ("--task detect --onnx {onnx} --range 1 0", 2, "--range: the first value must be below"),
        ("--task detect --onnx {onnx} --letterbox 64 64 --pad 256", 2, "--pad: a grey value in 0..255"),
        ("--task detect --config {onnx}", 2, "--task detect: its networks come from --onnx or --torch"),
        (
            "--task detect --onnx {onnx} --letterbox 64 64 --stretch 64 64",
            2,
            "--letterbox, --stretch: give only one",
        ),
        ("--task detect --onnx {onnx} --letterbox 0 64", 2, "a width and a height above 0"),
        ("--task detect --onnx {onnx} --layout yolov5", 3, "E_MODEL_CLASSES"),
        ("--task detect --onnx {onnx} --layout rfdetr", 3, "E_MODEL_LAYOUT"),
        ("--task detect --onnx {onnx} --layout yolov8 --class one", 3, "E_MODEL_CLASSES"),
        ("--task detect --onnx {onnx} --layout yolov8 --background 1", 2, "has no background class"),
        (
            "--task detect --onnx {onnx} --layout rfdetr --background all",
            2,
            "neither the index of a class nor none",
        ),
        (
            "--task detect --onnx {onnx} --layout yolov8 --letterbox 96 64",
            3,
            "Give --letterbox 64 64, or --stretch 64 64",
        ),
        (
            "--task detect --onnx {onnx} --layout yolov8 --onnx-output nix",
            2,
            "no such output; it has output0",
        ),
        ("--task detect --onnx {onnx} --input-shape 1 3 96 96", 2, "the graph's input is fixed"),
        ("--task detect --onnx best.pt", 2, "best.pt: it is a checkpoint, which can run code"),
        ("--task detect --onnx best.torchscript", 2, "it is TorchScript"),
        ("--task detect --onnx best.engine", 2, "it is a TensorRT plan"),
        ("--onnx best.pt", 2, "yolo export model=NAME.pt format=onnx"),
    ],
)
def test_mistakes_are_one_line(options, status, said, save, tmp_path, capsys):  # noqa: PLR0917
    """A user's mistake is one line with its code on stderr, a status, and no archive."""
    path = save(bright_onnx("yolov8"))
    words = options.format(onnx=path).split()
    if "--class" not in words:
        words += CLASSES
    assert main([*words, "--save-path", str(tmp_path / "out.tgz")]) == status
    text = capsys.readouterr().err
    assert said in text
    assert text.count("\n") == 1
    assert not list(tmp_path.rglob("*.tgz"))


@pytest.mark.process
def test_the_readmes_example(tmp_path):
    """The commands on the page, as they stand, make an archive that verifies on both engines."""
    assert readme_example("Detectors", tmp_path).count("agrees") == 3


MODULES = """
import torch
from torch import nn
from tests.tasks.folding import make_task, predict

torch.manual_seed(0)  # a network without a single negative logit would be refused, rightly

class Anchors(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 6, 8, 8)

    def forward(self, image):
        given = self.body(image).flatten(2)
        return torch.cat([given[:, :4].sigmoid() * 64, given[:, 4:].sigmoid()], 1)

class Queries(Anchors):
    def forward(self, image):
        given = self.body(image).flatten(2).transpose(1, 2)[:, :20]
        return given[..., :4].sigmoid(), given[..., 4:] * 8 - 2

class Named(Queries):
    def forward(self, image):
        boxes, labels = super().forward(image)
        return {"labels": labels, "dets": boxes}

class Blind(Anchors):
    def forward(self, image):
        return super().forward(image) * 0

class Fixed(Anchors):
    def forward(self, image):
        return super().forward(image) * float(image[0, 0, 0, 0])
"""


@pytest.mark.needs_export
@pytest.mark.parametrize(
    ("words", "outputs"),
    [
        ("Anchors --layout yolov8 --letterbox 64 64", {"predictions": "output0"}),
        ("Anchors --layout yolov8 --input-shape 1 3 64 96", {"predictions": "output0"}),
        ("Queries --layout rfdetr --stretch 96 96", {"boxes": "dets", "logits": "labels"}),
        ("Named --layout rfdetr --stretch 96 96", {"boxes": "dets", "logits": "labels"}),
    ],
)
def test_a_torch_module(exported, tmp_path, words, outputs):
    """A module that returns a tensor, a tuple or a dictionary becomes an archive that the engines agree on."""
    (tmp_path / "finders.py").write_text(MODULES)
    made, _ = exported(
        "--task", "detect", "--torch", *f"finders:{words}".split(), *CLASSES, cwd=tmp_path
    )  # fmt: skip
    assert made.meta["outputs"] == outputs
    assert verify([str(made.path)]) == 0


@pytest.mark.needs_export
def test_a_torch_module_that_finds_nothing(exported, tmp_path):
    """That the traced network was compared with nothing is printed."""
    (tmp_path / "finders.py").write_text(MODULES)
    words = "--task detect --layout yolov8 --letterbox 64 64 --torch finders:Blind"
    made, said = exported(*words.split(), *CLASSES, cwd=tmp_path)
    assert "the traced network are not compared: neither finds an object" in said
    assert "the self-test holds no objects" in said
    assert verify([str(made.path)]) == 0


@pytest.mark.needs_export
def test_a_torch_module_that_cannot_be_traced(tmp_path, monkeypatch, capsys):
    """What depends on a picture's values is told at the export, and a layout must be said."""
    (tmp_path / "lookers.py").write_text(MODULES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = ["--task", "detect", "--save-path", "m.tgz", *CLASSES, "--torch"]
    assert main([*words, "lookers:Fixed", "--layout", "yolov8", "--letterbox", "64", "64"]) == 3
    assert "finds other objects than the module in a picture of 64 x 64" in capsys.readouterr().err
    assert main([*words, "lookers:Anchors"]) == 2
    assert "--layout: it cannot be guessed for a torch module" in capsys.readouterr().err
    sys.modules.pop("lookers", None)
