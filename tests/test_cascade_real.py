"""Real networks in one cascade: a detector, a segmentation network and a re-identification network on its objects."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from export_model.export import main
from tests.export_model.test_real_networks import COCO
from tests.moving import Order, order
from tests.results import product

VOC = [
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]  # fmt: skip


def classes(names: list[str]) -> list[str]:
    """Give the options that name classes."""
    return [word for name in names for word in ("--class", name)]


@pytest.fixture(scope="module")
def ran(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Order:
    """Pack three networks as a user does, and measure four pictures with them."""
    folder = tmp_path_factory.mktemp("cascade")
    networks, pictures = shared / "networks", shared / "pictures"
    commands = {
        "yolox": [
            "--onnx", f"{networks / 'yolox_nano.onnx'}", "--task", "detect", *classes(COCO),
            "--picture", f"{pictures / 'dog.jpg'}",
        ],
        "voc": [
            "--onnx", f"{networks / 'deeplab_v3_mnv2.onnx'}", *classes(VOC), "--stretch", "257", "257", "--on", "objects",
            "--padding", "0.1", "--min-size", "32",
        ],
        "reid": [
            "--onnx", f"{networks / 'person_reid_0288.onnx'}", "--task", "embed", "--stretch", "128", "256", "--bgr",
            "--range", "0", "255", "--on", "objects", "--of-class", "person",
        ],
    }  # fmt: skip
    archives = []
    for name, words in commands.items():
        archives.append(folder / f"{name}.tgz")
        assert 0 == main([*words, "--name", name, "--save-path", f"{archives[-1]}"])
    images = folder / "in"
    images.mkdir()
    for picture in ("dog.jpg", "uf_1.jpg", "chelsea.png", "astronaut.png"):
        shutil.copy(pictures / picture, images / picture)
    return order(archives, images, folder / "out", moving=False)


def rows(ran: Order) -> list[dict[str, str]]:
    """Read objects.csv."""
    return list(csv.DictReader(io.StringIO(ran.body("objects.csv").decode())))


def test_each_object_has_the_mask_of_its_class(ran: Order) -> None:
    """Two networks that were trained apart agree: most of a cat's mask is cat, and so for dogs and persons."""
    assert 0 == ran.status, ran.errors
    sure = [
        row for row in rows(ran) if float(row["score"]) > 0.6 and row["class"] in ("cat", "dog", "person")
    ]

    assert {"cat", "dog", "person"} == {row["class"] for row in sure}
    for row in sure:
        assert int(row[f"voc.area_{row['class']}"]) > 0.8 * int(row["voc.area"]) > 0


def test_masks_are_in_the_picture_as_in_the_table(ran: Order) -> None:
    """COCO's areas are those of objects.csv, and no mask is larger than its crop."""
    found = ran.json("coco.json")["annotations"]
    assert [row["voc.area"] for row in rows(ran) if row["voc.area"]] == [
        str(each["area"]) for each in found if each["segmentation"]
    ]
    for each in found:
        assert each["area"] <= 1.45 * each["bbox"][2] * each["bbox"][3] + 1000


def test_persons_have_vectors_and_others_have_a_reason(ran: Order) -> None:
    """One row of features for each person, of length 1, and none for a dog or a cat."""
    features = np.load(product(ran.out, "reid.features.npz"))
    persons = [row for row in rows(ran) if row["class"] == "person" and not row["reid.reason"]]

    assert len(persons) == len(features["vectors"]) > 5
    np.testing.assert_allclose(np.linalg.norm(features["vectors"], axis=1), 1, atol=1e-5)
    assert {"class"} == {row["reid.reason"] for row in rows(ran) if row["class"] != "person"}
