"""`calibrate.py`: from labelled images to a new archive."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from export_model import calibrate, calibration, verify
from export_model.export import main as pack
from export_model.labelled import read
from predictor import Predictor
from quadrat.errors import ParameterError
from tests.export_model.conftest import Made
from tests.export_model.graphs import classifier, saved

WORDS = "--task classify --stretch 32 32 --range 0 1"


def made(tmp_path, count: int = 2, tail=(), names: str = "dull bright"):
    """Pack a small network."""
    path = tmp_path / "raw.tgz"
    source = saved(tmp_path / "net.onnx", classifier(count, tail=tail, seed=4))
    named = [word for name in names.split() for word in ("--class", name)]
    assert pack(["--onnx", str(source), *WORDS.split(), *named, "--save-path", str(path)]) == 0
    return path


def pictures(folder, archive, *, wrong: float = 0.25, count: int = 120):
    """Write pictures into folders of the classes that the archive gives them, a share of them into a wrong one."""
    rng = np.random.default_rng(0)
    drawn = [
        np.clip(rng.normal(rng.uniform(40, 220, 3), rng.uniform(5, 60), (24, 24, 3)), 0, 255).astype(np.uint8)
        for _ in range(count)
    ]
    with Predictor(archive) as predictor:
        names = [info.name for info in predictor.classes]
        best = [int(each.found.scores.argmax()) for each in predictor.predict(drawn)]
    for index, (pixels, label) in enumerate(zip(drawn, best, strict=True)):
        given = (label + int(rng.random() < wrong)) % len(names)
        path = folder / names[given].replace(" ", "-") / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


def scores(archive, folder) -> np.ndarray:
    """Return the probabilities of all pictures of a folder in order of name."""
    with Predictor(archive) as predictor:
        return np.array([each.found.scores for each in predictor.predict(sorted(folder.rglob("*.png")))])


@pytest.fixture
def labelled(tmp_path):
    """An archive, and pictures that it is not always right about."""
    archive = made(tmp_path)
    return archive, pictures(tmp_path / "images", archive)


def test_only_temperature_and_thresholds_change(labelled, tmp_path, capsys):
    """The likelihood rises, the order of labels and every other file stay; the record and the plot say how."""
    archive, folder = labelled
    target = tmp_path / "out" / "done.tgz"
    assert calibrate.main([str(archive), str(folder), "--save-path", str(target)]) == 0
    before, after = Made(archive), Made(target)
    changed = {name for name in before.members if before.members[name] != after.members.get(name)}
    assert changed == {"meta.json"}
    assert set(after.members) == set(before.members)
    one, two = scores(archive, folder), scores(target, folder)
    assert (one.argmax(1) == two.argmax(1)).all()
    assert np.abs(one - two).max() > 1e-3
    record = after.meta["calibration"]
    assert record["nll"]["after"] < record["nll"]["before"]
    assert record["images"] == len(one)
    assert after.meta["classify"]["temperature"] == record["temperature"]["after"]
    assert "threshold" not in after.meta["classify"]
    with Image.open(target.with_name("done-reliability.png")) as image:
        assert image.size > (600, 300)
    assert json.loads(target.with_name("done-meta.json").read_text())["calibration"] == record
    assert f"{record['ece']['after']:.4f} after" in capsys.readouterr().out
    assert verify.main([str(target)]) == 0


def test_calibrating_twice_changes_nothing_more(labelled, tmp_path):
    """The second temperature is the first, because it multiplies what the archive has."""
    archive, folder = labelled
    once, twice = tmp_path / "once.tgz", tmp_path / "twice.tgz"
    assert calibrate.main([str(archive), str(folder), "--save-path", str(once)]) == 0
    assert calibrate.main([str(once), str(folder), "--save-path", str(twice)]) == 0
    first, second = (Made(path).meta["classify"]["temperature"] for path in (once, twice))
    assert second == pytest.approx(first, rel=1e-3)


@pytest.mark.parametrize(("option", "key"), [("--recall", "recall"), ("--precision", "precision")])
def test_an_order_keeps_the_promise(labelled, tmp_path, option, key):
    """The share that the threshold was chosen for is reached by the labels of the new archive."""
    archive, folder = labelled
    target = tmp_path / "done.tgz"
    words = [str(archive), str(folder), "--class", "bright", option, "0.7", "--save-path", str(target)]
    assert calibrate.main(words) == 0
    meta = Made(target).meta
    stated = meta["calibration"]["thresholds"]["bright"]
    assert sum(meta["classify"]["threshold"]) == pytest.approx(1)
    assert meta["classify"]["threshold"][1] == stated["threshold"]
    assert meta["calibration"]["preference"] == {key: 0.7}
    paths = sorted(folder.rglob("*.png"))
    with Predictor(target) as predictor:
        found = np.array(["bright" in each.labels for each in predictor.predict(paths)])
    holds = np.array([path.parent.name == "bright" for path in paths])
    recall, precision = (found & holds).sum() / holds.sum(), (found & holds).sum() / found.sum()
    assert recall == pytest.approx(stated["recall"], abs=1e-6)
    assert precision == pytest.approx(stated["precision"], abs=1e-6)
    assert {"recall": recall, "precision": precision}[key] >= 0.7


def test_a_table_of_several_labels(tmp_path):
    """Semicolons separate labels; each class gets a threshold of its own."""
    archive = made(tmp_path, 3, tail=[("Sigmoid", {})], names="a b c")
    folder = pictures(tmp_path / "images", archive)
    paths, rng = sorted(folder.rglob("*.png")), np.random.default_rng(1)
    chances = scores(archive, folder)
    lines = ["image,label"]
    for path, row in zip(paths, chances, strict=True):
        has = [name for name, p in zip("abc", row, strict=True) if rng.random() < 0.3 + 0.4 * p]
        lines.append(f"{path.relative_to(folder)},{';'.join(has)}")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines))
    target = tmp_path / "done.tgz"
    words = [str(archive), str(folder), "--labels", str(table), "--recall", "0.7", "--save-path", str(target)]
    assert calibrate.main(words) == 0
    meta = Made(target).meta
    assert len(meta["classify"]["threshold"]) == 3
    assert all(one["recall"] >= 0.7 for one in meta["calibration"]["thresholds"].values())


def test_thresholds_of_three_classes_are_those_of_an_order():
    """The rule here is that of orders: the class that passes by the largest factor, whose other thresholds stay."""
    from quadrat.package.labels import read_labels
    from quadrat.parameters import LabelSettings
    from quadrat.tasks.classify.rule import LabelRule
    from quadrat.types import ClassInfo

    rng = np.random.default_rng(6)
    shares = calibration.tempered(rng.normal(0, 2, (300, 3)), 1.0, independent=False)
    limits = [0.3, 0.6, 0.2]
    classes = [ClassInfo(n, f"urn:{n}", name, (0, 0, 0)) for n, name in enumerate("abc")]
    for several in (False, True):
        words = {"threshold": limits, **({"multi-label": True, "activation": "sigmoid"} if several else {})}
        meta = {"classes": [{"name": name} for name in "abc"], "classify": words}
        assert read_labels(meta)
        rule = LabelRule.of(meta, classes, 3, "urn:", LabelSettings())
        own = calibrate.labels_of(shares.astype(np.float32).astype(np.float64), limits, several=several)
        for row, given in zip(own, shares.astype(np.float32), strict=True):
            expected = {label.name for label in rule.classify(given).labels}
            assert {name for name, holds in zip("abc", row, strict=True) if holds} == expected


def test_classes_that_folders_cannot_tell_apart_are_refused(labelled):
    """The images of one would otherwise count as those of the other."""
    with pytest.raises(ParameterError, match="cannot tell the classes 'no fire' and 'no_fire' apart"):
        read(labelled[1], None, ["no fire", "no_fire"], several=False)


def test_mistakes_are_one_line(labelled, tmp_path, capsys):
    """Too few images, a class without any, labels that are none, wrong options: nothing is written."""
    archive, folder = labelled
    target = tmp_path / "done.tgz"

    def refuse(said: str, *words: object, images=folder) -> None:
        given = [str(archive), str(images), *map(str, words), "--save-path", str(target)]
        assert calibrate.main(given) == 2
        text = capsys.readouterr().err
        assert said in text
        assert text.count("\n") == 1
        assert not target.exists()

    refuse("there is no such folder", images=tmp_path / "absent")
    refuse("it only goes with", "--class", "bright")
    refuse("the class that it is about", "--recall", "0.9")
    refuse("give one of them", "--class", "bright", "--recall", "0.9", "--precision", "0.9")
    refuse("no such class", "--class", "green", "--recall", "0.9")
    refuse("a share above 0", "--class", "bright", "--recall", "1.5")
    refuse("no threshold reaches", "--class", "bright", "--precision", "1")
    few = pictures(tmp_path / "few", archive, count=20)
    refuse("20 images are too few", images=few)
    one = tmp_path / "one"
    (one / "bright").mkdir(parents=True)
    for path in folder.rglob("*.png"):
        (one / "bright" / path.name).write_bytes(path.read_bytes())
    refuse("1 of the 2 classes have no image, such as 'dull'", images=one)
    (one / "bright").rename(one / "brihgt")
    refuse("'brihgt'", images=one)
    table = tmp_path / "labels.csv"
    for text, said in (
        ("file,label\n", "its columns are file, label"),
        ("image,label\nabsent.png,dull\n", "no image 'absent.png'"),
        ("image,label\n", "it has no images"),
    ):
        table.write_text(text)
        refuse(said, "--labels", table)
    first = sorted(folder.rglob("*.png"))[0].relative_to(folder)
    table.write_text(f"image,label\n{first},dull;bright\n")
    refuse("has 2 labels", "--labels", table)
    table.write_text(f"image,label\n{first},dull\n{first},dull\n")
    refuse("lists an image twice", "--labels", table)
    assert calibrate.main([str(archive), str(folder), "--save-path", str(archive)]) == 2
    assert "a new one" in capsys.readouterr().err
