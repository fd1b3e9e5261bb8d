"""The memory of a long order of videos."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES, FRAMES, HW = 8, 960, (120, 160)
"""All frames together take 55 MB as pictures, and 220 MB as inputs of the network."""
MOST_MB = 15
MEASURE = f"""
import json
from benchmarks.video import tenths
print(json.dumps(tenths({FRAMES}, {SOURCES}, {HW})))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory by kind is told by Linux alone")
def test_memory_does_not_grow_with_the_frames() -> None:
    """After no later tenth of the frames of eight videos, with all products, is it more than after the second."""
    argv = [sys.executable, "-c", MEASURE]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert 10 == len(seen)
    assert max(seen) - seen[1] < MOST_MB, seen  # the last alone would not do: by then most films are closed
