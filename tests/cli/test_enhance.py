"""`quadrat enhance`: pictures, videos and folders, by steps or with an archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pictures
from tests.cli.conftest import MASKS, ROOT, Quadrat
from tests.enhancers import enlarger_archive

IMAGES = ROOT / "examples" / "images" / "site-a"


def test_it_is_run_with_the_task(quadrat: Quadrat) -> None:
    """The same files, in a folder that is named after the task if none is given."""
    short = quadrat("enhance", IMAGES, "--enhance", "clahe", "-o", "short")
    long = quadrat("run", "--task", "enhance", IMAGES, "--enhance", "clahe", "-o", "long")
    assert (short.status, long.status) == (0, 0), short.log + long.log
    for name in ("before-after.jpg", "enhanced.csv", "enhanced/quadrat-01.enhanced.jpg"):
        assert (Path("short") / name).read_bytes() == (Path("long") / name).read_bytes()
    assert "Look at short/before-after.jpg first" in short.log.replace(f"{Path.cwd()}/", "")
    assert quadrat("enhance", IMAGES, "--enhance", "clahe").status == 0
    assert any(path.name.endswith("-enhance") for path in Path("runs").iterdir())


def test_an_archive_makes_pictures_larger(quadrat: Quadrat) -> None:
    """It needs no step; the sheet has a column for it."""
    Path("a.png").write_bytes(pictures.png(pictures.drawing(60, 80)))
    archive = enlarger_archive(Path("sr.tgz"))
    ended = quadrat("enhance", archive, "a.png", "-o", "out", "--executor", "local")
    assert ended.status == 0, ended.log
    assert Path("out/enhanced/a.enhanced.png").is_file()
    assert Path("out/before-after.jpg").is_file()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([IMAGES], "quadrat enhance: no step is named, so that pictures would stay as they are. Give --enhance with some of"),
        ([], "PHOTOS: it is required. Write quadrat enhance PHOTOS... --enhance STEPS"),
        ([IMAGES, "--enhance", "clahe", "--outputs", "overlay"], "outputs: overlay cannot be drawn, because the task is enhance"),
        (["nosuch", "--enhance", "clahe"], "nosuch: there is no such file or folder. Write quadrat enhance PHOTOS..."),
        ([IMAGES, "--model", MASKS], "the first word: quadrat enhance MODEL PHOTOS..."),
        ([IMAGES, "--clahe"], "Steps are the value of --enhance, separated by commas"),
        ([IMAGES, "--enhance", "clahe grey-world"], "Separate steps by commas: clahe,grey-world"),
        ([IMAGES, "--enhance", "clahe+grey-world"], "Separate steps by commas: clahe,grey-world"),
        ([MASKS, IMAGES], "task: it is enhance, but the task of the model 'seagrass-tiny' is segment"),
        ([IMAGES, "--enhance", "claeh"], "enhance: there is no step 'claeh'. Did you mean clahe?"),
        ([IMAGES, "--enhance", "grey-world,fusion"], "enhance: 'grey-world' and 'fusion' are both colour steps"),
        ([IMAGES, "--enhnce", "clahe"], "there is no such option. Did you mean --enhance?"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(quadrat: Quadrat, words: list[str | Path], line: str) -> None:
    """With what to do."""
    ended = quadrat("enhance", *words)
    assert ended.status == 2
    assert line in ended.log
    assert ended.log.count("E_PARAMETER") == 1


def test_steps_without_a_model_lead_here(quadrat: Quadrat) -> None:
    """Who forgets the task reads which command enhances."""
    ended = quadrat("run", IMAGES, "--enhance", "clahe")
    assert ended.status == 2
    assert f"to enhance without a model, quadrat enhance {IMAGES}" in ended.log


def test_its_help_has_examples(quadrat: Quadrat) -> None:
    """Of its own."""
    ended = quadrat("enhance", "--help")
    assert ended.status == 0
    assert "quadrat enhance photos --enhance grey-world,clahe" in ended.out
    assert "quadrat run model.tgz" not in ended.out
