from __future__ import annotations

import subprocess
import sys

import pytest

from export_model.verify import main as verify
from tests.examples.conftest import EXAMPLES_FOLDER

pytestmark = pytest.mark.needs_export


def test_a_few_steps_make_a_working_archive(tmp_path):
    """The script draws, trains, exports, calibrates and judges; a few steps suffice to test that it works."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES_FOLDER / "train_fire.py"), "--drawings", "768", "--epochs", "4",
         "--validated", "80", "--judged", "20", "--threads", "1",
         "--weights", str(tmp_path / "w.pt"), "--save-path", str(tmp_path / "m.tgz")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "on 20 unseen drawings: accuracy" in done.stdout
    assert verify([str(tmp_path / "m.tgz")]) == 0
