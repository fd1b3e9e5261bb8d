from __future__ import annotations

import subprocess
import sys

import pytest

from export_model.verify import main as verify
from tests.examples.conftest import EXAMPLES_FOLDER

pytestmark = pytest.mark.needs_export


def test_a_few_steps_make_a_working_archive(tmp_path):
    """The script draws, trains, evaluates and exports; ten steps suffice to test that it works."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES_FOLDER / "train_seagrass.py"), "--steps", "10", "--drawings", "2",
         "--weights", str(tmp_path / "w.pt"), "--save-path", str(tmp_path / "m.tgz")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mIoU 0." in done.stdout
    assert verify([str(tmp_path / "m.tgz")]) == 0
