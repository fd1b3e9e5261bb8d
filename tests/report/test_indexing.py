"""What an index says about sources: their content, their folder, and no password."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quadrat.records import Entry, ImageFacts, Label, SourceRecord
from quadrat.report.columns import ColumnWriter
from quadrat.report.entries import COLUMN
from quadrat.report.indexing import content_of, source_of
from quadrat.types import Frame, FrameKey, Reading, Source

STREAM = Source(
    "rtsp://diver:secret@camera/1?token=secret", "rtsp://diver:secret@camera/1?token=secret", "stream"
)


def record(source: Source, score: float = 0.5, digest: str = "") -> SourceRecord:
    """Return the record of a source with one entry."""
    writer = ColumnWriter(None)  # type: ignore[arg-type]  # it is too short for a file
    rows = np.empty(1, object)
    rows[0] = Entry(labels=(Label("m", "urn:c", "cod", score),), vectors={"m": np.ones(2, np.float32)})
    writer.add(Frame(FrameKey("s", 3), (4, 4), np.zeros((4, 4, 3), np.uint8), time_s=0.5), {COLUMN: rows}, 1)
    return SourceRecord(source, "ok", reading=Reading((4, 4), digest=digest), entries=writer.finish())


def test_a_source_with_bytes_is_known_by_them():
    """Whatever it is called, and whatever was found in it."""
    assert (
        content_of(record(STREAM, digest="ab"))
        == content_of(record(Source("u", "n", "video"), 0.9, "ab"))
        == "ab"
    )


def test_a_source_without_bytes_is_known_by_what_was_found():
    """Two hours of one stream are two sources; the same record is the same."""
    assert content_of(record(STREAM)) == content_of(record(STREAM))
    assert content_of(record(STREAM)) != content_of(record(STREAM, 0.6))


def test_no_password_is_stored():
    """Of the address of a stream."""
    stored = source_of(record(STREAM))
    assert "secret" not in stored.urn + stored.name + stored.site
    assert stored.site == ""


@pytest.mark.parametrize(
    ("name", "site"),
    [("a.jpg", ""), ("reef/a.jpg", "reef"), ("2024/reef/a.jpg", "2024/reef"), ("a\\b.jpg", "a")],
)
def test_the_site_is_the_folder(name, site):
    """As in totals.csv."""
    assert source_of(record(Source("u", name, "video"))).site == site


@pytest.mark.parametrize(
    ("exif", "taken", "place"),
    [
        ({}, None, (None, None)),
        ({"DateTimeOriginal": "2024:05:06 07:08:09"}, "2024-05-06T07:08:09", (None, None)),
        ({"DateTimeOriginal": "    :  :  "}, None, (None, None)),
        ({"GPSLatitude": "-34.900000", "GPSLongitude": "138.500000"}, None, (-34.9, 138.5)),
        ({"GPSLatitude": "north"}, None, (None, None)),
    ],
)
def test_when_and_where_a_photograph_was_taken(exif, taken, place):
    """What is no date or no number is left out."""
    image = ImageFacts((4, 6), (4, 6), "ab", exif)
    stored = source_of(replace(record(Source("u", "a.jpg")), reading=None, image=image))
    assert (stored.taken, (stored.latitude, stored.longitude)) == (taken, place)
    assert (stored.width, stored.height) == (6, 4)
