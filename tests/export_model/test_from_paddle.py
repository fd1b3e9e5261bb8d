"""One body of tests, run with paddle 3 of this interpreter and with paddle 2.6.2 of another."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

from export_model.verify import main as verify
from tests.export_model.conftest import run_script

CONFIG = {
    "model": {
        "type": "SegFormer",
        "num_classes": 3,
        "embedding_dim": 32,
        "backbone": {"type": "MixVisionTransformer_B0", "pretrained": "https://localhost:1/never.tar.gz"},
    },
    "val_dataset": {
        "type": "Dataset",
        "transforms": [
            {"type": "Resize"},
            {"type": "Normalize", "mean": [0.4, 0.4, 0.4], "std": [0.3, 0.3, 0.3]},
        ],
    },
}
MAKE_WEIGHTS = """
import sys, zlib, tarfile, paddle
from PIL import Image
from paddleseg.models import SegFormer, MixVisionTransformer_B0
paddle.seed(5)
net = SegFormer(3, MixVisionTransformer_B0(), 32)
paddle.save(net.state_dict(), sys.argv[1])
"""


@pytest.fixture(
    params=[
        pytest.param("paddle2", marks=pytest.mark.needs_paddle2),
        pytest.param("paddle3", marks=pytest.mark.needs_export),
    ]
)
def python(request):
    """An interpreter with paddle and paddleseg: of paddle 2.6.2 as the environment says, or this one."""
    return os.environ["QUADRAT_PADDLE2_PYTHON"] if request.param == "paddle2" else sys.executable


@pytest.fixture
def network(tmp_path, python):
    """A config and weights for it; the config's own pretrained weights cannot be fetched."""
    (tmp_path / "tiny.yml").write_text(yaml.safe_dump(CONFIG))
    subprocess.run(
        [python, "-c", MAKE_WEIGHTS, str(tmp_path / "w.pdparams")], check=True, capture_output=True
    )
    return tmp_path / "tiny.yml", tmp_path / "w.pdparams"


def forms(python):
    """The Paddle network's file and format, by the version that writes it."""
    return ("model.json", "pir") if python == sys.executable else ("model.pdmodel", "pdmodel")


def test_config_and_weights(exported, network, python, capsys):
    """The original form, Paddle's own file named rightly, ONNX beside it, and both agree on every engine here."""
    config, weights = network
    made, said = exported("--config", config, "--model", weights, python=python)
    file, form = forms(python)
    assert made.deploy == {
        "model": file,
        "params": "model.pdiparams",
        "transforms": [{"type": "Normalize", "mean": [0.4, 0.4, 0.4], "std": [0.3, 0.3, 0.3]}],
    }
    assert set(made.members) == {
        "deploy.yaml", "meta.json", file, "model.pdiparams", "model.onnx",
        "selftest-input.npy", "selftest-labels.npy",
    }  # fmt: skip
    assert made.meta["engines"] == {form: file, "onnx": "model.onnx"}
    assert made.meta["name"] == "tiny"
    assert made.meta["model"] == CONFIG["model"]
    assert made.meta["shape"] == [None, 3, None, None]
    assert made.meta["classes"] == []
    assert made.meta["provenance"]["sources"].keys() == {"tiny.yml", "w.pdparams"}
    assert made.array("selftest-labels.npy").max() > 0
    assert verify([str(made.path)]) == 0, capsys.readouterr().out
    assert "onnx on model.onnx" in capsys.readouterr().out
    assert "no ONNX" not in said


def test_the_original_pipeline_json(exported, network, python, tmp_path):
    """--cv-config names config, weights and classes, by paths beside it."""
    (tmp_path / "cv.json").write_text(
        json.dumps(
            {
                "paddlepaddlesegmentation_config_filename": "tiny.yml",
                "paddlepaddlesegmentation_model_filename": "w.pdparams",
                "segmentationpostprocessing_classes": ["Sand", "Sea grass", "Coral/Rock"],
                "segmentationpostprocessing_default_class_colours": [[1, 2, 3], [4, 5, 6]],
            }
        )
    )
    made, _ = exported("--cv-config", tmp_path / "cv.json", "--onnx-python", "", python=python)
    assert [c["id"].rpartition(":")[2] for c in made.meta["classes"]] == ["sand", "sea-grass", "coral-rock"]
    assert [c["def_color"] for c in made.meta["classes"]] == [[1, 2, 3], [4, 5, 6], []]
    assert "model.onnx" not in made.members


@pytest.mark.parametrize("softmax", [False, True])
def test_without_argmax(exported, network, python, softmax, tmp_path):
    """The Paddle network gives scores, or probabilities, at the input's size; run by the engine that reads it."""
    import logging
    from dataclasses import replace

    from quadrat.engines import start
    from quadrat.package import open_archive
    from quadrat.parameters import parse

    config, weights = network
    options = ["--without-argmax", *(["--with-softmax"] if softmax else [])]
    made, _ = exported("--config", config, "--model", weights, *options, python=python)
    package = open_archive(made.path, tmp_path)
    only = replace(package, engines={forms(python)[1]: package.engines[forms(python)[1]]}, outputs={})
    engine = start(only, parse({}).engine, logging.getLogger("test"))
    (given,) = engine.run(
        made.array("selftest-input.npy").astype(np.float32), [engine.outputs[0].name]
    ).values()
    engine.close()
    assert given.shape == (1, 3, 96, 128)
    assert (given.argmax(1) == made.array("selftest-labels.npy")).all()
    assert np.allclose(given.sum(1), 1, atol=1e-4) == softmax


def test_a_network_that_cannot_be_onnx(exported, python, tmp_path):
    """Adaptive pooling of free size breaks the converter, at worst its process: the archive goes without ONNX."""
    (tmp_path / "lite.yml").write_text(
        yaml.safe_dump({"model": {"type": "PPLiteSeg", "num_classes": 2, "backbone": {"type": "STDC1"}}})
    )
    made, said = exported("--config", tmp_path / "lite.yml", python=python)
    assert made.meta["engines"] == {forms(python)[1]: forms(python)[0]}
    assert made.meta["outputs"] == {}
    assert "no ONNX in the archive: " in said
    assert verify([str(made.path)]) == 0


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ("--config none.yml", 2, "no such file"),
        ("--config tiny.yml --model tiny.yml", 3, "not a .pdparams file"),
        ("--config other.yml --model w.pdparams", 3, "does not fit the config"),
        ("--config empty.yml", 2, "no model with a type"),
        ("--config unknown.yml --model w.pdparams", 2, "cannot be built"),
        ("--config tiny.yml --model w.pdparams --onnx-python= --class a", 3, "E_MODEL_CLASSES"),
    ],
)
def test_mistakes_are_one_line(network, python, tmp_path, options, status, said):  # noqa: PLR0917
    """Each mistake ends in one line with its code and status, and no archive."""
    changed = {**CONFIG, "model": {**CONFIG["model"], "num_classes": 5}}
    (tmp_path / "other.yml").write_text(yaml.safe_dump(changed))
    (tmp_path / "empty.yml").write_text("iters: 3\n")
    (tmp_path / "unknown.yml").write_text("model: {type: Nonesuch, num_classes: 2}\n")
    done = run_script("export.py", *options.split(), "--save-path", "m.tgz", python=python, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("E_")
    assert said in last
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m.tgz").exists()
