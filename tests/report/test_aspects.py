"""The aspects keep the original's keys, say width and height rightly, and are strict JSON."""

from __future__ import annotations

import json

import numpy as np

from quadrat.report.aspects import inference_aspect, picture_aspect, survey_aspect
from quadrat.types import Cover, Frame, FrameKey, Provenance, Source

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
        provenance[k] for k in ("model-digest", "settings-digest", "image-digest", "engine", "precision")
    )


def test_every_aspect_is_strict_json_with_six_keys() -> None:
    """Fewer keys would be flattened to text on their way to the platform."""
    main = aspect()
    for got in (main, picture_aspect("overlay", main), survey_aspect(WHO, {"ok": 1}, [])):
        assert len(got) >= 6
        assert got == json.loads(json.dumps(got, allow_nan=False))
        assert "order" in got
