"""Segmentation's products are what they always were, and a video of masks has its covers frame by frame."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.render.pictures import draw_pictures
from quadrat.report.aspects import inference_aspect
from quadrat.report.cover import mean_confidence, measure
from quadrat.report.survey import Survey
from quadrat.types import Segmentation
from tests.report.things import HW, VIDEO, WHO, end, frame, make, package, photo


def mask(share: float, confidence: float | None = 0.5) -> Segmentation:
    """Make a mask whose first rows, a `share` of all, are of class 1."""
    labels = np.zeros(HW, np.uint8)
    labels[: round(share * HW[0])] = 1
    return Segmentation(labels, None if confidence is None else np.full(HW, confidence, np.float16))


def rows(survey: Survey) -> list[dict[str, str]]:
    """Read the survey back."""
    return list(csv.DictReader(io.StringIO(survey.body().decode())))


def table(body: bytes | Path) -> list[dict[str, str]]:
    """Read a table back."""
    assert isinstance(body, Path)
    return list(csv.DictReader(io.StringIO(body.read_text("utf-8"))))


def test_an_image_has_the_pictures_and_aspects_it_always_had(tmp_path: Path) -> None:
    """Pictures in their order, the main aspect on the first, rows after the last was delivered."""
    kinds = ("pseudo", "labels", "confidence", "overlay")
    made, survey = make(tmp_path / "t", "segment", outputs=kinds)
    result = photo(mask(0.25))
    products = made.image(result)
    taken = [next(products) for _ in kinds]
    assert not survey.counts
    assert list(products) == []

    covers = measure(package("segment"), mask(0.25), 0.0)
    drawn = list(draw_pictures(result.frame, mask(0.25), covers, kinds))
    assert [p.name for p in taken] == [
        "p.pseudo.png", "p.labels.png", "p.confidence.png", "p.overlay.jpg",
    ]  # fmt: skip
    assert [p.body for p in taken] == [d.body for d in drawn]
    assert taken[0].metadata == inference_aspect(
        result.source, result.frame, covers, WHO,
        size=HW, confidence=mean_confidence(mask(0.25)), min_confidence=0.0,
    )  # fmt: skip
    assert [p.metadata.get("kind") for p in taken] == [None, "labels", "confidence", "overlay"]
    assert ["0.750000", "0.250000", "0.000000"] == [r["cover"] for r in rows(survey)]
    assert {"p.pseudo.png"} == {r["product"] for r in rows(survey)}
    assert made.said(result) == 'fish 75.00 %, crab, "red" 25.00 %, Grüße 0.00 %'
    assert list(made.tables()) == []


def test_the_default_is_the_pseudo_colour_picture(tmp_path: Path) -> None:
    """Without a word on outputs an image has one picture."""
    made, _ = make(tmp_path / "t", "segment")

    assert ["p.pseudo.png"] == [p.name for p in made.image(photo(mask(0.5)))]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_a_videos_cover_is_the_mean_of_its_frames(
    tmp_path_factory: pytest.TempPathFactory, shares: list[float]
) -> None:
    """The rows of frames, the aspect and the survey agree, and covers sum to 1."""
    made, survey = make(tmp_path_factory.mktemp("t"), "segment")
    for index, share in enumerate(shares):
        made.frame(frame(index, mask(share)))
    made.frame(frame(len(shares), None, skipped="black"))
    ((name, aspect, lines),) = (
        (p.name, p.metadata, table(p.body)) for p in made.ended(end(len(shares) + 1, skipped={"black": 1}))
    )
    (whole,) = (table(p.body) for p in made.tables())

    assert name == "dive.cover.csv"
    assert lines == whole
    assert [3] * len(shares) == [sum(r["frame"] == str(i) for r in lines) for i in range(len(shares))]
    mean = np.mean([float(r["cover"]) for r in lines if r["class_id"] == "urn:c:1"])
    assert aspect["cover"][1]["cover"] == pytest.approx(mean, abs=1e-6)
    assert sum(c["cover"] for c in aspect["cover"]) == pytest.approx(1)
    assert aspect["mean-confidence"] == pytest.approx(0.5)
    assert float(rows(survey)[1]["cover"]) == pytest.approx(mean, abs=2e-6)
    assert (aspect["frames"]["measured"], rows(survey)[0]["frames"]) == (len(shares), str(len(shares)))
    made.close()


def test_a_drawn_video_carries_the_aspect(tmp_path: Path) -> None:
    """With a picture of it the video is the main product, and its table has an aspect of its own."""
    made, survey = make(tmp_path / "t", "segment")
    made.begin(VIDEO)
    made.frame(frame(0, mask(0.5, None)))
    film = tmp_path / "film.mp4"
    film.write_bytes(b"mp4")
    ended = end(1, video=film)
    schemas = {p.name: p.metadata["$schema"].rsplit(":", 1)[-1] for p in made.ended(ended)}

    assert {"dive.mp4": "quadrat.video-cover.1", "dive.cover.csv": "quadrat.table.1"} == schemas
    assert {"dive.mp4"} == {r["product"] for r in rows(survey)}
    assert [""] * 3 == [r["mean_confidence"] for r in rows(survey)]
    assert made.summed(ended).startswith("fish 50.00 %")


def test_a_video_without_a_measured_frame_is_a_row(tmp_path: Path) -> None:
    """All black: no class, and the counts say why."""
    made, survey = make(tmp_path / "t", "segment")
    made.frame(frame(0, None, skipped="black"))
    ended = end(1, skipped={"black": 1})
    assert len(list(made.ended(ended))) == 1

    assert [("skipped", "", "0", "1")] == [
        (r["status"], r["class"], r["frames"], r["frames_skipped"]) for r in rows(survey)
    ]
    assert made.summed(ended) == "no frame was measured"
