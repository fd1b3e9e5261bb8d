"""Every command and every piece of Python in README and guides does what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", "docs/guide/ecologist.md", "docs/guide/ml-engineer.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    """Give the code blocks of one language on all pages."""
    return [body for page in PAGES for lang, body in BLOCK.findall((ROOT / page).read_text()) if lang == kind]


def commands() -> list[str]:
    """Give the shell lines of all pages, without comments."""
    return [
        line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines() if line.strip()
    ]


MAKE = sorted({line for line in commands() if line.startswith("make ")})
SERVICE = [line for line in commands() if "infer_service.py" in line]
IVCAP = [line for line in commands() if line.startswith("ivcap ")]


def test_every_command_is_one_that_is_tested_here() -> None:
    """A command of a new kind needs a test of its own."""
    left = [
        line
        for line in commands()
        if line not in MAKE + SERVICE + IVCAP and not line.startswith("mkdir -p DATA/")
    ]

    assert [] == left
    assert len(SERVICE) == 2
    assert len(MAKE) >= 8


@pytest.mark.parametrize("line", MAKE)
def test_make_targets_exist(line: str) -> None:
    """Make knows each target, and CI runs the two that the README opens with."""
    done = subprocess.run(
        [*shlex.split(line), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_ci_runs_the_readmes_own_commands() -> None:
    """Make run, make test and make test-all are what .ci/run runs."""
    script = (ROOT / ".ci" / "run").read_text()

    assert [] == [name for name in ("make run", "make test test-all") if name not in script]


@pytest.mark.parametrize("line", SERVICE)
def test_the_service_runs_as_written(line: str, tmp_path: Path) -> None:
    """The two ways to measure one's own images deliver masks and the table."""
    words = shlex.split(line)
    assert words[0] == ".venv/bin/python"
    words[0] = sys.executable
    words[-1] = str(tmp_path)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "survey.csv").exists()
    assert len(list(tmp_path.glob("*.pseudo.png"))) == (4 if "--images" in words else 1)


@pytest.mark.parametrize("line", IVCAP)
def test_the_platforms_commands_name_files_that_exist(line: str) -> None:
    """What is uploaded is there, and the order names parameters that the service has."""
    from quadrat.parameters import PARAMETERS

    words = shlex.split(line)
    files = [words[i + 1] for i, word in enumerate(words) if word == "-f"]
    given = {word.split("=")[0] for word in words if "=urn:" in word}

    assert all((ROOT / name).is_file() for name in files)
    assert given <= {p.name for p in PARAMETERS}


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code: str) -> None:
    """Each block runs from the project's folder and prints something."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "quadrat-01.jpg" in done.stdout


def test_the_quickstart_script_runs(tmp_path: Path) -> None:
    """examples/quickstart.py measures the example images and saves pictures."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, str(ROOT / "examples" / "quickstart.py"), str(tmp_path)]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.overlay.jpg"))) == 4


def test_links_lead_somewhere() -> None:
    """Every relative link on every page names a file."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "export_model").glob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert [] == broken
