"""tools/extras.py prints the lines of pyproject.toml that were asked for, and no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "extras.py"


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the script by its command line."""
    return subprocess.run([sys.executable, str(SCRIPT), *args], capture_output=True, text=True, check=False)


def listed(*args: str) -> list[str]:
    """Give the lines that it prints."""
    done = run(*args)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_only_and_without_divide_an_extra():
    """What is left out and what is left make the whole, in its order."""
    whole = listed("export")
    torch = listed("export", "--only", "torch")
    assert len(torch) == 1
    assert torch[0].startswith("torch==")
    assert [line for line in whole if line not in torch] == listed(
        "export", "--without", "torch", "not-there"
    )


def test_two_extras_repeat_nothing():
    """What two extras share is printed once."""
    both = listed("paddle", "export")
    assert len(both) == len(set(both)) < len(listed("paddle")) + len(listed("export"))


def test_the_sdk_without_its_marker():
    """On Python 3.13 the SDK is installed by its plain line."""
    (line,) = listed("--base", "--only", "ivcap_sdk.service", "--plain")
    assert line.startswith("ivcap-sdk-service==")
    assert ";" not in line


def test_a_requirements_file(tmp_path):
    """Comments and blank lines of a file are no requirements; markers and versions stay."""
    (tmp_path / "r.txt").write_text("# head\n\nnumpy<2  # why\nsix; python_version < '4'\n")
    assert listed("--file", str(tmp_path / "r.txt")) == ["numpy<2", "six; python_version < '4'"]


@pytest.mark.parametrize("args", [["no-such-extra"], ["export", "--only", "no-such-package"]])
def test_what_is_not_there_is_an_error(args):
    """A name that pyproject.toml does not have installs nothing silently."""
    done = run(*args)
    assert done.returncode == 2
    assert "no-such" in done.stderr
