"""The recipes of CONTRIBUTING.md are true: each is carried out here, and what it adds is used by an order."""

from __future__ import annotations

import csv
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from quadrat import engines, executors, task_kinds, tracking, transforms
from quadrat.engines.fake import FakeEngine
from quadrat.executors.local import LocalExecutor, open_local
from quadrat.executors.work import Work
from quadrat.geometry import Geometry
from quadrat.job import Outcome, run_order
from quadrat.parameters import EngineSettings
from quadrat.predictions import Tracked
from quadrat.protocols import Transform
from quadrat.report import objects
from quadrat.report.columns import FrameRow
from quadrat.report.detections import ClassOf
from quadrat.report.rows import DetectionRow
from quadrat.stores.folder import FolderStore
from quadrat.tracking.sort import Sort
from quadrat.transforms.params import Params
from quadrat.types import ClassInfo, ModelPackage, Source
from tests.networks import brightness_archive
from tests.values import settings_of

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
LOG = logging.getLogger("quadrat.test")


def order(model: Path, images: Path, out: Path, *, moving: bool = False, **values: object) -> Outcome:
    """Run an order with some values; those that the service does not offer are possible, too."""
    return run_order(settings_of(**values), FolderStore(model, images, out, moving=moving), LOG)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture whose right half is bright."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, 8:] = 255
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    return path


def covers(out: Path) -> dict[str, str]:
    """Read the cover of each class."""
    with (out / "survey.csv").open(newline="", encoding="utf-8") as file:
        return {row["class"]: row["cover"] for row in csv.DictReader(file)}


class OneClassEngine(FakeEngine):
    """Labels every pixel 1."""

    name = "one-class"

    def run(self, batch: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Give the fake engine's answers with the label 1 everywhere."""
        arrays = super().run(batch, outputs)
        return {name: np.ones_like(array) if name == "labels" else array for name, array in arrays.items()}


def start_one_class(package: ModelPackage, settings: EngineSettings, _log: logging.Logger) -> OneClassEngine:
    """Start the engine."""
    return OneClassEngine(len(package.classes), dict(package.outputs), settings)


def test_an_engine(tmp_path, picture, monkeypatch):
    """One file and one line."""
    monkeypatch.setitem(engines.ENGINES, "one-class", "tests.test_recipes:start_one_class")

    outcome = order(brightness_archive(tmp_path / "m.tgz"), picture, tmp_path / "out", engine="one-class")

    assert outcome.exit_status == 0
    assert covers(tmp_path / "out") == {"sand": "0.000000", "seagrass": "1.000000"}


def test_a_task(monkeypatch):
    """See tests/test_made_up_task.py, which runs one as an order; here its line finds its record."""
    monkeypatch.setitem(task_kinds.TASKS, "dark-pixels", "tests.dark_pixels:KIND")
    assert task_kinds.kind_of("dark-pixels").name == "dark-pixels"


def inverted(params: Params) -> Transform:
    """Read the parameters of a transform that inverts brightness: it has none."""
    params.finish()

    def step(pixels: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, Geometry]:
        return 255 - pixels, geometry

    return step


def test_a_transform(tmp_path, picture, monkeypatch):
    """An archive that names it gets it."""
    monkeypatch.setitem(transforms.TRANSFORMS, "Invert", "tests.test_recipes:inverted")
    picture_of = np.asarray(Image.open(picture)).copy()
    picture_of[:, 4:] = 255  # a quarter dark
    Image.fromarray(picture_of).save(picture)
    steps = [{"type": "Invert"}, {"type": "Normalize"}]

    order(brightness_archive(tmp_path / "m.tgz", transforms=steps), picture, tmp_path / "out")

    assert covers(tmp_path / "out") == {"sand": "0.750000", "seagrass": "0.250000"}


class NumberedFrom100(Sort):
    """Numbers its tracks from 100."""

    def update(self, *args: Any) -> Tracked:
        """Track, then add 99 to the numbers."""
        tracked = super().update(*args)
        tracks = tracked.detections.tracks
        assert tracks is not None
        moved = np.where(tracks > 0, tracks + 99, tracks).astype(np.int32)
        return replace(tracked, detections=replace(tracked.detections, tracks=moved))


def test_a_tracker(tmp_path, monkeypatch):
    """A tracker is a class and a line."""
    monkeypatch.setitem(tracking.TRACKERS, "from-100", "tests.test_recipes:NumberedFrom100")

    order(
        EXAMPLES / "models" / "rectangles.tgz", EXAMPLES / "videos" / "still", tmp_path,
        moving=True, tracker="from-100", outputs=("none",),
    )  # fmt: skip

    lines = (tmp_path / "tracks.csv").read_text().splitlines()[1:]
    assert [line.split(",")[2] for line in lines] == [str(100 + n) for n in range(len(lines))]
    assert lines


class CountWriter:
    """Writes the number of objects of each frame."""

    mime = "text/plain"
    kind = "counts"
    columns = ("frame", "objects")

    def __init__(self, path: Path, _class_of: ClassOf) -> None:
        self._path = path
        self._lines: list[str] = []
        self.rows = 0

    def begin(self, source: Source) -> None:
        """Begin a source."""

    def frame(self, _source: Source, frame: FrameRow, rows: Sequence[DetectionRow]) -> None:
        """Write one line."""
        self.rows += 1
        self._lines.append(f"{frame.index} {len(rows)}\n")

    def finish(self, _classes: Sequence[ClassInfo], _info: Mapping[str, Any]) -> Path:
        """Write the file."""
        self._path.write_text("".join(self._lines))
        return self._path


def test_a_writer(tmp_path, monkeypatch):
    """A table of one's own is delivered with the others."""
    monkeypatch.setitem(objects.WRITERS, "counts.txt", "tests.test_recipes:CountWriter")

    order(EXAMPLES / "models" / "rectangles.tgz", EXAMPLES / "scenes" / "reef-flat.png", tmp_path)

    found = len((tmp_path / "detections.csv").read_text().splitlines()) - 1
    assert (tmp_path / "counts.txt").read_text() == f"0 {found}\n"
    assert (tmp_path / "meta" / "counts.txt-meta.json").is_file()


OPENED: list[Work] = []


@contextmanager
def open_watched(work: Work, log: logging.Logger) -> Iterator[LocalExecutor]:
    """Run the work here, and remember it."""
    OPENED.append(work)
    with open_local(work, log) as executor:
        yield executor


def test_an_executor(tmp_path, picture, monkeypatch):
    """An executor gets the work of an order and gives back events."""
    monkeypatch.setitem(executors.EXECUTORS, "watched", "tests.test_recipes:open_watched")

    outcome = order(brightness_archive(tmp_path / "m.tgz"), picture, tmp_path / "out", executor="watched")

    assert (outcome.exit_status, len(OPENED)) == (0, 1)
    assert OPENED[0].archives == (tmp_path / "m.tgz",)


FIELD = """
    every_second: int = parameter(
        "int", "Measure every N-th second.", default=1, unit="seconds", low=1, high=9, since="4"
    )
"""


def test_a_command(tmp_path, monkeypatch, capsys):
    """A function in a module of its own; `quadrat --help` lists it, and a mistyped name is recognised."""
    from quadrat.cli import commands

    for name in ("quadrat", "service"):  # the command sets them up; they are put back afterwards
        for attribute in ("handlers", "propagate", "level"):
            monkeypatch.setattr(
                logging.getLogger(name), attribute, getattr(logging.getLogger(name), attribute)
            )
    (tmp_path / "counting.py").write_text("def main(words):\n    return len(words)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(commands.COMMANDS, "count", ("counting:main", "count words"))
    assert commands.main(["count", "a", "b"]) == 2
    assert re.search(r"count +count words", commands.about())
    assert commands.main(["cuont"]) == 2
    assert "Did you mean quadrat count?" in capsys.readouterr().err


@pytest.mark.process
def test_a_parameter(tmp_path):
    """One field in a copy of the code; the command, the description, the schema and the reference have it."""
    for name in ("quadrat", "infer_service.py"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    (tmp_path / "docs" / "reference").mkdir(parents=True)
    group = tmp_path / "quadrat" / "parameters" / "frames.py"
    text = group.read_text("utf-8")
    before = "\n\n@dataclass(frozen=True, slots=True)\nclass StreamSettings"
    assert before in text
    group.write_text(text.replace(before, FIELD + before), "utf-8")

    subprocess.run([sys.executable, "-m", "quadrat.describe"], cwd=tmp_path, check=True, timeout=120)
    help_text = subprocess.run(
        [sys.executable, "infer_service.py", "-H"],
        cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120,
    ).stdout  # fmt: skip

    assert re.search(r"--every-second INT\s+Measure every N-th second. \[1\]", help_text)
    assert "| `every-second` |" in (tmp_path / "docs" / "reference" / "parameters.md").read_text("utf-8")
    assert '"every-second"' in (tmp_path / "service.json").read_text("utf-8")


def test_every_recipe_has_a_test():
    """Each row of the table of recipes names what a test here carries out."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = page.split("## Recipes")[1].split("## Style")[0]
    added = re.findall(r"^\| an? (\w+)[^|]*\|", table, re.MULTILINE)
    carried_out = {
        name.removeprefix("test_an_").removeprefix("test_a_")
        for name in globals()
        if name.startswith(("test_a_", "test_an_"))
    }
    assert set(added) - carried_out == {"error", "dependency"}
