"""The example classifier is as good as its README states."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from examples.draw_fires import CLASSES, DISTRACTORS, EXAMPLES, draw, write
from export_model.verify import main as verify
from predictor import Predictor
from quadrat.package import open_archive
from tests.examples.conftest import EXAMPLES_FOLDER

ARCHIVE = EXAMPLES_FOLDER / "models" / "fire-tiny.tgz"


@pytest.fixture
def package(tmp_path):
    """The opened example model."""
    return open_archive(ARCHIVE, tmp_path)


def test_a_seed_determines_the_scene():
    """The same seed gives the same pixels and truth; half of the seeds have a fire, and all distractors occur."""
    first, again = draw(5), draw(5)
    assert (first.pixels == again.pixels).all()
    scenes = [draw(seed) for seed in range(60)]
    assert 15 < sum(scene.fire for scene in scenes) < 45
    assert {scene.distractor for scene in scenes} == set(DISTRACTORS)
    assert {draw(seed, fire=True).fire for seed in range(3)} == {True}


def test_the_archive_describes_the_model(package):
    """It has two classes, a temperature, thresholds that add up to 1, and less than 300 kB."""
    assert [each.name for each in package.classes] == list(CLASSES)
    assert set(package.outputs) == {"logits", "features"}
    words = package.meta["classify"]
    assert words["activation"] == "sigmoid"
    assert sum(words["threshold"]) == pytest.approx(1)
    assert words["threshold"][1] < 0.5  # a fire that is missed costs more than a false alarm
    assert package.meta["calibration"]["preference"] == {"recall": 0.98}
    assert package.meta["calibration"]["thresholds"]["fire"]["recall"] >= 0.98
    assert ARCHIVE.stat().st_size < 300_000


def test_it_passes_its_own_self_test(capsys):
    """Every available engine reproduces the probabilities of the export."""
    assert verify([str(ARCHIVE)]) == 0, capsys.readouterr().out


def test_unseen_scenes_are_labelled_as_the_page_says():
    """On scenes with other seeds than any of its making, recall and precision are near the stated ones."""
    scenes = [draw(seed) for seed in range(50_000, 50_300)]
    with Predictor(ARCHIVE) as predictor:
        found = np.array([CLASSES[1] in each.labels for each in predictor.predict(s.pixels for s in scenes)])
    fires = np.array([scene.fire for scene in scenes])
    recall, precision = found[fires].mean(), fires[found].mean()
    page = (EXAMPLES_FOLDER / "models" / "README.md").read_text("utf-8").split("# fire-tiny.tgz")[1]
    stated = {
        name: float(re.search(rf"{name} \*\*(0\.\d+)\*\*", page).group(1)) for name in ("recall", "precision")
    }
    assert recall == pytest.approx(stated["recall"], abs=0.06)
    assert precision == pytest.approx(stated["precision"], abs=0.06)


def test_the_confusion_matrix_of_the_page_adds_up():
    """Accuracy, precision and recall follow from it."""
    page = (EXAMPLES_FOLDER / "models" / "README.md").read_text("utf-8").split("# fire-tiny.tgz")[1]
    rows = dict(re.findall(r"\| (no fire|fire) \| (\d+ \| \d+) \|", page))
    (quiet, alarms), (missed, found) = ([int(n) for n in rows[name].split(" | ")] for name in CLASSES)
    whole = quiet + alarms + missed + found
    for name, value in (
        ("accuracy", (quiet + found) / whole),
        ("precision", found / (found + alarms)),
        ("recall", found / (found + missed)),
    ):
        assert float(re.search(rf"{name} \*\*(0\.\d+)\*\*", page).group(1)) == pytest.approx(value, abs=5e-4)


def test_the_example_pictures_are_these_scenes(tmp_path):
    """Each file equals its drawing up to the losses of JPEG, in the folder of its class, and is small."""
    stored = sorted(
        path.relative_to(EXAMPLES_FOLDER / "fires") for path in EXAMPLES_FOLDER.glob("fires/*/*.jpg")
    )
    write(tmp_path, EXAMPLES, suffix=".jpg", enlarged=3)
    assert stored == sorted(path.relative_to(tmp_path) for path in tmp_path.glob("*/*.jpg"))
    for path in stored:
        with Image.open(EXAMPLES_FOLDER / "fires" / path) as one, Image.open(tmp_path / path) as two:
            error = np.mean((np.asarray(one, np.float32) - np.asarray(two, np.float32)) ** 2)
        assert error < 4
        assert (EXAMPLES_FOLDER / "fires" / path).stat().st_size < 80_000


def test_the_metadata_beside_it_is_that_of_the_archive(package):
    """It differs in the placeholder for the artifact only."""
    beside = json.loads((EXAMPLES_FOLDER / "models" / "fire-tiny-meta.json").read_text("utf-8"))
    assert beside.pop("artifact").startswith("@@")
    assert beside == package.meta
