"""coco.json is what tools of the field import: every image by a name that is there, every box with its keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat.report.coco import CocoPart, write_coco
from quadrat.report.rows import rows_of
from quadrat.types import ClassInfo, Detections, Frame, FrameKey, Source

PIXELS = np.zeros((8, 8, 3), np.uint8)
FISH = ClassInfo(0, "urn:fish", "fish", (0, 0, 255))
FOUND = Detections(
    np.array([[1, 2, 5, 7]], np.float32),
    np.array([0.9], np.float32),
    np.zeros(1, np.int32),
    np.array([3], np.int32),
)


def written(tmp_path: Path, source: Source, *frames: Frame) -> dict[str, Any]:
    """Write frames of one source and read the file."""
    part = CocoPart(tmp_path / "part")
    for frame in frames:
        part.add(source.name, source, frame, rows_of(FOUND))
    path = write_coco(
        tmp_path / "all.json", [(None if source.media == "image" else source, part)], [FISH], {}
    )
    part.delete()
    return dict(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize(
    ("source", "file", "named"),
    [
        (Source("urn:a", "site/a.jpg"), "", "site/a.jpg"),
        (Source("urn:a", "a.mp4", "video"), "", "a.mp4/frame_000012.jpg"),
        (Source("urn:a", "dive", "sequence"), "img-013.png", "dive/img-013.png"),
    ],
)
def test_an_image_is_named_after_its_file(tmp_path: Path, source: Source, file: str, named: str) -> None:
    """A photograph and a sequence's picture have the names they have; a video's frame that of its extraction by CVAT."""
    time_s = None if source.media == "image" else 12 / 7
    frame = Frame(FrameKey(source.urn, 12), (8, 8), PIXELS, time_s=time_s, file=file)
    (image,) = written(tmp_path, source, frame)["images"]

    assert named == image["file_name"]
    assert image.get("time_s") == (None if time_s is None else 1.714286)  # as in the other tables


def test_an_annotation_has_the_keys_that_importers_want(tmp_path: Path) -> None:
    """CVAT's refuses a file in which one has no segmentation; an empty one says that there is a box."""
    source = Source("urn:a", "a.jpg")
    (box,) = written(tmp_path, source, Frame(FrameKey("urn:a"), (8, 8), PIXELS))["annotations"]

    assert {"id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd"} <= set(box)
    assert ([], 0, [1, 2, 4, 5], 20) == (box["segmentation"], box["iscrowd"], box["bbox"], box["area"])
