"""The memory of a long order on videos."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES, FRAMES, HW = 8, 960, (120, 160)
"""All frames together take 55 MB as pictures and 220 MB as network inputs."""
MAX_GROWTH_MB = 15
MEASURE = f"""
import json
from benchmarks.video import tenths
print(json.dumps(tenths({FRAMES}, {SOURCES}, {HW})))
"""


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux reports anonymous memory")
def test_memory_does_not_grow_with_the_frames() -> None:
    """Memory stays within MAX_GROWTH_MB of that after the second tenth of the frames, for eight videos with all products."""
    argv = [sys.executable, "-c", MEASURE]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    memory_mb = json.loads(done.stdout)
    assert 10 == len(memory_mb)
    assert max(memory_mb) - memory_mb[1] < MAX_GROWTH_MB, (
        memory_mb
    )  # all later tenths: at the end most videos are closed
