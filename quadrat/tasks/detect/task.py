"""The detection task: checks a network against the settings, and starts a fold for each frame."""

from __future__ import annotations

from collections.abc import Sequence

from quadrat.errors import ParameterError
from quadrat.geometry import HW, Window
from quadrat.package.detectors import read_detect
from quadrat.settings import Settings
from quadrat.tasks.detect import layouts
from quadrat.tasks.detect.fold import DetectFold, ObjectReader
from quadrat.transforms.tiles import plan
from quadrat.types import Frame, ModelPackage, OutputSpec

EXACT_INTEGERS = {"bf16": 256, "fp16": 2048}
"""Up to which integer a precision represents every integer exactly."""
BYTETRACK_FLOOR = 0.1
"""Score down to which ByteTrack matches objects to existing tracks (Zhang et al. 2022)."""


class Detect:
    """The objects of a frame, from one part that shows all of it, or from tiles.

    `batched` is False for a network whose outputs have no batch axis: it takes one input at a time, and a Part
    holds its outputs as they are. Raises LayoutError if the outputs have no known layout, ClassesError if they
    disagree with the classes, ParameterError if the settings do not suit a detector or its precision.
    """

    name = "detect"

    def __init__(self, package: ModelPackage, outputs: Sequence[OutputSpec], settings: Settings) -> None:
        _check_settings(package.name, settings)
        spec = layouts.DetectorSpec(
            package.name, tuple(outputs), package.outputs, package.num_classes, read_detect(package.meta),
            package.input_shape[0] if package.input_shape else None,
        )  # fmt: skip
        layout = layouts.choose(spec)
        _check_precision(spec, layout, settings.precision)
        self._settings = settings
        self._reader = ObjectReader(spec, layout, settings)
        self.wanted = layout.wanted
        self.batched = layout.batched

    def start(self, frame: Frame) -> DetectFold:
        """Plan the parts of a frame, and return the fold that finds its objects in them.

        A frame no larger than tile-size is one part; otherwise the whole frame follows its tiles with full-frame.
        Objects have at least min-score; in a video that ByteTrack follows, at least BYTETRACK_FLOOR if that is
        lower. Raises ParameterError if the frame would take too many tiles.
        """
        floor = self._settings.min_score
        if frame.time_s is not None and self._settings.tracker == "bytetrack":
            floor = min(floor, BYTETRACK_FLOOR)
        return DetectFold(frame, self._plan(frame), self._reader, self._settings, floor)

    def _plan(self, frame: Frame) -> tuple[Window | None, ...]:
        hw: HW = frame.pixels.shape[:2]
        tile = self._settings.tile_size
        if not tile or max(hw) <= tile:
            return (None,)
        windows = plan(hw, tile, self._settings.overlap)
        return (*windows, None) if self._settings.full_frame else windows


def _check_settings(name: str, settings: Settings) -> None:
    """Refuse what is for masks only."""
    given = {
        "with-argmax": settings.with_argmax,
        "min-confidence": settings.min_confidence > 0,
        "result-size": settings.result_size == "source",
    }
    hints = {"min-confidence": "Use --min-score for objects"}
    for parameter, set_ in given.items():
        if set_:
            raise ParameterError(
                f"the model {name!r} finds objects, and this is for masks",
                where=parameter,
                hint=hints.get(parameter, f"Leave --{parameter} out"),
            )


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
