"""Orders with images that should be looked at: measured and flagged, or left out on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat import engines
from tests import pictures
from tests.moving import RECTANGLES, Order, Watched, draw, order

TINY = RECTANGLES.with_name("seagrass-tiny.tgz")
PHOTOS = RECTANGLES.parents[1] / "images"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a sharp photograph, a black one, a copy of the first at half its size, and a thumbnail of another."""
    made = tmp_path / "in"
    made.mkdir()
    fine, other = _noisy(480, 640, 0), _noisy(480, 640, 1)
    for name, pixels in {
        "a.png": fine, "b.png": np.zeros_like(fine), "c.png": fine[::2, ::2].repeat(2, axis=0).repeat(2, axis=1),
        "d.png": other[:200, :200],
    }.items():  # fmt: skip
        (made / name).write_bytes(pictures.png(pixels))
    return made


def _noisy(height: int, width: int, seed: int) -> Any:
    """Draw a picture with large structures and sharp edges."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(40, 220, (height // 40, width // 40, 3)).repeat(40, axis=0).repeat(40, axis=1)
    return (blocks + rng.integers(-12, 12, blocks.shape)).clip(0, 255).astype(np.uint8)


def flags(ran: Order) -> dict[str, tuple[str, str]]:
    """Give status and flags of each image."""
    return {row["name"]: (row["status"], row["flags"]) for row in ran.table("images.csv")}


def test_a_black_photograph_is_not_ok(folder: Path, tmp_path: Path) -> None:
    """It was 99.999 % of one class and `ok`; the order succeeds, and its last lines count the flags."""
    ran = order(TINY, folder, tmp_path / "out", moving=False)

    assert ran.status == 0
    assert flags(ran) == {
        "a.png": ("ok", ""), "b.png": ("flagged", "dark flat"), "c.png": ("flagged", "duplicate"),
        "d.png": ("flagged", "small"),
    }  # fmt: skip
    assert {row["reason"] for row in ran.rows if row["name"] == "c.png"} == {"it is a duplicate of a.png"}
    assert all(row["cover"] for row in ran.rows), "flagged images are measured"
    assert ran.aspect("b.pseudo.png")["flags"] == ["dark", "flat"]
    assert ran.warnings == ["Flagged images: 1 dark, 1 flat, 1 small, 1 duplicate; images.csv lists them"]
    assert ran.outcome is not None
    assert {"ok": 1, "flagged": 3} == dict(ran.outcome.counts)


def test_flagged_images_do_not_reach_the_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With skip-flagged; a duplicate is known only at the end, and is left out of the tables."""
    seen: list[int] = []
    start = engines.start

    def started(*given: Any, **named: Any) -> Any:
        return Watched(start(*given, **named), lambda batch: seen.append(len(batch)))

    monkeypatch.setattr(engines, "start", started)
    ran = order(TINY, folder, tmp_path / "out", moving=False, skip_flagged=True)

    assert ran.status == 0
    assert sum(seen) == 2
    assert flags(ran) == {
        "a.png": ("ok", ""), "b.png": ("skipped", "dark flat"), "c.png": ("skipped", "duplicate"),
        "d.png": ("skipped", "small"),
    }  # fmt: skip
    assert [row["name"] for row in ran.rows if row["cover"]] == ["a.png"] * 3
    assert {row["images"] for row in ran.table("totals.csv")} == {"1"}


def test_an_order_whose_images_are_all_flagged(tmp_path: Path) -> None:
    """It succeeds if they are measured, and fails if they are skipped, with what to do."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(pictures.png(np.zeros((300, 300, 3), np.uint8)))
    assert order(TINY, tmp_path / "in", tmp_path / "measured", moving=False).status == 0
    skipped = order(TINY, tmp_path / "in", tmp_path / "skipped", moving=False, skip_flagged=True)
    assert skipped.status == 5
    assert "leave --skip-flagged out" in skipped.errors[-1]


@pytest.mark.parametrize("more", [{"batch_size": 3}, {"max_img_size": 60_000}, {"tile_size": 160}])
def test_facts_depend_on_no_setting(folder: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    """Only on the files and their order."""
    names = ("flags", "duplicate_of", "brightness", "contrast", "sharpness", "clipped", "hash")

    def facts(ran: Order) -> list[list[str]]:
        return [[row[name] for name in names] for row in ran.table("images.csv")]

    plain = order(TINY, folder, tmp_path / "plain", moving=False, outputs="none")
    assert facts(plain) == facts(order(TINY, folder, tmp_path / "more", moving=False, outputs="none", **more))


def test_the_examples_are_not_flagged(tmp_path: Path) -> None:
    """A first order with them must not begin with a warning."""
    ran = order(TINY, PHOTOS, tmp_path / "out", moving=False, outputs="none")
    assert {status for status, _ in flags(ran).values()} == {"ok"}
    assert ran.warnings == []
    scenes = order(RECTANGLES, PHOTOS.parent / "scenes", tmp_path / "scenes", moving=False, outputs="none")
    assert {status for status, _ in flags(scenes).values()} == {"ok"}


def test_frames_of_videos_have_no_flags(tmp_path: Path) -> None:
    """A sequence of black pictures is a video: its frames are no photographs."""
    still = tmp_path / "in" / "still"
    still.mkdir(parents=True)
    for number in range(2):
        (still / f"{number}.png").write_bytes(pictures.png(draw([], (64, 64)) * 0))
    ran = order(RECTANGLES, tmp_path / "in", tmp_path / "out")
    assert {(row["status"], row["flags"]) for row in ran.rows} == {("ok", "")}
    assert "images.csv" not in ran.products
