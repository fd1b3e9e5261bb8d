"""Run the exporter as people do, and look into what it made."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.networks import brightness_onnx

EXPORTER = Path(__file__).resolve().parents[2] / "export_model"


class Made:
    """An exported archive, opened the way the original service opens one."""

    def __init__(self, path: Path) -> None:
        with tarfile.open(path, "r|gz") as tar:
            self.members = {m.name: tar.extractfile(m).read() for m in tar}
        self.path = path
        self.deploy = yaml.safe_load(self.members["deploy.yaml"])["Deploy"]
        self.meta = json.loads(self.members["meta.json"])

    def array(self, name: str) -> np.ndarray:
        """Load an array of the archive."""
        return np.load(io.BytesIO(self.members[name]), allow_pickle=False)


def run_script(
    name: str,
    *arguments: object,
    python: str = sys.executable,
    cwd: Path | None = None,
    python_options: tuple = (),
):
    """Run one of the exporter's scripts in a process of its own."""
    command = [python, *python_options, str(EXPORTER / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=500, check=False)


def readme_example(section: str, folder: Path) -> str:
    """Run the last shell block of a section of the page in a folder like the project's root; what it printed."""
    page = (EXPORTER / "README.md").read_text("utf-8")
    block = page.split(f"\n## {section}\n")[1].split("\n## ")[0].split("```sh\n")[-1].split("```")[0]
    (folder / "export_model").symlink_to(EXPORTER)
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", "-eu", "-c", block], cwd=folder, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def exported(tmp_path):
    """Call with options: runs export.py, which must succeed, and gives the archive and what was printed."""

    def export(*arguments: object, python: str = sys.executable, cwd: Path | None = None):
        path = tmp_path / "model.tgz"
        done = run_script("export.py", *arguments, "--save-path", path, python=python, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return Made(path), done.stdout

    return export


@pytest.fixture
def onnx_file(tmp_path):
    """An ONNX network that gives scores only."""
    path = tmp_path / "bright.onnx"
    path.write_bytes(brightness_onnx(("logits",)))
    return path
