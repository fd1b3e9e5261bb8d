"""Output changes neither a result nor a status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = r"""
import contextlib, logging, os, sys
from quadrat import console

console.protect()
log = logging.getLogger("a")
log.addHandler(logging.StreamHandler(sys.stdout))
log.warning("\u6d77\u8349 \udcff")
with open(sys.argv[1], "wb") as file:
    for number in (1, 2):
        with contextlib.suppress(OSError):
            os.write(number, b"from a library")
    file.write(b"result")
console.release()
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("redirect", "environment"),
    [
        (">&- 2>&- <&-", {}),
        (">/dev/full 2>/dev/full", {}),
        ("| true", {}),
        (">/dev/null", {"PYTHONIOENCODING": "ascii"}),
        (">/dev/null", {"PYTHONIOENCODING": "cp1252:strict", "LC_ALL": "C"}),
    ],
)
def test_whatever_becomes_of_output(redirect: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Closed, full, gone, or of another encoding: the file holds the result alone, and the status is 0."""
    made = tmp_path / "result"
    command = f'set -o pipefail; "$0" -c "$1" "$2" {redirect}'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, PROGRAM, str(made)],
        env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert b"result" == made.read_bytes()
    assert (0, "") == (done.returncode, done.stderr.replace("from a library", ""))
