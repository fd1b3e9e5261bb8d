"""The comparison of trackers with vectors takes the crops and vectors of an order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.mot import Film
from benchmarks.motion import SimulatedFrame
from benchmarks.reid import Network, described
from quadrat.predictions import Detections
from tests.moving import RECTANGLES, SAND, film, order
from tests.results import product
from tests.vectors import GREENISH, PURPLE, vector_archive


def test_vectors_are_those_of_an_order(tmp_path: Path) -> None:
    """To the bit, with padding, and each with its own box; objects below min-score have none."""
    pixels = np.full((144, 192, 3), SAND, np.uint8)
    pixels[30:70, 20:60], pixels[90:130, 100:150] = GREENISH, PURPLE
    (tmp_path / "in").mkdir()
    source = film(tmp_path / "in" / "pair.mp4", [pixels] * 3)
    archive = vector_archive(tmp_path / "reid.tgz", objects={"padding": 0.2})
    ran = order([RECTANGLES, archive], tmp_path / "in", tmp_path / "out", engine="onnx", outputs="none")
    assert 0 == ran.status
    with np.load(product(ran.out, "reid.features.npz")) as features:
        boxes, vectors = features["boxes"][:2], features["vectors"][:2]

    faint = np.concatenate([boxes[::-1], [[0, 0, 9, 9]]]).astype(np.float32)
    found = Detections(faint, np.array([0.9, 0.8, 0.1], np.float32), np.zeros(3, np.int32))
    own = SimulatedFrame(np.zeros(0, np.int32), np.zeros((0, 4), np.float32), found, np.zeros((3, 0)))
    network = Network(archive, tmp_path)
    (made,) = described([Film("pair", [own])], Path(source.token), network.describe, 1)

    (frame,) = made.frames
    np.testing.assert_array_equal(vectors[::-1], frame.embeddings)
    assert 2 == len(frame.detections) == network.spent.objects
