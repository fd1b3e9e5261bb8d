"""The detection task: checks a network against the settings, and starts a fold for each frame."""

from __future__ import annotations

from collections.abc import Sequence

from quadrat.errors import ParameterError
from quadrat.geometry import HW, Window
from quadrat.package.detectors import read_detect
from quadrat.parameters import (
    EngineSettings,
    ObjectSettings,
    PictureSettings,
    TileSettings,
    TrackingSettings,
)
from quadrat.tasks.detect import layouts
from quadrat.tasks.detect.chosen import chosen
from quadrat.tasks.detect.fold import DetectFold, ObjectReader
from quadrat.tasks.detect.thresholds import thresholds_of
from quadrat.transforms.tiles import plan
from quadrat.types import Frame, ModelPackage, OutputSpec

EXACT_INTEGERS = {"bf16": 256, "fp16": 2048}
"""Up to which integer a precision represents every integer exactly."""
BYTETRACK_FLOOR = 0.2
"""Score down to which ByteTrack matches objects to existing tracks (see quadrat/tracking/bytetrack.py)."""


class Detect:
    """The objects of a frame, from one part that shows all of it, or from tiles.

    `batched` is False for a network whose outputs have no batch axis: it takes one input at a time, and a Part
    holds its outputs as they are. `follows_faint` is True if the tracker is ByteTrack, which matches objects under
    min-score to existing tracks; `precision` is that of the engine. Raises LayoutError if the outputs have no
    known layout, ClassesError if they disagree with the classes, ParameterError if the precision would round
    class numbers, or for a class to keep that the archive does not have.
    """

    name = "detect"

    def __init__(
        self,
        package: ModelPackage,
        outputs: Sequence[OutputSpec],
        objects: ObjectSettings,
        tiles: TileSettings,
        *,
        follows_faint: bool,
        precision: str,
    ) -> None:
        spec = layouts.DetectorSpec(
            package.name, tuple(outputs), package.outputs, package.num_classes, read_detect(package.meta),
            package.input_shape[0] if package.input_shape else None, _sides(package),
        )  # fmt: skip
        layout = layouts.choose(spec)
        _check_precision(spec, layout, precision)
        self._objects = objects
        self._tiles = tiles
        self._follows_faint = follows_faint
        self._thresholds = thresholds_of(spec.words, package.num_classes, objects, package.name)
        kept = chosen(objects, package.classes, package.num_classes)
        self._reader = ObjectReader(spec, layout, objects, self._thresholds, kept)
        self.wanted = layout.wanted
        self.batched = layout.batched

    def start(self, frame: Frame) -> DetectFold:
        """Plan the parts of a frame, and return the fold that finds its objects in them.

        A frame no larger than tile-size is one part; otherwise the whole frame follows its tiles with full-frame.
        Objects have at least min-score, or what the archive states for their class; with `follows_faint`, those of a video have at least BYTETRACK_FLOOR if
        that is lower. Raises ParameterError if the frame would take too many tiles.
        """
        floor = self._thresholds.least
        if frame.time_s is not None and self._follows_faint:
            floor = min(floor, BYTETRACK_FLOOR)
        windows = self._plan(frame)
        return DetectFold(frame, windows, self._reader, objects=self._objects, tiles=self._tiles, floor=floor)

    def _plan(self, frame: Frame) -> tuple[Window | None, ...]:
        hw: HW = frame.pixels.shape[:2]
        tile = self._tiles.tile_size
        if not tile or max(hw) <= tile:
            return (None,)
        windows = plan(hw, tile, self._tiles.overlap)
        return (*windows, None) if self._tiles.full_frame else windows


def make(  # noqa: PLR0917 - the groups of settings are those that the record of the task names
    package: ModelPackage,
    outputs: Sequence[OutputSpec],
    objects: ObjectSettings,
    tiles: TileSettings,
    tracking: TrackingSettings,
    _pictures: PictureSettings,
    engine: EngineSettings,
) -> Detect:
    """Make the task from the settings of a run. Raises what Detect raises."""
    return Detect(
        package,
        outputs,
        objects,
        tiles,
        follows_faint=tracking.tracker == "bytetrack",
        precision=engine.precision,
    )


def _sides(package: ModelPackage) -> tuple[int | None, int | None]:
    """Return (height, width) of the network's inputs, None for what is open."""
    _, _, height, width = package.input_shape or (None,) * 4
    return height, width


def _check_precision(spec: layouts.DetectorSpec, layout: layouts.Layout, precision: str) -> None:
    """Raise ParameterError if the precision would round a class number that the network gives as a float."""
    most = EXACT_INTEGERS.get(precision)
    if layout.float_classes and most is not None and (spec.num_classes or 0) > most:
        raise ParameterError(
            f"the model {spec.name!r} gives its {spec.num_classes} class numbers as floats, "
            f"and {precision} represents only {most} exactly",
            where="precision",
            hint="Choose fp32",
        )
