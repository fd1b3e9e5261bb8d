from __future__ import annotations

import numpy as np
import pytest

from quadrat.package import open_archive
from tests.export_model.conftest import readme_example, run_script

pytestmark = pytest.mark.needs_export

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, stride=2, channels=2, wrap=None):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, stride, 1)
        self.wrap = wrap

    def forward(self, x):
        y = self.conv(x)
        if self.wrap == "dict":
            return {"out": y}
        return (y, y) if self.wrap == "tuple" else y

class Fixed(nn.Module):
    def forward(self, x):
        return nn.functional.interpolate(x[:, :2], (x.shape[2] // 1, int(x.shape[3])))[:, :, :96, :128]

class Sized(Net):
    def forward(self, x):
        return super().forward(x) * (int(x.shape[1]) / 3)

def small(): return Net()
def sized(): return Sized(1)
def dictionary(): return Net(1, wrap="dict")
def pair(): return Net(1, wrap="tuple")
def binary(): return Net(1, 1)
def probabilities(): return nn.Sequential(Net(1, 3), nn.Softmax(1))
def tied(): return Fixed()
def number(): return 1
def needy(a): return a
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with a module of networks in it, and seeded weights for the first."""
    (tmp_path / "mynets.py").write_text(MODULE)
    return tmp_path


@pytest.fixture
def weights(folder):
    """Seeded weights of `small`, as a state_dict."""
    import torch

    generator = torch.Generator().manual_seed(1)
    state = {
        "conv.weight": torch.randn(2, 3, 3, 3, generator=generator),
        "conv.bias": torch.randn(2, generator=generator),
    }
    torch.save(state, folder / "w.pt")
    return state


def onnx_logits(made, image):
    """Run the archive's network on a picture."""
    from export_model.heads import Runner

    return Runner(made.members["model.onnx"])(image, "logits")


@pytest.mark.parametrize("form", ["pt", "nested", "safetensors"])
def test_weights_reach_the_archive(exported, folder, weights, form):
    """The archive's network is the module with these weights, at other sizes and batches than the one traced."""
    import torch
    from torch.nn import functional

    path = folder / "w.pt"
    if form == "nested":
        path = folder / "n.pt"
        torch.save({"epoch": 3, "state_dict": weights}, path)
    if form == "safetensors":
        from safetensors.torch import save_file

        path = folder / "w.safetensors"
        save_file(weights, path)
    made, _ = exported(
        "--torch", "mynets:small", "--weights", path, "--class", "a", "--class", "b", cwd=folder
    )
    image = torch.randn(2, 3, 50, 71)
    scores = functional.conv2d(image, weights["conv.weight"], weights["conv.bias"], 2, 1)
    scores = functional.interpolate(scores, (50, 71), mode="bilinear", align_corners=False)
    assert np.allclose(onnx_logits(made, image.numpy()), scores.numpy(), atol=1e-4)
    assert made.meta["provenance"]["sources"].keys() == {path.name}
    assert "torch" in made.meta["provenance"]["versions"]


@pytest.mark.parametrize(
    ("factory", "channels"), [("dictionary", 2), ("pair", 2), ("binary", 2), ("probabilities", 3)]
)
def test_the_usual_ways_to_give_scores(exported, folder, factory, channels, tmp_path):
    """Scores in a dictionary, a tuple, one channel or as probabilities make the same three outputs."""
    made, said = exported("--torch", f"mynets:{factory}", cwd=folder)
    assert "labels, confidence, logits" in said
    assert onnx_logits(made, np.zeros((1, 3, 20, 30), np.float32)).shape == (1, channels, 20, 30)
    assert open_archive(made.path, tmp_path).outputs["confidence"] == "confidence"


def test_what_is_worth_knowing_is_said(exported, folder):
    """No weights, unnamed classes and the tracer's doubt are a line each, on stdout."""
    _, said = exported("--torch", "mynets:sized", cwd=folder)
    assert "no --weights: the network keeps the weights from the factory\n" in said
    assert "; classes: 2, unnamed; " in said
    (doubt,) = (line for line in said.splitlines() if "TracerWarning" in line)
    assert doubt.startswith("torch's TracerWarning at mynets.py:")
    torch_says_nothing, _ = said.split("no --weights")
    assert torch_says_nothing == ""


def test_the_readmes_torch_example(tmp_path):
    """The commands on the page, as they stand, make an archive that verifies on every engine here."""
    assert readme_example("torch", tmp_path).count("agrees") == 3


def test_a_size_that_the_trace_took_for_fixed(folder):
    """The doubt is said, and then what it came to is refused."""
    done = run_script("export.py", "--torch", "mynets:tied", "--save-path", folder / "m.tgz", cwd=folder)
    assert done.returncode == 3
    assert "works at one size only" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "TracerWarning" in done.stdout


def test_a_fixed_input_shape(exported, folder):
    """--input-shape makes a network of one size, said in meta.json; photographs are brought to it."""
    (folder / "t.yml").write_text("[{type: Resize, target_size: [96, 64]}, {type: Normalize}]")
    made, _ = exported(
        "--torch", "mynets:small", "--input-shape", 1, 3, 64, 96, "--transforms", "t.yml", cwd=folder
    )
    assert made.meta["shape"] == [1, 3, 64, 96]
    assert onnx_logits(made, np.zeros((1, 3, 64, 96), np.float32)).shape == (1, 2, 64, 96)


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ("mynets", 2, "package.module:factory"),
        ("nowhere:x", 2, "ModuleNotFoundError"),
        ("mynets:nothing", 2, "AttributeError"),
        ("mynets:needy", 2, "take no arguments"),
        ("mynets:number", 2, "not a torch module"),
        ("mynets:small --input-shape 1 3 64 96", 2, "Give --stretch 96 64"),
        ("mynets:small --weights none.pt", 2, "no such file"),
        ("mynets:small --weights mynets.py", 3, "not plain tensors"),
        ("mynets:small --weights code.pt", 3, "not plain tensors"),
        ("mynets:small --weights other.pt", 3, "do not fit the network"),
    ],
)
def test_mistakes_are_one_line(folder, options, status, said):
    """Each mistake is one line with its code and status; a pickle with code in it is never run."""
    import pickle

    import torch

    class Code:
        def __reduce__(self):
            return (open, (str(folder / "ran"), "w"))

    (folder / "code.pt").write_bytes(pickle.dumps(Code()))
    torch.save({"conv.weight": torch.zeros(1)}, folder / "other.pt")
    done = run_script("export.py", "--torch", *options.split(), "--save-path", folder / "m.tgz", cwd=folder)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert done.stderr.startswith("E_")
    assert done.stderr.count("\n") == 1
    assert not (folder / "m.tgz").exists()
    assert not (folder / "ran").exists()
