"""`quadrat search`: what its words mean."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quadrat.cli.commands import main
from tests.networks import colour_archive


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two pictures, an archive, and the index of a run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 255, 0))):
        Image.fromarray(np.full((20, 20, 3), colour, np.uint8)).save(tmp_path / "photos" / f"{name}.png")
    colour_archive(tmp_path / "m.tgz")
    assert main(["run", "m.tgz", "photos", "-o", "made", "--index", "--executor", "local"]) == 0
    return tmp_path


def found(out: Path) -> list[str]:
    """Return the names that were found."""
    with (out / "results.csv").open(newline="") as file:
        return [row["name"] for row in csv.DictReader(file)]


def test_it_searches_by_words_and_by_pictures(folder, capsys):
    """Into a folder that is given, or into one of its own."""
    assert main(["search", "made/index.tgz", "--where", "name ~ a*", "-o", "one"]) == 0
    assert found(folder / "one") == ["a.png"]
    words = ["search", "made/index.tgz", "photos/b.png", "-m", "m.tgz", "-o", "two", "--executor", "local"]
    assert main(words) == 0
    assert found(folder / "two") == ["b.png", "a.png"]
    assert main(["search", "made/index.tgz", "--find", "spread"]) == 0
    assert len(found(folder / "runs" / "latest")) == 2
    assert "2 rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "E_PARAMETER INDEX"),
        (["none.tgz"], 2, "none.tgz"),
        (["made/index.tgz", "photos"], 2, "E_PARAMETER --model"),
        (["made/index.tgz", "-m", "m.tgz"], 2, "E_PARAMETER PHOTOS"),
        (["made/index.tgz", "--where", "colour = 1"], 2, "E_INDEX_QUERY where: there is no column 'colour'"),
        (["m.tgz", "--find", "spread"], 5, "E_INDEX m.tgz"),
        (["photos/a.png", "--find", "spread"], 5, "E_INDEX a.png"),
        (["made/index.tgz", "--task", "detect"], 2, "task"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_mistakes_are_one_line(words, status, message, capsys):
    """With a code and the word."""
    assert main(["search", *words, "-o", "out"]) == status
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("E_")]
    assert any(message in line for line in lines), lines
