"""Annotated videos: one that cannot be drawn costs nobody else anything."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from quadrat.errors import EngineRunError
from quadrat.media import video_write
from quadrat.types import Failure
from tests.moving import RECTANGLES, draw, film, load, measured, order, swim, watch, watched


def three(folder: Path, rate: int) -> Path:
    """Make a folder of three videos, the one in the middle of this rate."""
    folder.mkdir()
    for name, each in (("a", 25), ("fast", rate), ("z", 25)):
        film(folder / f"{name}.mp4", swim(12), rate=each)
    return folder


@pytest.mark.parametrize("step", [1, 10])
def test_a_fast_video_is_drawn_by_every_codec(tmp_path: Path, step: int) -> None:
    """AV1's encoder knows no more than 240 frames/s; times and duration are the source's."""
    ran = order(RECTANGLES, three(tmp_path / "in", 480), tmp_path / "out", codec="av1", frame_step=step)

    assert (0, [], []) == (ran.status, ran.errors, ran.warnings)
    assert ["ok"] * 3 == list({row["name"]: row["status"] for row in ran.rows}.values())
    made = watch(tmp_path / "out" / "fast.mp4")
    assert [n / 480 for n in range(0, 12, step)] == pytest.approx(made.times, abs=2e-4)
    assert 12 / 480 == pytest.approx(made.seconds, abs=2e-4)


@pytest.mark.parametrize("stop", [False, True])
def test_a_video_that_the_encoder_refuses_ends_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: bool
) -> None:
    """It is measured whole and its row gives the reason for having no video; with on-error=stop it is the last. No file of ours is named."""
    monkeypatch.setattr(video_write, "_MAX_RATE", {"av1": 1000})  # which the encoder rejects
    policy = {"on_error": "stop" if stop else "skip", "sources_at_once": 1}
    ran = order(RECTANGLES, three(tmp_path / "in", 480), tmp_path / "out", codec="av1", **policy)

    assert (5 if stop else 0) == ran.status
    wanted = ["ok", "partial", "not-reached" if stop else "ok"]
    assert wanted == list({row["name"]: row["status"] for row in ran.rows}.values())
    row = ran.row("fast.mp4")
    assert ("12", "E_ENCODER") == (row["frames"], row["code"])
    assert "the av1 encoder cannot encode the video (Invalid argument)" in row["reason"]
    assert {"a.mp4", "z.mp4"} - ({"z.mp4"} if stop else set()) == {
        n for n in ran.products if n.endswith(".mp4")
    }
    assert "fast.mot.txt" in ran.products
    assert "video-" not in "".join(ran.errors + ran.warnings + [row["reason"]])


@pytest.mark.parametrize("place", ["write", "close"])
@pytest.mark.parametrize(("number", "status"), [(errno.EINVAL, 0), (errno.ENOSPC, 6)])
def test_a_refusal_in_the_middle_and_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, number: int, status: int
) -> None:
    """The encoder may say no at any frame, and at the end: none of that video is left. A full disk ends the order."""
    begun, working = [], getattr(video_write.VideoWriter, place)

    def failing(self: video_write.VideoWriter, *given: object) -> None:
        begun.append(self)
        if place == "close" or len(begun) > 5:
            monkeypatch.setattr(video_write.VideoWriter, place, working)
            working(self, *given)
            raise self._to_delivery_error(OSError(number, os.strerror(number)))
        working(self, *given)

    monkeypatch.setattr(video_write.VideoWriter, place, failing)
    work = tmp_path / "work"
    work.mkdir()
    ran = order(RECTANGLES, three(tmp_path / "in", 25), tmp_path / "out", sources_at_once=1, keep=work)

    row = ran.row("a.mp4")
    assert (status, "partial", status // 6) == (ran.status, row["status"], len(ran.errors))
    assert (set() if status else {"fast.mp4", "z.mp4"}) == {n for n in ran.products if n.endswith(".mp4")}
    assert all(line.startswith("E_DELIVERY a.mp4: the video could not be written") for line in ran.errors)
    if not status:
        assert ("12", "E_ENCODER") == (row["frames"], row["code"])
        assert [] == list(work.glob("*.mp4"))


def test_a_size_that_the_codec_does_not_know_ends_no_order(tmp_path: Path) -> None:
    """The video is measured whole and has tables but no picture, its row has the reason, and the others have theirs."""
    folder = tmp_path / "in"
    folder.mkdir()
    film(folder / "a.mp4", swim(4))
    film(folder / "small.mp4", [draw([(5, 5, 30, 30)], (48, 96))] * 4)
    film(folder / "z.mp4", swim(4))

    ran = order(RECTANGLES, folder, tmp_path / "out", codec="av1")

    row = ran.row("small.mp4")
    assert (0, []) == (ran.status, ran.errors)
    assert ["ok", "partial", "ok"] == [ran.row(name)["status"] for name in ("a.mp4", "small.mp4", "z.mp4")]
    assert ("4", "E_IMAGE_SIZE") == (row["frames"], row["code"])
    assert "av1 does not support 96 x 48 pixels" in row["reason"]
    assert {"a.mp4", "z.mp4"} == {name for name in ran.products if name.endswith(".mp4")}
    assert "small.mot.txt" in ran.products


def test_no_video_is_left_of_a_source_that_failed(tmp_path: Path) -> None:
    """A video without a measured frame has a note in every frame, and is not delivered."""
    source = film(tmp_path / "a.mp4", swim(4))
    drawn = tmp_path / "drawn"
    drawn.mkdir()

    def fail(_: object) -> None:
        raise EngineRunError("out of memory")

    with load(RECTANGLES) as model:
        _, ends = measured(watched(model, fail), [source], videos=drawn)

    assert isinstance(ends["a"], Failure)
    assert [] == list(drawn.iterdir())
