"""The table accounts for every image, once."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from quadrat.errors import (
    ImageTruncatedError,
    NotAnImageError,
    StreamError,
    VideoFormatError,
    VideoTruncatedError,
)
from quadrat.report.survey import COLUMNS, Found, Survey, csv_cell
from quadrat.types import Cover, Failure, Frame, FrameKey, Gap, Source
from tests.report.things import CLASSES, end


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


def test_the_columns_of_old_keep_their_places() -> None:
    """A script that reads the first nineteen columns by number goes on working."""
    assert COLUMNS[:19] == (
        "image", "name", "status", "class_id", "class", "cover", "pixels", "mean_confidence", "width", "height",
        "source_width", "source_height", "product", "taken", "latitude", "longitude", "image_sha256", "code", "reason",
    )  # fmt: skip
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_a_video_says_what_was_read_and_what_is_missing() -> None:
    """Declared, read, measured, skipped, dropped and damaged frames, seconds and gaps; partial with its reason."""
    survey = Survey()
    error = VideoTruncatedError("it ends early", where="v.mp4")
    ended = end(
        8, Source("urn:v", "v.mp4", "video"), declared_frames=20, read=9, dropped=1, damaged=2,
        digest="ff", skipped={"black": 2, "idle": 1}, gaps=(Gap(0, 1, "lost"),), error=error,
    )  # fmt: skip
    survey.add_tracked(ended, [Found(CLASSES[0], 7, 0.5, 2)], "v.mp4", 5)
    (row,) = read(survey)

    assert {
        "status": "partial", "code": "E_VIDEO_TRUNCATED", "reason": "v.mp4: it ends early", "media": "video",
        "objects": "7", "tracks": "2", "mean_score": "0.5000", "frames": "5", "frames_declared": "20",
        "frames_read": "9", "frames_skipped": "3", "frames_dropped": "1", "frames_damaged": "2",
        "seconds": "0.320", "gaps": "1", "image_sha256": "ff", "source_width": "200", "source_height": "120",
    }.items() <= row.items()  # fmt: skip
    assert (survey.measured, dict(survey.counts)) == (1, {"partial": 1})
    (reading,) = survey.readings()
    assert (reading["name"], reading["gap-seconds"], reading["error"]) == ("v.mp4", 1, error.line)


def test_videos_are_listed_by_name_whatever_ended_first() -> None:
    """Several are read at once, and every run gives the same table; images keep the order of their list."""
    survey = Survey()
    for name in ("c", "a"):
        survey.add_tracked(end(1, Source(f"urn:{name}", name, "video")), [], "", 1)
    survey.add_failure(Failure(Source("urn:b", "b", "video"), "read", VideoFormatError("no video")))

    assert [("a", "ok", "0"), ("b", "failed", ""), ("c", "ok", "0")] == [
        (r["name"], r["status"], r["objects"]) for r in read(survey)
    ]


def test_objects_are_added_up_over_the_order() -> None:
    """Totals by class, with the mean score weighted by objects."""
    survey = Survey()
    survey.add_tracked(end(1), [Found(CLASSES[1], 1, 0.2, 1, 1), Found(CLASSES[0], 1, 1.0, 0, 1)], "", 1)
    survey.add_tracked(end(1, Source("urn:w", "w", "video")), [Found(CLASSES[1], 3, 0.6, 2, 2)], "", 1)

    assert survey.objects() == [
        {"id": "urn:c:0", "name": "fish", "objects": 1, "tracks": 0, "max-at-once": 1, "mean-score": 1.0},
        {
            "id": "urn:c:1",
            "name": CLASSES[1].name,
            "objects": 4,
            "tracks": 3,
            "max-at-once": 2,
            "mean-score": 0.5,
        },
    ]


def test_the_most_at_once_has_its_time_in_a_video_only() -> None:
    """A photograph is one frame; of a video in which nothing was found there is no such frame."""
    survey = Survey()
    found = [Found(CLASSES[0], 3, 0.5, 1, 2, 7, 7 / 30)]
    survey.add_tracked(end(8), found, "", 8)
    survey.add_tracked(end(8, Source("urn:w", "w", "video")), [], "", 8)
    picture = Frame(FrameKey("p"), (10, 20), np.zeros((10, 20, 3), np.uint8))
    survey.add_objects(Source("urn:p", "p"), picture, [Found(CLASSES[0], 4, 0.5, None, 4, 0)], "")

    assert COLUMNS[-2:] == ("max_at_once", "max_at_once_s")
    assert {("a/dive.mp4", "2", "0.233333"), ("w", "0", ""), ("p", "4", "")} == {
        (r["name"], r["max_at_once"], r["max_at_once_s"]) for r in read(survey)
    }


def test_a_failed_stream_does_not_show_its_password() -> None:
    """Neither the name nor the reason has it."""
    survey = Survey()
    address = "rtsp://u:s3cret@cam/1"
    error = StreamError("it cannot be reached", where=address)
    survey.add_failure(Failure(Source(address, address, "stream", address), "read", error))

    assert "s3cret" not in survey.body().decode()
    assert read(survey)[0]["reason"] == "rtsp://***@cam/1: it cannot be reached"


@pytest.mark.parametrize("text", ["plain", 'a,"b"', "=x", "-1", "a\nb", ""])
def test_a_cell_alone_is_as_in_the_table(text: str) -> None:
    """Rows put together from cells are those that the csv module writes."""
    line = io.StringIO()
    csv.writer(line).writerow(["'" + text if text == "=x" else text, "end"])

    assert f"{csv_cell(text)},end\r\n" == line.getvalue()


def test_a_video_without_a_measured_frame_tells_nothing() -> None:
    """Black all through, it is no zero: it is skipped, with the reason, and counts in no mean."""
    survey = Survey()
    black = end(5, Source("urn:b", "b", "video"), skipped={"black": 5})
    survey.add_covers(black, [], "b.mp4", 0)
    survey.add_tracked(end(2, Source("urn:c", "c", "video"), skipped={"black": 2}), [], "c.mp4", 0)
    survey.add_covers(end(1), [Cover(0, "urn:0", "sand", (0, 0, 0), 10, 1.0, 0.5)], "a.mp4", 1)
    rows = {row["name"]: row for row in read(survey)}

    assert ("skipped", "no frame was measured: 5 black") == (rows["b"]["status"], rows["b"]["reason"])
    assert ("skipped", "", "", "0") == tuple(
        rows["c"][k] for k in ("status", "objects", "max_at_once", "frames")
    )
    assert [1.0] == [c["mean-cover"] for c in survey.mean_covers()]
    assert (1, 2) == (survey.measured, survey.blank)


def test_a_video_cut_short_before_its_first_frame_is_still_partial() -> None:
    """What is wrong with it comes first, and none is no number there either."""
    survey = Survey()
    survey.add_tracked(end(2, error=VideoTruncatedError("it ends early"), skipped={"black": 2}), [], "", 0)
    (row,) = read(survey)

    assert ("partial", "") == (row["status"], row["objects"])
    assert (0, 1) == (survey.measured, survey.blank)  # an order of it alone has measured nothing
