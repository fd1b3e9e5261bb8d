"""Moving rectangles with exact truth, and what a detector would see of them: the scenarios of benchmarks.track.

Rectangles move over a picture and hide each other in painter's order. An object is seen while at least a quarter
of it shows, is missed by chance now and then, and is placed with an error; some detections are of nothing. A
detection's feature is its object's own direction with noise; in one scenario it is mixed with what stands before
it by the share hidden, as a real one is, and in one nearly the same for all.

In the scenarios of PARTS the truth's boxes and what is seen are of the visible part alone, as real detectors'
are: cut by the border, by who stands before, and by rocks. What shows no part of SMALLEST pixels each way is in
neither. A feature has the more noise the less there is to be seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quadrat.types import Detections

WIDTH, HEIGHT = 1920, 1080
COARSE = 4
"""Occlusion is painted at a quarter of the resolution."""
SHOWING = 0.25
MISSED = 0.03
FALSE_PER_FRAME = 0.5
PLACE_ERROR = 1.5
FEATURES = 64
FEATURE_NOISE = 0.35
"""Length of the noise beside an object's own direction, which is 1."""
SMALLEST = 8
ROCK = (120.0, 360.0)
"""Sides of a rock in pixels."""
FAINTEST = 0.25
"""No detection has a lower score: the service's default min-score, so that all trackers get the same rows."""


@dataclass(frozen=True)
class Scenario:
    """How objects move: `turn` radians and `push` relative speed are standard deviations of what a frame changes.

    Each `every`-th frame is taken; `mixed` is the part of what stands before an object that goes into its feature,
    `alike` the length of a look that all have in common, beside 1 of their own. With `parts` a box is that of what
    can be seen, objects come in and go out whole at the borders, and `rocks` that stand still hide them.
    """

    name: str
    objects: int
    frames: int = 200
    speed: tuple[float, float] = (1.0, 7.0)
    height: tuple[float, float] = (60.0, 180.0)
    turn: float = 0.0
    push: float = 0.0
    every: int = 1
    mixed: float = 0.0
    alike: float = 0.0
    parts: bool = False
    rocks: int = 0


MOVING = (
    Scenario("linear", 50),
    Scenario("crowd", 120, speed=(0.5, 5.0), turn=0.01),
    Scenario("non-linear", 50, turn=0.12, push=0.08),
    Scenario("low rate", 50, frames=150, turn=0.02, push=0.02, every=3),
)
LOOKS = (
    Scenario("crowd, mixed looks", 120, speed=(0.5, 5.0), turn=0.01, mixed=1.0),
    Scenario("crowd, one look", 120, speed=(0.5, 5.0), turn=0.01, alike=5.0),
)
PARTS = (
    Scenario("borders", 40, speed=(2.0, 12.0), turn=0.01, parts=True),
    Scenario("rock", 40, speed=(2.0, 12.0), turn=0.01, parts=True, rocks=10),
)
SCENARIOS = (*MOVING, *LOOKS, *PARTS)


@dataclass(frozen=True)
class Shot:
    """One frame: the truth's `numbers` (M,) and `boxes` (M, 4) corners; what is seen; `features` (N, FEATURES)."""

    numbers: NDArray[np.int32]
    boxes: NDArray[np.float32]
    seen: Detections
    features: NDArray[np.float32]


class Crowd:
    """Objects that move; whoever leaves the picture is replaced by another one, who enters at a border."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        self.scenario, self.rng = scenario, rng
        count = scenario.objects
        self.next = 1
        self.numbers = np.zeros(count, np.int32)
        self.place, self.size = np.zeros((count, 2)), np.zeros((count, 2))
        self.pace, self.heading, self.spin = np.zeros(count), np.zeros(count), np.zeros(count)
        self.looks = np.zeros((count, FEATURES))
        self._enter(np.arange(count), anywhere=True)
        low = rng.uniform([0, 0], [WIDTH, HEIGHT], (scenario.rocks, 2))
        self.rocks = np.concatenate([low, low + rng.uniform(*ROCK, (scenario.rocks, 2))], axis=1)

    def _enter(self, index: NDArray[np.intp], *, anywhere: bool) -> None:
        rng, count = self.rng, len(index)
        self.numbers[index] = np.arange(self.next, self.next + count)
        self.next += count
        tall = rng.uniform(*self.scenario.height, count)
        self.size[index] = np.stack([tall * rng.uniform(0.4, 0.9, count), tall], axis=1)
        self.pace[index] = rng.uniform(*self.scenario.speed, count)
        own = unit(rng.normal(size=(count, FEATURES)))
        self.looks[index] = unit(own + self.scenario.alike * np.eye(1, FEATURES))
        self.spin[index] = 0
        place = rng.uniform([0, 0], [WIDTH, HEIGHT], (count, 2))
        heading = rng.uniform(-np.pi, np.pi, count)
        if not anywhere:
            side, lean = rng.integers(0, 4, count), rng.uniform(-np.pi / 3, np.pi / 3, count)
            place[side == 0, 0], place[side == 2, 0] = 0, WIDTH
            place[side == 1, 1], place[side == 3, 1] = 0, HEIGHT
            heading = side * (np.pi / 2) + lean
            place += self._beyond(index) * np.array([[-1, 0], [0, -1], [1, 0], [0, 1]])[side]
        self.place[index], self.heading[index] = place, heading

    def step(self) -> None:
        """Move on by one frame of the film."""
        scenario, rng, count = self.scenario, self.rng, len(self.numbers)
        if scenario.turn:
            self.spin = 0.9 * self.spin + rng.normal(0, scenario.turn * 0.44, count)
            self.heading += self.spin
        if scenario.push:
            self.pace = np.clip(self.pace * np.exp(rng.normal(0, scenario.push, count)), 0.3, 14)
        self.place += self.pace[:, None] * np.stack([np.cos(self.heading), np.sin(self.heading)], axis=1)
        beyond = self._beyond(slice(None))
        over = self.place - np.array([WIDTH, HEIGHT])
        outside = (self.place < -beyond).any(axis=1) | (over > beyond).any(axis=1)
        self._enter(np.flatnonzero(outside), anywhere=False)

    def _beyond(self, index: NDArray[np.intp] | slice) -> NDArray[np.float64]:
        """Give how far (N, 2) past the border a centre comes in and goes out."""
        return self.size[index] / 2 * self.scenario.parts

    def boxes(self) -> NDArray[np.float64]:
        """Give the corners (N, 4), cut at the picture's border."""
        corners = np.concatenate([self.place - self.size / 2, self.place + self.size / 2], axis=1)
        return np.clip(corners, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])


def film(scenario: Scenario, seed: int) -> list[Shot]:
    """Draw a scenario's frames; the same seed gives the same ones."""
    rng = np.random.default_rng([seed, SCENARIOS.index(scenario) if scenario in SCENARIOS else 99])
    crowd = Crowd(scenario, rng)
    shots = []
    for frame in range(scenario.frames * scenario.every):
        if frame % scenario.every == 0:
            shots.append(look(crowd, rng))
        crowd.step()
    return shots


def look(crowd: Crowd, rng: np.random.Generator) -> Shot:
    """See one frame of the crowd as a detector does."""
    truth, numbers, mixed = crowd.boxes(), crowd.numbers.copy(), crowd.looks
    if crowd.scenario.parts:
        truth, showing = parts(truth, crowd.size.prod(axis=1), crowd.rocks)
        there = (truth[:, 2:] - truth[:, :2] >= SMALLEST).all(axis=1)
        truth, showing, numbers, mixed = truth[there], showing[there], numbers[there], mixed[there]
        enough, certain, noise = 0.0, 0.5 + 0.4 * showing, FEATURE_NOISE / np.sqrt(np.maximum(showing, 0.02))
    else:
        showing, mixed = hide(truth, crowd.looks)
        mixed = crowd.scenario.mixed * mixed + (1 - crowd.scenario.mixed) * crowd.looks
        enough, certain, noise = SHOWING, 0.9 * showing, np.full(len(truth), FEATURE_NOISE)
    seen = np.flatnonzero((showing >= enough) & (rng.random(len(truth)) >= MISSED))
    boxes = truth[seen] + rng.normal(0, PLACE_ERROR, (len(seen), 4))
    scores = certain[seen] + rng.normal(0, 0.05, len(seen))
    spread = (noise[seen] / np.sqrt(FEATURES))[:, None]
    features = mixed[seen] + spread * rng.normal(size=(len(seen), FEATURES))
    wrong = rng.poisson(FALSE_PER_FRAME)
    corner = rng.uniform([0, 0], [WIDTH, HEIGHT], (wrong, 2))
    tall = rng.uniform(*crowd.scenario.height, wrong)
    boxes = np.concatenate([boxes, np.concatenate([corner, corner + tall[:, None] * [0.6, 1]], axis=1)])
    boxes = np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
    scores = np.clip(np.concatenate([scores, rng.uniform(FAINTEST, 0.6, wrong)]), FAINTEST, 0.99)
    features = unit(np.concatenate([features, rng.normal(size=(wrong, FEATURES))])).astype(np.float32)
    order = rng.permutation(len(boxes))
    detections = Detections(
        boxes[order], scores[order].astype(np.float32), np.zeros(len(boxes), np.int32)
    )  # fmt: skip
    return Shot(numbers, truth.astype(np.float32), detections, features[order])


def hide(
    boxes: NDArray[np.float64], looks: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Paint the boxes from far (above) to near (below).

    Returns the share (N,) of each that shows, and its look (N, D) mixed with what stands before it.
    """
    canvas = np.full((HEIGHT // COARSE, WIDTH // COARSE), -1, np.int32)
    cells = np.round(boxes / COARSE).astype(int)
    for index in np.argsort(boxes[:, 3], kind="stable"):
        x0, y0, x1, y1 = cells[index]
        canvas[y0:y1, x0:x1] = index
    showing, mixed = np.zeros(len(boxes)), np.zeros_like(looks)
    for index, (x0, y0, x1, y1) in enumerate(cells):
        inside = canvas[y0:y1, x0:x1].ravel()
        if inside.size:
            share = np.bincount(inside, minlength=len(boxes)) / inside.size
            showing[index], mixed[index] = share[index], share @ looks
    return showing, mixed


def parts(
    boxes: NDArray[np.float64], areas: NDArray[np.float64], rocks: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Paint the boxes from far (above) to near (below), and the rocks over all.

    Returns the box (N, 4) of what shows of each, zeros where nothing does, and its share (N,) of the whole.
    """
    canvas = np.full((HEIGHT, WIDTH), -1, np.int32)
    cells = np.round(boxes).astype(int)
    for index in np.argsort(boxes[:, 3], kind="stable"):
        x0, y0, x1, y1 = cells[index]
        canvas[y0:y1, x0:x1] = index
    for x0, y0, x1, y1 in rocks.astype(int):
        canvas[y0:y1, x0:x1] = -1
    shown, share = np.zeros_like(boxes), np.zeros(len(boxes))
    for index, (x0, y0, x1, y1) in enumerate(cells):
        mine = canvas[y0:y1, x0:x1] == index
        if mine.any():
            rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
            shown[index] = x0 + columns[0], y0 + rows[0], x0 + columns[-1] + 1, y0 + rows[-1] + 1
            share[index] = mine.sum() / areas[index]
    return shown, np.minimum(share, 1)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring vectors (N, D) to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
