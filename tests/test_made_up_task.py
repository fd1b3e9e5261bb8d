"""A task that nobody has heard of runs as an order, from one file and one line."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quadrat import task_kinds
from quadrat.errors import ManifestError
from quadrat.job import run_order
from quadrat.parameters import parse
from quadrat.stores.folder import FolderStore
from tests import videos
from tests.networks import brightness_archive
from tests.results import files

LOG = logging.getLogger("quadrat.test")
TASK = "dark-pixels"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the task: the one line beside its file."""
    monkeypatch.setitem(task_kinds.TASKS, TASK, "tests.dark_pixels:KIND")


def archive(folder: Path) -> Path:
    """Write an archive whose network labels a pixel 0 if it is dark; meta.json names the made-up task."""
    return brightness_archive(folder / "dark.tgz", task=TASK, name="dark")


def rows(table: Path) -> list[dict[str, str]]:
    """Read a table."""
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("registered")
def test_pictures(tmp_path):
    """An order on pictures delivers a picture each, the task's table, and rows of the survey."""
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    for name, dark in (("a", 30), ("b", 0)):
        pixels = np.full((20, 40, 3), 250, np.uint8)
        pixels[:, :dark] = 3
        Image.fromarray(pixels).save(images / f"{name}.png")

    outcome = run_order(parse({}), FolderStore(archive(tmp_path), images, out), LOG)

    assert outcome.exit_status == 0
    assert [(row["name"], row["pixels"], row["product"]) for row in rows(out / "survey.csv")] == [
        ("a.png", "600", "dark/a.dark.jpg"), ("b.png", "0", "dark/b.dark.jpg"),
    ]  # fmt: skip
    assert rows(out / "dark.csv") == [
        {"name": "a.png", "frame": "0", "dark": "600"}, {"name": "b.png", "frame": "0", "dark": "0"},
    ]  # fmt: skip
    drawn = np.asarray(Image.open(out / "dark" / "a.dark.jpg"))
    assert drawn[10, 10].tolist() == pytest.approx([255, 0, 0], abs=12)
    assert json.loads((out / "meta" / "survey.csv-meta.json").read_text())["dark"] == 600
    assert json.loads((out / "run.json").read_text())["models"][0]["task"] == TASK


@pytest.mark.usefixtures("registered")
def test_a_second_run_gives_the_same_results(tmp_path):
    """Its records are no values that a ledger reads from a folder, so its sources are measured again."""
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(images / "a.png")
    model = archive(tmp_path)
    outcomes = [run_order(parse({}), FolderStore(model, images, out), LOG) for _ in range(2)]

    assert [outcome.error for outcome in outcomes] == [None, None]
    assert {"a.dark.jpg", "dark.csv", "survey.csv", "run.json", "images.csv", "totals.csv"} == {
        name for name in files(out) if not name.endswith("-meta.json")
    }


@pytest.mark.usefixtures("registered")
def test_videos(tmp_path):
    """An order on videos delivers an annotated video and a line for each frame."""
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    videos.write(folder / "clip.mp4", videos.frames(6))

    outcome = run_order(parse({}), FolderStore(archive(tmp_path), folder, out, moving=True), LOG)

    assert outcome.exit_status == 0
    assert [row["frame"] for row in rows(out / "dark.csv")] == list("012345")
    assert (out / "video" / "clip.mp4").stat().st_size > 0
    (row,) = rows(out / "survey.csv")
    assert (row["status"], row["frames"], row["product"]) == ("ok", "6", "video/clip.mp4")


def test_it_must_be_registered(tmp_path):
    """Without its line, an archive of the task is refused with the tasks that there are."""
    with pytest.raises(ManifestError, match="'dark-pixels' is not one that this version has") as caught:
        task_kinds.kind_of(TASK, "dark.tgz")
    assert caught.value.hint == f"It has: {', '.join(task_kinds.TASKS)}"
    (tmp_path / "images").mkdir()
    outcome = run_order(parse({}), FolderStore(archive(tmp_path), tmp_path / "images", tmp_path / "out"), LOG)
    assert outcome.exit_status == ManifestError.exit_status
