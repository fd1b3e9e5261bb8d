"""coco.json is what tools of the field import: every image by the name of its file, every box with its keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat.predictions import Detections
from quadrat.report.coco import CocoWriter
from quadrat.report.columns import FrameRow
from quadrat.report.rows import rows_of
from quadrat.types import ClassInfo, Source

FISH = ClassInfo(0, "urn:fish", "fish", (0, 0, 255))
FOUND = Detections(
    np.array([[1, 2, 5, 7]], np.float32),
    np.array([0.9], np.float32),
    np.zeros(1, np.int32),
    np.array([3], np.int32),
)


def written(tmp_path: Path, *sources: tuple[Source, list[FrameRow]]) -> dict[str, Any]:
    """Write frames of some sources, one object in each, and read the file."""
    writer = CocoWriter(tmp_path / "all.json", [FISH].__getitem__)
    for source, frames in sources:
        writer.begin(source)
        for frame in frames:
            writer.frame(source, frame, [] if frame.skipped else rows_of(FOUND))
    path = writer.finish([FISH], {"description": "d"})
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
    """Photographs and pictures of a sequence keep their names; a video's frame has the one that CVAT gives it."""
    time_s = None if source.media == "image" else 12 / 7
    frame = FrameRow(12, time_s, "", (8, 9), file)
    (image,) = written(tmp_path, (source, [frame]))["images"]

    assert named == image["file_name"]
    assert (9, 8) == (image["width"], image["height"])
    assert image.get("time_s") == (None if time_s is None else 1.714286)  # as in the other tables
    assert image.get("frame_id") == (None if time_s is None else 12)


def test_an_annotation_has_the_keys_that_importers_want(tmp_path: Path) -> None:
    """CVAT refuses a file in which an object has no segmentation; an empty one makes it use the box."""
    source = Source("urn:a", "a.jpg")
    (box,) = written(tmp_path, (source, [FrameRow(0, None, "", (8, 8))]))["annotations"]

    assert {"id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd"} <= set(box)
    assert ([], 0, [1, 2, 4, 5], 20) == (box["segmentation"], box["iscrowd"], box["bbox"], box["area"])
    assert (1, 0.9, 3) == (box["category_id"], box["score"], box["track_id"])


def test_ids_join_the_lists(tmp_path: Path) -> None:
    """Videos, images and annotations are numbered from 1 over the whole order; photographs are in no video."""
    videos = [Source(f"urn:{name}", name, "video") for name in "ab"]
    frames = [FrameRow(index, index / 25, "", (8, 8)) for index in range(2)]
    photo = (Source("urn:p", "p.jpg"), [FrameRow(0, None, "", (8, 8))])
    got = written(tmp_path, (videos[0], frames), (videos[1], frames), photo)

    assert got["videos"] == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    assert [(i["id"], i.get("video_id")) for i in got["images"]] == [
        (1, 1),
        (2, 1),
        (3, 2),
        (4, 2),
        (5, None),
    ]
    assert [(a["id"], a["image_id"]) for a in got["annotations"]] == [(n, n) for n in range(1, 6)]
    assert got["categories"] == [{"id": 1, "name": "fish", "supercategory": "", "urn": "urn:fish"}]
    assert (got["info"], got["licenses"]) == ({"description": "d"}, [])


def test_frames_that_were_not_measured_are_left_out(tmp_path: Path) -> None:
    """An image without annotations would state that it shows no objects."""
    frames = [FrameRow(0, 0.0, "black", (8, 8)), FrameRow(1, 0.04, "", (8, 8))]
    got = written(tmp_path, (Source("urn:a", "a.mp4", "video"), frames))

    assert [(i["id"], i["frame_id"]) for i in got["images"]] == [(1, 1)]


def test_an_order_without_objects_gives_empty_lists(tmp_path: Path) -> None:
    """The file is JSON all the same."""
    got = written(tmp_path)

    assert ([], [], []) == (got["videos"], got["images"], got["annotations"])


def test_a_streams_login_is_in_no_name(tmp_path: Path) -> None:
    """Streams are named without their secrets."""
    stream = Source("urn:s", "rtsp://diver:s3cret@cam/1", "stream")
    got = written(tmp_path, (stream, [FrameRow(0, 0.0, "", (8, 8))]))

    assert "s3cret" not in json.dumps(got)
    assert got["videos"] == [{"id": 1, "name": "rtsp://***@cam/1"}]
    assert got["images"][0]["file_name"] == "rtsp://***@cam/1/frame_000000.jpg"
