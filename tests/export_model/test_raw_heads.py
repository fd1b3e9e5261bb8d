"""Raw heads of each family, as tiny networks: the layout is found, stated, and read on every engine."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest

from export_model.export import main
from export_model.verify import main as verify
from quadrat.engines import start
from quadrat.geometry import Geometry
from quadrat.package import open_archive
from quadrat.parameters import parse
from quadrat.transforms import build
from quadrat.types import Frame, FrameKey, Part
from tests.detectors import constant_onnx
from tests.export_model.conftest import Made
from tests.heads import HEADS, encode_head
from tests.tasks.folding import make_task, predict

HW = (192, 256)
BOXES = [[20, 20, 44, 60], [100, 90, 150, 130]]
VALUES = "--stretch 256 192 --range 0 1"
GIVEN = {"picodet": "--layout picodet", "ssd": VALUES}
"""What must be said beside the file and its classes, by layout."""
ONE = ("scrfd", "centerface")


def arrays_of(layout: str) -> dict[str, np.ndarray]:
    """Lay two objects out; rows of a YOLOX without an object are filled as a network fills them."""
    classes = [0, 0] if layout in ONE else [1, 0]
    made = encode_head(layout, BOXES, [0.9, 0.6], classes, num_classes=1 if layout in ONE else 2, hw=HW)
    if layout == "yolox":
        rows = made["output"]
        empty = rows[:, 4] == 0
        rows[empty, :4] = np.random.default_rng(0).normal(0.5, 1, (int(empty.sum()), 4))
    return made


@pytest.fixture
def pack(tmp_path, capsys):
    """Export a network in this process: its archive and what was printed, or its exit status and the error."""

    def export(data: bytes, layout: str, words: str = "", first: Sequence[str] = ()):
        (tmp_path / "net.onnx").write_bytes(data)
        names = [*first, "--class", "fish", *(() if layout in ONE else ("--class", "crab"))]
        path = tmp_path / "model.tgz"
        given = ["--task", "detect", "--onnx", str(tmp_path / "net.onnx"), *names, *words.split()]
        status = main([*given, "--save-path", str(path)])
        said = capsys.readouterr()
        return (Made(path), said.out) if status == 0 else (status, said.err)

    return export


def find(path, folder, engine: str):
    """Find the objects of a picture of the network's own size with an archive."""
    package = open_archive(path, folder)
    started = start(package, parse({"engine": engine}).engine, logging.getLogger("test"))
    task = make_task(package, started.outputs, parse({}))
    picture = np.zeros((*HW, 3), np.uint8)
    tensor, geometry = build(package.transforms)(picture, Geometry.identity(HW))
    given = started.run(np.ascontiguousarray(tensor[None], np.float32), task.wanted)
    started.close()
    part = Part({name: array[0] if task.batched else array for name, array in given.items()}, geometry)
    return predict(task, Frame(FrameKey("test"), HW, picture), [part])


@pytest.mark.parametrize("layout", HEADS)
def test_each_raw_head_becomes_an_archive_that_finds(layout, pack, tmp_path):
    """In one command, or with the words that the first one asks for; boxes, scores and classes are exact."""
    data = constant_onnx(arrays_of(layout), hw=HW, batch="n")
    made, said = pack(data, layout, GIVEN.get(layout, ""))
    assert isinstance(made, Made), said
    assert made.meta["detect"]["layout"] == layout
    for engine in ("openvino", "onnx"):
        found = find(made.path, tmp_path, engine)
        np.testing.assert_allclose(found.boxes, BOXES, atol=0.1)
        np.testing.assert_allclose(found.scores, [0.9, 0.6], atol=1e-3)
        assert found.classes.tolist() == ([0, 0] if layout in ONE else [1, 0])
    assert verify([str(made.path)]) == 0


@pytest.mark.parametrize("layout", ["scrfd", "nanodet", "yunet"])
def test_levels_without_a_batch_axis(layout, pack, tmp_path):
    """SCRFD's own export has none: inputs then run one at a time."""
    made, said = pack(constant_onnx(arrays_of(layout), hw=HW, batch=1, batched=False), layout)
    assert isinstance(made, Made), said
    np.testing.assert_allclose(find(made.path, tmp_path, "onnx").boxes, BOXES, atol=0.1)


def test_an_open_size_is_tried_at_the_size_that_is_given(pack, tmp_path):
    """The file states neither the input's size nor the rows; the archive states each tensor's role."""
    data = constant_onnx(arrays_of("nanodet"), hw=("h", "w"), batch="n")
    made, said = pack(data, "nanodet", "--letterbox 256 192")
    assert isinstance(made, Made), said
    assert made.meta["outputs"]["boxes-16"] == "dis_pred_stride_16"
    np.testing.assert_allclose(find(made.path, tmp_path, "onnx").boxes, BOXES, atol=0.1)


def test_a_picodet_is_not_taken_for_a_nanodet(pack):
    """Their shapes are equal, and their boxes half a pixel apart: the layout is asked for, with both names."""
    status, said = pack(constant_onnx(arrays_of("picodet"), hw=HW), "picodet")
    assert status == 3
    assert "may be nanodet or picodet" in said
    assert "Give --layout: nanodet, picodet" in said


def test_raw_scores_get_their_activation(pack, tmp_path):
    """Where only a sigmoid makes sense, it is stated; of two tensors with a softmax or a sigmoid, it is asked for."""
    arrays = arrays_of("nanodet")
    for name in [name for name in arrays if name.startswith("cls")]:
        shares = np.clip(arrays[name], 1e-5, 1 - 1e-5)
        arrays[name] = np.log(shares / (1 - shares)).astype(np.float32)
    made, said = pack(constant_onnx(arrays, hw=HW), "nanodet")
    assert isinstance(made, Made), said
    assert made.meta["detect"] == {"layout": "nanodet", "activation": "sigmoid"}
    np.testing.assert_allclose(find(made.path, tmp_path, "onnx").scores, [0.9, 0.6], atol=1e-3)
    raw = arrays_of("ssd")
    raw["scores"] = np.log(np.clip(raw["scores"], 1e-5, 1)).astype(np.float32)
    status, said = pack(constant_onnx(raw, hw=HW), "ssd", VALUES)
    assert status == 2
    assert "Give --activation softmax if the network has a class for the background" in said


def test_a_background_among_the_classes_is_left_out(pack, tmp_path):
    """Label files of SSDs begin with it; a class that nearly all anchors have is asked for, whatever its name."""
    data = constant_onnx(arrays_of("ssd"), hw=HW)
    for words in ("--class __background__", "--class nothing --background nothing"):
        first, rest = words.split(" --background")[0], words.partition(" --background")[1:]
        made, said = pack(data, "ssd", VALUES + " ".join(["", *rest]), first=first.split())
        assert isinstance(made, Made), said
        assert made.meta["detect"]["background"] == 0
        assert [each["name"] for each in made.meta["classes"]] == ["fish", "crab"]
        assert find(made.path, tmp_path, "onnx").classes.tolist() == [1, 0]
    status, said = pack(data, "ssd", VALUES, first=["--class", "nothing"])
    assert status == 2
    assert "class 0 of 3, which 100% of the anchors have, seems to mean no object" in said


def test_all_that_is_not_known_is_asked_for_at_once(pack):
    """Two commands suffice: the first one lists everything that the second one must give."""
    raw = arrays_of("ssd")
    raw["scores"] = np.log(np.clip(raw["scores"], 1e-5, 1)).astype(np.float32)
    status, said = pack(constant_onnx(raw, hw=HW), "ssd")
    assert status == 2
    assert said.count("\n") == 1
    for option in ("--stretch 256 192", "--range 0 255 --mean 127 --std 128", "--activation softmax"):
        assert option in said


def test_a_decoded_yolox_is_not_packed_with_the_values_of_a_yolov5(pack):
    """One row for each cell is no YOLOv5: a YOLOX takes other values, and would find nothing without a word."""
    rng, arrays = np.random.default_rng(0), arrays_of("yolox")
    rows = arrays["output"]
    rows[:, :2] = rng.uniform(0, HW[::-1], (len(rows), 2))
    rows[:, 2:4] = rng.uniform(20, 60, (len(rows), 2))
    data = constant_onnx(arrays, hw=HW)
    status, said = pack(data, "yolox")
    assert status == 2
    assert "--letterbox W H --position upper-left --bgr --range 0 255" in said
    made, said = pack(data, "yolox", "--letterbox 256 192 --position upper-left --bgr --range 0 255")
    assert isinstance(made, Made), said
    assert made.meta["detect"] == {"layout": "yolov5"}


def test_boxes_relative_to_anchors_are_refused(pack):
    """Neither corners nor centres with sizes: the anchors are not in the file."""
    raw = arrays_of("ssd")
    raw["boxes"] = np.random.default_rng(0).normal(0, 1, raw["boxes"].shape).astype(np.float32)
    status, said = pack(constant_onnx(raw, hw=HW), "ssd", f"--layout ssd {VALUES}")
    assert status == 3
    assert "may be relative to anchors" in said
    assert "Export the network with its boxes decoded" in said


def test_outputs_that_are_no_detectors_are_not_asked_for_a_layout(pack):
    """The layouts that are offered could be read; for a classifier and for masks there are none."""
    masks = np.random.default_rng(0).random((21, 48, 64), np.float32)
    for outputs in (
        {"probabilities": np.zeros(10, np.float32)},
        {"scores": masks},
        {"scores": masks * 9 - 5},
    ):
        status, said = pack(constant_onnx(outputs, hw=HW), "boxes")
        assert status == 3
        assert "which is no known layout" in said
        assert "--layout" not in said


def test_boxes_in_one_corner_are_not_packed_by_a_guess(pack):
    """All of many boxes in the upper left corner are no objects of pictures."""
    rng = np.random.default_rng(0)
    rows = np.zeros((300, 6), np.float32)
    rows[:, :2] = rng.uniform(0, 10, (300, 2))
    rows[:, 2:4] = rows[:, :2] + rng.uniform(1, 8, (300, 2))
    rows[:, 4] = rng.uniform(0, 1, 300)
    status, said = pack(constant_onnx({"output0": rows}, hw=HW), "yolov10")
    assert status == 3
    assert "yolov10: 100% of the best boxes lie in the upper left corner" in said
    made, said = pack(constant_onnx({"output0": rows}, hw=HW), "yolov10", "--layout yolov10")
    assert isinstance(made, Made), said
    assert "warning: 100% of the best boxes lie in the upper left corner" in said
