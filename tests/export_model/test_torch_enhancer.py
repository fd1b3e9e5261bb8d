"""Torch modules that make pictures become archives whose pictures equal the modules' own."""

from __future__ import annotations

import json
import logging
import tarfile

import numpy as np
import pytest
from PIL import Image

from export_model.export import main
from quadrat.job import run_order
from quadrat.parameters import parse
from quadrat.stores.folder import FolderStore

MODULES = """
import torch
from torch import nn


class Enlarger(nn.Module):
    def __init__(self, scale, norm=False, attention=False):
        super().__init__()
        self.scale, self.attention = scale, attention
        layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()]
        if norm:
            layers.append(nn.InstanceNorm2d(8))
        self.body = nn.Sequential(*layers, nn.Conv2d(8, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, image):
        details = self.body(image)
        if self.attention:
            details = details * torch.softmax(details.mean((2, 3)), 1)[:, :, None, None]
        return nn.functional.interpolate(image, scale_factor=float(self.scale), mode="nearest") + 0.1 * details


def made(**words):
    torch.manual_seed(0)
    return Enlarger(**words)


def twice(): return made(scale=2)
def four(): return made(scale=4)
def normed(): return made(scale=2, norm=True)
def attentive(): return made(scale=2, attention=True)
def single(): return nn.Conv2d(3, 1, 3, padding=1)
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder with a module of factories, which is the current one."""
    (tmp_path / "enlarging.py").write_text(MODULES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def pack(name, *words):
    """Pack what a factory makes."""
    return main(["--torch", f"enlarging:{name}", "--task", "enhance", *words, "--save-path", "net.tgz"])


@pytest.mark.needs_export
@pytest.mark.parametrize(
    ("name", "scale", "reach"), [("twice", 2, 2), ("four", 4, 2), ("normed", 2, None), ("attentive", 2, None)]
)
def test_the_picture_is_the_modules(modules, name, scale, reach):
    """An order gives what the module gives for the whole picture, at an odd size that is not that of the trace."""
    import enlarging
    import torch

    assert pack(name) == 0
    with tarfile.open("net.tgz") as tar:
        stated = json.load(tar.extractfile("meta.json"))["enhance"]
    assert (stated["scale"], stated["reach"]) == (scale, reach)
    pixels = np.random.default_rng(0).integers(0, 256, (61, 83, 3), np.uint8)
    (modules / "images").mkdir()
    Image.fromarray(pixels).save("images/a.png")
    store = FolderStore(modules / "net.tgz", modules / "images", modules / "out")
    outcome = run_order(parse({"executor": "local"}), store, logging.getLogger("quadrat.test"))
    assert outcome.exit_status == 0
    with torch.inference_mode():
        given = getattr(enlarging, name)().eval()(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)
    expected = np.rint(np.clip(given[0].permute(1, 2, 0).numpy() * 255, 0, 255))
    assert np.abs(np.asarray(Image.open("out/enhanced/a.enhanced.png")) - expected).max() <= 1


@pytest.mark.needs_export
def test_a_wrong_channel_count_is_one_clear_line(modules, capsys):
    """A module that gives one channel for three makes no pictures."""
    assert pack("single") == 3
    assert "which has not 3 channels" in capsys.readouterr().err
