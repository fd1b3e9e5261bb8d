"""Networks that give maps: the centres of objects (CenterNet), or a row for each cell as channels (FastestDet)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW
from quadrat.tasks.detect.layouts.base import (
    Candidates,
    DetectorSpec,
    as_float,
    candidates,
    check_finite,
    check_scores,
    from_centres,
    shape_text,
)
from quadrat.tasks.detect.layouts.levels import activate
from quadrat.tasks.detect.layouts.named import sigmoid
from quadrat.types import OutputSpec

NAMES = {
    "heat": ("hm", "heat", "center_heatmap", "center_heatmap_preds", "heatmap"),
    "size": ("wh", "wh_preds", "size", "dim"),
    "offset": ("reg", "offset", "offset_preds", "off"),
}
"""Names that exporters give to the maps of a CenterNet, by role."""


COARSE = 8
"""FastestDet has cells of 16 pixels: a map with cells of fewer than this is a mask."""
LANDMARKS = 10
"""Channels of the maps of five landmarks, which are not read."""


def find_maps(network: DetectorSpec) -> dict[str, OutputSpec]:
    """Return the heat maps (N, C, h, w), sizes and offsets (N, 2, h, w): as stated, by name, or in this order.

    The offset may lack if the others have names. Returns {} if the outputs are others.
    """
    maps = {one.name: one for one in network.outputs if len(one.shape) == 4 and one.dtype.startswith("float")}
    found = _named(network, maps)
    if not found:
        pairs = [one for one in maps.values() if one.shape[1] == 2]
        others = [one for one in maps.values() if one.shape[1] not in (2, LANDMARKS)]
        if len(pairs) != 2 or len(others) != 1:
            return {}
        found = {"heat": others[0], "size": pairs[0], "offset": pairs[1]}
    same = {one.shape[2:] for one in found.values()}
    paired = all(found[role].shape[1] in (2, None) for role in found if role != "heat")
    return found if paired and len(same) == 1 else {}


def _named(network: DetectorSpec, maps: Mapping[str, OutputSpec]) -> dict[str, OutputSpec]:
    """Return the maps by the roles that the archive states, or by their usual names; {} if two of them lack."""
    found = {}
    for role, names in NAMES.items():
        stated = [network.roles[role]] if role in network.roles else []
        named = [name for name in maps if name in stated or (not stated and name.lower() in names)]
        if len(named) == 1:
            found[role] = maps[named[0]]
    return found if {"heat", "size"} <= set(found) else {}


class Centernet:
    """Heat maps (N, C, h, w), sizes (N, 2, h, w) and offsets (N, 2, h, w), at a fraction of the input: CenterNet.

    An object is a cell that is the largest of its 3 x 3 neighbours in the map of a class; its centre is the cell plus
    its offset, and its width and height are the sizes, all in cells (Zhou et al. 2019, Objects as Points, section 4;
    ctdet_decode in xingyizhou's CenterNet). This takes the place of NMS.
    """

    nms = False
    batched = True
    float_classes = False

    def __init__(self, network: DetectorSpec) -> None:
        self._network = network
        self._maps = {role: one.name for role, one in find_maps(network).items()}
        if not self._maps:
            raise network.fault(
                f"it has {network.shapes}; there must be heat maps hm (N, classes, h, w), wh and reg (N, 2, h, w)",
                'State them in meta.json, as "outputs": {"heat": NAME, "size": NAME, "offset": NAME}',
            )
        self.roles: tuple[str, ...] = tuple(self._maps)
        self.wanted: tuple[str, ...] = tuple(self._maps.values())
        channels = next(one for one in network.outputs if one.name == self._maps["heat"]).shape[1]
        if channels is not None:
            network.check_classes(channels)

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Return the peaks of all maps."""
        given = {role: as_float(self._network, arrays, name) for role, name in self._maps.items()}
        heat = given["heat"]
        if any(each.ndim != 3 or each.shape[1:] != heat.shape[1:] for each in given.values()):
            raise self._wrong(given)
        if any(len(given[role]) != 2 for role in given if role != "heat"):
            raise self._wrong(given)
        self._network.check_classes(len(heat))
        scores = activate(self._network, heat)
        classes, y, x = self.cells(scores, floor)
        cells = np.stack([x, y], axis=1).astype(np.float32)
        none = np.zeros((len(x), 2), np.float32)
        offsets = given["offset"][:, y, x].T if "offset" in given else none
        step = np.array([tensor_hw[1] / max(1, heat.shape[2]), tensor_hw[0] / max(1, heat.shape[1])] * 2)
        with np.errstate(over="ignore", invalid="ignore"):  # `candidates` refuses what is not finite
            boxes = from_centres(self.boxes(cells, given["size"][:, y, x].T, offsets)) * step.astype(
                np.float32
            )
        return candidates(self._network, boxes, scores[classes, y, x], classes, tensor_hw)

    def cells(self, scores: NDArray[np.float32], floor: float) -> tuple[NDArray[np.intp], ...]:
        """Return class, row and column of the cells of maps (C, h, w) that are objects with at least `floor`."""
        return _peaks(scores, floor)

    def boxes(
        self, cells: NDArray[np.float32], sizes: NDArray[np.float32], offsets: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return centre x, centre y, width, height (M, 4) in cells, from columns and rows, sizes and offsets (M, 2)."""
        return np.concatenate([cells + offsets, sizes], axis=1)

    def _wrong(self, given: Mapping[str, NDArray[Any]]) -> Exception:
        listed = ", ".join(f"{role} {shape_text(each.shape)}" for role, each in given.items())
        return self._network.fault(
            f"the maps of one input are {listed}; they must be (classes, h, w) and (2, h, w)"
        )


class Centerface(Centernet):
    """As `centernet`, with centre = cell + 0.5 + offset, size = exp(size), both as y, x, and NMS: CenterFace.

    See decode in prj-python/centerface.py of Star-Clouds' CenterFace (Xu et al. 2019). Landmarks are not read.
    """

    nms = True

    def cells(self, scores: NDArray[np.float32], floor: float) -> tuple[NDArray[np.intp], ...]:
        """Return all cells, not only the largest of their neighbours."""
        return np.nonzero(scores >= np.float32(floor))

    def boxes(
        self, cells: NDArray[np.float32], sizes: NDArray[np.float32], offsets: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return centre x, centre y, width, height (M, 4) in cells."""
        centres = cells + offsets[:, ::-1] + np.float32(0.5)
        return np.concatenate([centres, np.exp(sizes[:, ::-1])], axis=1)


def _peaks(scores: NDArray[np.float32], floor: float) -> tuple[NDArray[np.intp], ...]:
    """Return class, row and column of each cell of maps (C, h, w) that has `floor` and no larger neighbour."""
    found = []
    for index, plane in enumerate(scores):
        if not plane.size or plane.max() < floor:
            continue
        largest = cv2.dilate(np.ascontiguousarray(plane), np.ones((3, 3), np.uint8))
        y, x = np.nonzero((plane == largest) & (plane >= np.float32(floor)))
        found.append((np.full(len(y), index), y, x))
    if not found:
        return tuple(np.zeros(0, np.intp) for _ in range(3))
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))


class Fastestdet:
    """(N, 5 + classes, h, w): object probability, x, y, width, height, class probabilities of each cell: FastestDet.

    The score is object^0.6 * class^0.4; centre = (cell + tanh(xy)) / (w, h), size = sigmoid(width, height), both as
    shares of the input (handle_preds in dog-qiuqiu's FastestDet, utils/tool.py).
    """

    nms = True
    batched = True
    float_classes = False
    roles: tuple[str, ...] = ("predictions",)
    shape = "(N, 5 + classes, h, w)"

    def __init__(self, network: DetectorSpec) -> None:
        self._network = network
        maps = [one.name for one in network.outputs if len(one.shape) == 4]
        given = network.find("predictions", tuple(maps) if len(maps) == 1 else (), self.shape)
        self.wanted: tuple[str, ...] = (given.name,)
        if len(given.shape) != 4 or not given.dtype.startswith("float"):
            raise self._wrong(given.shape)
        if given.shape[1] is not None:
            network.check_classes(given.shape[1] - 5)
        sides = zip(given.shape[2:], network.input_hw, strict=True)
        if any(side is not None and full is not None and side * COARSE > full for side, full in sides):
            raise network.fault(
                f"the output is {shape_text(given.shape)}, which is finer than its cells of 16 pixels"
            )

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Score each cell by object and best class."""
        planes = as_float(self._network, arrays, self.wanted[0])
        if planes.ndim != 3:
            raise self._wrong((None, *planes.shape))
        self._network.check_classes(len(planes) - 5)
        check_scores(self._network, planes[0])
        kinds = activate(self._network, planes[5:].transpose(1, 2, 0))
        best = kinds.max(axis=-1) if kinds.size else np.zeros(planes.shape[1:], np.float32)
        scores = np.clip(planes[0], 0, 1) ** 0.6 * np.clip(best, 0, 1) ** 0.4
        y, x = np.nonzero(scores >= np.float32(floor))
        raw = planes[1:5, y, x].T
        check_finite(self._network, raw)
        height, width = planes.shape[1:]
        centres = (np.stack([x, y], axis=1) + np.tanh(raw[:, :2])) / np.array([max(1, width), max(1, height)])
        shares = np.concatenate([centres, sigmoid(raw[:, 2:])], axis=1).astype(np.float32)
        boxes = from_centres(shares) * np.array([tensor_hw[1], tensor_hw[0]] * 2, np.float32)
        return candidates(self._network, boxes, scores[y, x], kinds[y, x].argmax(axis=-1), tensor_hw)

    def _wrong(self, shape: Sequence[int | None]) -> Exception:
        return self._network.fault(f"the output is {shape_text(shape)}; it must be float {self.shape}")
