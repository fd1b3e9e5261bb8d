"""An order warns if its images were measured at different scales."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quadrat.records import ImageFacts, ModelRecord, SourceRecord
from quadrat.report.base import ModelFacts
from quadrat.report.scales import Scales
from quadrat.transforms import build
from quadrat.transforms.chain import Chain
from quadrat.types import Source, TransformSpec
from tests import pictures
from tests.moving import RECTANGLES, order
from tests.networks import brightness_archive
from tests.report.things import facts, labelled


def image(name: str, **sides: int) -> SourceRecord:
    """Make the record of an image that each model measured at a long side."""
    parts = tuple(ModelRecord(model, "segment", 1, side=side) for model, side in sides.items())
    return SourceRecord(
        Source(f"urn:{name}", name), "ok", image=ImageFacts((1, 1), (1, 1), name, {}), models=parts
    )


def warnings(models: list[ModelFacts], *records: SourceRecord) -> list[str]:
    """Fold records."""
    scales = Scales(models)
    for record in records:
        scales.add(record)
    return scales.warnings()


@pytest.mark.parametrize(
    ("sides", "trained", "says"),
    [
        ([800, 1200], None, []), ([1200, 800], 800, []), ([], 800, []), ([500], None, []), ([1200], 800, []),
        ([800, 1201], None, ["scales, with long sides from 800 pixels (0.jpg) to 1201 (1.jpg)"]),
        ([1201, 1000], 800, ["trained at a long side of 800 pixels, but 1 of 2 images"]),
        ([533], 800, ["trained at a long side of 800 pixels, but 1 of 1 images"]), ([534], 800, []),
        ([500, 1000, 2000], 1000, ["from 500 pixels (0.jpg) to 2000 (2.jpg)", "2 of 3 images"]),
    ],
)  # fmt: skip
def test_a_factor_of_more_than_one_and_a_half(sides: list[int], trained: int | None, says: list[str]) -> None:
    """From each other, or from the scale of training; exactly that factor is fine."""
    model = replace(facts("segment"), trained_side=trained)
    found = warnings([model], *(image(f"{n}.jpg", m=side) for n, side in enumerate(sides)))
    assert len(found) == len(says)
    assert all(text in line for text, line in zip(says, found, strict=True))
    assert found == warnings([model], *reversed([image(f"{n}.jpg", m=side) for n, side in enumerate(sides)]))


def test_only_measured_images_count() -> None:
    """Videos, failures, skipped images and thumbnails have no scale; several models are named."""
    film = replace(image("v", m=50), image=None)
    unmeasured = replace(image("s", m=50), models=(ModelRecord("m", "segment", side=50),))
    thumbnail = image("t", m=50)
    assert thumbnail.image is not None
    thumbnail = replace(thumbnail, image=replace(thumbnail.image, flags=("small",)))
    assert warnings([facts("segment")], film, unmeasured, thumbnail, image("a", m=1000)) == []
    (line,) = warnings(
        labelled(reef="segment", fish="segment"), image("a", reef=10, fish=10), image("b", reef=10, fish=20)
    )
    assert line.startswith("fish: images were measured")
    assert "--max-img-size 10px" in line
    both = labelled(reef="segment", fish="segment")
    (line,) = warnings(both, image("a", reef=10, fish=10), image("b", reef=20, fish=20))
    assert line.startswith("images were measured")


@pytest.mark.parametrize(
    ("specs", "hw", "scaled"),
    [
        ([], (300, 400), (300, 400)), ([("Resize", {"target_size": [512, 256]})], (300, 400), (256, 512)),
        ([("Letterbox", {"size": [640, 640]}), ("Normalize", {})], (300, 400), (480, 640)),
        ([("LimitLong", {"max_long": 200})], (300, 400), (150, 200)),
        ([("Padding", {"target_size": [1000, 1000]})], (300, 400), (300, 400)),
    ],
)  # fmt: skip
def test_the_scale_is_that_of_the_networks_input(
    specs: list[tuple[str, dict]], hw: tuple[int, int], scaled: tuple[int, int]
) -> None:
    """Without padding; and it agrees with what the transforms do."""
    chain = build([TransformSpec(kind, params) for kind, params in specs])
    assert isinstance(chain, Chain)
    assert chain.scaled_hw(hw) == scaled


def photos(folder: Path, *sides: int) -> Path:
    """Write pictures of these sides."""
    folder.mkdir()
    for number, side in enumerate(sides):
        (folder / f"{number}.png").write_bytes(pictures.png(pictures.drawing(side, side, seed=number)))
    return folder


def test_an_order_warns_of_mixed_scales(tmp_path: Path) -> None:
    """A large photograph is shrunk, a small one is not; a given size makes both alike, and tiles do not."""
    folder, model = photos(tmp_path / "in", 300, 1500), brightness_archive(tmp_path / "m.tgz")
    mixed = order(model, folder, tmp_path / "mixed", moving=False)
    assert [line for line in mixed.warnings if "different scales" in line] == mixed.warnings[:1]
    assert mixed.json("run.json")["warnings"] == [mixed.warnings[0][0].lower() + mixed.warnings[0][1:]]
    alike = order(model, folder, tmp_path / "alike", moving=False, max_img_size="300px")
    assert not [line for line in alike.warnings if "scale" in line]
    assert (
        "different scales"
        in order(RECTANGLES, folder, tmp_path / "tiles", moving=False, tile_size=256).warnings[0]
    )


def test_an_order_warns_of_another_scale_than_in_training(tmp_path: Path) -> None:
    """If the archive states it; not in tiles."""
    folder = photos(tmp_path / "in", 300)
    model = brightness_archive(tmp_path / "m.tgz", **{"trained-size": 900})
    ran = order(model, folder, tmp_path / "out", moving=False)
    assert ran.warnings[0].startswith("The model was trained at a long side of 900 pixels, but 1 of 1 images")
    assert ran.json("run.json")["models"][0]["trained-side"] == 900
    tiled = order(model, folder, tmp_path / "tiles", moving=False, tile_size=128)
    assert not [line for line in tiled.warnings if "trained" in line]
    assert np.isclose(float(ran.rows[0]["cover"]) + float(ran.rows[1]["cover"]), 1)
