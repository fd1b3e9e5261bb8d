"""Real networks as their authors ship them: each is recognised, packs, and gives its reference result in an order."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from export_model.export import main
from export_model.inspection import describe, inspect
from tests.service.run import Service

VOC = [
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]
SKIN = "--class skin --class clothes --class hair --stretch 512 512 --mean 0.485 0.456 0.406 --std 0.229 0.224 0.225"
TEXT = "--class text --bgr --mean 0.5 --std 0.5 --letterbox 960 960 --position upper-left --pad 127"
PACKED = {
    "deeplab": ("deeplab_v3_mnv2", "--stretch 257 257 " + " ".join(f"--class {name}" for name in VOC), ""),
    "text at 0.5": ("ppocrv4_det", TEXT, "over 0.5"),
    "text at 0.3": ("ppocrv4_det", TEXT + " --threshold 0.3", "over 0.3"),
    "each": ("skin_clothes_hair_pan", SKIN + " --multi-label", "each over 0.5"),
    "best": (
        "skin_clothes_hair_pan", SKIN + " --background background", "best over 0.5, else background",
    ),
}  # fmt: skip
"""The network, how it is packed, and the entry of its reference."""
KINDS = {
    "deeplab_v3_mnv2": ("a network that makes masks", "segment", ""),
    "ppocrv4_det": ("a network that makes masks", "segment", ""),
    "skin_clothes_hair_pan": ("a network that makes masks", "segment", ""),
    "yolox_nano": ("a detector", "detect", "yolox"),
    "ultraface_rfb320": ("a detector", "detect", "ssd"),
    "nanodet_m_320": ("a detector", "detect", "nanodet"),
    "ppocr_cls": ("a classifier", "classify", ""),
    "person_reid_0288": ("an embedding", "embed", ""),
    "supres_y": ("a super-resolution network", "enhance", ""),
    "tbefn_480x640": ("an enhancement network", "enhance", ""),
}


@pytest.fixture(scope="module")
def networks(shared: Path) -> Path:
    """The folder of the networks."""
    return shared / "networks"


@pytest.mark.parametrize("case", PACKED)
def test_an_order_gives_the_reference_pixel_by_pixel(
    case: str, networks: Path, shared: Path, service: Service, tmp_path: Path
) -> None:
    """One command packs the network; all classes of all pictures have exactly the pixels of the reference."""
    name, words, key = PACKED[case]
    archive = tmp_path / "model.tgz"
    assert main(["--onnx", str(networks / f"{name}.onnx"), *words.split(), "--save-path", str(archive)]) == 0
    expected = json.loads((networks / "reference.json").read_text("utf-8"))[name]
    folder = tmp_path / "pictures"
    folder.mkdir()
    for picture in expected:
        (folder / picture).symlink_to(shared / "pictures" / picture)
    ran = service.run(
        "--model", archive, "--images", folder, "--outputs", "none", "--result-size", "source",
        "--max-img-size", "-1", "--executor", "local", in_dir=tmp_path,
    )  # fmt: skip
    assert ran.status == 0, ran.said
    found: dict[str, dict[str, int]] = {picture: {} for picture in expected}
    with (service.out / "survey.csv").open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            found[row["name"]][row["class"]] = int(row["pixels"])
    for picture, counts in expected.items():
        wanted: dict[str, Any] = counts[key] if key else counts
        assert {c: n for c, n in found[picture].items() if n} == {c: n for c, n in wanted.items() if n}, (
            picture
        )


@pytest.mark.parametrize("name", KINDS)
def test_a_network_is_called_what_it_is(name: str, networks: Path) -> None:
    """Masks, boxes and what quadrat has no task for are distinguished; only what it has a task for gets a command."""
    found = inspect(networks / f"{name}.onnx")
    assert (found.kind, found.task, found.layout) == KINDS[name]
    assert bool(found.command) == bool(found.task)
    if found.task in ("embed", "enhance"):
        assert "class" not in describe(found, name)
    assert found.channels_last == (name in ("deeplab_v3_mnv2", "person_reid_0288"))


@pytest.mark.parametrize("name", ["deeplab_v3_mnv2", "ppocrv4_det", "skin_clothes_hair_pan", "nanodet_m_320"])
def test_the_command_of_an_inspection_packs(name: str, networks: Path, tmp_path: Path) -> None:
    """It runs as it is printed."""
    words = shlex.split(inspect(networks / f"{name}.onnx").command)
    assert words[:2] == ["quadrat", "pack"]
    words[words.index("--save-path") + 1] = str(tmp_path / "made.tgz")
    assert main(words[2:]) == 0
    assert (tmp_path / "made.tgz").is_file()


@pytest.mark.parametrize("name", ["ppocr_cls", "person_reid_0288", "tbefn_480x640"])
def test_packing_calls_it_what_it_is_too(name: str, networks: Path, tmp_path: Path, capsys: Any) -> None:
    """The exporter refuses it in one line with the same words."""
    status = main(["--onnx", str(networks / f"{name}.onnx"), "--save-path", str(tmp_path / "made.tgz")])
    assert status in (2, 3)
    said = capsys.readouterr().err
    assert KINDS[name][0] in said
    assert said.count("\n") == 1


def test_everything_open_is_asked_for_at_once(networks: Path, tmp_path: Path, capsys: Any) -> None:
    """The second command can therefore be the last."""
    source = str(networks / "skin_clothes_hair_pan.onnx")
    assert main(["--onnx", source, "--save-path", str(tmp_path / "made.tgz")]) == 2
    said = capsys.readouterr().err
    for asked in ("--multi-label", "--background NAME", "--stretch 512 512", "--letterbox 512 512"):
        assert asked in said
