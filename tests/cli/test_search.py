"""`quadrat search`: what its words mean."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quadrat.cli.commands import main
from tests.conftest import ROOT
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
        (
            ["made/index.tgz", "class = fish"],
            2,
            'class = fish: it is a filter, not a picture. Write --where "class = fish"',
        ),
        (["made/index.tgz", "class", "=", "fish"], 2, 'Write --where "class = fish"'),
        (
            ["made/index.tgz", "--query", "fish"],
            2,
            "--query: there is no such option. A filter is the value of --where",
        ),
        (
            ["made/index.tgz", "none.png", "-m", "m.tgz"],
            2,
            "none.png: there is no such file or folder. Write quadrat search index",
        ),
        (["made/index.tgz", "-m", "m.tgz"], 2, "E_PARAMETER PHOTOS"),
        (["made/index.tgz", "--where", "colour = 1"], 2, "E_INDEX_QUERY where: there is no column 'colour'"),
        (
            ["m.tgz", "--find", "spread"],
            5,
            "E_INDEX m.tgz: it is a model archive, not an index. Give an index.tgz",
        ),
        (
            ["photos/a.png", "made/index.tgz", "-m", "m.tgz"],
            2,
            "Write the index first: quadrat search made/index.tgz",
        ),
        (["made/index.tgz", "m.tgz", "photos/a.png"], 2, "Name the embedding archive by --model"),
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


@pytest.mark.parametrize("words", [["--where", "name ~ a*"], ["photos/b.png", "-m", "m.tgz"]])
def test_results_of_a_run_are_kept(folder, capsys, words):
    """A search never replaces what a run has measured, also with --overwrite if that would delete its own index."""
    before = {path: path.read_bytes() for path in (folder / "made").rglob("*") if path.is_file()}
    search = ["search", "made/index.tgz", *words, "-o", "made", "--executor", "local"]
    assert main(search) == 6
    assert main([*search, "--overwrite"]) == 2
    shown = capsys.readouterr().err
    assert "E_RESULTS made: it holds the results of another order" in shown
    assert "E_PARAMETER from-index: it lies in the folder of results" in shown
    after = {path: path.read_bytes() for path in (folder / "made").rglob("*") if path.is_file()}
    assert {path.name for path in before} == {path.name for path in after}
    assert all(after[path] == before[path] for path in before if ".quadrat" not in path.parts)


@pytest.mark.usefixtures("folder")
def test_a_folder_of_results_means_its_index(capsys):
    """And one without an index is refused."""
    assert main(["search", "made", "--where", "name ~ a*", "-o", "one"]) == 0
    assert found(Path("one")) == ["a.png"]
    appended = [
        "run",
        "m.tgz",
        "photos",
        "-o",
        "more",
        "--index",
        "--from-index",
        "made",
        "--executor",
        "local",
    ]
    assert main(appended) == 0
    assert Path("more/index.tgz").is_file()
    assert main(["search", "photos", "--where", "name ~ a*", "-o", "two"]) == 2
    assert "photos: it is a folder without index.tgz" in capsys.readouterr().err


def test_a_classifier_gives_features_to_search_by(tmp_path, capsys):
    """Nobody has to ask for them: neither the index nor the search is of use without."""
    model, fires = ROOT / "examples" / "models" / "fire-tiny.tgz", ROOT / "examples" / "fires"
    assert (
        main(["run", str(model), str(fires), "-o", str(tmp_path / "a"), "--index", "--outputs", "none"]) == 0
    )
    index, photo = tmp_path / "a" / "index.tgz", fires / "fire" / "scene-00049.jpg"

    status = main(["search", str(index), str(photo), "--model", str(model), "-o", str(tmp_path / "b")])

    assert status == 0, capsys.readouterr().err
    assert found(tmp_path / "b")[0] == "fire/scene-00049.jpg"
