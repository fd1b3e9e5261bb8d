"""The aspects keep the original's keys, say width and height rightly, and are strict JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from quadrat.errors import StreamError, TooManyObjectsError, VideoTruncatedError
from quadrat.report import aspects
from quadrat.report.aspects import (
    covered_aspect,
    detection_aspect,
    inference_aspect,
    picture_aspect,
    survey_aspect,
    table_aspect,
    tracking_aspect,
    video_part,
)
from quadrat.report.counts import ClassCount
from quadrat.types import Closing, Cover, Frame, FrameKey, Gap, Provenance, Source
from tests.report.things import CLASSES, VIDEO, end, many

WHO = Provenance("urn:order", "urn:model", "d1", "d2", "0.1.0", "openvino", "2026", "fp32", "cpu")
SOURCE = Source("urn:image", "a/b.jpg")
FRAME = Frame(FrameKey("urn:image"), (2048, 2560), np.zeros((894, 1118, 3), np.uint8), "d3")
COVERS = [Cover(0, "urn:c:0", "sand", (1, 2, 3), 7, 0.7, 0.912345)]


def aspect() -> dict[str, object]:
    """Describe one image."""
    return inference_aspect(SOURCE, FRAME, COVERS, WHO, size=(894, 1118), confidence=0.9, min_confidence=0.0)


def test_the_originals_keys_are_all_there() -> None:
    """A reader of the original's metadata finds what it looks for, with width and height not swapped."""
    got = aspect()

    assert got["$schema"] == "urn:ibenthos:schema:paddle.seg.inference.1"
    assert ("urn:image", "urn:model", "urn:order") == (got["image"], got["model"], got["order"])
    assert (1118, 894, 2560, 2048) == tuple(
        got[k] for k in ("width", "height", "source-width", "source-height")
    )
    cover = json.loads(json.dumps(got["cover"]))[0]
    assert {"id": "urn:c:0", "name": "sand", "color": [1, 2, 3], "cover": 0.7} == {
        k: cover[k] for k in ("id", "name", "color", "cover")
    }
    assert cover["pixels"] == 7


def test_provenance_names_every_digest() -> None:
    """Each product says which image, model, settings and engine made it."""
    provenance = aspect()["provenance"]

    assert isinstance(provenance, dict)
    assert ("d1", "d2", "d3", "openvino", "fp32") == tuple(
        provenance[k] for k in ("model-digest", "result-digest", "image-digest", "engine", "precision")
    )


def test_every_aspect_is_strict_json_with_six_keys() -> None:
    """Fewer keys would be flattened to text on their way to the platform."""
    main = aspect()
    found = [ClassCount(info, 1, 0.5) for info in CLASSES]
    closed, closing = end(2), Closing(2)
    for got in (
        main,
        picture_aspect("overlay", main),
        survey_aspect(WHO, {"ok": 1}, {}),
        survey_aspect(WHO, {"ok": 1}, {}, [{"name": "a"}, {"name": "b"}]),
        detection_aspect(SOURCE, FRAME, many(9), found, WHO, size=(1, 2)),
        tracking_aspect(closed, closing, found, [], WHO, tracks=None),
        covered_aspect(closed, closing, COVERS, WHO, confidence=None, min_confidence=0.0),
        table_aspect("coco", ["images"], WHO, 3),
    ):
        assert len(got) >= 6
        assert got == json.loads(json.dumps(got, allow_nan=False))
        assert "order" in got
        assert got["provenance"]["result-digest"] == "d2"


def test_of_very_many_objects_the_first_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The aspect stays small enough to be sent, and gives the number of all objects."""
    monkeypatch.setattr(aspects, "LISTED", 5)
    found = many(9)
    got = detection_aspect(SOURCE, FRAME, found, [ClassCount(c, 3, 0.5) for c in CLASSES], WHO, size=(1, 2))

    assert (got["objects"], len(got["detections"])) == (9, 5)
    assert [d["box"] for d in got["detections"]] == np.round(found.boxes[:5].astype(float), 2).tolist()


def test_a_capped_count_is_marked_in_the_aspect() -> None:
    """Whoever finds the aspect by its image must not take the number for the whole."""
    found = [ClassCount(c, 3, 0.5) for c in CLASSES]
    for error, expected in (
        (None, ("ok", None)),
        (TooManyObjectsError("more"), ("partial", "E_TOO_MANY more")),
    ):
        got = detection_aspect(SOURCE, FRAME, many(9), found, WHO, size=(1, 2), error=error)
        assert expected == (got["status"], got["error"])
    assert {d["class-id"] for d in got["detections"]} <= {c.id for c in CLASSES}


def test_partial_counts_as_measured_and_has_a_number_of_its_own() -> None:
    """A video that ends early is measured in part; objects are added up if there are any."""
    counts = {"ok": 2, "partial": 1, "failed": 1, "skipped": 3, "not-reached": 5}
    got = survey_aspect(WHO, counts, {"objects": [{"name": "fish", "objects": 3}]})

    assert (12, 3, 1, 1, 3, 5) == tuple(
        got[k] for k in ("images", "measured", "partial", "failed", "skipped", "not-reached")
    )
    assert got["objects"] == [{"name": "fish", "objects": 3}]
    assert "objects" not in survey_aspect(WHO, {"ok": 2}, {"objects": []})
    assert survey_aspect(WHO, {"ok": 2}, {"mean-cover": [{"id": "c"}]})["mean-cover"] == [{"id": "c"}]


def test_an_order_of_several_models_lists_their_totals() -> None:
    """One model's totals are keys of the aspect itself; several have an entry each."""
    models = [{"name": "a", "objects": []}, {"name": "b", "mean-cover": []}]

    assert survey_aspect(WHO, {"ok": 1}, {}, models)["models"] == models
    assert "models" not in survey_aspect(WHO, {"ok": 1}, {})


def test_a_video_lists_all_its_faults_and_what_was_read() -> None:
    """The error is one line with every code; frames are counted as they were read and measured."""
    faults = (TooManyObjectsError("more"), VideoTruncatedError("it ends early", where="v.mp4"))
    closing = Closing(3, {"black": 2}, faults)
    reading = {
        "dropped": 1,
        "damaged": 2,
        "declared_frames": 9,
        "declared_s": 0.36,
        "rotation": 90,
        "codec": "h264",
    }
    got = video_part(end(6, **reading), closing, WHO)

    assert ("partial", "E_TOO_MANY more; E_VIDEO_TRUNCATED v.mp4: it ends early") == (
        got["status"],
        got["error"],
    )
    assert got["frames"] == {
        "declared": 9, "read": 6, "taken": 6, "measured": 3, "dropped": 1, "damaged": 2, "skipped": {"black": 2},
    }  # fmt: skip
    assert (200, 120, 90, "h264", 25.0, 0.24, 0.36) == tuple(
        got[k] for k in ("width", "height", "rotation", "codec", "rate", "seconds", "declared-seconds")
    )
    assert ("urn:v", "a/dive.mp4", "video") == tuple(got[k] for k in ("source", "source-name", "media"))


@pytest.mark.parametrize(("closing", "status"), [(Closing(1), "ok"), (Closing(0, {"black": 2}), "skipped")])
def test_a_video_without_a_measured_frame_is_skipped(closing: Closing, status: str) -> None:
    """It shows nothing, so it is neither whole nor partial."""
    got = video_part(end(2), closing, WHO)

    assert (status, None) == (got["status"], got["error"])


def test_an_aspect_of_a_stream_has_no_login() -> None:
    """Neither in names nor in reasons."""
    address = "rtsp://diver:s3cret@cam/1"
    stream = replace(VIDEO, urn=address, name=address, media="stream")
    closing = Closing(1, faults=(StreamError("it was lost", where=address),))
    got = video_part(end(1, stream, gaps=(Gap(0, 1, f"{address} was lost"),)), closing, WHO)

    assert "s3cret" not in str(got)
    assert str(got).count("rtsp://***@cam/1") == 4


def test_numbers_are_rounded_to_what_is_known() -> None:
    """Scores to four digits, times to a millisecond; a missing number stays missing."""
    found = [ClassCount(CLASSES[0], 3, 0.123456, 2, 2, 7, 7 / 30)]
    (listed,) = tracking_aspect(end(8), Closing(8), found, [], WHO, tracks=2)["classes"]

    assert ("fish", 3, 0.1235, 2, 2, 7, 0.233) == tuple(
        listed[k]
        for k in (
            "name",
            "count",
            "mean-score",
            "tracks",
            "max-at-once",
            "max-at-once-frame",
            "max-at-once-time",
        )
    )
    covered = covered_aspect(end(2), Closing(2), COVERS, WHO, confidence=0.98765, min_confidence=0.25)
    assert (0.9877, 0.25, 0.9123) == (
        covered["mean-confidence"], covered["min-confidence"], covered["cover"][0]["mean-confidence"],
    )  # fmt: skip
    assert (
        covered_aspect(end(2), Closing(2), [], WHO, confidence=None, min_confidence=0.0)["mean-confidence"]
        is None
    )
