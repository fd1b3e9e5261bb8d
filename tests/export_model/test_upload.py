from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from export_model.upload import main
from tests.export_model.conftest import EXPORTER

STAND_IN = """#!{python}
import json, os, sys
words = sys.argv[1:]
text = "" if "--help" in words else sys.stdin.read()
with open(os.environ["RECORD"], "a") as record:
    record.write(json.dumps([words, text]) + "\\n")
kind = os.environ["CLI_KIND"]
if "--help" in words:
    sys.exit(0 if kind in words else "unknown command")
if "create" in words:
    if os.environ.get("CLI_FAILS"):
        sys.exit("Error: not logged in")
    print("urn:ivcap:artifact:1234")
"""


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """A stand-in for the platform's tool, which records what it is told; gives the record as a function."""
    tool = tmp_path / "ivcap"
    tool.write_text(STAND_IN.format(python=sys.executable))
    tool.chmod(0o755)
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    monkeypatch.setenv("CLI_KIND", "aspect")

    def record():
        return [json.loads(line) for line in (tmp_path / "record").read_text().splitlines()]

    record.tool = str(tool)
    return record


@pytest.fixture
def made(exported, onnx_file):
    """An exported archive with its metadata beside it."""
    return exported("--onnx", onnx_file)[0]


@pytest.mark.process
@pytest.mark.parametrize("kind", ["aspect", "metadata"])
def test_archive_then_metadata(cli, made, kind, monkeypatch):
    """The archive goes up first; its URN is in the metadata, added by the words that this CLI knows."""
    monkeypatch.setenv("CLI_KIND", kind)
    assert main([str(made.path), "--ivcap", cli.tool + " --context test", "--name", "m"]) == 0
    told = [(words, text) for words, text in cli() if "--help" not in words]
    assert told[0][0] == (
        f"--context test --silent artifact create -n m -f {made.path} --chunk-size 20000000".split()
    )
    assert told[1][0] == f"--context test --timeout 600 {kind} add urn:ivcap:artifact:1234 -f -".split()
    sent = json.loads(told[1][1])
    assert sent["artifact"] == "urn:ivcap:artifact:1234"
    assert sent["$schema"] == "urn:ibenthos:schema:paddle.seg.model.1"
    assert len(told) == 2


@pytest.mark.process
def test_nothing_goes_up_with_a_cli_that_has_no_metadata(cli, made, monkeypatch, capsys):
    """An artifact without metadata is of no use, so the tool is asked before."""
    monkeypatch.setenv("CLI_KIND", "other")
    assert main([str(made.path), "--ivcap", cli.tool]) == 6
    assert "neither aspect add nor metadata add" in capsys.readouterr().err
    assert all("--help" in words for words, _ in cli())


@pytest.mark.process
def test_a_failing_upload_is_one_line(cli, made, monkeypatch, capsys):
    """What the tool says last is passed on, with the status of a failed delivery."""
    monkeypatch.setenv("CLI_FAILS", "1")
    assert main([str(made.path), "--ivcap", cli.tool]) == 6
    text = capsys.readouterr().err
    assert text.startswith("E_DELIVERY")
    assert "not logged in" in text
    assert text.count("\n") == 1


@pytest.mark.process
def test_no_tool_and_no_file(made, tmp_path, capsys):
    """A tool that is not installed, or an archive that is not there, is said by name."""
    assert main([str(made.path), "--ivcap", str(tmp_path / "none")]) == 6
    assert f"E_DELIVERY cannot run {tmp_path / 'none'}: No such file" in (said := capsys.readouterr().err)
    assert "Give its path with IVCAP=..." in said
    assert main([str(made.path), "--ivcap", ""]) == 2
    assert main([str(tmp_path / "none.tgz")]) == 2
    assert "none.tgz: there is no such file" in capsys.readouterr().err


@pytest.mark.process
def test_make_deploy_model(cli, made):
    """The make target uploads both with the tool it is given."""
    done = subprocess.run(
        ["make", "-C", str(EXPORTER), "deploy-model", f"MODEL={made.path}", f"IVCAP={cli.tool}",
         f"PYTHON={sys.executable}", "MODEL_NAME=seagrass v1"],
        capture_output=True, text=True, env={**os.environ, "MAKEFLAGS": ""}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "urn:ivcap:artifact:1234" in done.stdout
    assert any("seagrass v1" in words for words, _ in cli())
