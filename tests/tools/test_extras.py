"""tools/extras.py prints the requested requirements of pyproject.toml, and no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "extras.py"


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the script with these arguments."""
    return subprocess.run([sys.executable, str(SCRIPT), *args], capture_output=True, text=True, check=False)


def listed(*args: str) -> list[str]:
    """Return the lines that the script prints."""
    done = run(*args)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.process
def test_only_and_without_divide_an_extra():
    """--only and --without split an extra into two parts, in its order."""
    whole = listed("export")
    torch = listed("export", "--only", "torch")
    assert len(torch) == 1
    assert torch[0].startswith("torch==")
    assert [line for line in whole if line not in torch] == listed(
        "export", "--without", "torch", "not-there"
    )


@pytest.mark.process
def test_two_extras_repeat_nothing():
    """Requirements shared by two extras are printed once."""
    both = listed("paddle", "export")
    assert len(both) == len(set(both)) < len(listed("paddle")) + len(listed("export"))


@pytest.mark.process
def test_the_sdk_without_its_marker():
    """--plain removes the environment marker, to install the SDK on Python 3.13."""
    (line,) = listed("--base", "--only", "ivcap_sdk.service", "--plain")
    assert line.startswith("ivcap-sdk-service==")
    assert ";" not in line


@pytest.mark.process
def test_a_requirements_file(tmp_path):
    """Comments and blank lines are dropped; markers and versions stay."""
    (tmp_path / "r.txt").write_text("# head\n\nnumpy<2  # why\nsix; python_version < '4'\n")
    assert listed("--file", str(tmp_path / "r.txt")) == ["numpy<2", "six; python_version < '4'"]


@pytest.mark.process
@pytest.mark.parametrize("args", [["no-such-extra"], ["export", "--only", "no-such-package"]])
def test_what_is_not_there_is_an_error(args):
    """A name that is not in pyproject.toml is an error, so that no requirement is silently missing."""
    done = run(*args)
    assert done.returncode == 2
    assert "no-such" in done.stderr
