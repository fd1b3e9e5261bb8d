"""The book of an order gives every record back, in the order that tables have."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import NotAnImageError
from quadrat.records import SourceRecord
from quadrat.report.book import RecordBook
from quadrat.types import Media, Source

NAMES = st.lists(st.text("abc", max_size=3), max_size=12)


def record(name: str, number: int, media: Media = "image") -> SourceRecord:
    """Make a record; the number makes its URN unique."""
    return SourceRecord(Source(f"urn:{number}", name, media), "failed", (NotAnImageError("a marker"),))


@settings(max_examples=30, deadline=None)
@given(NAMES)
def test_images_come_as_they_were_added(tmp_path_factory, names: list[str]) -> None:
    """The list of an order of images is that of its store."""
    book = RecordBook(tmp_path_factory.mktemp("t") / "book")
    for number, name in enumerate(names):
        book.add(record(name, number))

    assert [each.source.name for each in book] == names
    assert [each.source.urn for each in book] == list(book.urns()) == [f"urn:{n}" for n in range(len(names))]
    assert len(book) == len(names)


@settings(max_examples=30, deadline=None)
@given(NAMES, st.sampled_from(["video", "sequence", "stream"]), st.randoms())
def test_videos_come_by_name_whatever_ended_first(tmp_path_factory, names, media, random) -> None:
    """Several are measured at once; of equal names the URN decides."""
    records = [record(name, number, media) for number, name in enumerate(names)]
    folder, seen = tmp_path_factory.mktemp("t"), []
    for run in "ab":
        book = RecordBook(folder / run)
        random.shuffle(records)
        for each in records:
            book.add(each)
        seen.append([(each.source.name, each.source.urn) for each in book])

    assert seen[0] == seen[1] == sorted((each.source.name, each.source.urn) for each in records)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    """Source, status and errors; the book can be read again, and grow afterwards."""
    book = RecordBook(tmp_path / "book")
    assert list(book) == []
    book.add(record("a", 1))
    (got,) = book
    assert (got.source, got.status, got.faults[0].line) == (
        Source("urn:1", "a"), "failed", "E_NOT_IMAGE a marker",
    )  # fmt: skip
    book.add(record("b\udce9", 2))

    assert [each.source.name for each in book] == ["a", "b\udce9"]


def test_memory_holds_places_only(tmp_path: Path) -> None:
    """A record of kilobytes takes some two hundred bytes."""
    book = RecordBook(tmp_path / "book")
    tracemalloc.start()
    try:
        for number in range(200):
            book.add(SourceRecord(Source(f"urn:{number}", "a"), "skipped", reason="x" * 10_000 + str(number)))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert held < 200 * 1000
    assert sum(len(each.reason) for each in book) > 200 * 10_000
