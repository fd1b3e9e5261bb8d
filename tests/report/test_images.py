"""images.csv and totals.csv: rows of images, zeros for what was not found, and means with and without flags."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import ImageTruncatedError, NotAnImageError
from quadrat.facts import PictureFacts
from quadrat.pipeline.measure import failed_record
from quadrat.report import images, totals
from quadrat.report.totals import _groups
from quadrat.types import ClassInfo, Failure, Source
from tests.report.test_masks import mask
from tests.report.things import CLASSES, Desk, body, facts, labelled, objects, photo, read

FINE = PictureFacts(0.5, 0.2, 0.3, 0.01, "00" * 32)
BLACK = replace(FINE, brightness=0.0, contrast=0.0)


def add(desk: Desk, name: str, found: Any, picture: PictureFacts | None = FINE) -> None:
    """Measure an image of a size that is not small, with these facts."""
    result = photo(found, name)
    picture = picture and replace(picture, hash=f"{len(desk.records) * 0x1357_9BDF_0246_8ACE:064x}")
    frame = replace(result.frame, source_hw=(1200, 2000), digest=name, facts=picture)
    list(desk.picture(replace(result, frame=frame)))


def table(desk: Desk, name: str) -> list[dict[str, str]]:
    """Read a table of the order."""
    return read(body(desk.products[name]).decode())


def boxes(*classes: int) -> Any:
    """Make one object of each of these classes."""
    return objects([(0, 0, 9, 9)] * len(classes), classes)


@given(st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=1, max_size=6))
def test_the_mean_over_rows_is_the_mean_over_images(found: list[list[int]]) -> None:
    """In survey.csv and images.csv, for every class, whichever images it was not found in."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        for number, classes in enumerate(found):
            add(desk, f"{number}.jpg", boxes(*classes))
        for index, info in enumerate(CLASSES):
            true = sum(classes.count(index) for classes in found) / len(found)
            rows = [int(row["objects"]) for row in desk.rows if row["class_id"] == info.id]
            assert len(rows) == len(found)
            assert sum(rows) / len(rows) == pytest.approx(true)
            counts = [int(row[f"count_{info.name}"]) for row in table(desk, "images.csv")]
            assert sum(counts) / len(counts) == pytest.approx(true)
            (total,) = [
                r for r in table(desk, "totals.csv") if (r["group"], r["class_id"]) == ("(all)", info.id)
            ]
            assert float(total["mean"]) == pytest.approx(true, abs=1e-6)


def test_one_row_for_each_image(tmp_path: Path) -> None:
    """Measured, failed and flagged images have a row; a file that is no image has none."""
    desk = Desk(tmp_path)
    add(desk, "a/1.jpg", boxes(0, 0, 2))
    add(desk, "a/2.jpg", boxes(1), BLACK)
    for name, error in (("b.jpg", ImageTruncatedError("ends early")), ("c.txt", NotAnImageError("a text"))):
        desk.add(failed_record(Failure(Source(f"urn:{name}", name), "read", error)))
    rows = table(desk, "images.csv")

    assert [(r["name"], r["status"], r["flags"]) for r in rows] == [
        ("a/1.jpg", "ok", ""), ("a/2.jpg", "flagged", "dark flat"), ("b.jpg", "failed", ""),
    ]  # fmt: skip
    assert [[r[f"count_{info.name}"] for info in CLASSES] for r in rows] == [
        ["2", "0", "1"],
        ["0", "1", "0"],
        [""] * 3,
    ]
    assert [(r["brightness"], r["contrast"], r["clipped"], r["code"]) for r in rows] == [
        ("0.5000", "0.2000", "0.0100", ""), ("0.0000", "0.0000", "0.0100", ""), ("", "", "", "E_IMAGE_TRUNCATED"),
    ]  # fmt: skip
    assert [row["status"] for row in desk.rows[::3]] == ["ok", "flagged", "failed"]
    metadata = desk.products["images.csv"].metadata
    assert (metadata["kind"], metadata["rows"], metadata["columns"]) == ("images", 3, list(rows[0]))


def test_totals_are_given_with_and_without_flagged_images(tmp_path: Path) -> None:
    """For each folder and for all, in the table, in run.json and in the aspect's counts."""
    desk = Desk(tmp_path, "segment")
    add(desk, "t2/1.jpg", mask(0.5))
    add(desk, "t2/2.jpg", mask(0.0), BLACK)
    add(desk, "t1/1.jpg", mask(0.25), BLACK)
    crab = [row for row in table(desk, "totals.csv") if row["class_id"] == "urn:c:1"]

    assert [(r["group"], r["images"], r["mean"], r["images_unflagged"], r["mean_unflagged"]) for r in crab] == [
        ("t1", "1", "0.250000", "0", ""), ("t2", "2", "0.250000", "1", "0.500000"), ("(all)", "3", "0.250000", "1", "0.500000"),
    ]  # fmt: skip
    assert {row["total"] for row in crab} == {""}
    run = desk.products["run.json"].metadata
    assert run["totals"][0]["classes"][1] == {
        "id": "urn:c:1", "name": CLASSES[1].name, "measure": "cover", "images": 3, "mean": 0.25,
        "images-unflagged": 1, "mean-unflagged": 0.5,
    }  # fmt: skip
    aspect = desk.products["survey.csv"].metadata
    assert aspect["totals"] == run["totals"]
    assert (aspect["measured"], aspect["flagged"], aspect["flags"]) == (3, 2, {"dark": 2, "flat": 2})
    assert run["flags"] == {"dark": 2, "flat": 2}
    assert desk.report.warnings() == ["Flagged images: 2 dark, 2 flat; images.csv lists them"]


def test_a_duplicate_is_named_and_counts_once_without_flags(tmp_path: Path) -> None:
    """Or not at all with skip_flagged."""
    for skip in (False, True):
        desk = Desk(tmp_path / str(skip), skip_flagged=skip)
        for name in ("a.jpg", "b.jpg"):
            result = photo(boxes(0), name)
            frame = replace(result.frame, source_hw=(1200, 2000), facts=FINE)
            list(desk.picture(replace(result, frame=frame)))
        first, second = table(desk, "images.csv")
        (total, *_) = table(desk, "totals.csv")

        assert (first["status"], first["duplicate_of"]) == ("ok", "")
        assert (second["status"], second["duplicate_of"]) == ("skipped" if skip else "flagged", "a.jpg")
        assert second["count_fish"] == ("" if skip else "1")
        assert (total["images"], total["total"]) == (("1", "1") if skip else ("2", "2"))
        assert (total["images_unflagged"], total["total_unflagged"]) == ("1", "1")
        counts = {"ok": 1, "skipped": 1} if skip else {"ok": 1, "flagged": 1}
        assert dict(desk.report.totals.counts) == counts
        assert len(read(desk.tables["detections.csv"])) == total["images"].count("1") + 2 * total[
            "images"
        ].count("2")


def test_classes_that_no_archive_lists_have_rows_once_they_are_found(tmp_path: Path) -> None:
    """A mask that ends at class 0 has a row for class 1 that another image has."""
    desk = Desk(tmp_path, facts("segment", ()))
    add(desk, "a.jpg", mask(0.0))
    add(desk, "b.jpg", mask(0.5))
    assert [(r["name"], r["class"], r["cover"]) for r in desk.rows] == [
        ("a.jpg", "class 0", "1.000000"), ("a.jpg", "class 1", "0.000000"),
        ("b.jpg", "class 0", "0.500000"), ("b.jpg", "class 1", "0.500000"),
    ]  # fmt: skip
    desk = Desk(tmp_path / "objects", facts("detect", ()))
    add(desk, "a.jpg", boxes())
    add(desk, "b.jpg", boxes(4))
    assert [(r["name"], r["class"], r["objects"]) for r in desk.rows] == [
        ("a.jpg", "class 4", "0"),
        ("b.jpg", "class 4", "1"),
    ]
    alone = Desk(tmp_path / "none", facts("detect", ()))
    add(alone, "a.jpg", boxes())
    assert [(r["class"], r["objects"]) for r in alone.rows] == [("", "0")]


def test_several_models_have_their_labels_in_the_columns(tmp_path: Path) -> None:
    """Classes of one name in one model also have their index, and no cell is a formula."""
    twins = tuple(ClassInfo(n, f"urn:t:{n}", "=same", (0, 0, 0)) for n in range(2))
    desk = Desk(tmp_path, facts("detect", twins, name="fish", label="fish"), *labelled(reef="segment"))
    add(desk, "a.jpg", {"fish": boxes(1), "reef": mask(0.25)})
    (row,) = table(desk, "images.csv")

    assert list(row)[len(images.COLUMNS) :] == [
        "fish.count_=same 0", "fish.count_=same 1", *(f"reef.cover_{info.name}" for info in CLASSES),
    ]  # fmt: skip
    assert list(row.values())[len(images.COLUMNS) :] == ["0", "1", "0.750000", "0.250000", "0.000000"]
    assert {r["model"] for r in table(desk, "totals.csv")} == {"fish", "reef"}
    header = next(csv.reader(io.StringIO(body(desk.products["totals.csv"]).decode())))
    assert tuple(header) == (*totals.COLUMNS, totals.MODEL)


def test_a_frame_of_a_video_has_every_class_of_the_video(tmp_path: Path) -> None:
    """In cover.csv a mean over frames needs the zeros too; and an order of videos has no images.csv."""
    from tests.report.things import end, frame

    desk = Desk(tmp_path, facts("segment", ()))
    for index, share in enumerate((0.0, 0.5)):
        desk.frame(frame(index, mask(share)))
    (product,) = desk.closed(end(2))
    for text in (body(product).decode() if isinstance(product.body, bytes) else "", desk.tables["cover.csv"]):
        rows = read(text) if text else read(desk.tables["cover.csv"])
        assert [(r["frame"], r["class"], r["cover"], r["pixels"]) for r in rows][:2] == [
            ("0", "class 0", "1.000000", "24000"), ("0", "class 1", "0.000000", "0"),
        ]  # fmt: skip
    assert {"images.csv", "totals.csv"}.isdisjoint(desk.products)


def test_covers_and_facts_are_plain_numbers() -> None:
    """Counts are integers, covers have six decimals."""
    assert (images.number(3), images.number(0.5)) == (3, "0.500000")
    assert np.isclose(float(images.number(1 / 3)), 1 / 3, atol=1e-6)


def test_one_image_listed_twice_is_a_duplicate_once(tmp_path: Path) -> None:
    """A queue may name one artifact twice: the first is the original, though both have one URN."""
    desk = Desk(tmp_path)
    for _ in range(2):
        result = photo(boxes(0), "a.jpg")
        list(desk.picture(replace(result, frame=replace(result.frame, source_hw=(1200, 2000), facts=FINE))))
    assert [(r["status"], r["duplicate_of"]) for r in table(desk, "images.csv")] == [
        ("ok", ""),
        ("flagged", "a.jpg"),
    ]


def test_a_folder_counts_all_images_below_it() -> None:
    """A site's row holds its transects, too; an image in no folder has a group of its own."""
    assert ["reef/T1", "reef"] == _groups("reef/T1/a.jpg")
    assert ["reef"] == _groups("reef/z.jpg")
    assert ["."] == _groups("a.jpg") == _groups("urn:ivcap:artifact:1")
