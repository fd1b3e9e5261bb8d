"""The table accounts for every image, once."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from quadrat.errors import ImageTruncatedError, NotAnImageError
from quadrat.report.survey import COLUMNS, Survey
from quadrat.types import Cover, Failure, Frame, FrameKey, Source


def read(survey: Survey) -> list[dict[str, str]]:
    """Read the table back."""
    return list(csv.DictReader(io.StringIO(survey.body().decode())))


def add(survey: Survey, name: str, covers: list[float]) -> None:
    """Add a measured image with these covers."""
    listed = [Cover(i, f"urn:{i}", f"c{i}", (0, 0, 0), round(100 * c), c, 0.5) for i, c in enumerate(covers)]
    frame = Frame(
        FrameKey(name),
        (20, 10),
        np.zeros((10, 5, 3), np.uint8),
        "abc",
        exif={"GPSLatitude": "-8.5", "DateTimeOriginal": "2024:05:06 07:08:09"},
    )
    survey.add_result(Source(f"urn:{name}", name), frame, listed, (10, 5), f"{name}.pseudo.png")


def test_one_row_per_image_and_class() -> None:
    """A measured image has a row for each class, with sizes in the right order."""
    survey = Survey()
    add(survey, "a", [0.25, 0.75])
    rows = read(survey)

    assert [("0.250000", "25"), ("0.750000", "75")] == [(r["cover"], r["pixels"]) for r in rows]
    assert [("5", "10", "10", "20")] * 2 == [
        (r["width"], r["height"], r["source_width"], r["source_height"]) for r in rows
    ]
    assert rows[0]["taken"] == "2024-05-06T07:08:09"
    assert ("-8.5", "ok", "0.5000") == (rows[0]["latitude"], rows[0]["status"], rows[0]["mean_confidence"])


def test_failures_skipped_and_not_reached_have_their_reason() -> None:
    """Nothing is lost: each image is one of ok, failed, skipped, not-reached."""
    survey = Survey()
    survey.add_failure(Failure(Source("urn:b", "b"), "read", ImageTruncatedError("ends early", where="b")))
    survey.add_failure(Failure(Source("urn:c", "c"), "list", NotAnImageError("a marker")))
    survey.add_not_reached([Source("urn:d", "d")], "stopped")
    rows = read(survey)

    assert ["failed", "skipped", "not-reached"] == [r["status"] for r in rows]
    assert ["E_IMAGE_TRUNCATED", "E_NOT_IMAGE", "E_STOPPED"] == [r["code"] for r in rows]
    assert rows[0]["reason"] == "b: ends early"
    assert {"failed": 1, "skipped": 1, "not-reached": 1} == dict(survey.counts)


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-x", "@a", "\tx"])
def test_no_cell_runs_in_a_spreadsheet(name: str) -> None:
    """A file name cannot smuggle a formula into somebody's table."""
    survey = Survey()
    add(survey, name, [1.0])

    assert read(survey)[0]["name"] == "'" + name


def test_odd_names_survive_the_table() -> None:
    """Commas, quotes, line ends and letters of any script are read back as they were."""
    survey = Survey()
    add(survey, 'a,"b"\nGrüße 海草', [1.0])

    assert read(survey)[0]["name"] == 'a,"b"\nGrüße 海草'


def test_mean_cover_is_over_images() -> None:
    """The order's mean weighs every image alike."""
    survey = Survey()
    add(survey, "a", [0.2, 0.8])
    add(survey, "b", [0.4, 0.6])

    assert [0.3, 0.7] == pytest.approx([c["mean-cover"] for c in survey.mean_covers()])


def test_two_classes_of_one_name_are_not_added_up() -> None:
    """Means are kept by index, whatever the archive calls its classes."""
    survey = Survey()
    covers = [Cover(i, "urn:same", "same", (0, 0, 0), 1, c) for i, c in enumerate((0.25, 0.75))]
    frame = Frame(FrameKey("a"), (1, 4), np.zeros((1, 4, 3), np.uint8))
    survey.add_result(Source("urn:a", "a"), frame, covers, (1, 4), "")

    assert [0.25, 0.75] == [c["mean-cover"] for c in survey.mean_covers()]


def test_an_empty_table_still_has_its_head() -> None:
    """A reader finds the columns even where nothing was measured."""
    assert [",".join(COLUMNS)] == Survey().body().decode().splitlines()
