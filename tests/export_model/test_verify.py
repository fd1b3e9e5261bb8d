from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from export_model.verify import READS, main
from quadrat.engines import ENGINES, start
from quadrat.engines.common import FILES
from quadrat.errors import EngineUnavailableError
from quadrat.package import open_archive
from quadrat.package.write import write_archive
from quadrat.parameters import parse
from quadrat.pipeline.models import load_models
from tests.export_model.conftest import EXPORTER, Made


@pytest.fixture
def made(exported, onnx_file):
    """A good archive with a self-test."""
    return exported("--onnx", onnx_file)[0]


def rewritten(made: Made, **changed: bytes) -> str:
    """Write the archive again with members changed, and its digests left out."""
    meta = dict(made.meta)
    meta.pop("sha256")
    members = {**made.members, "meta.json": json.dumps(meta).encode()}
    members.update({name.replace("__", "-").replace("_npy", ".npy"): body for name, body in changed.items()})
    write_archive(members, made.path)
    return str(made.path)


def with_wrong_labels(made: Made, count: int) -> str:
    """Let the archive's self-test expect another class in `count` pixels."""
    labels = made.array("selftest-labels.npy").copy()
    labels.ravel()[:count] ^= 1
    buffer = io.BytesIO()
    np.save(buffer, labels)
    return rewritten(made, selftest__labels_npy=buffer.getvalue())


@pytest.mark.process
def test_a_good_archive_agrees_on_both_engines(made, capsys):
    """Both engines say what the self-test expects, with the same confidence; paddle, that there is nothing for it."""
    assert main([str(made.path)]) == 0
    said = capsys.readouterr().out
    lines = {" ".join(line.split()[:3]): line for line in said.splitlines() if " / " not in line}
    for who in ("openvino on model.onnx", "onnx on model.onnx"):
        assert lines[who].split()[-1] == "agrees"
        assert lines[who].split()[3] == "0"
    assert "onnx on model.onnx / openvino on model.onnx" in said
    paddle = next(line for line in said.splitlines() if line.startswith("paddle"))
    assert paddle.split(maxsplit=1)[1] == "absent: the archive has no format that it reads"


@pytest.mark.process
@pytest.mark.parametrize("name", sorted(ENGINES.keys() - {"fake"}))
def test_what_each_engine_reads_is_what_it_says_itself(made, name, tmp_path):
    """The forms for which verify.py starts an engine are those that the engine's own error lists."""
    package = open_archive(made.path, tmp_path)
    form = next(form for form in FILES if form not in READS[name])
    only = replace(package, engines={form: package.engines["onnx"]})
    with pytest.raises(EngineUnavailableError) as caught:
        start(only, parse({"engine": name}).engine, logging.getLogger("test"))
    assert caught.value.what.startswith(f"it reads {' or '.join(FILES[one] for one in READS[name])}, but")


@pytest.mark.process
@pytest.mark.parametrize(
    ("wrong", "options", "status"),
    [
        (1, [], 1),
        (12, ["--tolerance", "0.001"], 0),
        (13, ["--tolerance", "0.001"], 1),
        (1, ["--engine", "onnx"], 1),
    ],
)
def test_pixels_above_the_tolerance_fail(made, wrong, options, status, capsys):
    """One pixel too many fails the archive (12288 pixels, so a thousandth is 12)."""
    assert main([with_wrong_labels(made, wrong), *options]) == status
    assert ("FAILS" in capsys.readouterr().out) == bool(status)


@pytest.mark.process
def test_an_engine_asked_for_must_run(made, capsys):
    """--engine paddle on an ONNX archive is not a success."""
    assert main([str(made.path), "--engine", "paddle"]) == 1
    assert "not verified: paddle did not run" in capsys.readouterr().out


@pytest.mark.process
def test_a_broken_network_fails(made, capsys):
    """A graph that an engine cannot read fails the archive, though the archive opens."""
    path = rewritten(made, **{"model.onnx": made.members["model.onnx"].replace(b"ArgMax", b"ArgMix")})
    assert main([path]) != 0
    said = capsys.readouterr()
    assert "E_MODEL_GRAPH" in said.out + said.err


@pytest.mark.process
def test_without_a_self_test(made, capsys):
    """An archive of the original form has no self-test, and the error says how to get one."""
    members = {n: b for n, b in made.members.items() if n in ("deploy.yaml", "model.onnx")}
    members["meta.json"] = json.dumps({"name": "old", "classes": []}).encode()
    write_archive(members, made.path)
    assert main([str(made.path)]) == 3
    assert capsys.readouterr().err.startswith("E_MODEL_MANIFEST old: it has no self-test")


@pytest.mark.process
@pytest.mark.parametrize("how", ["make -C {exporter}", "make -f {exporter}/Makefile"])
def test_make_verify_from_where_the_user_is(made, how):
    """A relative MODEL is looked for in the folder that make is called from."""
    venv = made.path.parent / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (venv / "bin" / "python").chmod(0o755)
    command = f"{how.format(exporter=EXPORTER)} verify RUNTIME={venv} MODEL="
    for model, status in ((made.path.name, 0), ("none.tgz", 2)):
        done = subprocess.run(
            ["bash", "-c", command + model], cwd=made.path.parent, capture_output=True, text=True,
            env={**os.environ, "MAKEFLAGS": ""}, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
    assert f"E_PARAMETER none.tgz: there is no such file in {made.path.parent}" in done.stderr


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "said"), [(["no.tgz"], "no such file"), (["{}", "--tolerance", "2"], "0 to 1")]
)
def test_mistakes_are_one_line(made, arguments, said, capsys):
    """A missing file and a tolerance that is no share are errors of the command line."""
    assert main([a.format(made.path) for a in arguments]) == 2
    text = capsys.readouterr().err
    assert said in text
    assert text.count("\n") == 1


@pytest.mark.process
def test_of_a_quantised_network_auto_takes_the_engine_that_agrees(exported, shared, tmp_path, capsys):
    """OpenVINO gives other boxes for a dynamically quantised network: verify names the engine to use, and auto takes it."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = tmp_path / "quantised.onnx"
    quantize_dynamic(shared / "networks" / "yolox_nano.onnx", path, weight_type=QuantType.QUInt8)
    words = (
        "--task detect --layout yolox --bgr --letterbox 416 416 --position upper-left --pad 114 --range 0 255"
    )
    made, _ = exported("--onnx", path, *words.split())
    status = main([str(made.path)])
    said = capsys.readouterr().out

    assert status == 1
    assert (
        "use --engine onnx: --engine auto takes no engine that differs from the self-test, here openvino"
        in said
    )
    with load_models([made.path], parse({}), logging.getLogger("test")) as models:
        assert [model.engine.name for model in models.values()] == ["onnx"]
