"""Every run of a user's own data has a folder of its own, and none is ever removed."""

from __future__ import annotations

import pytest

from tests.test_makefile import RECORDER, Project

pytestmark = pytest.mark.process
WORDS = ("run-collection", "MODEL=my models/model.tgz", "IMAGES=images")
# Delivers a file into the folder of results.
DELIVERING = (
    RECORDER
    + """for word in "$@"; do
  case "$before" in -o) echo measured > "$word/survey.csv" ;; esac; before=$word
done
"""
)


@pytest.fixture
def prepared(tmp_path):
    """A copy of the project whose python is a stand-in."""
    (tmp_path / "a project").mkdir()
    made = Project(tmp_path / "a project")
    made.set_up(made.recorder("stand-in-python"))
    return made


def test_every_run_of_own_data_has_a_folder_of_its_own(prepared):
    """Three runs leave three folders of results, and runs/latest is the last; nothing is removed."""
    project = prepared
    (project.root / ".venv" / "bin" / "python").write_text(DELIVERING)
    date = project.bin / "date"
    for number in range(3):
        date.write_text(f"#!/bin/sh\necho 2026-12-0{number + 1}-120000\n")
        date.chmod(0o755)
        done = project.make(*WORDS)
        assert done.returncode == 0, done.stderr
    runs = project.root / "runs"

    names = [f"2026-12-0{number}-120000-run-collection" for number in (1, 2, 3)]
    assert sorted(path.name for path in runs.iterdir()) == [*names, "latest"]
    assert all((runs / name / "survey.csv").exists() for name in names)
    assert str((runs / "latest").readlink()) == names[-1]


def test_a_run_that_delivers_nothing_leaves_no_folder(prepared):
    """As for a wrong parameter: what runs/latest shows stays."""
    assert prepared.make(*WORDS, FAIL="*quadrat run*").returncode != 0
    assert list((prepared.root / "runs").iterdir()) == []


def test_run_enhance_needs_no_model(prepared):
    """The example images, or one's own; a model would not be used, and is refused."""

    def calls():
        return prepared.calls(prepared.root / ".venv" / "bin")[-1]

    assert prepared.make("run-enhance").returncode == 0
    call = calls()
    assert call[call.index("enhance") + 1] == str(prepared.root / "examples" / "images")
    assert call[call.index("--enhance") + 1] == "lab-grey-world,clahe"
    assert call[call.index("-o") + 1] == str(prepared.root / "DATA" / "run-enhance")
    assert prepared.make("run-enhance", "IMAGES=images", "STEPS=fusion").returncode == 0
    assert [str(prepared.root / "images"), "fusion"] == [
        calls()[calls().index(word) + 1] for word in ("enhance", "--enhance")
    ]
    refused = prepared.make("run-enhance", "MODEL=my models/model.tgz")
    assert refused.returncode != 0
    assert "run-enhance takes IMAGES and STEPS" in refused.stderr
