"""Classifiers from torch modules."""

from __future__ import annotations

import numpy as np
import pytest

from export_model import verify
from export_model.export import main
from tests.export_model.conftest import Made

pytestmark = pytest.mark.needs_export

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, count=3, wrap=None, end=None):
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head, self.wrap, self.end = nn.Linear(8, count), wrap, end

    def forward(self, x):
        vector = self.body(x)
        y = self.head(vector)
        y = self.end(y) if self.end else y
        return {"logits": y, "features": vector} if self.wrap == "dict" else (y, vector) if self.wrap else y

class Tied(Net):
    def forward(self, x):
        return super().forward(x) * int(x.shape[0])

class Plane(nn.Module):
    def forward(self, x):
        return x[:, 0]

def plain(): return Net()
def dictionary(): return Net(wrap="dict")
def pair(): return Net(wrap="tuple")
def softmax(): return Net(end=nn.Softmax(1))
def several(): return Net(end=nn.Sigmoid())
def binary(): return Net(1)
def tied(): return Tied()
def plane(): return Plane()
"""
WORDS = ["--task", "classify", "--crop", "40", "32", "--short-side", "48", "--range", "-1", "1"]


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    """A module of networks in the current folder."""
    (tmp_path / "labelnets.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)


def pack(factory: str, *words: str, classes: str = "a b c", status: int = 0) -> Made | None:
    """Pack what a factory makes, and open the archive."""
    named = [word for name in classes.split() for word in ("--class", name)]
    given = ["--torch", f"labelnets:{factory}", *(words or WORDS), *named, "--save-path", "made.tgz"]
    assert main(given) == status
    return None if status else Made("made.tgz")


@pytest.mark.parametrize(
    ("factory", "activation"),
    [
        ("plain", "softmax"),
        ("dictionary", "softmax"),
        ("pair", "softmax"),
        ("softmax", "softmax"),
        ("several", "sigmoid"),
    ],
)
def test_every_form_gives_the_probabilities_of_the_module(factory, activation):
    """A tensor, a dictionary or a tuple, with or without an activation of its own; the features are found."""
    made = pack(factory)
    assert made.meta["classify"]["activation"] == activation
    assert set(made.meta["outputs"]) == {"logits", "features"}
    assert made.meta["shape"] == [None, 3, 32, 40]
    assert verify.main(["made.tgz"]) == 0
    import torch

    from export_model.from_torch import make

    image = torch.from_numpy(made.array("selftest-input.npy").astype(np.float32))
    with torch.inference_mode():
        given = make(f"labelnets:{factory}").eval()(image)
    given = given["logits"] if factory == "dictionary" else given[0] if factory == "pair" else given
    own = given if factory in ("softmax", "several") else given.softmax(1)
    np.testing.assert_allclose(made.array("selftest-probabilities.npy"), own[0].numpy(), atol=1e-5)


def test_one_score_is_a_choice_of_two():
    """The probability of the named class and of its opposite."""
    made = pack("binary", classes="fire")
    assert [each["name"] for each in made.meta["classes"]] == ["no fire", "fire"]


@pytest.mark.parametrize(
    ("factory", "words", "status", "said"),
    [
        ("plain", ["--task", "classify", "--range", "0", "1"], 2, "size of its pictures"),
        ("plain", ["--task", "classify", "--stretch", "32", "32"], 2, "--mean"),
        ("plain", [*WORDS, "--activation", "none"], 2, "--activation none"),
        ("tied", WORDS, 3, "other scores than the module"),
        ("plane", WORDS, 3, "returns no scores"),
    ],
)
def test_mistakes_are_one_line(factory, words, status, said, capsys):
    """What is open, and modules that are no classifiers or that tracing changes."""
    pack(factory, *words, status=status)
    text = capsys.readouterr().err
    assert said in text
    assert text.count("\n") == 1
