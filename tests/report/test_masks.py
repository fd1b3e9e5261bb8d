"""Segmentation's products are what they always were, and a video of masks has its covers frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import VideoTruncatedError
from quadrat.predictions import Detections, Segmentation
from quadrat.render.pictures import draw_pictures
from quadrat.report.aspects import inference_aspect
from quadrat.report.cover import mean_confidence, measure
from quadrat.report.masks import CoverSummary, _text
from quadrat.report.names import Names
from quadrat.types import ClassInfo, Cover
from tests.report.things import HW, WHO, Desk, body, end, facts, frame, labelled, photo, read, video


def mask(share: float, confidence: float | None = 0.5) -> Segmentation:
    """Make a mask whose first rows, a `share` of all, are of class 1."""
    labels = np.zeros(HW, np.uint8)
    labels[: round(share * HW[0])] = 1
    return Segmentation(labels, None if confidence is None else np.full(HW, confidence, np.float16))


def test_an_image_has_the_pictures_and_aspects_it_always_had(tmp_path: Path) -> None:
    """Pictures in their order, the main aspect on the first, the record after the last was delivered."""
    kinds = ("pseudo", "labels", "confidence", "overlay")
    desk = Desk(tmp_path, "segment", outputs=kinds)
    result = photo(mask(0.25))
    products = desk.picture(result)
    taken = [next(products) for _ in kinds]
    assert not desk.report.totals.counts
    assert list(products) == []

    covers = measure(facts("segment"), mask(0.25), 0.0)
    drawn = list(draw_pictures(result.frame, mask(0.25), covers, kinds))
    assert [p.name for p in taken] == [
        "p.pseudo.png", "p.labels.png", "p.confidence.png", "p.overlay.jpg",
    ]  # fmt: skip
    assert [p.body for p in taken] == [d.body for d in drawn]
    assert [p.mime for p in taken] == ["image/png"] * 3 + ["image/jpeg"]
    assert taken[0].metadata == inference_aspect(
        result.source, result.frame, covers, WHO,
        size=HW, confidence=mean_confidence(mask(0.25)), min_confidence=0.0,
    )  # fmt: skip
    assert [p.metadata.get("kind") for p in taken] == [None, "labels", "confidence", "overlay"]
    assert ["0.750000", "0.250000", "0.000000"] == [r["cover"] for r in desk.rows]
    assert ["18000", "6000", "0"] == [r["pixels"] for r in desk.rows]
    assert {"p.pseudo.png"} == {r["product"] for r in desk.rows}
    assert desk.part.text == 'fish 75.00 %, crab, "red" 25.00 %, Grüße 0.00 %'
    assert (desk.part.measured, desk.part.size, desk.part.summary) == (1, HW, CoverSummary(tuple(covers)))
    assert desk.tables == {}


def test_the_default_is_the_pseudo_colour_picture(tmp_path: Path) -> None:
    """If outputs are not chosen, an image has one picture."""
    desk = Desk(tmp_path, "segment")

    assert ["p.pseudo.png"] == [p.name for p in desk.picture(photo(mask(0.5)))]


def test_a_black_photograph_is_skipped_with_its_reason(tmp_path: Path) -> None:
    """It makes no product, no table of frames, and counts in no mean."""
    desk = Desk(tmp_path, "segment")
    assert list(desk.picture(photo(None, skipped="black"))) == []

    assert [("skipped", "the picture is black", "", "200")] == [
        (r["status"], r["reason"], r["class"], r["width"]) for r in desk.rows
    ]
    assert desk.tables == {}
    assert desk.products["survey.csv"].metadata["mean-cover"] == []


def test_a_floor_adds_the_class_unknown(tmp_path: Path) -> None:
    """The floor in force is in the aspect, and pixels under it have a row."""
    labels = np.zeros(HW, np.uint8)
    labels[:60] = 255
    desk = Desk(tmp_path, "segment", min_confidence=0.25)
    (product,) = desk.picture(photo(Segmentation(labels, np.full(HW, 0.5, np.float16))))

    assert product.metadata["min-confidence"] == 0.25
    assert ("unknown", "0.500000") == (desk.rows[-1]["class"], desk.rows[-1]["cover"])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_a_videos_cover_is_the_mean_of_its_frames(
    tmp_path_factory: pytest.TempPathFactory, shares: list[float]
) -> None:
    """The rows of frames, the aspect and the survey agree, and covers sum to 1."""
    desk = Desk(tmp_path_factory.mktemp("t"), "segment")
    for index, share in enumerate(shares):
        desk.frame(frame(index, mask(share)))
    desk.frame(frame(len(shares), None, skipped="black"))
    ((name, aspect, lines),) = (
        (p.name, p.metadata, read(body(p).decode()))
        for p in desk.closed(end(len(shares) + 1, skipped={"black": 1}))
    )

    assert name == "dive.cover.csv"
    assert lines == read(desk.tables["cover.csv"])
    assert [3] * len(shares) == [sum(r["frame"] == str(i) for r in lines) for i in range(len(shares))]
    assert len(lines) == 3 * len(shares) == desk.products["cover.csv"].metadata["rows"]
    assert [f"{i / 25:.6f}" for i in range(len(shares))] == [r["time_s"] for r in lines[::3]]
    mean = np.mean([float(r["cover"]) for r in lines if r["class_id"] == "urn:c:1"])
    assert aspect["cover"][1]["cover"] == pytest.approx(mean, abs=1e-6)
    assert sum(c["cover"] for c in aspect["cover"]) == pytest.approx(1)
    assert aspect["mean-confidence"] == pytest.approx(0.5)
    assert float(desk.rows[1]["cover"]) == pytest.approx(mean, abs=2e-6)
    assert (aspect["frames"]["measured"], desk.rows[0]["frames"]) == (len(shares), str(len(shares)))
    assert {"dive.cover.csv"} == {row["product"] for row in desk.rows}


def test_confidence_is_the_mean_over_the_pixels_of_all_frames(tmp_path: Path) -> None:
    """A frame with more pixels of a class weighs more in the confidence of that class."""
    desk = Desk(tmp_path, "segment")
    for index, (share, confidence) in enumerate([(0.25, 0.5), (0.75, 1.0)]):
        desk.frame(frame(index, mask(share, confidence)))
    (product,) = desk.closed(end(2))
    confidences = [c["mean-confidence"] for c in product.metadata["cover"]]

    assert confidences == [pytest.approx(0.625), pytest.approx(0.875), None]
    assert product.metadata["mean-confidence"] == pytest.approx(0.75)
    assert ["0.6250", "0.8750", ""] == [r["mean_confidence"] for r in desk.rows]


def test_an_annotated_video_carries_the_aspect(tmp_path: Path) -> None:
    """The annotated video is then the main product, and the table has an aspect of its own."""
    desk = Desk(tmp_path / "t", "segment")
    desk.frame(frame(0, mask(0.5, None)))
    film = tmp_path / "film.mp4"
    film.write_bytes(b"mp4")
    products = list(desk.closed(end(1, film=film)))
    schemas = {p.name: p.metadata["$schema"].rsplit(":", 1)[-1] for p in products}

    assert {"dive.mp4": "quadrat.video-cover.1", "dive.cover.csv": "quadrat.table.1"} == schemas
    assert ["video/mp4", "text/csv"] == [p.mime for p in products]
    assert (3, "cover") == (products[1].metadata["rows"], products[1].metadata["kind"])
    assert {"dive.mp4"} == {r["product"] for r in desk.rows}
    assert [""] * 3 == [r["mean_confidence"] for r in desk.rows]
    assert [""] * 3 == [r["mean_confidence"] for r in read(desk.tables["cover.csv"])]
    assert desk.part.text.startswith("fish 50.00 %")


def test_a_video_without_a_measured_frame_is_a_row(tmp_path: Path) -> None:
    """All black: no class, and the counts give the reason."""
    desk = Desk(tmp_path, "segment")
    desk.frame(frame(0, None, skipped="black"))
    assert len(list(desk.closed(end(1, skipped={"black": 1})))) == 1

    assert [("skipped", "", "0", "1")] == [
        (r["status"], r["class"], r["frames"], r["frames_skipped"]) for r in desk.rows
    ]
    assert desk.part.text == "no frame was measured"
    assert read(desk.tables["cover.csv"]) == []


def test_a_frame_on_which_the_network_failed_has_no_cover(tmp_path: Path) -> None:
    """It is listed in no table, counts in no mean, and its error is in the record."""
    desk = Desk(tmp_path, "segment")
    desk.frame(frame(0, mask(1.0)))
    desk.frame(frame(1, {}))
    fault = VideoTruncatedError("it ends early", where="a/dive.mp4")
    (product,) = desk.closed(end(2, skipped={"failed": 1}, faults=(fault,)))

    assert ["0"] * 3 == [r["frame"] for r in read(desk.tables["cover.csv"])]
    assert product.metadata["cover"][1]["cover"] == 1.0
    assert (desk.part.faults, desk.part.measured, desk.part.skipped) == ((fault,), 1, {"failed": 1})
    assert {("partial", "E_VIDEO_TRUNCATED")} == {(r["status"], r["code"]) for r in desk.rows}


def test_mean_cover_is_over_sources(tmp_path: Path) -> None:
    """The order's mean weighs every image alike; a source without covers counts in none."""
    desk = Desk(tmp_path, "segment")
    for name, share in (("a.jpg", 0.2), ("b.jpg", 0.4)):
        list(desk.picture(photo(mask(share), name)))
    list(desk.picture(photo(None, "c.jpg", skipped="black")))
    means = desk.products["survey.csv"].metadata["mean-cover"]

    assert [0.7, 0.3, 0.0] == pytest.approx([c["mean-cover"] for c in means])
    assert [("urn:c:0", "fish")] == [(c["id"], c["name"]) for c in means[:1]]


def test_two_classes_of_one_name_are_not_added_up(tmp_path: Path) -> None:
    """Means are kept by index, whatever the archive calls its classes."""
    classes = tuple(ClassInfo(i, "urn:same", "same", (0, 0, 0)) for i in range(2))
    desk = Desk(tmp_path, facts("segment", classes))
    list(desk.picture(photo(mask(0.75))))

    assert [0.25, 0.75] == [c["mean-cover"] for c in desk.products["survey.csv"].metadata["mean-cover"]]


def test_covers_of_all_videos_are_one_table(tmp_path: Path) -> None:
    """Each video is whole in it, in order of name, whichever ended first; its name is not taken twice."""
    named = Names()
    named.whole("cover.csv")
    desk = Desk(tmp_path, "segment", names=named)
    sources = [video(name) for name in "ba"]
    for index in range(2):
        for source in sources:
            desk.frame(frame(index, mask(0.5), source))
    names = [p.name for source in sources for p in desk.closed(end(2, source))]

    assert ["b.cover.csv", "a.cover.csv"] == names
    table = read(desk.tables["cover-2.csv"])
    assert [(n, str(i)) for n in ("a.mp4", "b.mp4") for i in range(2)] == [
        (r["name"], r["frame"]) for r in table[::3]
    ]
    assert len(table) == 12


def test_two_models_have_products_and_tables_of_their_own(tmp_path: Path) -> None:
    """Every name carries the label of its model."""
    desk = Desk(tmp_path, *labelled(reef="segment", sand="segment"))
    desk.frame(frame(0, {"reef": mask(0.25), "sand": mask(1.0)}))
    products = list(desk.closed(end(1, models=("reef", "sand"))))

    assert ["dive.reef.cover.csv", "dive.sand.cover.csv"] == [p.name for p in products]
    assert ["reef.cover.csv", "sand.cover.csv", "frames.csv"] == list(desk.tables)
    assert ["0.250000", "1.000000"] == [
        read(desk.tables[f"{name}.cover.csv"])[1]["cover"] for name in ("reef", "sand")
    ]


def test_sources_and_models_never_share_a_file(tmp_path: Path) -> None:
    """The stem `a` with the label `bc` is not the stem `ab` with the label `c`."""
    desk = Desk(tmp_path, *labelled(bc="segment", c="segment"))
    sources = [video("a"), video("ab")]
    for index in range(300):  # more than a chunk, so that columns go to files
        for source, share in zip(sources, (0.25, 0.75), strict=True):
            desk.frame(frame(index, {"bc": mask(share), "c": mask(share)}, source))
    for source in sources:
        list(desk.closed(end(300, source, models=("bc", "c"))))

    joined = [(r["name"], r["frame"]) for r in read(desk.tables["frames.csv"])]
    assert [(name, f"{n}") for name in ("a.mp4", "ab.mp4") for n in range(300)] == joined
    for name in ("bc.cover.csv", "c.cover.csv"):
        rows = [r for r in read(desk.tables[name]) if r["class_id"] == "urn:c:1"]
        assert [("a.mp4", "0.250000")] * 300 + [("ab.mp4", "0.750000")] * 300 == [
            (r["name"], r["cover"]) for r in rows
        ]


def test_only_masks_are_taken(tmp_path: Path) -> None:
    """A prediction of another task is a fault of the code."""
    desk = Desk(tmp_path, "segment")

    with pytest.raises(TypeError, match="Detections"):
        desk.frame(frame(0, Detections.none()))


def test_odd_names_and_unlisted_classes_give_a_table(tmp_path: Path) -> None:
    """A name that a spreadsheet would run is harmless, and a class that is not listed is named by its number."""
    source = video('=a,"x"')
    desk = Desk(tmp_path, facts("segment", ()))
    desk.frame(frame(0, mask(0.5), source))
    list(desk.closed(end(1, source)))
    rows = read(desk.tables["cover.csv"])

    assert {'\'=a,"x".mp4'} == {r["name"] for r in rows}
    assert ["class 0", "class 1"] == [r["class"] for r in rows]


def test_the_log_names_the_largest_of_many_classes() -> None:
    """Up to eight classes are all listed; of more, those with pixels, largest first, and the number of the others."""
    many = [Cover(i, f"u:{i}", f"c{i}", (0, 0, 0), i, i / 100) for i in range(12)]
    assert _text(many[:3]) == "c0 0.00 %, c1 1.00 %, c2 2.00 %"
    assert _text(many).startswith("c11 11.00 %, c10 10.00 %")
    assert _text(many).endswith("c4 4.00 %, 4 more")
    assert (
        _text([*many[:2], *(Cover(9, "u", "z", (0, 0, 0), 0, 0.0) for _ in range(9))]) == "c1 1.00 %, 10 more"
    )
