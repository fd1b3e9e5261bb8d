from __future__ import annotations

import logging
import re

import numpy as np
import pytest

from examples.draw_quadrats import CLASSES, COLORS, draw
from export_model.verify import main as verify
from quadrat.engines import start
from quadrat.package import open_archive
from quadrat.parameters import parse
from tests.examples.conftest import EXAMPLES_FOLDER

ARCHIVE = EXAMPLES_FOLDER / "models" / "seagrass-tiny.tgz"


@pytest.fixture
def package(tmp_path):
    """The opened example model."""
    return open_archive(ARCHIVE, tmp_path)


def test_the_archive_describes_the_model(package):
    """It has the drawings' three classes and colours, any picture size, all three outputs, and a few hundred kB."""
    assert [(c.name, c.color) for c in package.classes] == list(zip(CLASSES, COLORS, strict=True))
    assert package.input_shape == (None, 3, None, None)
    assert set(package.outputs) == {"labels", "confidence", "logits"}
    assert ARCHIVE.stat().st_size < 500_000


def test_it_passes_its_own_self_test(capsys):
    """Every available engine reproduces the labels of torch at export."""
    assert verify([str(ARCHIVE)]) == 0, capsys.readouterr().out


def test_unseen_drawings(package):
    """On full-size drawings with other seeds than in training, its mIoU is at least 0.75 and near the stated one."""
    engine = start(package, parse({"engine": "openvino"}).engine, logging.getLogger("test"))
    confusion = np.zeros((3, 3), np.int64)
    for seed, hw in ((20_001, (1024, 1280)), (20_002, (866, 1154)), (20_003, (1201, 1199))):
        drawing = draw(seed, hw, density=0.4, frame=True)
        image = (drawing.pixels.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
        predicted = engine.run(np.ascontiguousarray(image), ["labels"])["labels"][0]
        pairs = drawing.mask.astype(np.int64) * 3 + predicted
        confusion += np.bincount(pairs.ravel(), minlength=9).reshape(3, 3)
    engine.close()
    intersection = np.diag(confusion)
    miou = (intersection / (confusion.sum(0) + confusion.sum(1) - intersection)).mean()
    assert miou >= 0.75

    page = (EXAMPLES_FOLDER / "models" / "README.md").read_text("utf-8")
    stated = float(re.search(r"mIoU \*\*(0\.\d+)\*\*", page).group(1))
    assert abs(miou - stated) < 0.08


@pytest.mark.parametrize("hw", [(1, 1), (17, 33), (250, 31)])
def test_any_size_runs(package, hw):
    """Odd and tiny pictures work, and a batch gives the same as its pictures one by one."""
    engine = start(package, parse({"engine": "openvino"}).engine, logging.getLogger("test"))
    images = np.random.default_rng(0).uniform(-1, 1, (3, 3, *hw)).astype(np.float32)
    batch = engine.run(images, ["labels", "confidence"])
    assert batch["labels"].shape == (3, *hw)
    for index in range(3):
        alone = engine.run(images[index : index + 1], ["labels", "confidence"])
        assert np.allclose(alone["confidence"][0], batch["confidence"][index], atol=1e-5)
    engine.close()
