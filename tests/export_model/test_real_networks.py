"""Detectors as their authors ship them: packed in at most two commands, and exact from the archive to the table."""

from __future__ import annotations

import io
import json
import shutil
import tarfile

import numpy as np
import pytest

from export_model.export import main
from export_model.inspection import describe, inspect
from quadrat.package import open_archive

COCO = [
    "person",
    "bicycle",
    "car",
    "motorbike",
    "aeroplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic_light",
    "fire_hydrant",
    "stop_sign",
    "parking_meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports_ball",
    "kite",
    "baseball_bat",
    "baseball_glove",
    "skateboard",
    "surfboard",
    "tennis_racket",
    "bottle",
    "wine_glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot_dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "sofa",
    "pottedplant",
    "bed",
    "diningtable",
    "toilet",
    "tvmonitor",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell_phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy_bear",
    "hair_drier",
    "toothbrush",
]
BOX, SCORE = 1.0, 0.01
"""Largest difference of a side (source pixels) and of a score from the reference."""
ULTRAFACE = "--stretch 320 240 --range 0 255 --mean 127 --std 128"


@pytest.fixture
def pack(shared, tmp_path):
    """Pack a real network as a user would; the exit status."""

    def call(name, words=""):
        return _pack(shared / "networks", name, tmp_path, words)

    return call


def _pack(networks, name, tmp_path, words):
    classes = tmp_path / "classes.names"
    names = ["face"] if "face" in name else [each.replace("_", " ") for each in COCO]
    classes.write_text("\n".join(names) + "\n")
    given = ["--task", "detect", "--onnx", networks / f"{name}.onnx", "--classes", classes, *words.split()]
    return main([str(word) for word in (*given, "--save-path", tmp_path / "model.tgz")])


@pytest.mark.parametrize(
    ("name", "words"), [("yolox_nano", ""), ("nanodet_m_320", ""), ("ultraface_rfb320", ULTRAFACE)]
)
def test_a_real_network_finds_what_its_reference_finds(name, words, pack, shared, service):
    """Every object of the reference, and no other, with its class, box and score, on each picture."""
    assert pack(name, words) == 0
    reference = json.loads((shared / "networks" / "reference.json").read_text())[name]
    (service.folder / "in" / "pictures").mkdir()
    for picture in reference:
        shutil.copy(shared / "pictures" / picture, service.folder / "in" / "pictures")
    assert (
        service.run(
            "--model", service.folder / "model.tgz", "--images", "pictures", "--outputs", "none"
        ).status
        == 0
    )
    lines = [json.loads(line) for line in (service.out / "detections.jsonl").read_text().splitlines()]
    found = {line["name"].rpartition("/")[2]: line["detections"] for line in lines}
    for picture, expected in reference.items():
        left = list(found[picture])
        assert len(left) == len(expected), picture
        for kind, score, box in expected:
            near = [
                one for one in left
                if one["class"] == kind and abs(one["score"] - score) <= SCORE
                and max(abs(a - b) for a, b in zip(one["box"], box, strict=True)) <= BOX
            ]  # fmt: skip
            assert near, (picture, kind, score, box)
            left.remove(near[0])


def test_a_raw_yolox_is_not_packed_as_a_yolov5(pack, tmp_path, capsys):
    """The wrong layout is refused with the right one, before an archive is written."""
    assert pack("yolox_nano", "--layout yolov5") == 3
    said = capsys.readouterr().err
    assert said.startswith("E_MODEL_LAYOUT ")
    assert "all lie near the upper left corner" in said
    assert "--layout yolox" in said
    assert not (tmp_path / "model.tgz").exists()


def test_the_number_of_classes_is_stated_without_names(shared, tmp_path, capsys):
    """Archives state how many classes their networks have; tables then have a row of 0 for each class not found."""
    for name, words, count in (
        ("yolox_nano", "", 80),
        ("nanodet_m_320", "", 80),
        ("ultraface_rfb320", ULTRAFACE, 1),
    ):
        archive = tmp_path / f"{name}.tgz"
        network = shared / "networks" / f"{name}.onnx"
        given = ["--task", "detect", "--onnx", network, *words.split(), "--save-path", archive]
        assert main([str(word) for word in given]) == 0
        assert f"classes: {count}, unnamed" in capsys.readouterr().out
        assert open_archive(archive, tmp_path).num_classes == count


def test_another_number_of_names_than_classes_is_told(shared, tmp_path, capsys):
    """Two names for a network of 80 classes are a mistake in the names, not an unknown layout."""
    network = shared / "networks" / "yolox_nano.onnx"
    given = ["--task", "detect", "--onnx", network, "--class", "fish", "--class", "crab"]
    assert main([str(word) for word in (*given, "--save-path", tmp_path / "m.tgz")]) == 3
    said = capsys.readouterr().err
    assert said.startswith("E_MODEL_CLASSES ")
    assert "2 classes are named, but the network has 80. " in said


def test_what_the_file_does_not_say_is_assumed_and_not_found(shared):
    """The user is asked to check values, order and letterbox; classes without names are counted."""
    found = inspect(shared / "networks" / "yolox_nano.onnx")
    said = describe(found, "net").splitlines()
    assert not any("BGR" in note or "letterbox" in note for note in found.notes)
    pixels, place = (line for line in said if line.startswith("  assumed "))
    assert "pixels from 0 to 255 in BGR order" in pixels
    assert "a letterbox of 416 x 416 with the image in the upper left corner" in place
    assert all("check this with whoever trained the network" in line for line in (pixels, place))
    assert said[-1].strip() == "the 80 classes have no names: add --classes FILE or --class NAME ..."


@pytest.mark.parametrize(
    ("name", "unnamed"),
    [
        ("deeplab_v3_mnv2", "the 21 classes have no names"),
        ("ppocrv4_det", "the class has no name"),
        ("ultraface_rfb320", "the class has no name"),
    ],
)
def test_every_kind_of_network_has_its_assumptions(name, unnamed, shared):
    """For masks too; classes to name do not include a background."""
    found = inspect(shared / "networks" / f"{name}.onnx")
    assert (
        any("pixels from" in each and "check this" in each for each in found.assumed)
        or "--range" in found.command
    )
    assert f"{unnamed}: add --class" in describe(found, name)


def test_what_values_an_ultraface_takes_is_asked_for(pack, capsys):
    """Networks of its layout are trained in many ways, and a wrong one finds less without a word."""
    assert pack("ultraface_rfb320") == 2
    said = capsys.readouterr().err
    assert "Give --stretch 320 240 or --letterbox 320 240" in said
    assert "--range 0 255 --mean 127 --std 128" in said
    assert pack("ultraface_rfb320", ULTRAFACE) == 0


def test_a_photograph_makes_the_self_test(pack, shared, tmp_path):
    """With --picture the self-test holds what the network knows."""
    words = f"--picture {shared / 'pictures' / 'chelsea.png'}"
    assert pack("yolox_nano", words) == 0
    with tarfile.open(tmp_path / "model.tgz") as tar:
        member = tar.extractfile("selftest-scores.npy")
        assert member is not None
        assert np.load(io.BytesIO(member.read())).max() > 0.6
