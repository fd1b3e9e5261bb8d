"""The segmentation task: checks a network against the settings, and starts a fold for each frame."""

from __future__ import annotations

from collections.abc import Sequence

from quadrat.errors import ParameterError
from quadrat.geometry import HW
from quadrat.settings import Settings
from quadrat.tasks.segment.fold import TiledMask, WholeMask
from quadrat.tasks.segment.reader import OutputReader
from quadrat.tasks.segment.roles import check_channels, choose_outputs, find_roles
from quadrat.transforms.tiles import plan_masks
from quadrat.types import Frame, ModelPackage, OutputSpec


class Segment:
    """One label per pixel and, if the network gives scores, the confidence of each label.

    `outputs` are the loaded network's. `wanted` names those to request for every part: the fewest that answer
    the settings. Raises ManifestError if no output can be identified as labels or scores, ClassesError if the
    scores and the classes disagree, ParameterError if the settings need scores that the network does not give.
    """

    name = "segment"
    batched = True

    def __init__(self, package: ModelPackage, outputs: Sequence[OutputSpec], settings: Settings) -> None:
        roles = find_roles(package, outputs)
        self._reader = OutputReader(package.name, package.num_classes, roles)
        self._settings = settings
        check_channels(package, roles, outputs)
        _check_settings(package.name, self._reader, settings)
        self.wanted = choose_outputs(roles, with_argmax=settings.with_argmax, tiled=bool(settings.tile_size))

    def start(self, frame: Frame) -> WholeMask | TiledMask:
        """Plan the parts of a frame, and return the fold that makes its mask of them.

        A frame no larger than tile-size is one part. Raises ParameterError if it would take too many tiles.
        """
        hw: HW = frame.pixels.shape[:2]
        tile = self._settings.tile_size
        if not tile or max(hw) <= tile:
            return WholeMask(frame, self._reader, self._settings)
        windows = plan_masks(hw, tile, self._settings.overlap)
        return TiledMask(frame, windows, self._reader, self._settings)


def _check_settings(model: str, reader: OutputReader, settings: Settings) -> None:
    """Raise ParameterError for settings that a mask, or this network, cannot satisfy."""
    if settings.full_frame:
        raise ParameterError(
            "a mask is of tiles or of the whole image",
            where="full-frame",
            hint="Leave it out: it is for detectors",
        )
    if settings.with_argmax and not reader.gives_scores:
        gives = "no scores" if reader.gives_confidence else "classes, not scores"
        raise ParameterError(
            f"the model {model!r} gives {gives}", where="with-argmax", hint="Leave --with-argmax out"
        )
    if reader.gives_confidence:
        return
    export = "or export the model with its scores"
    if settings.min_confidence > 0:
        raise ParameterError(
            f"the model {model!r} gives no confidence",
            where="min-confidence",
            hint=f"Leave --min-confidence out, {export}",
        )
    if "confidence" in settings.outputs:
        raise ParameterError(
            f"the model {model!r} gives no confidence",
            where="outputs",
            hint=f"Leave confidence out of --outputs, {export}",
        )
