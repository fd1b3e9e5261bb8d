"""A real re-identification network gives DeepSORT the vectors of real persons."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from export_model.export import main
from tests.export_model.test_real_networks import COCO
from tests.moving import Order, film, order
from tests.results import product

FRAMES = 16


@pytest.fixture(scope="module")
def ran(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Order:
    """Pack a detector and a re-identification network as a user does, and follow persons in the first frames of a film."""
    folder = tmp_path_factory.mktemp("reid")
    networks = shared / "networks"
    named = [word for name in COCO for word in ("--class", name)]
    commands = {
        "yolox": ["--onnx", f"{networks / 'yolox_nano.onnx'}", "--task", "detect", *named,
                  "--picture", f"{shared / 'pictures' / 'dog.jpg'}"],
        "reid": ["--onnx", f"{networks / 'person_reid_0288.onnx'}", "--task", "embed", "--stretch", "128", "256", "--bgr",
                 "--range", "0", "255", "--on", "objects", "--padding", "0", "--of-class", "person"],
    }  # fmt: skip
    archives = [folder / f"{name}.tgz" for name in commands]
    for (name, words), archive in zip(commands.items(), archives, strict=True):
        assert 0 == main([*words, "--name", name, "--save-path", f"{archive}"])
    (folder / "in").mkdir()
    with av.open(str(shared / "clips" / "vtest.avi")) as container:
        frames = [each.to_ndarray(format="rgb24") for each in islice(container.decode(video=0), FRAMES)]
    film(folder / "in" / "walk.mp4", frames, rate=10)
    return order(archives, folder / "in", folder / "out", tracker="deepsort", outputs="none")


def test_each_person_has_one_track_and_vectors_of_its_own(ran: Order) -> None:
    """Vectors of one track are more alike than those of different tracks, and few tracks are short."""
    assert 0 == ran.status, ran.errors
    assert ran.json("run.json")["models"][0]["appearance"].startswith("vectors of reid, sha256 ")
    with np.load(product(ran.out, "reid.features.npz")) as features:
        vectors, tracks = features["vectors"], features["tracks"]
    vectors, tracks = vectors[tracks > 0], tracks[tracks > 0]
    cosines, same = vectors @ vectors.T, np.equal.outer(tracks, tracks)
    lengths = np.unique(tracks, return_counts=True)[1]

    assert 4 <= len(lengths) <= 10
    assert np.median(lengths) == FRAMES
    assert np.median(cosines[same]) > np.median(cosines[~same]) + 0.1
