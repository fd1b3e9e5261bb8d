"""compare.csv and compare.png: each variant's values side by side, with the difference from none and the spread."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quadrat.render.comparison import COLORS, ComparedClass, draw_comparison
from tests import pictures
from tests.executors.orders import dives, everything, photos
from tests.moving import RECTANGLES, order
from tests.networks import argmax_archive
from tests.results import contents
from tests.test_job_models import SEAGRASS

VARIANTS = ("none", "clahe", "grey-world+clahe")


def test_values_are_those_of_orders_with_one_variant(tmp_path: Path) -> None:
    """With the difference of the variant that differs most from none, and the largest value minus the smallest."""
    source = photos(tmp_path / "in")
    ran = order(SEAGRASS, source, tmp_path / "all", moving=False, compare="clahe,grey-world+clahe")
    single = {
        variant: {
            (row["name"], row["class"]): row["cover"]
            for row in order(
                SEAGRASS, source, tmp_path / variant, moving=False, enhance=variant.replace("+", ",")
            ).rows
            if row["cover"]
        }
        for variant in VARIANTS
    }
    table = ran.table("compare.csv")
    assert list(table[0])[5:] == [*VARIANTS, "difference", "spread"]
    rows = [row for row in table if row["name"] != "(all)"]
    assert [(row["name"], row["class"]) for row in rows] == list(single["none"])
    for row in rows:
        place = row["name"], row["class"]
        values = [float(single[variant][place]) for variant in VARIANTS]
        assert [row[variant] for variant in VARIANTS] == [single[variant][place] for variant in VARIANTS]
        others = [value - values[0] for value in values]
        assert float(row["difference"]) == pytest.approx(max(others, key=abs), abs=2e-6)
        assert float(row["spread"]) == pytest.approx(max(values) - min(values), abs=2e-6)
    for row in table[len(rows) :]:
        mean = np.mean([float(each["clahe"]) for each in rows if each["class"] == row["class"]])
        assert float(row["clahe"]) == pytest.approx(mean, abs=2e-6)
    assert ran.aspect("compare.csv")["kind"] == "comparison"
    assert ran.aspect("compare.png")["variants"] == list(VARIANTS)
    assert any("compare.png first" in line for line in ran.infos)
    assert Image.open(io.BytesIO(ran.body("compare.png"))).width == 1100


def test_objects_are_counted_in_images_and_detected_in_videos(tmp_path: Path) -> None:
    """The number of a video is that of all its frames, and the table says so."""
    still = order(RECTANGLES, photos(tmp_path / "in"), tmp_path / "out", moving=False, compare="median")
    film = order(RECTANGLES, dives(tmp_path / "dives"), tmp_path / "film", compare="median")

    assert {row["measure"] for row in still.table("compare.csv")} == {"count"}
    assert {row["measure"] for row in film.table("compare.csv")} == {"detections"}
    rows = [row for row in still.table("compare.csv") if row["name"] == "0.png" and row["class"] == "fish"]
    assert [(row["none"], row["median"], row["difference"]) for row in rows] == [("1", "1", "0")]


def test_classes_that_no_variant_found_are_not_drawn(tmp_path: Path) -> None:
    """The table has a row for each; the picture shows those that were found."""
    (tmp_path / "in").mkdir()
    scene = Image.new("RGB", (200, 150), (128, 128, 128))
    scene.paste((0, 0, 255), (40, 40, 100, 80))
    scene.save(tmp_path / "in" / "a.png")
    ran = order(RECTANGLES, tmp_path / "in", tmp_path / "out", moving=False, compare="median")

    means = [row for row in ran.table("compare.csv") if row["name"] == "(all)"]
    found = [row["class"] for row in means if float(row["none"]) or float(row["median"])]
    assert len(found) < len(means) == 3
    drawn = [ComparedClass(name, [1.0, 1.0], percent=False) for name in found or [""] * 3]
    wanted = draw_comparison(["none", "median"], [("x", drawn)])
    assert Image.open(io.BytesIO(ran.body("compare.png"))).height == wanted.shape[0]
    assert found == ["fish"]


def test_a_class_that_only_one_variant_finds_is_zero_in_the_others(tmp_path: Path) -> None:
    """Also without a list of classes, where a variant knows only the classes that it has found."""
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        dim = np.repeat(np.arange(10, 90, dtype=np.uint8)[None, :, None], 60, axis=0).repeat(3, axis=2)
        (tmp_path / "in" / f"{name}.png").write_bytes(pictures.png(dim))
    model = argmax_archive(tmp_path / "m.tgz", classes=[], model={})
    ran = order(model, tmp_path / "in", tmp_path / "out", moving=False, compare="stretch")
    table = ran.table("compare.csv")

    assert len(table) == 6
    for row in table:
        assert float(row["difference"]) == pytest.approx(float(row["stretch"]) - float(row["none"]), abs=2e-6)
    for name in ("a.png", "b.png", "(all)"):
        own = [row for row in table if row["name"] == name]
        assert [sum(float(row[variant]) for row in own) for variant in ("none", "stretch")] == [1, 1]


def test_several_archives_have_rows_of_their_own(tmp_path: Path) -> None:
    """Each with its classes and its unit; a model that fails on a source leaves its cell empty."""
    ran = order(
        [SEAGRASS, RECTANGLES], photos(tmp_path / "in"), tmp_path / "out", moving=False, compare="clahe"
    )
    table = ran.table("compare.csv")

    assert {(row["model"], row["measure"]) for row in table} == {
        ("seagrass-tiny", "cover"),
        ("rectangles", "count"),
    }
    assert "0.seagrass-tiny-clahe.pseudo.png" in ran.products


@pytest.mark.parametrize("moving", [False, True])
def test_isolated_and_resumed_orders_compare_the_same(tmp_path: Path, moving: bool) -> None:
    """Whatever runs the network; and one that continues has the rows of all sources."""
    source = (dives if moving else photos)(tmp_path / "in")
    local = order(RECTANGLES, source, tmp_path / "local", moving=moving, compare="clahe")
    isolated = order(
        RECTANGLES, source, tmp_path / "isolated", moving=moving, compare="clahe", executor="isolated"
    )
    assert everything(local) == everything(isolated)
    (source / ("b.mp4" if moving else "1.png")).rename(tmp_path / "away")
    order(RECTANGLES, source, tmp_path / "resumed", moving=moving, compare="clahe")
    (tmp_path / "away").rename(source / ("b.mp4" if moving else "1.png"))
    again = order(RECTANGLES, source, tmp_path / "resumed", moving=moving, compare="clahe")
    assert any("unchanged since an earlier run" in line for line in again.infos)
    for name in ("compare.csv", "compare.png", "survey.csv"):
        assert again.body(name) == local.body(name)
    before = contents(tmp_path / "resumed")
    order(RECTANGLES, source, tmp_path / "resumed", moving=moving, compare="clahe")
    assert contents(tmp_path / "resumed") == before


def test_a_warning_is_not_repeated_for_each_variant(tmp_path: Path) -> None:
    """All variants see the same scales."""
    (tmp_path / "in").mkdir()
    for side in (300, 900):
        body = pictures.png(pictures.drawing(side, side, seed=side))
        (tmp_path / "in" / f"{side}.png").write_bytes(body)
    ran = order(SEAGRASS, tmp_path / "in", tmp_path / "out", moving=False, compare="clahe,grey-world")
    lines = [line for line in ran.warnings if "different scales" in line]
    assert len(lines) == 1
    assert lines[0].startswith("Images were measured")


def test_without_variants_there_is_no_comparison(tmp_path: Path) -> None:
    """Nor is there one of pictures that are only enhanced: they have a sheet."""
    (tmp_path / "a.png").write_bytes(pictures.png(pictures.drawing(60, 80)))
    plain = order(RECTANGLES, tmp_path / "a.png", tmp_path / "plain", moving=False)
    enhanced = order(
        [], tmp_path / "a.png", tmp_path / "enhanced", moving=False, task="enhance", compare="clahe"
    )

    assert not any(name.startswith("compare.") for name in (*plain.products, *enhanced.products))
    assert {"a.none.enhanced.png", "a.clahe.enhanced.png", "before-after.jpg"} <= set(enhanced.products)


def test_bars_are_as_long_as_their_values() -> None:
    """Each in the colour of its variant, the longest for the largest value."""
    values = [0.5, 0.25, 1.0]
    picture = draw_comparison(
        ["none", "a", "b"], [("Mean cover", [ComparedClass("reef", values, percent=True)])]
    )
    lengths = [(picture[60:] == color).all(axis=2).sum(axis=1).max() for color in COLORS[:3]]

    assert lengths[2] > 400
    assert [length / lengths[2] for length in lengths] == pytest.approx(values, abs=0.01)
    draw_comparison(["none", "a"], [("x", [ComparedClass("reef", [0.0, 0.0], percent=False)])])
