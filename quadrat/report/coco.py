"""COCO's JSON of all detections of an order, joined at its end from lines written on the way.

Frames of videos are images too, with COCO-VID's `video_id`, `frame_id` (index from 0) and a name as if they had
been extracted into a folder of the video's name, `frame_000012.jpg` as CVAT calls them; those of a sequence have
their own. Importers of CVAT want a `segmentation`, be it empty, and go by the box then. Frames that were not measured are left out: an image
without annotations says that nothing is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from quadrat.report.base import plain
from quadrat.report.rows import Row
from quadrat.report.spool import Spool
from quadrat.stores.addresses import shown
from quadrat.types import ClassInfo, Frame, Source


class CocoPart:
    """Images and annotations of one video, or of all photographs of an order, in two files under way."""

    def __init__(self, stem: Path) -> None:
        self.images = Spool(stem.with_suffix(".images"))
        self.boxes = Spool(stem.with_suffix(".boxes"))
        self.count = 0

    def add(self, name: str, source: Source, frame: Frame, rows: Iterable[Row]) -> None:
        """Write one frame; ids are filled in when the parts are joined."""
        height, width = frame.source_hw
        where: dict[str, Any] = {"file_name": plain(name), "width": width, "height": height}
        if source.media != "image":
            index = frame.key.index
            where |= {
                "file_name": f"{plain(name)}/{plain(frame.file) or f'frame_{index:06d}.jpg'}",
                "frame_id": index,
                "time_s": None if frame.time_s is None else round(frame.time_s, 6),
            }
        self.images.write(json.dumps(where)[1:] + "\n")
        self.boxes.write("".join(_annotation(self.count, row) for row in rows))
        self.count += 1

    def delete(self) -> None:
        """Remove the files."""
        self.images.delete()
        self.boxes.delete()


def write_coco(
    path: Path,
    parts: Sequence[tuple[Source | None, CocoPart]],
    classes: Sequence[ClassInfo],
    info: dict[str, Any],
) -> Path:
    """Join the parts into one file; a part without a source is of photographs, the others are videos."""
    videos = [(number, source) for number, (source, _) in enumerate(parts, 1) if source is not None]
    head = {
        "info": info,
        "licenses": [],
        "categories": [
            {"id": c.index + 1, "name": c.name, "supercategory": "", "urn": c.id} for c in classes
        ],
        "videos": [{"id": number, "name": plain(shown(source.name, source))} for number, source in videos],
    }
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.write(json.dumps(head)[:-1] + ', "images": [\n')
        out.writelines(_between(_images(parts)))
        out.write('], "annotations": [\n')
        out.writelines(_between(_annotations(parts)))
        out.write("]}\n")
    return path


def _annotation(image: int, row: Row) -> str:
    track = f', "track_id": {row.track}' if row.track >= 0 else ""
    return (
        f'{image} "category_id": {row.index + 1}, "bbox": [{row.sides}], "area": {row.area}, '
        f'"segmentation": [], "iscrowd": 0, "score": {row.score}{track}}}\n'
    )


def _images(parts: Sequence[tuple[Source | None, CocoPart]]) -> Iterator[str]:
    number = 0
    for video, (source, part) in enumerate(parts, 1):
        of = "" if source is None else f'"video_id": {video}, '
        for line in part.images.lines():
            number += 1
            yield f'{{"id": {number}, {of}{line}'


def _annotations(parts: Sequence[tuple[Source | None, CocoPart]]) -> Iterator[str]:
    number, before = 0, 1
    for _, part in parts:
        for line in part.boxes.lines():
            image, _, rest = line.partition(" ")
            number += 1
            yield f'{{"id": {number}, "image_id": {before + int(image)}, {rest}'
        before += part.count


def _between(items: Iterator[str]) -> Iterator[str]:
    """Put commas between items, one to a line."""
    for place, item in enumerate(items):
        yield f",\n{item}" if place else item
    yield "\n"
