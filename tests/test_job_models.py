"""Several models in one order: each gives what an order with it alone gives, of pixels that are decoded once."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from quadrat import engines
from quadrat.errors import EngineRunError
from quadrat.media import images, video
from tests import pictures, videos
from tests.detectors import detector_archive
from tests.moving import RECTANGLES, Order, Watched, draw, film, order, swim

SEAGRASS = RECTANGLES.parent / "seagrass-tiny.tgz"
NAMES = {"rectangles.tgz": "rectangles", "bright.tgz": "bright", "seagrass-tiny.tgz": "seagrass-tiny"}
OWN_TABLES = ("detections.csv", "detections.jsonl", "coco.json", "tracks.csv", "cover.csv")


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    """A second detector, which finds what is bright."""
    return detector_archive(tmp_path / "bright.tgz", name="bright", hw=(64, 96))


def photos(folder: Path) -> Path:
    """Write pictures: with two fish, with none, with a bright thing, one of more than a million pixels, a broken one."""
    folder.mkdir()
    bright = draw([], (64, 96))
    bright[10:30, 20:50] = 255
    noise = np.random.default_rng(3).integers(0, 200, (1100, 1200, 3)).astype(np.uint8)
    noise[100:400, 100:400] = draw([(0, 0, 300, 300)], (300, 300))
    for name, pixels in (
        ("a", draw([(20, 30, 80, 90), (100, 60, 150, 120)])),
        ("b", draw([])),
        ("c", bright),
        ("large", noise),
    ):
        (folder / f"{name}.png").write_bytes(pictures.png(pixels))
    (folder / "torn.jpg").write_bytes(pictures.truncated(pictures.jpeg()))
    return folder


def dives(folder: Path) -> Path:
    """Write two videos, one with a black frame, a sequence, and one that is no video."""
    folder.mkdir()
    film(folder / "east.mp4", swim(8))
    dark = np.zeros((144, 192, 3), np.uint8)
    film(folder / "west.mp4", [dark if n == 3 else frame for n, frame in enumerate(swim(7, y=60))])
    videos.still_images(folder / "stills", swim(3))
    (folder / "bad.mp4").write_bytes(b"\0" * 2000)
    return folder


def single(product: str, label: str, labels: list[str]) -> str | None:
    """Give the name that a product of a model has in an order with it alone; None if it is another model's, or of all."""
    if product.startswith(f"{label}."):
        return product.removeprefix(f"{label}.")
    if any(product.startswith(f"{other}.") or f".{other}." in product for other in labels if other != label):
        return None
    return product.replace(f".{label}.", ".") if f".{label}." in product else None


OF_ALL = {"survey.csv", "images.csv", "totals.csv", "frames.csv"}
"""Tables of all sources; with several models, they have more columns, and frames.csv exists."""


def of_model(products: Mapping[str, bytes], label: str, labels: list[str]) -> dict[str, bytes]:
    """Give the products of one model by the names that they have in an order with it alone, labels taken out."""
    found = {}
    for name, body in products.items():
        alone = single(name, label, labels)
        if alone is not None:
            found[alone] = body.replace(f".{label}".encode(), b"") if alone in OWN_TABLES else body
    return found


def rows_of(body: bytes, label: str = "") -> list[dict[str, str]]:
    """Give the rows of survey.csv that are a model's own or of sources that no model measured."""
    rows = csv.DictReader(io.StringIO(body.decode()))
    return [
        {key: cell.replace(f".{label}.", ".") for key, cell in row.items() if key != "model"}
        for row in rows
        if row.get("model", label) in (label, "")
    ]


def check(several: Order, alone: Mapping[str, Order]) -> None:
    """Compare the products and rows of each model with those of an order with it alone."""
    labels = list(alone)
    seen = [name for name in several.products if name in OF_ALL or name.endswith(".joined.jpg")]
    for label, one in alone.items():
        found = of_model(several.products, label, labels)
        expected = {name: body for name, body in one.products.items() if name not in OF_ALL}
        assert sorted(expected) == sorted(found)
        for name, body in expected.items():
            assert body == found[name], f"{label}: {name}"
        assert rows_of(one.body("survey.csv")) == rows_of(several.body("survey.csv"), label)
        seen += [name for name in several.products if single(name, label, labels) is not None]
    assert sorted(several.products) == sorted(seen), "every product is of one model"


@pytest.mark.parametrize("second", ["bright", "seagrass"])
@pytest.mark.parametrize("moving", [False, True], ids=["pictures", "videos"])
def test_each_model_gives_what_it_gives_alone(
    tmp_path: Path, bright: Path, second: str, moving: bool
) -> None:
    """Two detectors, and a detector with a segmentation model: same bytes but for names with labels."""
    archives = [RECTANGLES, bright if second == "bright" else SEAGRASS]
    folder = (dives if moving else photos)(tmp_path / "in")
    values: dict[str, Any] = {"moving": moving, "skip_black": True, "batch_size": 3}
    several = order(archives, folder, tmp_path / "several", **values)
    alone = {
        NAMES[archive.name]: order(archive, folder, tmp_path / archive.stem, **values) for archive in archives
    }

    assert [0, 0, 0] == [several.status, *(one.status for one in alone.values())]
    check(several, alone)


@pytest.mark.parametrize("moving", [False, True], ids=["pictures", "videos"])
def test_one_picture_shows_what_all_models_found(tmp_path: Path, moving: bool) -> None:
    """By default beside those of each model for images; alone if only it is asked for. It has an aspect with each model."""
    folder = tmp_path / "in"
    folder.mkdir()
    if moving:
        film(folder / "a.mp4", swim(4))
    else:
        (folder / "a.png").write_bytes(pictures.png(draw([(20, 30, 80, 90)])))
    name = "a.joined.mp4" if moving else "a.joined.jpg"
    every = order([RECTANGLES, SEAGRASS], folder, tmp_path / "every", moving=moving)
    only = order([RECTANGLES, SEAGRASS], folder, tmp_path / "only", moving=moving, outputs="joined")
    alone = order([RECTANGLES], folder, tmp_path / "alone", moving=moving, outputs="joined")

    assert [0, 0, 2] == [every.status, only.status, alone.status]
    assert (name in every.products) is not moving
    assert [name] == [each for each in only.products if each.endswith((".jpg", ".mp4", ".png"))]
    assert ["rectangles", "seagrass-tiny"] == [each["name"] for each in only.aspect(name)["models"]]
    (line,) = alone.errors
    assert line.startswith("E_PARAMETER outputs: joined cannot be drawn")


def test_the_joined_picture_has_boxes_over_masks(tmp_path: Path) -> None:
    """Where the detector draws its box, the picture is that of the detector's own; elsewhere that of the mask."""
    folder = tmp_path / "in"
    folder.mkdir()
    photo = draw([(20, 50, 90, 120)])
    (folder / "a.png").write_bytes(pictures.png(photo))
    ran = order(
        [RECTANGLES, SEAGRASS], folder, tmp_path / "out", moving=False, outputs="joined,annotated,overlay"
    )
    joined, boxes, mask = (
        np.asarray(Image.open(io.BytesIO(ran.body(f"a.{name}.jpg")))).astype(int)
        for name in ("joined", "rectangles.annotated", "seagrass-tiny.overlay")
    )

    box = np.s_[100:110, 20:21]
    assert np.abs(joined[box] - boxes[box]).mean() < 12 < np.abs(joined[box] - mask[box]).mean()
    assert joined.shape == mask.shape, "the legend stands below the picture"
    field = np.s_[10:60, 130:180]
    assert np.abs(joined[field] - mask[field]).mean() < 6 < np.abs(joined[field] - boxes[field]).mean()


def test_the_frames_of_all_models_are_joined(tmp_path: Path) -> None:
    """One row for each frame, with the values of each model's own table; no cell of a frame that was not measured."""
    ran = order([RECTANGLES, SEAGRASS], dives(tmp_path / "in"), tmp_path / "out", skip_black=True)
    frames, covers = ran.table("frames.csv"), ran.table("seagrass-tiny.cover.csv")

    assert 0 == ran.status
    assert [("east.mp4", 8), ("stills", 3), ("west.mp4", 7)] == sorted(
        Counter(row["name"] for row in frames).items()
    )
    for row in frames:
        assert ("black" if (row["name"], row["frame"]) == ("west.mp4", "3") else "") == row["skipped"]
        own = {
            f"seagrass-tiny.cover_{one['class']}": one["cover"]
            for one in covers
            if (one["name"], one["frame"]) == (row["name"], row["frame"])
        }
        assert own == {key: row[key] for key in row if "cover_" in key and row[key]}
        found = [
            one
            for one in ran.table("rectangles.detections.csv")
            if (one["name"], one["frame"]) == (row["name"], row["frame"])
        ]
        counts = [row[f"rectangles.count_{name}"] for name in ("fish", "crab", "urchin")]
        assert ([""] * 3 if row["skipped"] else [f"{len(found)}", "0", "0"]) == counts


def test_a_picture_is_decoded_once(tmp_path: Path, bright: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many models measure it."""
    folder, decoded = photos(tmp_path / "in"), Counter[str]()
    decode = images.decode

    def counted(blob: Any, key: Any, *how: Any, **more: Any) -> Any:
        decoded[Path(blob.content).name] += 1
        return decode(blob, key, *how, **more)

    monkeypatch.setattr(images, "decode", counted)
    order([RECTANGLES, bright, SEAGRASS], folder, tmp_path / "out", moving=False)

    assert {path.name: 1 for path in folder.iterdir()} == decoded


def test_a_frame_is_decoded_once(tmp_path: Path, bright: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many models measure it."""
    converted, to_rgb = [], video.to_rgb

    def counted(*given: Any) -> Any:
        converted.append(1)
        return to_rgb(*given)

    monkeypatch.setattr(video, "to_rgb", counted)
    source = film(tmp_path / "a.mp4", swim(9))
    ran = order([RECTANGLES, bright, SEAGRASS], Path(source.token), tmp_path / "out")

    assert (0, 9) == (ran.status, len(converted))
    assert ["9"] * 3 == list({row["model"]: row["frames"] for row in ran.rows}.values())


@pytest.mark.parametrize("failing", ["rectangles", "seagrass-tiny"])
@pytest.mark.parametrize("moving", [False, True], ids=["pictures", "videos"])
def test_a_model_that_fails_leaves_the_other_ones_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, moving: bool
) -> None:
    """Every source is partial with the failing model's code, and the other model's products are those of it alone."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "ab":
        if moving:
            film(folder / f"{name}.mp4", swim(5))
        else:
            (folder / f"{name}.png").write_bytes(pictures.png(draw([(20, 30, 80, 90)])))
    good = RECTANGLES if failing == "seagrass-tiny" else SEAGRASS
    alone = order(good, folder, tmp_path / "alone", moving=moving)
    start = engines.start

    def fail(_: Any) -> None:
        raise EngineRunError("out of memory")

    def started(package: Any, *how: Any, **named: Any) -> Any:
        engine = start(package, *how, **named)
        return Watched(engine, fail) if package.name == failing else engine

    monkeypatch.setattr(engines, "start", started)
    ran = order([RECTANGLES, SEAGRASS], folder, tmp_path / "out", moving=moving)

    assert ran.status == 0
    assert ran.outcome is not None
    assert {"partial": 2} == dict(ran.outcome.counts)
    bad = [row for row in ran.rows if row["model"] == failing]
    assert [("failed", "E_ENGINE_RUN")] * 2 == [(row["status"], row["code"]) for row in bad]
    label = NAMES[good.name]
    assert {"ok" if moving else "flagged"} == {row["status"] for row in ran.rows if row["model"] == label}
    found = of_model(ran.products, label, ["rectangles", "seagrass-tiny"])
    expected = {name: body for name, body in alone.products.items() if name not in OF_ALL}
    assert expected == found


def test_the_record_of_the_run_describes_each_model(tmp_path: Path, bright: Path) -> None:
    """run.json has a table of models, with name, label, digest and what was in force; the survey's aspect has totals of each."""
    folder = photos(tmp_path / "in")
    several = order([RECTANGLES, SEAGRASS], folder, tmp_path / "out", moving=False)
    models = [
        order(archive, folder, tmp_path / archive.stem, moving=False).json("run.json")["models"][0]
        for archive in (RECTANGLES, SEAGRASS)
    ]
    run = several.json("run.json")

    assert ["rectangles", "seagrass-tiny"] == [model["label"] for model in run["models"]]
    assert [{**model, "label": model["name"]} for model in models] == run["models"]
    assert ["rectangles", "seagrass-tiny"] == [
        each["name"] for each in several.aspect("survey.csv")["models"]
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rectangles", "two models have the name 'rectangles'"),
        ("Rectangles", "two models have the name 'Rectangles'"),
        ("", "the archive of the model 'rectangles' is given twice"),
    ],
)
def test_two_models_of_one_name_are_refused(tmp_path: Path, name: str, said: str) -> None:
    """Nothing could tell their results apart, and numbers would depend on the order of files; nothing is written."""
    folder = photos(tmp_path / "in")
    again = tmp_path / "again.tgz"
    if name:
        detector_archive(again, name=name, hw=(64, 96))
    else:
        again.write_bytes(RECTANGLES.read_bytes())
    ran = order([RECTANGLES, again], folder, tmp_path / "out", moving=False)

    assert 3 == ran.status
    (line,) = ran.errors
    assert line.startswith(f"E_MODEL_SEVERAL {said}")
    assert {} == ran.products


@pytest.mark.parametrize(("on_error", "status"), [("skip", 0), ("stop", 5)])
def test_a_picture_that_one_model_cannot_measure_stops_an_order_that_shall_stop(
    tmp_path: Path, bright: Path, monkeypatch: pytest.MonkeyPatch, on_error: str, status: int
) -> None:
    """A source that is partial because a model failed is no whole one; it is a row all the same."""
    start = engines.start

    def started(package: Any, *rest: Any, **named: Any) -> Any:
        def fail(_: Any) -> None:
            raise EngineRunError("out of memory")

        engine = start(package, *rest, **named)
        return Watched(engine, fail) if package.name == "bright" else engine

    monkeypatch.setattr(engines, "start", started)
    ran = order(
        [RECTANGLES, bright], photos(tmp_path / "in"), tmp_path / "out", moving=False, on_error=on_error
    )

    assert status == ran.status
    states = {row["name"]: row["status"] for row in ran.rows if row["model"] != "rectangles"}
    assert "failed" == states["a.png"]
    assert ("failed" if on_error == "skip" else "not-reached") == states["b.png"]
