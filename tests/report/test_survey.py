"""The table accounts for every source, once."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import (
    ImageTruncatedError,
    NotAnImageError,
    QuadratError,
    StreamError,
    TooManyObjectsError,
    VideoFormatError,
    VideoTruncatedError,
)
from quadrat.pipeline.measure import failed_record, not_reached_record
from quadrat.records import ImageFacts, ModelRecord, SourceRecord
from quadrat.report.counts import ClassCount
from quadrat.report.masks import CoverSummary, MaskTables
from quadrat.report.names import Names
from quadrat.report.objects import ObjectSummary, ObjectTables
from quadrat.report.survey import COLUMNS, MODEL, Survey, Totals, csv_cell, reason_of
from quadrat.types import Cover, Failure, Gap, Reading, Source
from tests.report.things import CLASSES, HW, facts, read

FACTS = ImageFacts(
    (20, 10), (10, 5), "abc", {"GPSLatitude": "-8.5", "DateTimeOriginal": "2024:05:06 07:08:09"}
)
CUT = VideoTruncatedError("it ends early", where="v.mp4")
FOUND = ClassCount(CLASSES[0], 7, 0.5, 2)


def text(folder: Path, *records: SourceRecord, models: Sequence[str] = ("m",)) -> str:
    """Write the table of some records; models that begin with r are reefs' masks, others find objects."""
    tables = {}
    for name in models:
        classes = () if name.startswith("r") else CLASSES[:1]
        made = facts("segment" if name.startswith("r") else "detect", classes, name=name, label=name)
        kind = MaskTables if name.startswith("r") else ObjectTables
        tables[name] = kind(made, Names(), folder, *made.groups)
    survey = Survey(folder / "survey.csv", tables)
    for record in records:
        for part in record.models:
            tables[part.model].learn(part)
    for record in records:
        survey.add(record)
    return survey.finish().read_bytes().decode()


def rows(folder: Path, *records: SourceRecord, models: Sequence[str] = ("m",)) -> list[dict[str, str]]:
    """Read the table of some records."""
    return read(text(folder, *records, models=models))


def picture(name: str, covers: Sequence[float], model: str = "r") -> SourceRecord:
    """Make the record of an image with these covers."""
    listed = [Cover(i, f"urn:{i}", f"c{i}", (0, 0, 0), round(100 * c), c, 0.5) for i, c in enumerate(covers)]
    part = ModelRecord(
        model,
        "segment",
        measured=1,
        size=(10, 5),
        product=f"{name}.pseudo.png",
        summary=CoverSummary(tuple(listed)),
    )
    return SourceRecord(Source(f"urn:{name}", name), "ok", image=FACTS, models=(part,))


def dive(*found: ClassCount, measured: int = 5, faults: tuple[QuadratError, ...] = ()) -> SourceRecord:
    """Make the record of a video in which objects were found."""
    part = ModelRecord(
        "m",
        "detect",
        measured,
        {"black": 2, "idle": 1},
        faults,
        product="v.mp4",
        summary=ObjectSummary(found),
    )
    reading = Reading(
        HW,
        25.0,
        20,
        read=9,
        taken=8,
        dropped=1,
        damaged=2,
        seconds=8 / 25,
        digest="ff",
        gaps=(Gap(0, 1, "lost"),),
    )
    status = "partial" if faults else "ok" if measured else "skipped"
    return SourceRecord(
        Source("urn:v", "v.mp4", "video"), status, faults, reading=reading, models=(part,)
    )  # fmt: skip


def failed(error: QuadratError, source: Source | None = None) -> SourceRecord:
    """Make the record of a source that gave no result."""
    return failed_record(Failure(source or Source("urn:b", "b"), "read", error))


def test_one_row_per_image_and_class(tmp_path: Path) -> None:
    """A measured image has a row for each class, with sizes in the right order."""
    table = rows(tmp_path, picture("a", [0.25, 0.75]), models=["r"])

    assert [("0.250000", "25"), ("0.750000", "75")] == [(r["cover"], r["pixels"]) for r in table]
    assert [("5", "10", "10", "20")] * 2 == [
        (r["width"], r["height"], r["source_width"], r["source_height"]) for r in table
    ]
    assert table[0]["taken"] == "2024-05-06T07:08:09"
    assert ("-8.5", "ok", "0.5000") == (table[0]["latitude"], table[0]["status"], table[0]["mean_confidence"])
    assert ("urn:a", "a", "image", "abc", "a.pseudo.png", "", "") == tuple(
        table[0][k] for k in ("image", "name", "media", "image_sha256", "product", "code", "reason")
    )


def test_the_size_of_a_result_is_its_own(tmp_path: Path) -> None:
    """A mask of another size than the picture was read at has its own; without one it is the working size."""
    record = picture("a", [1.0])
    own = replace(record, models=(replace(record.models[0], size=(6, 3)),))
    none = replace(record, models=(replace(record.models[0], size=(0, 0)),))

    assert [("3", "6"), ("5", "10")] == [
        (r["width"], r["height"]) for r in rows(tmp_path, own, none, models=["r"])
    ]


def test_failures_skipped_and_not_reached_have_their_reason(tmp_path: Path) -> None:
    """Nothing is lost: each image is one of ok, failed, skipped, not-reached."""
    table = rows(
        tmp_path,
        failed(ImageTruncatedError("ends early", where="b")),
        failed(NotAnImageError("a marker"), Source("urn:c", "c")),
        not_reached_record(Source("urn:d", "d"), "stopped"),
    )

    assert ["failed", "skipped", "not-reached"] == [r["status"] for r in table]
    assert ["E_IMAGE_TRUNCATED", "E_NOT_IMAGE", "E_STOPPED"] == [r["code"] for r in table]
    assert ["b: ends early", "a marker", "stopped"] == [r["reason"] for r in table]
    assert ["image", "", "image"] == [r["media"] for r in table]  # a skipped file is of no medium


def test_a_black_image_has_a_row_with_its_sizes(tmp_path: Path) -> None:
    """It was read, so what was read of it is there."""
    black = replace(FACTS, skipped="black")
    record = SourceRecord(
        Source("urn:a", "a"),
        "skipped",
        reason="the picture is black",
        image=black,
        models=(ModelRecord("m", "detect"),),
    )
    (row,) = rows(tmp_path, record)

    assert ("skipped", "", "the picture is black", "image", "5", "10", "", "") == tuple(
        row[k] for k in ("status", "code", "reason", "media", "width", "height", "objects", "product")
    )


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-x", "@a", "\tx", "\rx"])
def test_no_cell_runs_in_a_spreadsheet(tmp_path: Path, name: str) -> None:
    """A file name cannot smuggle a formula into somebody's table."""
    assert rows(tmp_path, picture(name, [1.0]), models=["r"])[0]["name"] == "'" + name


def test_numbers_are_not_quoted(tmp_path: Path) -> None:
    """A minus sign begins a number too."""
    assert rows(tmp_path, picture("-1.5e3", [1.0]), models=["r"])[0]["name"] == "-1.5e3"


def test_odd_names_survive_the_table(tmp_path: Path) -> None:
    """Commas, quotes, line ends and letters of any script are read back as they were."""
    (row,) = rows(tmp_path, picture('a,"b"\nGrüße 海草', [1.0]), models=["r"])

    assert row["name"] == 'a,"b"\nGrüße 海草'
    assert rows(tmp_path, picture("b\udce9", [1.0]), models=["r"])[0]["name"] == "b?"


def test_an_empty_table_still_has_its_head(tmp_path: Path) -> None:
    """A reader finds the columns even if nothing was measured."""
    assert text(tmp_path) == ",".join(COLUMNS) + "\r\n"


def test_the_columns_of_old_keep_their_places() -> None:
    """A script that reads the first nineteen columns by number goes on working."""
    assert COLUMNS[:19] == (
        "image", "name", "status", "class_id", "class", "cover", "pixels", "mean_confidence", "width", "height",
        "source_width", "source_height", "product", "taken", "latitude", "longitude", "image_sha256", "code", "reason",
    )  # fmt: skip
    assert COLUMNS[19:] == (
        "media", "objects", "tracks", "mean_score", "frames", "frames_declared", "frames_read", "frames_skipped",
        "frames_dropped", "frames_damaged", "seconds", "gaps", "max_at_once", "max_at_once_s", "flags", "multi_label",
    )  # fmt: skip


def test_a_video_has_what_was_read_and_what_is_missing(tmp_path: Path) -> None:
    """Declared, read, measured, skipped, dropped and damaged frames, seconds and gaps; partial with its reason."""
    (row,) = rows(tmp_path, dive(FOUND, faults=(CUT,)))

    assert {
        "status": "partial", "code": "E_VIDEO_TRUNCATED", "reason": "v.mp4: it ends early", "media": "video",
        "objects": "7", "tracks": "2", "mean_score": "0.5000", "frames": "5", "frames_declared": "20",
        "frames_read": "9", "frames_skipped": "3", "frames_dropped": "1", "frames_damaged": "2",
        "seconds": "0.320", "gaps": "1", "image_sha256": "ff", "source_width": "200", "source_height": "120",
        "width": "", "height": "", "product": "v.mp4",
    }.items() <= row.items()  # fmt: skip


def test_a_video_that_declares_no_frames_has_none_in_its_row(tmp_path: Path) -> None:
    """An empty cell, not zero."""
    record = dive(FOUND)
    (row,) = rows(tmp_path, replace(record, reading=Reading(HW)))

    assert ("", "0", "0") == (row["frames_declared"], row["frames_read"], row["gaps"])


def test_all_faults_are_listed_and_the_first_gives_the_code(tmp_path: Path) -> None:
    """The first has its code in a column of its own, the others carry theirs."""
    faults = (TooManyObjectsError("more"), CUT, StreamError("it was lost"))
    (row,) = rows(tmp_path, dive(FOUND, faults=faults))

    assert row["code"] == "E_TOO_MANY"
    assert row["reason"] == "more; E_VIDEO_TRUNCATED v.mp4: it ends early; E_STREAM it was lost"
    assert reason_of(()) == ""


def test_a_video_without_objects_is_one_row(tmp_path: Path) -> None:
    """Zero if frames were measured; if none was, zero would be a claim."""
    measured, black = dive(), dive(measured=0)

    assert [("0", "0", "ok"), ("", "", "skipped")] == [
        (r["objects"], r["max_at_once"], r["status"]) for r in rows(tmp_path, measured, black)
    ]


def test_a_failed_stream_does_not_show_its_password(tmp_path: Path) -> None:
    """Neither the name nor the reason has it."""
    address = "rtsp://u:s3cret@cam/1"
    error = StreamError("it cannot be reached", where=address)
    table = text(tmp_path, failed(error, Source(address, address, "stream", address)))

    assert "s3cret" not in table
    assert read(table)[0]["reason"] == "rtsp://***@cam/1: it cannot be reached"


@pytest.mark.parametrize("cell", ["plain", 'a,"b"', "=x", "-1", "a\nb", ""])
def test_a_cell_alone_is_as_in_the_table(cell: str) -> None:
    """Rows put together from cells are those that the csv module writes."""
    line = io.StringIO()
    csv.writer(line).writerow(["'" + cell if cell == "=x" else cell, "end"])

    assert f"{csv_cell(cell)},end\r\n" == line.getvalue()


def two(*parts: ModelRecord, faults: tuple[QuadratError, ...] = ()) -> SourceRecord:
    """Make the record of an image that several models measured."""
    return SourceRecord(
        Source("urn:a", "a"), "partial" if faults else "ok", faults, image=FACTS, models=parts
    )


def test_several_models_have_a_last_column_with_their_name(tmp_path: Path) -> None:
    """Each has its rows, product and size; one model gives exactly the old columns."""
    reef = picture("a", [0.25, 0.75]).models[0]
    fish = ModelRecord("fish", "detect", 1, size=(8, 4), product="a.jpg", summary=ObjectSummary((FOUND,)))
    table = text(tmp_path, two(reef, fish), failed(NotAnImageError("a marker")), models=["r", "fish"])

    assert table.splitlines()[0] == ",".join([*COLUMNS, MODEL])
    assert MODEL == "model"
    assert [("r", "c0", "", "5", "a.pseudo.png"), ("r", "c1", "", "5", "a.pseudo.png"),
            ("fish", "fish", "7", "4", "a.jpg"), ("", "", "", "", "")] == [
        (r["model"], r["class"], r["objects"], r["width"], r["product"]) for r in read(table)
    ]  # fmt: skip
    one = text(tmp_path, picture("a", [1.0]), models=["r"])
    assert one.splitlines()[0] == ",".join(COLUMNS)


def test_several_models_have_a_status_each(tmp_path: Path) -> None:
    """One that failed on the source does not make the other's rows partial."""
    reef = picture("a", [1.0]).models[0]
    capped = ModelRecord(
        "f", "detect", 1, faults=(TooManyObjectsError("more"),), summary=ObjectSummary((FOUND,))
    )
    lost = ModelRecord("g", "detect", faults=(ImageTruncatedError("ends early"), CUT))
    blank = ModelRecord("h", "detect")
    record = two(reef, capped, lost, blank, faults=(*capped.faults, *lost.faults))
    table = rows(tmp_path, record, models=["r", "f", "g", "h"])

    assert [
        ("ok", "", ""), ("partial", "E_TOO_MANY", "more"),
        ("failed", "E_IMAGE_TRUNCATED", "ends early; E_VIDEO_TRUNCATED v.mp4: it ends early"), ("skipped", "", ""),
    ] == [(r["status"], r["code"], r["reason"]) for r in table]  # fmt: skip


RECORDS = st.lists(
    st.sampled_from(
        [
            picture("a", [0.5, 0.5], "m"), dive(FOUND), dive(), dive(measured=0), dive(FOUND, faults=(CUT,)),
            dive(measured=0, faults=(CUT,)), failed(VideoFormatError("no video")), failed(NotAnImageError("a marker")),
            not_reached_record(Source("urn:d", "d"), "stopped"),
            SourceRecord(Source("urn:k", "k"), "skipped", reason="black", image=replace(FACTS, skipped="black")),
        ]
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(RECORDS)
def test_totals_agree_with_the_rows(
    tmp_path_factory: pytest.TempPathFactory, records: list[SourceRecord]
) -> None:
    """Every source is counted once, under the status that its rows have."""
    totals, folder = Totals(), tmp_path_factory.mktemp("t")
    statuses = []
    for record in records:
        totals.add(record)
        named = {row["status"] for row in rows(folder, record)}
        assert len(named) == 1
        statuses += named

    assert {status: statuses.count(status) for status in statuses} == dict(totals.counts)
    assert totals.measured == sum(any(part.measured for part in record.models) for record in records)
    read = [record for record in records if record.image or record.reading]
    assert totals.measured + totals.blank == len(read)


def test_a_video_of_which_nothing_was_measured_is_blank() -> None:
    """Also one that was cut short before its first frame: an order of it alone has measured nothing."""
    totals = Totals()
    for record in (dive(measured=0), dive(measured=0, faults=(CUT,)), dive(FOUND)):
        totals.add(record)

    assert (totals.measured, totals.blank) == (1, 2)
    assert dict(totals.counts) == {"skipped": 1, "partial": 1, "ok": 1}
