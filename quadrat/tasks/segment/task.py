"""The segmentation task: checks a network against the settings, and starts a fold for each frame."""

from __future__ import annotations

from collections.abc import Sequence

from quadrat.errors import ManifestError, ParameterError
from quadrat.geometry import HW
from quadrat.package.masks import read_masks
from quadrat.parameters import MaskSettings, PictureSettings, TileSettings
from quadrat.tasks.segment.fold import TiledMask, WholeMask
from quadrat.tasks.segment.reader import OutputReader
from quadrat.tasks.segment.roles import check_channels, choose_outputs, find_roles
from quadrat.transforms.tiles import plan_masks
from quadrat.types import Frame, ModelPackage, OutputSpec


class Segment:
    """One label per pixel and, if the network gives scores, the confidence of each label.

    `outputs` are the loaded network's; `wants_confidence` is True if confidence is an output of the run. `wanted`
    names the outputs to request for every part: the fewest that answer the settings. Raises ManifestError if no
    output can be identified as labels or scores, ClassesError if the scores and the classes disagree,
    ParameterError if the settings need scores or confidence that the network does not give.
    """

    name = "segment"
    batched = True

    def __init__(
        self,
        package: ModelPackage,
        outputs: Sequence[OutputSpec],
        masks: MaskSettings,
        tiles: TileSettings,
        *,
        wants_confidence: bool,
    ) -> None:
        roles = find_roles(package, outputs)
        words = read_masks(package.meta)
        if words.by_threshold and "logits" not in roles:
            raise ManifestError(
                "it states thresholds for scores, but the network gives classes only",
                where="meta.json: segment",
            )
        if words.by_threshold or words.activation in ("sigmoid", "none"):
            roles = {"logits": roles["logits"]} if "logits" in roles else roles
        self._reader = OutputReader(package.name, package.num_classes, roles, words)
        self._masks = masks
        self._tiles = tiles
        check_channels(package, roles, outputs, words)
        _check_network(package.name, self._reader, masks, wants_confidence=wants_confidence)
        self.wanted = choose_outputs(roles, with_argmax=masks.with_argmax, tiled=bool(tiles.tile_size))

    def start(self, frame: Frame) -> WholeMask | TiledMask:
        """Plan the parts of a frame, and return the fold that makes its mask of them.

        A frame no larger than tile-size is one part. Raises ParameterError if it would take too many tiles.
        """
        hw: HW = frame.pixels.shape[:2]
        tile = self._tiles.tile_size
        if not tile or max(hw) <= tile:
            return WholeMask(frame, self._reader, self._masks)
        windows = plan_masks(hw, tile, self._tiles.overlap)
        return TiledMask(frame, windows, self._reader, self._masks)


def make(
    package: ModelPackage,
    outputs: Sequence[OutputSpec],
    masks: MaskSettings,
    tiles: TileSettings,
    pictures: PictureSettings,
) -> Segment:
    """Make the task from the settings of a run. Raises what Segment raises."""
    return Segment(package, outputs, masks, tiles, wants_confidence="confidence" in pictures.outputs)


def _check_network(model: str, reader: OutputReader, masks: MaskSettings, *, wants_confidence: bool) -> None:
    """Raise ParameterError for settings that need an output which this network does not have."""
    if masks.with_argmax and not reader.gives_scores:
        gives = "no scores" if reader.gives_confidence else "classes, not scores"
        raise ParameterError(
            f"the model {model!r} gives {gives}", where="with-argmax", hint="Leave --with-argmax out"
        )
    if reader.multi_label and masks.min_confidence > 0:
        raise ParameterError(
            f"the model {model!r} has several classes per pixel, each with its own threshold", where="min-confidence",
            hint="Leave --min-confidence out, or export the model with another --threshold",
        )  # fmt: skip
    if reader.gives_confidence:
        return
    for parameter, needed, leave in (
        ("min-confidence", masks.min_confidence > 0, "--min-confidence out"),
        ("outputs", wants_confidence, "confidence out of --outputs"),
    ):
        if needed:
            raise ParameterError(
                f"the model {model!r} gives no confidence",
                where=parameter,
                hint=f"Leave {leave}, or export the model with its scores",
            )
