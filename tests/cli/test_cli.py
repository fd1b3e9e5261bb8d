"""The commands, their help, and what a user's mistake looks like."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from quadrat import __version__
from quadrat.cli.commands import COMMANDS
from quadrat.parameters import GROUPS, Inputs
from quadrat.task_kinds import resolve
from tests.classifiers import color_archive
from tests.cli.conftest import BOXES, MASKS, ROOT, Quadrat


@pytest.mark.process
def test_the_command_and_the_module_are_one(tmp_path: Path) -> None:
    """`quadrat` is installed as a script, and `python -m quadrat` is the same."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert callable(resolve(scripts["quadrat"]))
    done = subprocess.run(
        [sys.executable, "-m", "quadrat", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"quadrat {__version__}\n"


def test_help_lists_every_command(quadrat: Quadrat) -> None:
    """Each command is in the help with what it does; without a word the help is shown, too."""
    ended = quadrat("--help")
    assert ended.status == 0
    for name, (_, what) in COMMANDS.items():
        assert name in ended.out
        assert what in ended.out
    assert quadrat().out == ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(quadrat: Quadrat, command: str) -> None:
    """--help ends with status 0 and shows commands that can be copied."""
    ended = quadrat(command, "--help")
    assert ended.status == 0
    assert "examples:" in ended.out
    assert f"  quadrat {command} " in ended.out or f"  quadrat {command}\n" in ended.out


def test_the_help_of_run_is_made_from_the_declarations(quadrat: Quadrat) -> None:
    """Every group has its heading, and every parameter is in it, except those that name inputs."""
    shown = quadrat("run", "--help").out
    for group in GROUPS:
        if group is Inputs:
            continue
        assert f"\n{group.title}:\n" in shown
        assert all(f"--{parameter.name}" in shown for parameter in group.declared())
    assert "--images" not in shown


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (["rnu"], 2, "Did you mean quadrat run?"),
        (["photos"], 2, "there is no such command"),
        (["classify", MASKS], 2, "To measure, write quadrat run MODEL PHOTOS..."),
        (["run"], 2, "MODEL: it is required"),
        (["run", MASKS], 2, "PHOTOS: it is required"),
        (["run", "none.tgz", "a.jpg"], 2, "none.tgz: there is no such file or folder"),
        (["run", "folder", "-o", "out"], 2, "folder: there is only one word, and it is not a model archive"),
        (["run", "a.jpg"], 2, "the model is missing. Write quadrat run model.tgz a.jpg"),
        (
            ["run", "folder", "--model", MASKS],
            2,
            "--model: there is no such option. The model is the first word",
        ),
        (["run", MASKS, "folder", "--output", "out"], 2, "-o or --out names the folder of results"),
        (["run", MASKS, "folder", "--outputs", "pseudo,", "overlay"], 2, "--outputs pseudo,overlay"),
        (["run", MASKS, "none.jpg"], 2, "none.jpg: there is no such file or folder"),
        (["run", MASKS, "none*.jpg"], 2, "no file or folder matches it"),
        (["run", MASKS, "empty"], 2, "empty: there is nothing to measure in it"),
        (["run", MASKS, "a.jpg", "--trakcer", "sort"], 2, "Did you mean --tracker?"),
        (["run", MASKS, "a.jpg", "--tracker", "sort"], 2, "Leave --tracker out\n"),
        (["run", MASKS, "a.jpg", "--batch-size", "x"], 2, "'x' is not an integer"),
        (["run", MASKS, "a.jpg", "--min-score", "0.5"], 2, "it applies only to the task detect"),
        (["run", "a.jpg", MASKS], 2, "Write the model first: quadrat run"),
        (["run", "folder", MASKS], 2, "Write the model first: quadrat run"),
        (["run", "a.jpg", "folder"], 2, "a.jpg: it is a picture, not a model archive"),
        (["run", "net.onnx", "folder"], 2, "it is a network, not a model archive"),
        (["run", MASKS, BOXES], 2, "it is an archive, not a picture or a video"),
        (["run", MASKS, "urn:ivcap:artifact:1"], 2, "is not on this machine"),
        (["run", "bad.tgz", "a.jpg"], 3, "E_MODEL"),
        (["describe"], 2, "quadrat describe --help"),
        (["describe", "none.tgz"], 2, "none.tgz: there is no such file"),
        (["describe", "bad.tgz"], 3, "E_MODEL"),
        (["describe", MASKS, "--jsno"], 2, "Did you mean --json?"),
        (["doctor", "--fast"], 2, "there is no such option"),
        (["describe", "net.onnx"], 3, "net.onnx: it is a network, not a model archive. quadrat pack makes"),
        (["describe", "folder"], 3, "folder: it is a folder, not a model archive. Give the file, model.tgz"),
        (["verify", "net.onnx"], 3, "net.onnx: it is a network, not a model archive. quadrat pack makes"),
        (["verify", "folder"], 3, "folder: it is a folder, not a model archive. Give the file, model.tgz"),
        (["pack", "net.onnx"], 2, "net.onnx: it belongs to no option. Write --onnx net.onnx"),
        (["pack", "--onxx", "net.onnx"], 2, "Did you mean --onnx?"),
        (["inspect"], 2, "the following arguments are required: FILE.onnx"),
        (["inspect", "none.onnx"], 2, "none.onnx: there is no such file"),
        (["inspect", MASKS], 2, "quadrat describe prints what it contains"),
        (["verify"], 2, "the following arguments are required: archive"),
    ],
)
def test_a_mistake_is_one_line(quadrat: Quadrat, words: list[str | Path], status: int, line: str) -> None:
    """A code, what is wrong and what to do, with the status of the service; no usage and no traceback."""
    shutil.copy(ROOT / "examples" / "images" / "site-a" / "quadrat-01.jpg", "a.jpg")
    Path("empty").mkdir()
    Path("folder").mkdir()
    shutil.copy("a.jpg", "folder")
    Path("bad.tgz").write_bytes(b"\x1f\x8bno archive")
    Path("net.onnx").write_bytes(b"\x08\x08")

    ended = quadrat(*words)

    assert ended.status == status
    assert line in ended.log
    assert ended.log.startswith("E_")
    assert ended.log.count("\n") == 1
    assert ended.out == ""
    assert sorted(path.name for path in Path().iterdir()) == [
        "a.jpg",
        "bad.tgz",
        "empty",
        "folder",
        "net.onnx",
    ]


def test_a_current_folder_that_is_gone_is_one_line(
    quadrat: Quadrat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths mean nothing there."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    ended = quadrat("run", MASKS, BOXES)
    assert (ended.status, ended.log.count("\n")) == (2, 1)
    assert "the current folder cannot be used" in ended.log


def test_an_error_of_our_own_is_one_line(quadrat: Quadrat, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the code E_INTERNAL and asks for a report."""

    def broken(_words: list[str]) -> int:
        raise RuntimeError("a fault\nof ours")

    monkeypatch.setattr("quadrat.cli.doctor.main", broken)
    ended = quadrat("doctor")
    assert (ended.status, ended.log) == (
        1,
        "E_INTERNAL RuntimeError: a fault\\nof ours. Please report this\n",
    )


def test_describe_prints_what_the_archive_says(quadrat: Quadrat) -> None:
    """The task, each class with its colour, the networks and the digest."""
    shown = quadrat("describe", BOXES).out
    for text in ("detect", "fish", "crab", "urchin", "model.onnx", "rectangles.tgz"):
        assert text in shown
    assert '"task": "segment"' in quadrat("describe", MASKS, "--json").out
    assert '"on": "frames"' in quadrat("describe", MASKS, "--json").out


def test_describe_says_what_a_model_is_about(quadrat: Quadrat) -> None:
    """One for the objects of a detector differs from one for pictures."""
    archive = color_archive(Path("c.tgz"), on="objects", objects={"classes": ["fish"]})
    shown = quadrat("describe", archive).out
    assert "objects of a detector, of class fish, with a padding of 0.1 of the box" in shown


def test_verify_compares_the_engines(quadrat: Quadrat) -> None:
    """The self-test of the example agrees on both engines."""
    ended = quadrat("verify", BOXES)
    assert ended.status == 0
    assert ended.out.count("agrees") == 3


def test_pack_without_onnx_says_how_to_install_it(quadrat: Quadrat, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain installation lacks onnx: one line names the extra."""
    Path("net.onnx").write_bytes(b"\x08\x08")
    monkeypatch.setitem(sys.modules, "onnx", None)
    ended = quadrat("pack", "--onnx", "net.onnx", "--class", "sand", "--save-path", "x.tgz")
    assert ended.status == 2
    assert "onnx is not installed" in ended.log
    assert "'.[pack]'" in ended.log


def test_doctor_checks_engines_codecs_and_folders(quadrat: Quadrat) -> None:
    """Each engine has a line, and a machine that can measure has the status 0."""
    ended = quadrat("doctor")
    assert ended.status == 0
    for text in (
        "openvino",
        metadata.version("onnxruntime"),
        "h264, vp9, av1",
        "temporary",
        "cache",
        "fonts",
    ):
        assert text in ended.out


def test_doctor_without_an_engine_says_so(quadrat: Quadrat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an engine the status is that of a missing engine, and the lines say which package to install."""
    for name in ("openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    from quadrat.engines import openvino

    openvino.shared_core.cache_clear()
    ended = quadrat("doctor")
    assert ended.status == 4
    assert ended.out.count("PROBLEM") >= 2
    assert "No engine can run a network here" in ended.out
