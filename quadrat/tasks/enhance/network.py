"""Enhancement and super-resolution by a network: checks it against the archive, and starts a fold for each frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import EngineMemoryError, EngineRunError, GraphError, ManifestError
from quadrat.geometry import HW
from quadrat.package.enhance import KEY, EnhanceWords, read_enhance, transforms_of
from quadrat.parameters import Settings, TileSettings
from quadrat.protocols import Engine
from quadrat.tasks.enhance.picture import PictureFold, read_picture
from quadrat.tasks.enhance.reach import probe_reach
from quadrat.tasks.enhance.tiles import Run, least_side, run_in_pieces, tiling_of
from quadrat.types import Frame, ModelPackage, OutputSpec

MOST_TRIED = 100_000_000
"""Pixels of the picture that the network makes when it is tried: more than its memory would be at the archive's mercy."""


class NetworkPictures:
    """Makes a picture of each frame, `scale` times as large, with the network of an archive.

    `outputs` are the loaded network's. `in_force` states the tiles for the record of a run: "exact" ones give the
    picture that the network makes of the whole, "blended" ones do not. Raises ManifestError if the archive contradicts itself, ParameterError for
    tiles that the network cannot take.
    """

    name = "enhance"
    batched = True

    def __init__(self, package: ModelPackage, outputs: Sequence[OutputSpec], tiles: TileSettings) -> None:
        self._package = package
        self.words = read_enhance(package.meta)
        self._output = _output_of(package, outputs)
        self.scale = self.words.scale
        self.wanted = (self._output,)
        _check_input(package, self.words)
        self.tiling = tiling_of(self.words, package.input_shape[2:], tiles, package.name)
        self._fixed = any(package.input_shape[2:])
        self._check_trial()
        self.in_force = {
            "tile-size": "{1} x {0}".format(*self.tiling.size),
            "tile-overlap": self.tiling.overlap,
            "tiles": "exact" if self.tiling.exact else "blended",
            "scale": self.words.scale,
        }
        self._piece: int | None = None

    def start(self, frame: Frame) -> PictureFold:
        """Plan the tiles of a frame, and return the fold that joins them. Raises ParameterError for too many tiles."""
        return PictureFold(frame, self._output, self.words, self.tiling)

    def noise(self) -> NDArray[np.float32]:
        """Return an input (N, C, h, w) of noise in 0..1 in which a reach that is larger than the stated one can be seen."""
        return np.random.default_rng(0).random(self._trial_shape(), np.float32)

    def _trial_shape(self) -> tuple[int, int, int, int]:
        words = self.words
        least = max(words.least, 2 * (words.reach or 0) + 2 * words.grid + 6)
        side = -(-least // words.multiple) * words.multiple
        batch, _, height, width = self._package.input_shape
        return batch or 1, words.channels, height or side, width or side

    def _check_trial(self) -> None:
        """Raise ManifestError if one input and its picture would be so large that trying them fills the memory."""
        batch, _, height, width = self._trial_shape()
        pixels = batch * height * width * self.words.scale**2
        if pixels > MOST_TRIED:
            raise ManifestError(
                f"its network would be tried on {batch} x {width} x {height} pixels and make {pixels / 1e6:.0f} million, "
                f"and {MOST_TRIED / 1e6:.0f} million are the most",
                where="meta.json: enhance", hint="State the reach, grid, multiple, least and shape that the network has",
            )  # fmt: skip

    def check(self, engine: Engine) -> None:
        """Run an archive without a self-test once, on noise, so that what it states is proven before the first frame.

        Raises GraphError if the network does not take the input that the archive states, gives another picture, or
        sees farther than its reach.
        """
        if self._package.self_test:  # comparing engines with it proves more
            return
        noise = self.noise()
        hw = noise.shape[2:]
        try:
            seen = probe_reach(engine, self.wanted[0], noise, self.words)
        except EngineMemoryError:
            raise
        except EngineRunError as error:
            raise GraphError(
                f"the network does not run on a picture of {hw[1]} x {hw[0]} pixels in {self.words.order}, as the archive "
                "states", where=self._package.name, hint="Pack the network again: quadrat pack finds what it takes",
            ) from error  # fmt: skip
        if self.words.reach is not None and seen > self.words.reach:
            raise GraphError(
                f"a pixel changes the picture {seen} pixels away, and the archive states a reach of {self.words.reach}",
                where="meta.json: enhance.reach", hint="Pack the network again",
            )  # fmt: skip

    def in_pieces(
        self, tensor: NDArray[np.float32], run: Run, error: Exception
    ) -> Mapping[str, NDArray[Any]]:
        """Return the outputs for an input (C, h, w) that does not fit into memory, from smaller and smaller pieces.

        The outputs equal those of one run. Raises `error` if pieces would change them, or do not fit either.
        """
        words, tiling = self.words, self.tiling
        side = self._piece or max(tensor.shape[1:]) // 2
        if not tiling.exact or self._fixed:
            raise error
        while side >= least_side(words):
            pieces = replace(tiling, size=(side, side))
            try:
                found = run_in_pieces(tensor, pieces, words.scale, self._planes(run))
            except (EngineMemoryError, MemoryError):
                side //= 2
                continue
            self._piece = side  # the next tile begins with what fitted
            return {self._output: found}
        raise error

    def _planes(self, run: Run) -> Callable[[NDArray[np.float32]], NDArray[Any]]:
        def planes(piece: NDArray[np.float32]) -> NDArray[Any]:
            hw: HW = (piece.shape[1], piece.shape[2])
            return read_picture(run(piece)[self._output], hw, self.words)

        return planes


def make_network(
    package: ModelPackage, outputs: Sequence[OutputSpec], tiles: TileSettings
) -> NetworkPictures:
    """Make the task of an archive from the settings of a run. Raises what NetworkPictures raises."""
    return NetworkPictures(package, outputs, tiles)


def settings_in_force(package: ModelPackage, settings: Settings) -> Settings:
    """Return the settings with the size and overlap of the tiles that are in force for the network of an archive."""
    if KEY not in package.meta:
        return settings
    tiling = tiling_of(read_enhance(package.meta), package.input_shape[2:], settings.tiles, package.name)
    tiles = replace(settings.tiles, tile_size=max(tiling.size), tile_overlap=tiling.overlap)
    return replace(settings, tiles=tiles)


def _output_of(package: ModelPackage, outputs: Sequence[OutputSpec]) -> str:
    """Return the name of the output that holds the picture. Raises ManifestError or GraphError."""
    names = [one.name for one in outputs]
    stated = package.outputs.get("picture")
    if stated is not None and stated not in names:
        raise ManifestError(
            f"the network has no output {stated!r}, only {', '.join(names)}",
            where="meta.json: outputs.picture",
        )
    if stated is None and len(names) != 1:
        raise GraphError(
            f"it has several outputs ({', '.join(names)}), and the archive does not say which is the picture",
            where=package.name, hint='Write {"picture": NAME} as outputs in meta.json',
        )  # fmt: skip
    return stated or names[0]


def _check_input(package: ModelPackage, words: EnhanceWords) -> None:
    """Raise ManifestError if the input's channels or the transforms are not those of the order and range."""
    channels = package.input_shape[1]
    if channels not in (None, words.channels):
        raise ManifestError(
            f"the network takes {channels} channels, and {words.order} has {words.channels}",
            where="meta.json: enhance.order",
        )
    wanted = transforms_of(words, package.input_shape)
    listed = [{"type": each.type, **each.params} for each in package.transforms]
    if listed != list(wanted):
        raise ManifestError(
            f"they are not those of the entry enhance of meta.json, which are {list(wanted)}",
            where="deploy.yaml: transforms", hint="Pack the network again",
        )  # fmt: skip
