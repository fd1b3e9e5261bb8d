"""Whole orders of classifiers: tables, pictures, videos, and what they refuse."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from quadrat.errors import ClassesError
from tests import videos
from tests.classifiers import COLORS, color_archive, color_onnx, turned_archive
from tests.moving import RECTANGLES, film, order
from tests.networks import brightness_archive
from tests.results import aspect

RED, BLUE, GREY = (200, 30, 30), (30, 30, 220), (120, 120, 120)


def rows(out: Path, table: str) -> list[dict[str, str]]:
    """Read a table of an order."""
    with (out / table).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def lines(out: Path) -> list[dict[str, Any]]:
    """Read predictions.jsonl."""
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text("utf-8").splitlines()]


def paint(folder: Path, **colors: tuple[int, int, int]) -> Path:
    """Write a picture of noise around each colour, so that none is flat."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(5)
    for name, color in colors.items():
        pixels = np.clip(np.array(color) + rng.integers(-25, 26, (260, 300, 1)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def test_real_photographs(tmp_path, shared):
    """PaddleOCR's classifier on the real pictures gives what ONNX Runtime gives by itself."""
    import cv2
    import onnxruntime

    network = shared / "networks" / "ppocr_cls.onnx"
    run = order(
        turned_archive(tmp_path / "t.tgz", network), shared / "pictures", tmp_path / "out", moving=False
    )

    assert run.status == 0
    table = rows(tmp_path / "out", "predictions.csv")
    assert len(table) == 9
    again = {"batch_size": 8, "outputs": "none"}
    order(tmp_path / "t.tgz", shared / "pictures", tmp_path / "eight", moving=False, **again)
    assert lines(tmp_path / "eight") == lines(tmp_path / "out")
    session = onnxruntime.InferenceSession(network)
    for row, line in zip(table, lines(tmp_path / "out"), strict=True):
        pixels = cv2.imread(str(shared / "pictures" / row["name"]))
        scale = min(48 / pixels.shape[0], 192 / pixels.shape[1])
        size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
        canvas = np.full((48, 192, 3), 128, np.uint8)
        canvas[: size[1], : size[0]] = cv2.resize(pixels, size)
        tensor = ((canvas / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None].astype(np.float32)
        (shares,) = session.run(None, {session.get_inputs()[0].name: tensor})[0]
        assert list(line["probabilities"].values()) == pytest.approx(shares.tolist(), abs=2e-3)
        best = int(shares.argmax())
        assert row["label"] == ["upright", "turned"][best]
        assert float(row["probability"]) == pytest.approx(shares[best], abs=2e-3)


def test_tables_of_images(tmp_path):
    """Labels, what is unsure, the values of classes and their totals agree; a picture shows them."""
    folder, out = paint(tmp_path / "in", a=RED, b=GREY, c=BLUE, d=(2, 2, 2)), tmp_path / "out"
    run = order(color_archive(tmp_path / "m.tgz"), folder, out, moving=False)

    assert run.status == 0
    table = rows(out, "predictions.csv")
    assert [row["label"] for row in table] == ["red", "unsure", "blue", "unsure"]
    assert [row["class_id"] != "" for row in table] == [True, False, True, False]
    assert [row["probability"] != "" for row in table] == [True, False, True, False]
    assert "dark" in table[3]["flags"].split()
    assert [(row["status"], row["error"]) for row in table] == [("ok", "")] * 3 + [("flagged", "")]
    assert set(table[0]) >= {"class_1", "probability_1", "class_3", "probability_3", "entropy"}
    assert [line["unsure"] for line in lines(out)] == [False, True, False, True]
    assert all(sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5) for line in lines(out))
    survey = rows(out, "survey.csv")
    assert [(row["class"], row["status"]) for row in survey] == [
        ("red", "ok"), ("unsure", "ok"), ("blue", "ok"), ("unsure", "flagged"),
    ]  # fmt: skip
    images = rows(out, "images.csv")
    assert [[row[f"count_{name}"] for name in (*COLORS, "unsure")] for row in images] == [
        ["1", "0", "0", "0"], ["0", "0", "0", "1"], ["0", "0", "1", "0"], ["0", "0", "0", "1"],
    ]  # fmt: skip
    totals = {row["class"]: row["total"] for row in rows(out, "totals.csv") if row["group"] == "(all)"}
    assert totals == {"red": "1", "green": "0", "blue": "1", "unsure": "2"}
    assert aspect(out, "survey.csv")["unsure"] == 2
    with Image.open(out / "labelled" / "a.labelled.jpg") as drawn:
        assert drawn.width == 300
        assert drawn.height > 260
    made = aspect(out, "a.labelled.jpg")
    assert made["labels"][0]["class"] == "red"
    assert len(made) >= 6


def test_videos(tmp_path):
    """Each frame has its labels; the video has those by mean, and all that any frame has."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    frames = [np.full((240, 320, 3), color, np.uint8) for color in [RED] * 6 + [BLUE] * 3 + [GREY] * 3]
    videos.write(folder / "clip.mp4", frames)
    run = order(color_archive(tmp_path / "m.tgz"), folder, out)

    assert run.status == 0
    table = rows(out, "frame-predictions.csv")
    assert [row["label"] for row in table] == ["red"] * 6 + ["blue"] * 3 + ["unsure"] * 3
    assert table == rows(out, "predictions/clip.predictions.csv")
    mean, most = rows(out, "predictions.csv")
    assert (mean["by"], mean["label"], mean["frames"]) == ("mean", "red", "12")
    assert (most["by"], most["label"], most["entropy"]) == ("max", "blue; red", "")
    known = [line["probabilities"]["red"] for line in lines(out) if line["by"] is None]
    assert float(mean["probability"]) == pytest.approx(np.mean(known), abs=1e-5)
    assert float(most["probability_2"]) == pytest.approx(max(known), abs=1e-5)
    assert (out / "video" / "clip.mp4").stat().st_size > 0
    assert aspect(out, "clip.mp4")["by-max"]["labels"][0]["class"] == "blue"
    (row,) = rows(out, "survey.csv")
    assert (row["class"], row["frames"]) == ("red", "12")


@pytest.mark.parametrize("moving", [False, True])
def test_batches_and_isolation_change_nothing(tmp_path, moving):
    """Law: batch 1 equals batch 8, and a child process gives what this process gives."""
    folder = paint(tmp_path / "in", a=RED, b=GREY, c=BLUE, d=(90, 140, 60), e=(10, 200, 180))
    if moving:
        colors = [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]
        folder = tmp_path / "videos"
        folder.mkdir()
        videos.write(folder / "clip.mp4", [each[:240] for each in colors])
    archive, found = color_archive(tmp_path / "m.tgz", words={"threshold": 0.6}), []
    for number, values in enumerate(
        [{"batch_size": 1}, {"batch_size": 8}, {"batch_size": 3, "executor": "isolated"}]
    ):
        out = tmp_path / f"out{number}"
        assert order(archive, folder, out, moving=moving, **values).status == 0
        found.append([(out / table).read_bytes() for table in ("predictions.csv", "predictions.jsonl")])

    assert found[0] == found[1] == found[2]


def test_an_order_is_resumed(tmp_path):
    """A second run measures nothing again and writes the same tables."""
    folder, out = paint(tmp_path / "in", a=RED, b=BLUE), tmp_path / "out"
    archive = color_archive(tmp_path / "m.tgz")
    assert order(archive, folder, out, moving=False).status == 0
    before = (out / "predictions.jsonl").read_bytes(), (out / "images.csv").read_bytes()
    again = order(archive, folder, out, moving=False)

    assert again.status == 0
    assert any("2" in line and "earlier" in line for line in again.infos), again.infos
    assert before == ((out / "predictions.jsonl").read_bytes(), (out / "images.csv").read_bytes())


def test_a_picture_with_nan_fails_alone(tmp_path):
    """It has no label, and the others have theirs."""
    folder, out = paint(tmp_path / "in", a=RED, b=(240, 240, 240), c=BLUE), tmp_path / "out"
    network = color_onnx(nan_above=0.8)
    run = order(color_archive(tmp_path / "m.tgz", network=network), folder, out, moving=False)

    table = rows(out, "predictions.csv")
    assert [(row["name"], row["status"], row["label"]) for row in table] == [
        ("a.png", "ok", "red"), ("b.png", "failed", ""), ("c.png", "ok", "blue"),
    ]  # fmt: skip
    assert table[1]["error"].startswith("E_ENGINE_RUN")
    _, failed, _ = lines(out)
    assert (failed["status"], "labels" in failed, failed["error"]) == ("failed", False, table[1]["error"])
    assert [row["code"] for row in rows(out, "survey.csv")] == ["", "E_ENGINE_RUN", ""]
    assert any("NaN" in line for line in [*run.errors, *run.warnings])


def test_files_that_are_no_images_have_no_row(tmp_path):
    """A broken image has one, with its error; a text beside the images has none."""
    folder, out = paint(tmp_path / "in", a=RED), tmp_path / "out"
    (folder / "notes.txt").write_text("notes")
    (folder / "b.jpg").write_bytes((folder / "a.png").read_bytes()[:200])
    order(color_archive(tmp_path / "m.tgz"), folder, out, moving=False)

    assert [(row["name"], row["status"]) for row in rows(out, "predictions.csv")] == [
        ("a.png", "ok"),
        ("b.jpg", "failed"),
    ]


def test_a_threshold_for_each_class(tmp_path):
    """A class that is rare or costly to miss is reported from a lower probability on than the others."""
    folder, out = paint(tmp_path / "in", a=(150, 60, 120), b=(150, 60, 60)), tmp_path / "out"
    words = {"threshold": [0.8, 0.5, 0.2]}
    assert order(color_archive(tmp_path / "m.tgz", words=words), folder, out, moving=False).status == 0

    first, second = rows(out, "predictions.csv")
    assert (first["class_1"], first["label"]) == ("red", "blue")
    assert (second["class_1"], second["label"]) == ("red", "red")


def test_features(tmp_path):
    """They are delivered on request, at length 1, and with an index if the archive has them."""
    folder = paint(tmp_path / "in", a=RED, b=BLUE)
    archive = color_archive(tmp_path / "m.tgz")
    for number, values in enumerate([{"features": True}, {"index": True}, {}]):
        out = tmp_path / f"out{number}"
        assert order(archive, folder, out, moving=False, **values).status == 0
        assert (out / "features.npz").exists() == bool(values)
    with np.load(tmp_path / "out0" / "features.npz") as found:
        assert found["vectors"].shape == (2, 3)
        assert np.linalg.norm(found["vectors"], axis=1) == pytest.approx([1, 1], abs=1e-6)
        assert found["vectors"].argmax(axis=1).tolist() == [0, 2]
    bare = color_archive(tmp_path / "n.tgz", outputs={"logits": "values"})
    run = order(bare, folder, tmp_path / "none", moving=False, features=True)
    assert run.status == 2
    assert any("gives no features" in line for line in run.errors)


def test_outputs_that_are_not_the_classes(tmp_path):
    """The order ends before it measures a picture."""
    folder = paint(tmp_path / "in", a=RED)
    run = order(color_archive(tmp_path / "m.tgz", ["red", "green"]), folder, tmp_path / "out", moving=False)

    assert run.status == ClassesError.exit_status
    assert any("E_MODEL_CLASSES" in line and "gives 3 values" in line for line in run.errors), run.errors
    assert not (tmp_path / "out" / "predictions.csv").exists()


def test_frames_csv_has_a_column_for_each_label_of_many_names(tmp_path):
    """Of more names than there are columns, those that any frame has: its other labels would be missing from its row."""
    weights, bias = [[0, 0, 0] for _ in range(150)], [-9] * 150
    for index, weight in ((3, [20, 0, 0]), (7, [0, 0, 20])):
        weights[index], bias[index] = weight, 0
    archive = color_archive(
        tmp_path / "m.tgz", [f"n{index}" for index in range(150)], network=color_onnx(weights, bias)
    )
    red, blue, grey = (
        np.full((144, 192, 3), color, np.uint8) for color in ((220, 10, 10), (10, 10, 220), (120, 120, 120))
    )
    (tmp_path / "in").mkdir()
    film(tmp_path / "in" / "v.mp4", [red, grey, blue, blue, blue, blue])
    assert order([archive, RECTANGLES], tmp_path / "in", tmp_path / "out", outputs="none").status == 0

    frames, labels = (
        rows(tmp_path / "out", "frames.csv"),
        rows(tmp_path / "out", "colors.frame-predictions.csv"),
    )
    assert [row["label"] for row in labels] == ["n3", "unsure", *["n7"] * 4]
    for row, label in zip(frames, labels, strict=True):
        own = {name: value for name, value in row.items() if name.startswith("colors.count_")}
        assert own == {name: str(int(name == f"colors.count_{label['label']}")) for name in own}
        assert f"colors.count_{label['label']}" in own


def test_a_large_picture_is_the_same_beside_a_model_of_another_size(tmp_path, monkeypatch):
    """Law: several models in one pass give what each gives alone, also where both shrink pictures, to two sizes."""
    monkeypatch.setattr("quadrat.tasks.classify.task.LARGE_PIXELS", 40_000)
    folder = tmp_path / "in"
    folder.mkdir()
    noise = np.random.default_rng(3).integers(0, 256, (1100, 1300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "a.png")
    words = {"temperature": 0.01}  # tiny differences of the mean colour show
    colors, covers = color_archive(tmp_path / "m.tgz", words=words), brightness_archive(tmp_path / "b.tgz")
    for out, models in (("one", [colors]), ("two", [covers]), ("both", [covers, colors])):
        assert order(models, folder, tmp_path / out, moving=False, outputs="none").status == 0

    alone, beside = (
        json.loads((tmp_path / out / name).read_text())
        for out, name in (("one", "predictions.jsonl"), ("both", "colors.predictions.jsonl"))
    )
    assert alone == beside
    (first,), (second,) = rows(tmp_path / "two", "images.csv"), rows(tmp_path / "both", "images.csv")
    assert (first["width"], second["width"]) == ("1087", "1300")
    covered = {name: value for name, value in first.items() if name.startswith("cover_")}
    (label,) = {name.split(".")[0] for name in second if ".cover_" in name}
    assert covered == {name: second[f"{label}.{name}"] for name in covered}
