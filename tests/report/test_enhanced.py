"""enhanced.csv holds descriptors of each source before and after, and what was lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from quadrat.report.enhanced import COLUMNS, DESCRIBED_EVERY, VALUES
from quadrat.steps import parse_steps
from quadrat.steps.descriptors import describe
from tests import pictures
from tests.moving import RECTANGLES, order, swim
from tests.report.test_metadata_page import PAGE, keys
from tests.videos import write


def test_descriptors_are_those_of_the_pictures(tmp_path: Path) -> None:
    """Before as read, after as delivered, in the table and in the aspect; nothing changes without a step."""
    pixels = pictures.drawing(120, 160)
    (tmp_path / "a.png").write_bytes(pictures.png(pixels))
    ran = order(
        [], tmp_path / "a.png", tmp_path / "out", moving=False, task="enhance", enhance="grey-world,clahe"
    )
    (row,) = ran.table("enhanced.csv")
    before, after = describe(pixels), describe(parse_steps("grey-world,clahe").apply(pixels))

    assert tuple(row) == COLUMNS
    for name in ("uciqe", "uiqm", "sharpness"):
        assert float(row[f"{name}_before"]) == pytest.approx(getattr(before, name), abs=6e-5)
        assert float(row[f"{name}_after"]) == pytest.approx(getattr(after, name), abs=6e-5)
    assert float(row["red_after"]) == pytest.approx(after.mean_rgb[0], abs=0.06)
    about = ran.aspect("a.enhanced.png")
    assert about["descriptors"] == {
        name: {when: float(row[f"{name}_{when}"]) for when in ("before", "after")} for name in VALUES
    }
    assert (row["width"], row["source_height"], row["lost"], row["frames"]) == ("160", "120", "", "1")
    assert (about["width"], about["source-height"], about["lost"]) == (160, 120, [])
    plain = order([], tmp_path / "a.png", tmp_path / "plain", moving=False, task="enhance").table(
        "enhanced.csv"
    )[0]
    assert all(plain[f"{name}_before"] == plain[f"{name}_after"] for name in VALUES)


def test_what_is_lost_is_in_the_table_the_aspect_and_the_log(tmp_path: Path) -> None:
    """Nobody takes 8 bits for 16."""
    (tmp_path / "a.png").write_bytes(pictures.rgb16_png(pictures.drawing(60, 80)))
    ran = order([], tmp_path / "a.png", tmp_path / "out", moving=False, task="enhance")

    assert ran.table("enhanced.csv")[0]["lost"] == "8 of 16 bits"
    assert ran.aspect("a.enhanced.png")["lost"] == ["8 of 16 bits"]
    assert any("without 8 of 16 bits" in line for line in (*ran.infos, *ran.warnings))


def test_without_pictures_there_are_still_descriptors(tmp_path: Path) -> None:
    """outputs=none delivers tables only; a source that fails has no row."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(pictures.png(pictures.drawing(60, 80)))
    (tmp_path / "in" / "torn.jpg").write_bytes(pictures.truncated(pictures.jpeg()))
    ran = order(
        [], tmp_path / "in", tmp_path / "out", moving=False, task="enhance", outputs="none", enhance="clahe"
    )

    assert [(row["name"], row["product"]) for row in ran.table("enhanced.csv")] == [("a.png", "")]
    assert not (tmp_path / "out" / "enhanced").exists()


def test_of_a_video_some_frames_are_described(tmp_path: Path) -> None:
    """Every 25th of those that were measured, from the first; the table has their mean."""
    write(tmp_path / "a.mp4", swim(2 * DESCRIBED_EVERY + 1))
    ran = order([], tmp_path / "a.mp4", tmp_path / "out", task="enhance", enhance="clahe")
    (row,) = ran.table("enhanced.csv")

    assert (row["frames"], row["described"]) == (str(2 * DESCRIBED_EVERY + 1), "3")
    assert row["uciqe_before"] != row["uciqe_after"]
    assert set(ran.aspect("a.mp4")["descriptors"]) == set(VALUES)


def test_the_page_of_metadata_has_every_key(tmp_path: Path) -> None:
    """Of the pictures and videos, of the tables, and of the sheets of an order."""
    (tmp_path / "a.png").write_bytes(pictures.png(pictures.drawing(60, 80)))
    write(tmp_path / "a.mp4", swim(3))
    found = []
    for moving, source in ((False, "a.png"), (True, "a.mp4")):
        for name, models, values in (
            ("enhanced", [], {"task": "enhance", "compare": "clahe"}),
            ("compared", RECTANGLES, {"compare": "clahe"}),
        ):
            ran = order(models, tmp_path / source, tmp_path / f"{name} {source}", moving=moving, **values)
            assert ran.status == 0, ran.errors
            found += [ran.aspect(name) for name in ran.products if not name.endswith("-meta.json")]
    kinds = {aspect.get("kind") for aspect in found}
    assert {"enhanced", "comparison", "before-after"} <= kinds
    assert not {key for each in found for key in keys(each) if key[0] != "$" and f"`{key}`" not in PAGE}
    assert all(f"`{kind}`" in PAGE for kind in kinds if kind)
