"""Draw 4K scenes of flat rectangles with exact boxes, and match detected boxes to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HW = (2160, 3840)
COLORS = ((40, 90, 220), (215, 60, 45), (60, 190, 70))
"""RGB of each class, as in examples/rectangles_net.py."""
GROUND = 128
MOAT = 8
"""Pixels of background between a nested object and an enclosing object of the same class."""

Boxes = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scene:
    """`pixels` (H, W, 3) uint8 RGB; `boxes` (N, 4) x0, y0, x1, y1 in pixels; `classes` (N,)."""

    name: str
    pixels: NDArray[np.uint8]
    boxes: Boxes
    classes: Ints


class _Canvas:
    """A picture being drawn: objects get random free places, so that none overlap by chance."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.pixels = (GROUND + self.rng.integers(-6, 7, (*HW, 1))).astype(np.uint8).repeat(3, axis=2)
        self.boxes: list[tuple[int, int, int, int]] = []
        self.classes: list[int] = []
        self.taken = np.zeros(HW, bool)

    def side(self, low: int, high: int) -> int:
        """Return a random length in low..high."""
        return int(self.rng.integers(low, high + 1))

    def place(self, width: int, height: int, gap: int) -> tuple[int, int] | None:
        """Reserve a random free place with `gap` pixels around it; return None after a thousand failed tries."""
        for _ in range(1000):
            x, y = self.side(0, HW[1] - width), self.side(0, HW[0] - height)
            if not self.taken[max(y - gap, 0) : y + height + gap, max(x - gap, 0) : x + width + gap].any():
                self.taken[y : y + height, x : x + width] = True
                return x, y
        return None

    def fill(self, box: tuple[int, int, int, int], kind: int) -> None:
        """Draw one object."""
        x0, y0, x1, y1 = box
        self.pixels[y0:y1, x0:x1] = COLORS[kind]
        self.boxes.append(box)
        self.classes.append(kind)

    def scatter(self, count: int, low: int, high: int, gap: int = 8) -> None:
        """Draw `count` objects at least `gap` pixels apart."""
        for _ in range(count):
            width, height = self.side(low, high), self.side(low, high)
            if (at := self.place(width, height, gap)) is not None:
                self.fill((*at, at[0] + width, at[1] + height), self.side(0, 2))

    def nest(self, count: int, low: int, high: int) -> None:
        """Draw `count` objects, each with one to four others inside, of another class or, behind a moat, of the same."""
        for _ in range(count):
            width, height = self.side(low, high), self.side(low, high)
            if (at := self.place(width, height, 8)) is None:
                continue
            (x, y), kind = at, self.side(0, 2)
            self.fill((x, y, x + width, y + height), kind)
            cells = [(i, j) for i in (0, 1) for j in (0, 1)]
            self.rng.shuffle(cells)
            for i, j in cells[: self.side(1, 4)]:
                self._nest_one(x + i * width // 2, y + j * height // 2, width // 2, height // 2, kind)

    def _nest_one(self, x: int, y: int, width: int, height: int, outer: int) -> None:
        """Draw an object inside one quarter of another, at least 12 pixels and a moat from the quarter's sides."""
        rim = 12 + MOAT
        w, h = (self.side(16, max(16, min(90, side - 2 * rim))) for side in (width, height))
        left, top = x + self.side(rim, width - rim - w), y + self.side(rim, height - rim - h)
        kind = self.side(0, 2)
        if kind == outer:
            self.pixels[top - MOAT : top + h + MOAT, left - MOAT : left + w + MOAT] = GROUND
        self.fill((left, top, left + w, top + h), kind)

    def walls(self, count: int) -> None:
        """Draw `count` rows of three to eight objects of one class, one pixel apart."""
        for _ in range(count):
            height, upright = self.side(20, 120), bool(self.side(0, 1))
            lengths = [self.side(20, 120) for _ in range(self.side(3, 8))]
            long = sum(lengths) + len(lengths) - 1
            at = self.place(*((height, long) if upright else (long, height)), 8)
            if at is None:
                continue
            kind, along = self.side(0, 2), 0
            for length in lengths:
                x, y = (at[0], at[1] + along) if upright else (at[0] + along, at[1])
                w, h = (height, length) if upright else (length, height)
                self.fill((x, y, x + w, y + h), kind)
                along += length + 1

    def scene(self, name: str) -> Scene:
        """Return the finished scene."""
        return Scene(name, self.pixels, np.array(self.boxes, float), np.array(self.classes, np.int64))


def _large(canvas: _Canvas) -> None:
    for _ in range(7):
        width, height = canvas.side(700, 1400), canvas.side(300, 900)
        if (at := canvas.place(width, height, 8)) is not None:
            canvas.fill((*at, at[0] + width, at[1] + height), canvas.side(0, 2))
    canvas.scatter(80, 16, 130)


def _mixed(canvas: _Canvas) -> None:
    canvas.scatter(2, 700, 900)
    canvas.scatter(12, 160, 500)
    canvas.nest(20, 200, 400)
    canvas.walls(20)
    canvas.scatter(max(0, 400 - len(canvas.boxes)), 16, 90)


SCENES: dict[str, Callable[[_Canvas], None]] = {
    "apart, 120": lambda canvas: canvas.scatter(120, 16, 130),
    "apart, 400": lambda canvas: canvas.scatter(400, 16, 130),
    "nested": lambda canvas: canvas.nest(45, 200, 480),
    "touching": lambda canvas: canvas.walls(60),
    "larger than the overlap": lambda canvas: canvas.scatter(60, 140, 500),
    "larger than a tile": _large,
    "all of these, 400": _mixed,
}


def draw(name: str, seed: int) -> Scene:
    """Draw one of SCENES; the same seed gives the same scene."""
    canvas = _Canvas(seed)
    SCENES[name](canvas)
    return canvas.scene(name)


def count_hits(scene: Scene, boxes: Boxes, scores: Boxes, classes: Ints, least: float) -> int:
    """Count the detections that match an object of their class with an IoU of at least `least`.

    Detections are matched by decreasing score; each object is matched at most once.
    """
    free = np.ones(len(scene.boxes), bool)
    count = 0
    for index in np.argsort(-scores, kind="stable"):
        low = np.maximum(boxes[index, :2], scene.boxes[:, :2])
        high = np.minimum(boxes[index, 2:], scene.boxes[:, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        areas = (scene.boxes[:, 2:] - scene.boxes[:, :2]).prod(axis=1)
        union = areas + (boxes[index, 2:] - boxes[index, :2]).prod() - shared
        overlap = np.where(free & (scene.classes == classes[index]), shared / union, -1.0)
        best = int(overlap.argmax())
        if overlap[best] >= least:
            free[best] = False
            count += 1
    return count
