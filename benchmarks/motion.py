"""Simulated rectangles with exact ground truth, and the detections of them: the scenarios of benchmarks.track.

Rectangles move over a picture and hide each other; those lower in the picture are nearer. An object is detected while
at least a quarter of it is visible. Some detections are missed at random, positions have an error, and some
detections are false. An embedding is the object's own direction with noise. One scenario mixes it with the embeddings
of the objects in front by the hidden share, as in a real picture; in another one all objects look nearly the same.

In the scenarios of PARTS, ground truth and detections cover only the visible part of an object, as those of real
detectors do: it is cut off by the border, by other objects, and by rocks. Parts smaller than SMALLEST pixels on either
axis are in neither. The smaller the visible part, the noisier the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quadrat.predictions import Detections

WIDTH, HEIGHT = 1920, 1080
"""Size of the picture in pixels."""
COARSE = 4
"""Occlusion is computed at a quarter of the resolution."""
MIN_VISIBLE = 0.25
"""Share of an object that must be visible for a detection."""
MISSED = 0.03
"""Probability that a visible object is not detected."""
FALSE_PER_FRAME = 0.5
"""Mean number of false detections in a frame."""
POSITION_ERROR = 1.5
"""Standard deviation of a detected edge, in pixels."""
DIMENSIONS = 64
"""Length of an embedding."""
EMBEDDING_NOISE = 0.35
"""Length of the noise beside an object's own direction, which has length 1."""
SMALLEST = 8
"""Smallest side of a visible part, in pixels."""
ROCK = (120.0, 360.0)
"""Range of a rock's sides, in pixels."""
MIN_SCORE = 0.25
"""Lowest score of a detection: the service's default min-score, so that all trackers get the same rows."""


@dataclass(frozen=True)
class Scenario:
    """How objects move.

    `speed` is a range in pixels per frame and `height` one in pixels. `turn`, in radians, and `push`, as a share of
    the speed, are standard deviations of the change per frame. Every `every`-th frame is used. `mixed` is the weight
    of the objects in front in an embedding; `alike` is the length of the direction that all objects have in common,
    beside their own of length 1. With `parts`, boxes cover the visible part, objects enter and leave at the borders
    as a whole, and `rocks` that stand still hide them.
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


MOTION = (
    Scenario("linear", 50),
    Scenario("crowd", 120, speed=(0.5, 5.0), turn=0.01),
    Scenario("non-linear", 50, turn=0.12, push=0.08),
    Scenario("low rate", 50, frames=150, turn=0.02, push=0.02, every=3),
)
APPEARANCE = (
    Scenario("crowd, mixed appearance", 120, speed=(0.5, 5.0), turn=0.01, mixed=1.0),
    Scenario("crowd, similar appearance", 120, speed=(0.5, 5.0), turn=0.01, alike=5.0),
)
PARTS = (
    Scenario("borders", 40, speed=(2.0, 12.0), turn=0.01, parts=True),
    Scenario("rock", 40, speed=(2.0, 12.0), turn=0.01, parts=True, rocks=10),
)
SCENARIOS = (*MOTION, *APPEARANCE, *PARTS)


@dataclass(frozen=True)
class SimulatedFrame:
    """One frame with M objects and N detections.

    `numbers` (M,) and `boxes` (M, 4), corners in pixels, are the ground truth; `embeddings` (N, DIMENSIONS) have
    length 1.
    """

    numbers: NDArray[np.int32]
    boxes: NDArray[np.float32]
    detections: Detections
    embeddings: NDArray[np.float32]


class Crowd:
    """Moving objects; an object that leaves the picture is replaced by a new one, which enters at a border."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        self.scenario, self.rng = scenario, rng
        count = scenario.objects
        self.next = 1
        self.numbers = np.zeros(count, np.int32)
        self.centre, self.size = np.zeros((count, 2)), np.zeros((count, 2))
        self.speed, self.heading, self.spin = np.zeros(count), np.zeros(count), np.zeros(count)
        self.embeddings = np.zeros((count, DIMENSIONS))
        self._enter(np.arange(count), anywhere=True)
        low = rng.uniform([0, 0], [WIDTH, HEIGHT], (scenario.rocks, 2))
        self.rocks = np.concatenate([low, low + rng.uniform(*ROCK, (scenario.rocks, 2))], axis=1)

    def _enter(self, index: NDArray[np.intp], *, anywhere: bool) -> None:
        rng, count = self.rng, len(index)
        self.numbers[index] = np.arange(self.next, self.next + count)
        self.next += count
        height = rng.uniform(*self.scenario.height, count)
        self.size[index] = np.stack([height * rng.uniform(0.4, 0.9, count), height], axis=1)
        self.speed[index] = rng.uniform(*self.scenario.speed, count)
        own = unit(rng.normal(size=(count, DIMENSIONS)))
        self.embeddings[index] = unit(own + self.scenario.alike * np.eye(1, DIMENSIONS))
        self.spin[index] = 0
        centre = rng.uniform([0, 0], [WIDTH, HEIGHT], (count, 2))
        heading = rng.uniform(-np.pi, np.pi, count)
        if not anywhere:
            border, angle = rng.integers(0, 4, count), rng.uniform(-np.pi / 3, np.pi / 3, count)
            centre[border == 0, 0], centre[border == 2, 0] = 0, WIDTH
            centre[border == 1, 1], centre[border == 3, 1] = 0, HEIGHT
            heading = border * (np.pi / 2) + angle
            centre += self._overhang(index) * np.array([[-1, 0], [0, -1], [1, 0], [0, 1]])[border]
        self.centre[index], self.heading[index] = centre, heading

    def step(self) -> None:
        """Move all objects by one frame."""
        scenario, rng, count = self.scenario, self.rng, len(self.numbers)
        if scenario.turn:
            self.spin = 0.9 * self.spin + rng.normal(0, scenario.turn * 0.44, count)
            self.heading += self.spin
        if scenario.push:
            self.speed = np.clip(self.speed * np.exp(rng.normal(0, scenario.push, count)), 0.3, 14)
        self.centre += self.speed[:, None] * np.stack([np.cos(self.heading), np.sin(self.heading)], axis=1)
        overhang = self._overhang(slice(None))
        beyond = self.centre - np.array([WIDTH, HEIGHT])
        outside = (self.centre < -overhang).any(axis=1) | (beyond > overhang).any(axis=1)
        self._enter(np.flatnonzero(outside), anywhere=False)

    def _overhang(self, index: NDArray[np.intp] | slice) -> NDArray[np.float64]:
        """Return how far (N, 2), in pixels, beyond the border centres enter and leave."""
        return self.size[index] / 2 * self.scenario.parts

    def boxes(self) -> NDArray[np.float64]:
        """Return the corners (N, 4) in pixels, clipped to the picture."""
        corners = np.concatenate([self.centre - self.size / 2, self.centre + self.size / 2], axis=1)
        return np.clip(corners, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])


def simulate(scenario: Scenario, seed: int) -> list[SimulatedFrame]:
    """Return the frames of a scenario; equal seeds give equal frames."""
    rng = np.random.default_rng([seed, SCENARIOS.index(scenario) if scenario in SCENARIOS else 99])
    crowd = Crowd(scenario, rng)
    frames = []
    for number in range(scenario.frames * scenario.every):
        if number % scenario.every == 0:
            frames.append(detect(crowd, rng))
        crowd.step()
    return frames


def detect(crowd: Crowd, rng: np.random.Generator) -> SimulatedFrame:
    """Simulate a detector on the present state of a crowd."""
    truth, numbers, mixed = crowd.boxes(), crowd.numbers.copy(), crowd.embeddings
    if crowd.scenario.parts:
        truth, visible = visible_parts(truth, crowd.size.prod(axis=1), crowd.rocks)
        large = (truth[:, 2:] - truth[:, :2] >= SMALLEST).all(axis=1)
        truth, visible, numbers, mixed = truth[large], visible[large], numbers[large], mixed[large]
        least, certain, noise = 0.0, 0.5 + 0.4 * visible, EMBEDDING_NOISE / np.sqrt(np.maximum(visible, 0.02))
    else:
        visible, mixed = occlude(truth, crowd.embeddings)
        mixed = crowd.scenario.mixed * mixed + (1 - crowd.scenario.mixed) * crowd.embeddings
        least, certain, noise = MIN_VISIBLE, 0.9 * visible, np.full(len(truth), EMBEDDING_NOISE)
    found = np.flatnonzero((visible >= least) & (rng.random(len(truth)) >= MISSED))
    boxes = truth[found] + rng.normal(0, POSITION_ERROR, (len(found), 4))
    scores = certain[found] + rng.normal(0, 0.05, len(found))
    deviation = (noise[found] / np.sqrt(DIMENSIONS))[:, None]
    embeddings = mixed[found] + deviation * rng.normal(size=(len(found), DIMENSIONS))
    false = rng.poisson(FALSE_PER_FRAME)
    corner = rng.uniform([0, 0], [WIDTH, HEIGHT], (false, 2))
    height = rng.uniform(*crowd.scenario.height, false)
    boxes = np.concatenate([boxes, np.concatenate([corner, corner + height[:, None] * [0.6, 1]], axis=1)])
    boxes = np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
    scores = np.clip(np.concatenate([scores, rng.uniform(MIN_SCORE, 0.6, false)]), MIN_SCORE, 0.99)
    embeddings = unit(np.concatenate([embeddings, rng.normal(size=(false, DIMENSIONS))])).astype(np.float32)
    order = rng.permutation(len(boxes))
    classes = np.zeros(len(boxes), np.int32)
    detections = Detections(boxes[order], scores[order].astype(np.float32), classes)
    return SimulatedFrame(numbers, truth.astype(np.float32), detections, embeddings[order])


def occlude(
    boxes: NDArray[np.float64], embeddings: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the boxes (N, 4) from far (top) to near (bottom).

    Returns the visible share (N,) of each and its embedding (N, D), mixed with those of the objects in front by area.
    """
    canvas = np.full((HEIGHT // COARSE, WIDTH // COARSE), -1, np.int32)
    cells = np.round(boxes / COARSE).astype(int)
    for index in np.argsort(boxes[:, 3], kind="stable"):
        x0, y0, x1, y1 = cells[index]
        canvas[y0:y1, x0:x1] = index
    visible, mixed = np.zeros(len(boxes)), np.zeros_like(embeddings)
    for index, (x0, y0, x1, y1) in enumerate(cells):
        inside = canvas[y0:y1, x0:x1].ravel()
        if inside.size:
            share = np.bincount(inside, minlength=len(boxes)) / inside.size
            visible[index], mixed[index] = share[index], share @ embeddings
    return visible, mixed


def visible_parts(
    boxes: NDArray[np.float64], areas: NDArray[np.float64], rocks: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the boxes (N, 4) from far (top) to near (bottom), and the rocks (R, 4) over all of them.

    `areas` (N,) are those of the whole objects in square pixels. Returns the box (N, 4) of each visible part, zeros
    if nothing is visible, and its share (N,) of the area.
    """
    canvas = np.full((HEIGHT, WIDTH), -1, np.int32)
    cells = np.round(boxes).astype(int)
    for index in np.argsort(boxes[:, 3], kind="stable"):
        x0, y0, x1, y1 = cells[index]
        canvas[y0:y1, x0:x1] = index
    for x0, y0, x1, y1 in rocks.astype(int):
        canvas[y0:y1, x0:x1] = -1
    parts, share = np.zeros_like(boxes), np.zeros(len(boxes))
    for index, (x0, y0, x1, y1) in enumerate(cells):
        mine = canvas[y0:y1, x0:x1] == index
        if mine.any():
            rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
            parts[index] = x0 + columns[0], y0 + rows[0], x0 + columns[-1] + 1, y0 + rows[-1] + 1
            share[index] = mine.sum() / areas[index]
    return parts, np.minimum(share, 1)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale vectors (N, D) to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
