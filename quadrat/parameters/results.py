"""Parameters of masks, tiles and objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quadrat.parameters.declare import MASKS, OBJECTS, TILED, Group, parameter


@dataclass(frozen=True, slots=True)
class MaskSettings(Group):
    """How masks are made and counted."""

    title: ClassVar[str] = "masks"
    about: ClassVar[str] = "How masks are made and counted."

    result_size: str = parameter(
        "option",
        "Size of masks and counts: the size after max-img-size (working), or the image's own size (source).",
        default="working",
        choices=("working", "source"),
        tasks=MASKS,
        shapes_result=True,
        since="1",
    )
    min_confidence: float = parameter(
        "float",
        "Count pixels below this confidence as unknown; 0 counts all. Needs an archive that gives confidence.",
        default=0.0,
        low=0.0,
        high=1.0,
        tasks=MASKS,
        shapes_result=True,
        hints=(("detect", "Use --min-score for objects"), ("classify", "Use --min-probability for labels")),
        since="1",
    )
    with_argmax: bool = parameter(
        "bool",
        "Take the class from the network's scores, not from its own argmax. Needs an archive that gives scores.",
        tasks=MASKS,
        shapes_result=True,
    )


@dataclass(frozen=True, slots=True)
class TileSettings(Group):
    """How large images are cut into tiles, and how boxes of tiles are merged."""

    title: ClassVar[str] = "tiles"
    about: ClassVar[str] = "How large images are cut into tiles, and how boxes of tiles are merged."

    tile_size: int = parameter(
        "int",
        "Cut each image into square tiles with this side, ideally the size that the network was trained at; "
        "0 uses no tiles; networks that make pictures then choose their own.",
        default=0,
        unit="pixels",
        low=0,
        high=65536,
        tasks=TILED,
        hints=(("classify", "Leave --tile-size out: a classifier labels the whole picture"),),
        shapes_result=True,
        since="2",
    )
    tile_overlap: int = parameter(
        "int",
        "Minimum overlap of neighbouring tiles; -1 uses a fifth of the tile.",
        default=-1,
        unit="pixels",
        low=-1,
        high=65535,
        tasks=TILED,
        shapes_result=True,
        since="2",
    )
    full_frame: bool = parameter(
        "bool",
        "Also detect on the whole image, in addition to its tiles. Needs tile-size.",
        tasks=OBJECTS,
        shapes_result=True,
        hints=(("segment", "Leave --full-frame out: a mask is made from tiles or from the whole image"),),
        since="2",
    )
    merge: str = parameter(
        "option",
        "How to merge boxes of one object from several tiles: by overlap over the smaller box (ios), by overlap "
        "over the union (iou), or as ios with the mean of the boxes, weighted by score (wbf).",
        default="ios",
        choices=("ios", "iou", "wbf"),
        tasks=OBJECTS,
        shapes_result=True,
        since="2",
    )
    merge_threshold: float = parameter(
        "float",
        "Minimum overlap at which boxes from different tiles count as one object.",
        default=0.5,
        low=0.0,
        high=1.0,
        tasks=OBJECTS,
        shapes_result=True,
        since="2",
    )

    @property
    def overlap(self) -> int:
        """The minimum overlap of neighbouring tiles in pixels."""
        return self.tile_size // 5 if self.tile_overlap < 0 else self.tile_overlap


USUAL_SCORE = 0.25
"""The least score of an object, if neither min-score nor the archive states one."""


@dataclass(frozen=True, slots=True)
class ObjectSettings(Group):
    """Which detected objects are kept."""

    title: ClassVar[str] = "objects"
    about: ClassVar[str] = "Which detected objects are kept."

    min_score: float | None = parameter(
        "float",
        "Keep objects with at least this score. If unset, the scores that the archive states for its classes apply, "
        "or 0.25. The tracker bytetrack also keeps objects with lower scores if they continue a track.",
        low=0.0,
        high=1.0,
        tasks=OBJECTS,
        shapes_result=True,
        since="2",
    )
    classes: str = parameter(
        "string",
        "Keep only objects of these classes of the archive, by name or index, separated by commas: person,boat. "
        "Other classes are neither tracked nor listed in any table. If unset, all classes are kept.",
        unset="",
        tasks=OBJECTS,
        shapes_result=True,
        hints=(
            ("segment", "Leave --classes out: every pixel of a mask has a class. Select rows of survey.csv"),
        ),
        since="5",
    )
    nms_threshold: float = parameter(
        "float",
        "Overlap (IoU) at or above which the weaker of two boxes of one class is dropped. Networks that do not need "
        "NMS ignore it.",
        default=0.5,
        low=0.0,
        high=1.0,
        tasks=OBJECTS,
        shapes_result=True,
        since="2",
    )
    max_detections: int = parameter(
        "int",
        "Keep at most this many objects per image, those with the highest scores. An image with more is partial.",
        default=1000,
        unit="objects",
        low=1,
        high=100_000,
        tasks=OBJECTS,
        shapes_result=True,
        since="2",
    )

    @property
    def least_score(self) -> float:
        """The least score of an object of any class, or the usual one if none is set."""
        return USUAL_SCORE if self.min_score is None else self.min_score
