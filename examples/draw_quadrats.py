"""Draw seagrass quadrats with exact masks: sand, blades, shells and a PVC frame.

Drawings replace photographs where a true mask is needed or photographs may not be distributed. A seed
determines the drawing. `python examples/draw_quadrats.py` redraws examples/images.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SAND, SEAGRASS, FRAME = 0, 1, 2
CLASSES = ("sand", "seagrass", "frame")
COLORS = ((230, 159, 0), (0, 158, 115), (0, 114, 178))

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

EXAMPLES: tuple[tuple[str, int, tuple[int, int], float], ...] = (
    ("site-a/quadrat-01.jpg", 101, (1024, 1280), 0.35),
    ("site-a/quadrat-02.jpg", 102, (1080, 1440), 0.75),
    ("site-b/quadrat-01.jpg", 103, (1200, 1200), 0.12),
    ("site-b/quadrat-03.jpg", 104, (1280, 960), 0.55),
)
"""Path below examples/images, seed, (height, width) in pixels, density of the meadow in 0..1."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """`pixels` (H, W, 3) uint8 RGB and `mask` (H, W) uint8, the class index of every pixel."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def draw(
    seed: int, hw: tuple[int, int], *, density: float | None = None, frame: bool | None = None
) -> Drawing:
    """Draw one quadrat of `hw` (height, width) pixels.

    `density` (0..1) is the amount of grass; `frame` adds the PVC frame. The seed determines those that are
    None.
    """
    rng = np.random.default_rng(seed)
    drawn_density = float(rng.beta(1.1, 1.3))
    drawn_frame = bool(rng.random() < 0.7)
    unit = math.sqrt(hw[0] * hw[1]) / 100  # a hundredth of the side: all sizes scale with the picture
    canvas = _sand(rng, hw, unit)
    mask = np.full(hw, SAND, np.uint8)
    _litter(rng, canvas, unit)
    _meadow(rng, canvas, mask, unit, drawn_density if density is None else density)
    if drawn_frame if frame is None else frame:
        _pvc_frame(rng, canvas, mask, unit)
    return Drawing(_photograph(rng, canvas), mask)


def _noise(rng: np.random.Generator, hw: tuple[int, int], cell: float) -> F32:
    """Return smooth noise (H, W) float32 of about -1..1, with features `cell` pixels wide."""
    small = (max(2, round(hw[0] / cell) + 2), max(2, round(hw[1] / cell) + 2))
    values = rng.random(small, dtype=np.float32) * 2 - 1
    out: F32 = cv2.resize(values, hw[::-1], interpolation=cv2.INTER_CUBIC)
    return out


def _sand(rng: np.random.Generator, hw: tuple[int, int], unit: float) -> F32:
    """Draw sand with mottles, ripples and grain, (H, W, 3) float32 in 0..255."""
    base = np.array([rng.uniform(150, 215), 0, 0])
    base[1] = base[0] * rng.uniform(0.86, 1.0)
    base[2] = base[1] * rng.uniform(0.70, 1.02)
    light = np.zeros(hw, np.float32)
    for cell, weight in ((30, 0.16), (10, 0.12), (3, 0.10), (0.8, 0.08)):
        light += weight * rng.uniform(0.5, 1.4) * _noise(rng, hw, max(1.0, cell * unit))
    angle, period = rng.uniform(0, math.pi), rng.uniform(4, 9) * unit
    rows, columns = np.mgrid[0 : hw[0], 0 : hw[1]].astype(np.float32)
    wave = (columns * math.cos(angle) + rows * math.sin(angle)) / period + 0.6 * _noise(rng, hw, 15 * unit)
    light += np.float32(rng.uniform(0, 0.10)) * np.sin(2 * np.pi * wave)
    light += rng.standard_normal(hw, dtype=np.float32) * np.float32(rng.uniform(0.02, 0.07))
    out: F32 = (1 + light)[:, :, None] * base.astype(np.float32)
    return out


def _litter(rng: np.random.Generator, canvas: F32, unit: float) -> None:
    """Draw shells, stones and dead leaves, which all count as sand."""
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(5, 60))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.uniform(0.3, 1.6) * unit) + 1, int(rng.uniform(0.2, 1.0) * unit) + 1)
        turn = float(rng.uniform(0, 360))
        tone = rng.uniform(60, 245) * np.array([1.0, rng.uniform(0.88, 1.0), rng.uniform(0.75, 1.0)])
        shadow = tuple(int(c + 0.25 * unit) for c in centre)
        cv2.ellipse(canvas, shadow, axes, turn, 0, 360, (70, 62, 52), -1, cv2.LINE_AA)
        cv2.ellipse(canvas, centre, axes, turn, 0, 360, tone.tolist(), -1, cv2.LINE_AA)
        cv2.ellipse(canvas, centre, axes, turn, 0, 180, (tone * 0.75).tolist(), 1, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 25))):
        tone = rng.uniform(45, 90) * np.array([1.0, rng.uniform(0.62, 0.8), rng.uniform(0.45, 0.6)])
        root = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        blade = _blade(
            rng, root, rng.uniform(0, 2 * math.pi), rng.uniform(3, 9) * unit, rng.uniform(0.5, 1.0) * unit
        )
        cv2.fillPoly(canvas, [blade], tone.tolist())


def _blade(
    rng: np.random.Generator, root: NDArray[np.float64], angle: float, length: float, width: float
) -> I32:
    """Return the outline of one curved, tapering blade, (2n, 2) int32 (x, y)."""
    steps = 12
    along = np.linspace(0, 1, steps)
    bend = angle + rng.uniform(-1.3, 1.3) * along**1.5
    spine = root + np.cumsum(np.stack([np.cos(bend), np.sin(bend)], 1), 0) * (length / steps)
    half = (width / 2 * (1 - 0.75 * along**2) + 0.5)[:, None] * np.stack([-np.sin(bend), np.cos(bend)], 1)
    outline: I32 = np.rint(np.concatenate([spine + half, (spine - half)[::-1]])).astype(np.int32)
    return outline


def _meadow(
    rng: np.random.Generator, canvas: F32, mask: NDArray[np.uint8], unit: float, density: float
) -> None:
    """Draw shoots of three to six blades in patches; each blade casts a shadow, which does not count as grass."""
    height, width = mask.shape
    patches = _noise(rng, mask.shape, rng.uniform(15, 40) * unit)
    green = np.array([rng.uniform(40, 110), rng.uniform(95, 150), rng.uniform(20, 60)])
    lean = rng.uniform(0, 2 * math.pi)
    for _ in range(int(density * 700)):
        x, y = rng.uniform(-0.05, 1.05) * width, rng.uniform(-0.05, 1.05) * height
        here = patches[min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)]
        blades, luck = int(rng.integers(3, 7)), rng.random()
        if luck > 0.5 + here + 0.5 * density:
            continue
        for _ in range(blades):
            angle = lean + rng.normal(0, 0.9)
            outline = _blade(
                rng, np.array([x, y]), angle, rng.uniform(4, 13) * unit, rng.uniform(0.45, 1.1) * unit
            )
            tone = green * rng.uniform(0.55, 1.3) * rng.uniform(0.9, 1.1, 3)
            _shade(canvas, outline, int(0.6 * unit), 0.72)
            cv2.fillPoly(canvas, [outline], tone.tolist())
            cv2.polylines(canvas, [outline[: len(outline) // 2]], False, (tone * 0.75).tolist(), 1)
            cv2.fillPoly(mask, [outline], SEAGRASS)
            if rng.random() < 0.15:  # epiphytes: pale spots that count as grass
                for point in outline[2:-2:3]:
                    spot = (outline[:12].mean(0) * 0.3 + point * 0.7).astype(int)
                    if cv2.pointPolygonTest(outline, (float(spot[0]), float(spot[1])), True) >= 1:
                        cv2.circle(canvas, (int(spot[0]), int(spot[1])), 1, (tone * 1.5).tolist(), -1)


def _shade(canvas: F32, outline: I32, offset: int, factor: float) -> None:
    """Darken the area of an outline (n, 2) shifted by `offset` pixels to the lower right."""
    moved = outline + offset
    left, top = np.maximum(moved.min(0), 0)
    right, bottom = np.minimum(moved.max(0) + 1, (canvas.shape[1], canvas.shape[0]))
    if left >= right or top >= bottom:
        return
    window = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(window, [moved - (left, top)], 1)
    canvas[top:bottom, left:right][window == 1] *= factor


def _pvc_frame(rng: np.random.Generator, canvas: F32, mask: NDArray[np.uint8], unit: float) -> None:
    """Draw a square of pale pipe over the picture, slightly rotated and perhaps partly outside."""
    height, width = mask.shape
    side, pipe = min(height, width) * rng.uniform(0.80, 0.98), rng.uniform(1.6, 3.0) * unit
    turn = rng.normal(0, 0.06)
    centre = np.array([width / 2, height / 2]) + rng.normal(0, 2 * unit, 2)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * side / 2
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    points = corners @ rotation.T + centre
    tone = rng.uniform(205, 250) * np.array([1.0, 1.0, rng.uniform(0.92, 1.0)])
    for corner, next_corner in zip(points, np.roll(points, -1, 0), strict=True):
        along = (next_corner - corner) / np.linalg.norm(next_corner - corner)
        across = np.array([-along[1], along[0]])
        start, end = corner - along * pipe / 2, next_corner + along * pipe / 2
        _shade(canvas, _bar(start, end, across, pipe / 2), int(0.9 * unit), 0.6)
        for share in (1.0, 0.75, 0.5, 0.25):  # round: brighter towards its middle
            bar = _bar(start, end, across, pipe / 2 * share)
            cv2.fillPoly(canvas, [bar], (tone * (1.05 - 0.35 * share)).tolist())
        cv2.fillPoly(mask, [_bar(start, end, across, pipe / 2)], FRAME)


def _bar(
    start: NDArray[np.float64], end: NDArray[np.float64], across: NDArray[np.float64], half: float
) -> I32:
    """Return the outline (4, 2) int32 of a bar from `start` to `end`, `half` pixels to either side."""
    outline: I32 = np.rint(
        [start + across * half, end + across * half, end - across * half, start - across * half]
    ).astype(np.int32)
    return outline


def _photograph(rng: np.random.Generator, canvas: F32) -> NDArray[np.uint8]:
    """Add the effects of water and camera: uneven light, caustics, a blue-green cast, blur and noise."""
    hw = canvas.shape[:2]
    rows, columns = np.mgrid[0 : hw[0], 0 : hw[1]].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    slope = (columns / hw[1] - 0.5) * math.cos(angle) + (rows / hw[0] - 0.5) * math.sin(angle)
    light = rng.uniform(0.65, 1.1) * (1 + rng.uniform(0, 0.5) * slope)
    side = math.sqrt(hw[0] * hw[1])
    caustics = 1 - np.abs(_noise(rng, hw, side / rng.uniform(8, 16)) + 0.4 * _noise(rng, hw, side / 30))
    light = light + rng.uniform(0, 0.25) * np.clip(caustics, 0, 1) ** 6
    cast = np.array([rng.uniform(0.70, 1.0), 1.0, rng.uniform(0.88, 1.05)], np.float32)
    picture = canvas * light[:, :, None].astype(np.float32) * cast
    picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 0.9)))
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(rng.uniform(1, 4))
    out: NDArray[np.uint8] = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return out


def main() -> None:
    """Draw the example images and, with --masks, their true masks as grey PNGs beside them."""
    parser = argparse.ArgumentParser(description="Redraw the example images with the same seeds.")
    parser.add_argument(
        "--into", type=Path, default=Path(__file__).parent / "images", help="folder to write to"
    )
    parser.add_argument("--masks", action="store_true", help="also write NAME.mask.png (class indices)")
    given = parser.parse_args()
    for name, seed, hw, density in EXAMPLES:
        drawing = draw(seed, hw, density=density, frame=True)
        path: Path = given.into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), drawing.pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
        if given.masks:
            cv2.imwrite(str(path.with_suffix(".mask.png")), drawing.mask)
        print(f"{path}: {hw[1]} x {hw[0]}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
