"""Draw scenes with a fire, and scenes without one that look alike: sunsets, lamps, red objects, smoke and autumn trees.

Run as a script it draws `fires/` again, with `fire` or `no-fire` as the name of a picture's folder; others with

    python examples/draw_fires.py FOLDER --first 100 --count 12
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLASSES = ("no fire", "fire")
DISTRACTORS = ("none", "sunset", "lamps", "red objects", "smoke", "autumn")
HW = (120, 160)
EXAMPLES = (43, 46, 47, 49, 51, 54, 65, 73)
"""Seeds of the example pictures in `fires/`: four with a fire, and a lamp, sunset, red objects and autumn trees."""
ENLARGED = 3
"""The example pictures are this many times as large, so that people see something."""
FLAME = np.array([[40, 0, 0], [170, 25, 0], [240, 90, 5], [255, 180, 30], [255, 245, 170]], np.float32)
"""Colours of a flame from its border to its core."""

Pixels = NDArray[np.float32]
"""(H, W, 3) float32 RGB, 0 to 255."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A drawing: `pixels` (H, W, 3) uint8 RGB, whether it shows a fire, and what it shows that looks like one."""

    pixels: NDArray[np.uint8]
    fire: bool
    distractor: str


def draw(seed: int, hw: tuple[int, int] = HW, fire: bool | None = None) -> Scene:
    """Draw the scene of a seed; half of the seeds have a fire unless `fire` says so."""
    rng = np.random.default_rng(seed)
    burns = bool(rng.random() < 0.5) if fire is None else fire
    distractor = str(rng.choice(DISTRACTORS))
    night = bool(rng.random() < (0.1 if distractor == "sunset" else 0.4))
    horizon = int(hw[0] * rng.uniform(0.35, 0.65))
    scene = _landscape(rng, hw, horizon, night=night)
    ADDED[distractor](rng, scene, horizon)
    if burns:
        _fires(rng, scene, horizon)
    haze = rng.uniform(0, 0.55) if rng.random() < 0.4 else 0.0
    scene = scene * (1 - haze) + (70 if night else 175) * haze
    scene *= np.float32(rng.uniform(0.75, 1.15))
    scene += rng.normal(0, rng.uniform(2, 14), (*hw, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(scene, (0, 0), float(rng.uniform(0.3, 1.3)))
    return Scene(np.clip(blurred, 0, 255).astype(np.uint8), burns, distractor)


def _noise(rng: np.random.Generator, hw: tuple[int, int], cell: float) -> NDArray[np.float32]:
    """Return smooth noise (h, w) in 0..1 with features of `cell` pixels."""
    size = (max(2, int(hw[1] / cell)), max(2, int(hw[0] / cell)))
    coarse = rng.random((size[1], size[0])).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (hw[1], hw[0]), interpolation=cv2.INTER_CUBIC)).clip(0, 1)


def _landscape(rng: np.random.Generator, hw: tuple[int, int], horizon: int, *, night: bool) -> Pixels:
    """Draw sky, ground, and a row of trees or houses."""
    light = 0.22 if night else 1.0
    top, low = np.array([90, 140, 215.0]), np.array([190, 210, 235.0])
    share = np.linspace(0, 1, hw[0])[:, None, None]
    scene = (top + (low - top) * share) * light * np.ones((*hw, 1))
    soil = np.array([rng.uniform(60, 150), rng.uniform(80, 140), rng.uniform(40, 90)]) * light
    texture = 0.7 + 0.6 * _noise(rng, hw, 5)[..., None]
    scene[horizon:] = soil * texture[horizon:]
    drawn = np.ascontiguousarray(scene, np.float32)
    for _ in range(int(rng.integers(3, 12))):
        x, size = int(rng.integers(hw[1])), int(rng.integers(6, 26))
        if rng.random() < 0.6:
            green = (np.array([30, 80, 30]) * rng.uniform(0.6, 1.3) * light).tolist()
            cv2.ellipse(drawn, (x, horizon - size // 3), (size // 3 + 2, size // 2 + 2), 0, 0, 360, green, -1)
        else:
            wall = (np.array([150, 140, 130]) * rng.uniform(0.5, 1.2) * light).tolist()
            cv2.rectangle(drawn, (x, horizon - size), (x + size, horizon + 2), wall, -1)
    return drawn


def _fires(rng: np.random.Generator, scene: Pixels, horizon: int) -> None:
    """Draw one fire or a few, with smoke and a glow on what is near."""
    height, width = scene.shape[:2]
    size = float(np.exp(rng.uniform(np.log(0.045), np.log(0.5))))
    base = int(rng.integers(horizon, height))
    middle = int(rng.integers(width))
    if rng.random() < 0.7:
        _smoke(rng, scene, (middle, base - int(size * height * 0.6)), size)
    for number in range(int(rng.integers(1, 5))):
        tall = max(5, int(size * height * rng.uniform(0.6, 1.1)))
        wide = max(4, int(tall * rng.uniform(0.4, 1.1)))
        x = middle + (int(rng.normal(0, size * width * 0.3)) if number else 0)
        _flame(rng, scene, (x, base + int(rng.integers(-2, 3))), (tall, wide))


def _flame(rng: np.random.Generator, scene: Pixels, foot: tuple[int, int], size: tuple[int, int]) -> None:
    """Blend one flame of (height, width) `size` that stands on `foot` (x, y) into the scene."""
    tall, wide = size
    y, x = np.mgrid[:tall, :wide].astype(np.float32)
    up = 1 - y / tall
    lean = (_noise(rng, (tall, 1), 6) - 0.5) * wide * 0.5 * up[:, :1]
    across = np.abs(x - wide / 2 - lean) / (wide / 2)
    body = (1 - across / np.clip(1.05 - up**1.3, 0.05, 1)).clip(0, 1)
    heat = body * (0.55 + 0.9 * _noise(rng, size, max(3.0, wide / 6))) * (1.1 - 0.6 * up)
    heat = heat.clip(0, 1)[..., None]
    place = heat[..., 0] * (len(FLAME) - 1)
    colour = np.stack([np.interp(place, range(len(FLAME)), FLAME[:, c]) for c in range(3)], -1)
    alpha = np.clip(heat * 3, 0, 1)
    top, left = foot[1] - tall, foot[0] - wide // 2
    height, width = scene.shape[:2]
    rows, columns = slice(max(0, top), min(height, top + tall)), slice(max(0, left), min(width, left + wide))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    inside = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    scene[rows, columns] = scene[rows, columns] * (1 - alpha[inside]) + colour[inside] * alpha[inside]
    shine = rng.uniform(0, 1)
    _glow(scene, (foot[0], foot[1] - tall // 3), tall * 1.2, (90 * shine, 40 * shine, 8 * shine))


def _glow(scene: Pixels, at: tuple[int, int], reach: float, colour: tuple[float, float, float]) -> None:
    """Add light around a point (x, y)."""
    y, x = np.mgrid[: scene.shape[0], : scene.shape[1]]
    near = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * reach**2 + 1))
    scene += (near[..., None] * np.array(colour)).astype(np.float32)


def _smoke(rng: np.random.Generator, scene: Pixels, at: tuple[int, int], size: float) -> None:
    """Blend a plume of grey that rises from a point (x, y)."""
    height, width = scene.shape[:2]
    y, x = np.mgrid[:height, :width]
    above = np.clip((at[1] - y) / height, 0, 1)
    drift = at[0] + above * width * rng.uniform(-0.5, 0.5)
    spread = width * (0.04 + size * 0.15 + above * 0.25)
    plume = np.exp(-(((x - drift) / spread) ** 2)) * (y < at[1]) * _noise(rng, (height, width), 12)
    alpha = (plume * rng.uniform(0.5, 1.0))[..., None].astype(np.float32)
    scene[:] = scene * (1 - alpha) + rng.uniform(40, 190) * alpha


def _sunset(rng: np.random.Generator, scene: Pixels, horizon: int) -> None:
    low = np.array([255, rng.uniform(90, 170), rng.uniform(20, 80)])
    share = np.linspace(0, 1, horizon)[:, None, None] ** rng.uniform(0.7, 2)
    scene[:horizon] = scene[:horizon] * (1 - share * 0.85) + low * share * 0.85
    at = (int(rng.integers(scene.shape[1])), int(horizon - rng.integers(0, max(1, horizon // 2))))
    cv2.circle(scene, at, int(rng.integers(3, 12)), (255, 230, 150), -1)
    _glow(scene, at, 25, (110, 60, 10))


def _lamps(rng: np.random.Generator, scene: Pixels, horizon: int) -> None:
    for _ in range(int(rng.integers(1, 6))):
        x, y = int(rng.integers(scene.shape[1])), int(rng.integers(horizon // 3, horizon))
        cv2.line(scene, (x, y), (x, horizon + 4), (50, 50, 50), 1)
        cv2.circle(scene, (x, y), int(rng.integers(1, 4)), (255, 240, 190), -1)
        _glow(scene, (x, y), float(rng.uniform(4, 12)), (150, 90, 25))


def _red_objects(rng: np.random.Generator, scene: Pixels, horizon: int) -> None:
    for _ in range(int(rng.integers(1, 4))):
        x, y = int(rng.integers(scene.shape[1])), int(rng.integers(horizon, scene.shape[0]))
        size = int(rng.integers(5, 24))
        colour = (float(rng.uniform(190, 255)), float(rng.uniform(10, 130)), float(rng.uniform(0, 30)))
        if rng.random() < 0.5:  # a car or a container
            cv2.rectangle(scene, (x, y - size // 2), (x + size, y), colour, -1)
            cv2.circle(scene, (x + size // 4, y), max(1, size // 8), (20, 20, 20), -1)
        else:  # a tent or a cone
            corners = np.array([(x, y), (x + size, y), (x + size // 2, y - size)], np.int32)
            cv2.fillPoly(scene, [corners], colour)


def _autumn(rng: np.random.Generator, scene: Pixels, horizon: int) -> None:
    for _ in range(int(rng.integers(2, 9))):
        x, size = int(rng.integers(scene.shape[1])), int(rng.integers(8, 26))
        crown = (np.array([220, rng.uniform(70, 150), 20]) * rng.uniform(0.6, 1)).tolist()
        cv2.ellipse(scene, (x, horizon - size // 2), (size // 2, size // 2 + 3), 0, 0, 360, crown, -1)
    scene *= (0.85 + 0.3 * _noise(rng, (scene.shape[0], scene.shape[1]), 3)[..., None]).astype(np.float32)


def _plume(rng: np.random.Generator, scene: Pixels, horizon: int) -> None:
    _smoke(rng, scene, (int(rng.integers(scene.shape[1])), horizon), float(rng.uniform(0.1, 0.5)))


def _nothing(_rng: np.random.Generator, _scene: Pixels, _horizon: int) -> None:
    """Add nothing."""


ADDED: dict[str, Callable[[np.random.Generator, Pixels, int], None]] = {
    "none": _nothing, "sunset": _sunset, "lamps": _lamps, "red objects": _red_objects, "smoke": _plume,
    "autumn": _autumn,
}  # fmt: skip
"""What draws each distractor."""


def write(folder: Path, seeds: Iterable[int], *, suffix: str = ".png", enlarged: int = 1) -> list[Path]:
    """Write scenes as files into `folder`/fire and `folder`/no-fire, and return their paths."""
    paths = []
    for seed in seeds:
        scene = draw(seed)
        path = folder / CLASSES[scene.fire].replace(" ", "-") / f"scene-{seed:05d}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = scene.pixels.shape[:2]
        image = Image.fromarray(scene.pixels)
        if enlarged > 1:  # with the grain of a sensor
            larger = np.asarray(image.resize((width * enlarged, height * enlarged)), np.float32)
            grain = np.random.default_rng(seed).normal(0, 6, larger.shape[:2])[..., None]
            image = Image.fromarray(np.clip(larger + grain, 0, 255).astype(np.uint8))
        image.save(path, quality=85)
        paths.append(path)
    return paths


def main() -> None:
    """Write the example pictures, or others."""
    parser = argparse.ArgumentParser(description="Draw scenes with and without a fire.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).resolve().parent / "fires")
    parser.add_argument(
        "--first", type=int, help="seed of the first scene, for other scenes than the examples"
    )
    parser.add_argument("--count", type=int, default=12, help="number of other scenes")
    given = parser.parse_args()
    if given.first is None:
        paths = write(given.folder, EXAMPLES, suffix=".jpg", enlarged=ENLARGED)
    else:
        paths = write(given.folder, range(given.first, given.first + given.count))
    for path in paths:
        print(path)


if __name__ == "__main__":
    main()
