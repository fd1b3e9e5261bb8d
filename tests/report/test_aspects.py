"""The aspects keep the original's keys, say width and height rightly, and are strict JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from quadrat.errors import TooManyObjectsError
from quadrat.report import aspects
from quadrat.report.aspects import (
    covered_aspect,
    detection_aspect,
    inference_aspect,
    picture_aspect,
    survey_aspect,
    table_aspect,
    tracking_aspect,
)
from quadrat.report.survey import Found
from quadrat.types import Cover, Frame, FrameKey, Provenance, Source
from tests.report.things import CLASSES, end, many

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
    assert ("d1", "d2", "openvino", "fp32") == tuple(
        provenance[k] for k in ("model-digest", "settings-digest", "image-digest", "engine", "precision")
    )


def test_every_aspect_is_strict_json_with_six_keys() -> None:
    """Fewer keys would be flattened to text on their way to the platform."""
    main = aspect()
    found = [Found(info, 1, 0.5) for info in CLASSES]
    for got in (
        main,
        picture_aspect("overlay", main),
        survey_aspect(WHO, {"ok": 1}, []),
        detection_aspect(SOURCE, FRAME, many(9), found, WHO, size=(1, 2)),
        tracking_aspect(end(2), found, [], WHO, measured=2, tracks=None),
        covered_aspect(end(2), COVERS, WHO, measured=2, confidence=None, min_confidence=0.0),
        table_aspect("coco", ["images"], WHO, 3),
    ):
        assert len(got) >= 6
        assert got == json.loads(json.dumps(got, allow_nan=False))
        assert "order" in got


def test_of_very_many_objects_the_first_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The aspect stays of a size that can be sent, and says how many there are."""
    monkeypatch.setattr(aspects, "LISTED", 5)
    got = detection_aspect(SOURCE, FRAME, many(9), [Found(c, 3, 0.5) for c in CLASSES], WHO, size=(1, 2))

    assert (got["objects"], len(got["detections"])) == (9, 5)


def test_a_capped_count_is_told_where_it_stands() -> None:
    """Whoever finds the aspect by its image must not take the number for all there are."""
    found = [Found(c, 3, 0.5) for c in CLASSES]
    for error, said in ((None, ("ok", None)), (TooManyObjectsError("more"), ("partial", "E_TOO_MANY more"))):
        got = detection_aspect(SOURCE, FRAME, many(9), found, WHO, size=(1, 2), error=error)
        assert said == (got["status"], got["error"])
    assert {d["class-id"] for d in got["detections"]} <= {c.id for c in CLASSES}


def test_partial_counts_as_measured_and_is_told_apart() -> None:
    """A video that ends early is measured in part; objects are added up where there are any."""
    got = survey_aspect(WHO, {"ok": 2, "partial": 1, "failed": 1}, [], [{"name": "fish", "objects": 3}])

    assert (4, 3, 1, 1) == tuple(got[k] for k in ("images", "measured", "partial", "failed"))
    assert got["objects"] == [{"name": "fish", "objects": 3}]
    assert "objects" not in survey_aspect(WHO, {"ok": 2}, [])
