"""All detections of an order as COCO's JSON.

Frames of videos are images too, with COCO-VID's `video_id` and `frame_id` (index from 0). Their names are those that
CVAT gives to extracted frames, in a folder of the video's name: `VIDEO/frame_000012.jpg`. Images of a sequence keep
their own names. CVAT's importers require a `segmentation`; if it is empty, they use the box. Frames that were not
measured are left out, because an image without annotations states that it shows no objects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quadrat.report.base import plain
from quadrat.report.columns import FrameRow
from quadrat.report.detections import ClassOf
from quadrat.report.rows import DetectionRow
from quadrat.report.spool import Spool
from quadrat.stores.addresses import shown
from quadrat.types import ClassInfo, Source


class CocoWriter:
    """Writes coco.json. Its lists grow in files of their own until they are joined."""

    mime = "application/json"
    kind = "coco"
    columns = ("info", "licenses", "categories", "videos", "images", "annotations")

    def __init__(self, path: Path, _class_of: ClassOf) -> None:
        self._path = path
        self._videos, self._images, self._boxes = (
            Spool(path.with_suffix(f".{name}")) for name in ("videos", "images", "boxes")
        )
        self._video = self._image = self.rows = 0

    def begin(self, source: Source) -> None:
        """Begin a source; a video gets a number."""
        if source.media == "image":
            return
        self._video += 1
        name = json.dumps({"id": self._video, "name": plain(shown(source.name, source))})
        self._videos.write(f"{', ' if self._video > 1 else ''}{name}")

    def frame(self, source: Source, frame: FrameRow, rows: Sequence[DetectionRow]) -> None:
        """Write one frame, unless it was skipped."""
        if frame.skipped:
            return
        self._image += 1
        line = json.dumps(_described(source, frame))[1:]
        video = "" if source.media == "image" else f'"video_id": {self._video}, '
        self._images.write(f'{_separator(self._image)}{{"id": {self._image}, {video}{line}')
        for row in rows:
            self.rows += 1
            head = f'{_separator(self.rows)}{{"id": {self.rows}, "image_id": {self._image}, '
            self._boxes.write(head + _box(row))

    def finish(self, classes: Sequence[ClassInfo], info: Mapping[str, Any]) -> Path:
        """Join the lists into one file."""
        categories = [{"id": c.index + 1, "name": c.name, "supercategory": "", "urn": c.id} for c in classes]
        head = json.dumps({"info": dict(info), "licenses": [], "categories": categories})
        with self._path.open("w", encoding="utf-8", newline="\n") as out:
            out.write(head[:-1] + ', "videos": [')
            out.writelines(self._videos.pieces())
            out.write('], "images": [\n')
            out.writelines(self._images.pieces())
            out.write('\n], "annotations": [\n')
            out.writelines(self._boxes.pieces())
            out.write("\n]}\n")
        return self._path


def _separator(number: int) -> str:
    return ",\n" if number > 1 else ""


def _described(source: Source, frame: FrameRow) -> dict[str, Any]:
    """Describe a frame as an image of COCO."""
    height, width = frame.hw
    name = plain(shown(source.name, source))
    if source.media == "image":
        return {"file_name": name, "width": width, "height": height}
    return {
        "file_name": f"{name}/{plain(frame.file) or f'frame_{frame.index:06d}.jpg'}",
        "width": width,
        "height": height,
        "frame_id": frame.index,
        "time_s": None if frame.time_s is None else round(frame.time_s, 6),
    }


def _box(row: DetectionRow) -> str:
    """Describe one object; with a mask, `area` is that of the mask, as pycocotools computes it."""
    track = f', "track_id": {row.track}' if row.track >= 0 else ""
    details = "" if row.details is None else f', "details": {json.dumps(row.details)}'
    area = row.area if row.mask is None else row.mask["area"]
    segmentation = "[]" if row.mask is None else json.dumps(row.mask["rle"])
    return (
        f'"category_id": {row.index + 1}, "bbox": [{row.sides}], "area": {area}, '
        f'"segmentation": {segmentation}, "iscrowd": 0, "score": {row.score}{track}{details}}}'
    )
