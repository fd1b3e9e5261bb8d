"""Orders that are killed as processes, and repeated."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.process
def test_killed_processes_leave_what_can_be_resumed() -> None:
    """Two kills of a small order; docs/benchmarks.md has the figure of fifty."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.resume", "--kills", "2", "--images", "6"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["kills"] >= 2
    assert [] == figures["different"]
