"""Draw objects with exact boxes: still scenes, and sequences in which objects cross, hide and leave.

Objects are flat rectangles in the colours of rectangles_net.py on a drawn seabed, so every edge is exact and
`models/rectangles.tgz` finds every box. A seed determines the drawing.
`python examples/draw_scenes.py` redraws examples/scenes, examples/videos and examples/truth.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

CLASSES = ("fish", "crab", "urchin")
COLORS = ((40, 90, 220), (215, 60, 45), (60, 190, 70))
"""The same as in rectangles_net.py, which needs onnx; a test compares them."""
ROCK = (62, 60, 57)
EYE = (24, 24, 26)
MIN_EYE_SIDE = 32
"""Smallest side in pixels of a fish with an eye."""

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
HW = tuple[int, int]


class Scene(NamedTuple):
    """`pixels` (H, W, 3) uint8 RGB; `boxes` (N, 4) float32 x0, y0, x1, y1 in pixels; `classes` (N,) int32."""

    pixels: U8
    boxes: F32
    classes: I32


class Shot(NamedTuple):
    """One frame of a sequence and the objects inside the picture, including hidden ones.

    `boxes` (N, 4) float32: the whole object, clipped to the picture; `visible` (N, 4): the box of its
    visible part, zeros if it is hidden; `visibility` (N,) float32: the visible share of the whole object;
    `ids` (N,) int32 from 1, `classes` (N,) int32.
    """

    pixels: U8
    ids: I32
    boxes: F32
    classes: I32
    visibility: F32
    visible: F32


STILLS: tuple[tuple[str, int, HW, int], ...] = (
    ("reef-flat.png", 301, (720, 960), 18),
    ("reef-slope.png", 302, (960, 1280), 40),
    ("empty-sand.png", 303, (480, 640), 0),
)
"""File below examples/scenes, seed, (height, width), number of objects."""
RATE = 15
VIDEOS: tuple[tuple[str, int, str, int, HW], ...] = (
    ("reef-1", 311, "reef", 75, (288, 512)),
    ("reef-2", 312, "crossing", 60, (360, 480)),
)
"""Name below examples/videos, seed, scenario, frames, (height, width)."""
FOLDER = ("still", 313, "linear", 40, (180, 240))
"""An image sequence, in the format of VIDEOS; ten frames from its middle are kept."""


def scene(
    seed: int,
    hw: HW = (720, 960),
    objects: int = 20,
    *,
    sides: tuple[int, int] = (16, 130),
    gap: int = 8,
    nested: int = 0,
    touching: int = 0,
    textured: bool = True,
) -> Scene:
    """Draw `objects` at least `gap` pixels apart, with sides from `sides[0]` to `sides[1]` pixels.

    The first `nested` contain a smaller object of another class. The first `touching` have a neighbour at
    their right side, of another class, or of the same class with two pixels between. Fewer objects are drawn
    if there is no room left. Without `textured`, the background is plain grey.
    """
    rng = np.random.default_rng(seed)
    pixels = seabed(rng, hw) if textured else np.full((*hw, 3), 150, np.uint8)
    taken, boxes, classes = np.zeros(hw, bool), [], []
    for number in range(objects):
        width, height = (int(v) for v in rng.integers(sides[0], sides[1] + 1, 2))
        mate = int(rng.integers(sides[0], sides[1] + 1)) if number < touching else 0
        kind, other = int(rng.integers(3)), int(rng.integers(3))
        apart = (2 if kind == other else 0) if mate else 0
        at = _place(rng, taken, (height, width + apart + mate), gap)
        if at is None:
            continue
        top, left = at
        drawn = [(left, top, left + width, top + height, kind)]
        if mate:
            start = left + width + apart
            drawn.append((start, top, start + mate, top + int(height * rng.uniform(0.5, 1)), other))
        if number < nested and min(width, height) >= 3 * sides[0]:
            inner = (left + width // 3, top + height // 3, left + width * 2 // 3, top + height * 2 // 3)
            drawn.append((*inner, (kind + 1) % 3))
        for x0, y0, x1, y1, which in drawn:
            if x1 - x0 >= 8 and y1 - y0 >= 8:
                _fill(pixels, (x0, y0, x1, y1), which, eyed=number >= nested)
                boxes.append((x0, y0, x1, y1))
                classes.append(which)
    return Scene(pixels, np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int32))


def _place(rng: np.random.Generator, taken: NDArray[np.bool_], size: HW, gap: int) -> tuple[int, int] | None:
    """Reserve a random free place (top, left) with `gap` pixels around it; return None if none is found."""
    rows, columns = (side - own for side, own in zip(taken.shape, size, strict=True))
    for _ in range(300 if rows >= 0 and columns >= 0 else 0):
        top, left = int(rng.integers(rows + 1)), int(rng.integers(columns + 1))
        around = taken[max(0, top - gap) : top + size[0] + gap, max(0, left - gap) : left + size[1] + gap]
        if not around.any():
            taken[top : top + size[0], left : left + size[1]] = True
            return top, left
    return None


def seabed(rng: np.random.Generator, hw: HW) -> U8:
    """Draw sand (H, W, 3) uint8 with soft hills and ripples, too grey to be any class."""
    tone = np.array([rng.uniform(168, 184), rng.uniform(166, 178), rng.uniform(150, 168)])
    light = np.zeros(hw, np.float32)
    for cell, height in ((160, 14.0), (40, 7.0)):
        grid = (max(2, round(hw[0] / cell) + 2), max(2, round(hw[1] / cell) + 2))
        light += height * cv2.resize(
            rng.random(grid, dtype=np.float32) * 2 - 1, hw[::-1], interpolation=cv2.INTER_CUBIC
        )
    rows, columns = np.mgrid[0 : hw[0], 0 : hw[1]].astype(np.float32)
    turn = rng.uniform(0, np.pi)
    light += 5 * np.sin((rows * np.sin(turn) + columns * np.cos(turn)) / rng.uniform(4, 8) + light / 6)
    steps = np.rint(light / 3) * 3  # few distinct values keep the files small
    out: U8 = np.clip(tone + steps[:, :, None], 0, 255).astype(np.uint8)
    return out


def _fill(pixels: U8, box: Sequence[int], kind: int, *, eyed: bool = True) -> None:
    """Draw one object, clipped to the picture; a large fish has an eye."""
    x0, y0, x1, y1 = box
    pixels[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = COLORS[kind]
    if eyed and kind == 0 and min(x1 - x0, y1 - y0) >= MIN_EYE_SIDE:
        eye = (y0 + (y1 - y0) // 3, x1 - 14)
        pixels[max(0, eye[0]) : max(0, eye[0] + 4), max(0, eye[1]) : max(0, eye[1] + 4)] = EYE


@dataclass(frozen=True, slots=True)
class Swimmer:
    """A moving object: `start` (x, y) in pixels, `speed` (x, y) in pixels per frame, vertical `sway` in pixels."""

    number: int
    kind: int
    size: tuple[int, int]
    start: tuple[float, float]
    speed: tuple[float, float]
    sway: float = 0.0
    phase: float = 0.0

    def box(self, frame: int) -> tuple[int, int, int, int]:
        """Return the object's box in whole pixels, not clipped to the picture."""
        x = round(self.start[0] + self.speed[0] * frame)
        y = round(self.start[1] + self.speed[1] * frame + self.sway * np.sin(0.15 * frame + self.phase))
        return x, y, x + self.size[0], y + self.size[1]


SCENARIOS = ("linear", "crossing", "rock", "wandering", "reef")
"""Separate straight paths; pairs that cross; all passing behind a rock; swaying; all of these."""


def sequence(
    seed: int, scenario: str = "reef", frames: int = 60, hw: HW = (360, 640), objects: int = 8
) -> Iterator[Shot]:
    """Draw a sequence of one of SCENARIOS, frame by frame.

    Later objects cover earlier ones, and a rock covers all. Objects that cover each other have different
    classes, so that their borders are visible. Raises ValueError for an unknown scenario.
    """
    if scenario not in SCENARIOS:
        raise ValueError(f"unknown scenario {scenario!r}, use one of {', '.join(SCENARIOS)}")
    rng = np.random.default_rng(seed)
    ground = seabed(rng, hw)
    swimmers = _swimmers(rng, scenario, frames, hw, objects)
    rock = _rock(rng, hw) if scenario in ("rock", "reef") else None
    for frame in range(frames):
        yield _shot(ground, swimmers, rock, frame)


def _swimmers(rng: np.random.Generator, scenario: str, frames: int, hw: HW, objects: int) -> list[Swimmer]:
    """Place each object in a lane (two per lane if pairs cross), with a speed that takes it through the picture."""
    height, width = hw
    pairs = scenario in ("crossing", "reef")
    lanes = (objects + 1) // 2 if pairs else objects
    room = height / max(1, lanes)
    made = []
    for number in range(objects):
        lane, second = (number // 2, number % 2) if pairs else (number, 0)
        tall = int(np.clip(rng.uniform(0.4, 0.6) * room, 10, 80))
        long = int(tall * rng.uniform(1.3, 2.0))
        forward = (lane + second) % 2 == 0
        pace = (width * rng.uniform(0.7, 1.1)) / frames
        begin = rng.uniform(-0.25, 0.15) * width
        x = begin if forward else width - long - begin
        y = lane * room + (room - tall) * (0.35 + 0.3 * second if pairs else 0.5)
        sway = (room - tall) * (0.3 if scenario == "wandering" else 0.1 if scenario == "reef" else 0.0)
        kind = (int(rng.integers(3)) + 0) if not second else (made[-1].kind + 1) % 3
        made.append(
            Swimmer(
                number + 1,
                kind,
                (long, tall),
                (x, y),
                (pace if forward else -pace, 0.0),
                sway,
                rng.uniform(0, 6),
            )
        )
    return made


def _rock(rng: np.random.Generator, hw: HW) -> tuple[int, int, int, int]:
    """Return the box of a rock in the middle of the picture."""
    left = int(hw[1] * rng.uniform(0.4, 0.5))
    top = int(hw[0] * rng.uniform(0.1, 0.3))
    return left, top, left + int(hw[1] * 0.14), top + int(hw[0] * 0.55)


def _shot(
    ground: U8, swimmers: Sequence[Swimmer], rock: tuple[int, int, int, int] | None, frame: int
) -> Shot:
    pixels, owner = ground.copy(), np.zeros(ground.shape[:2], np.int32)
    height, width = owner.shape
    inside = []
    for swimmer in swimmers:
        x0, y0, x1, y1 = swimmer.box(frame)
        cut = (max(0, x0), max(0, y0), min(width, x1), min(height, y1))
        if cut[0] < cut[2] and cut[1] < cut[3]:
            _fill(pixels, (x0, y0, x1, y1), swimmer.kind)
            owner[cut[1] : cut[3], cut[0] : cut[2]] = swimmer.number
            inside.append((swimmer, cut))
    if rock:
        pixels[rock[1] : rock[3], rock[0] : rock[2]] = ROCK
        owner[rock[1] : rock[3], rock[0] : rock[2]] = -1
    seen = [_visible_part(owner, swimmer.number, cut) for swimmer, cut in inside]
    shares = [
        count / (swimmer.size[0] * swimmer.size[1])
        for (swimmer, _), (count, _) in zip(inside, seen, strict=True)
    ]
    return Shot(
        pixels,
        np.array([swimmer.number for swimmer, _ in inside], np.int32),
        np.array([cut for _, cut in inside], np.float32).reshape(-1, 4),
        np.array([swimmer.kind for swimmer, _ in inside], np.int32),
        np.array(shares, np.float32),
        np.array([box for _, box in seen], np.float32).reshape(-1, 4),
    )


def _visible_part(
    owner: I32, number: int, cut: tuple[int, int, int, int]
) -> tuple[int, tuple[int, int, int, int]]:
    """Return the number of visible pixels of an object and the box around them."""
    x0, y0, x1, y1 = cut
    mine = owner[y0:y1, x0:x1] == number
    if not mine.any():
        return 0, (0, 0, 0, 0)
    rows, columns = np.flatnonzero(mine.any(1)), np.flatnonzero(mine.any(0))
    box = (x0 + int(columns[0]), y0 + int(rows[0]), x0 + int(columns[-1]) + 1, y0 + int(rows[-1]) + 1)
    return int(np.count_nonzero(mine)), box


def few_frames() -> list[Shot]:
    """Draw the ten frames of the image sequence."""
    _, seed, scenario, frames, size = FOLDER
    return list(islice(sequence(seed, scenario, frames, size, objects=4), 15, 25))


def mot_truth(shots: Sequence[Shot]) -> str:
    """Format the truth as MOTChallenge text: frame, id, left, top, width, height, 1 if visible, 1, visibility.

    Frames count from 1; boxes are in continuous pixels from 0. The class is always 1, the only one that the
    challenge evaluates: evaluators skip other numbers (3 is a car). `class_names` gives the actual classes.
    """
    lines = []
    for frame, shot in enumerate(shots, 1):
        for number, (x0, y0, x1, y1), share in zip(shot.ids, shot.boxes, shot.visibility, strict=True):
            place = f"{x0:g},{y0:g},{x1 - x0:g},{y1 - y0:g}"
            lines.append(f"{frame},{number},{place},{int(share > 0)},1,{share:.3f}\n")
    return "".join(lines)


def class_names(shots: Sequence[Shot]) -> dict[str, str]:
    """Return the class name of each object of a sequence by its id, in order of ids."""
    found = {
        int(number): int(kind) for shot in shots for number, kind in zip(shot.ids, shot.classes, strict=True)
    }
    return {str(number): CLASSES[kind] for number, kind in sorted(found.items())}


def write_video(path: Path, shots: Sequence[Shot], rate: float = RATE) -> None:
    """Write the frames as an H.264 video."""
    from quadrat.media.video_write import VideoWriter

    writer = VideoWriter(path, shots[0].pixels.shape[:2], rate)
    for index, shot in enumerate(shots):
        writer.write(shot.pixels, index / rate)
    writer.close()


def write_png(path: Path, pixels: U8) -> None:
    """Write RGB pixels as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Draw the example scenes and videos, and write their truth."""
    parser = argparse.ArgumentParser(description="Redraw the example scenes and videos with the same seeds.")
    parser.add_argument("--into", type=Path, default=Path(__file__).parent, help="folder to write to")
    into: Path = parser.parse_args().into
    (into / "truth").mkdir(parents=True, exist_ok=True)
    (into / "videos").mkdir(parents=True, exist_ok=True)
    stills = {}
    for name, seed, hw, objects in STILLS:
        drawn = scene(seed, hw, objects, nested=2, touching=2)
        write_png(into / "scenes" / name, drawn.pixels)
        rows = zip(drawn.boxes.tolist(), drawn.classes.tolist(), strict=True)
        stills[name] = [{"class": CLASSES[kind], "box": [int(v) for v in box]} for box, kind in rows]
    (into / "truth" / "scenes.json").write_text(json.dumps(stills, indent=1) + "\n", encoding="utf-8")
    tracks = {}
    for name, seed, scenario, frames, size in VIDEOS:
        shots = list(sequence(seed, scenario, frames, size))
        path = into / "videos" / f"{name}.mp4"
        write_video(path, shots)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
        (into / "truth" / f"{name}.gt.txt").write_text(mot_truth(shots), encoding="utf-8")
        tracks[name] = class_names(shots)
    name, shots = FOLDER[0], few_frames()
    for index, shot in enumerate(shots, 1):
        write_png(into / "videos" / name / f"frame-{index:02d}.png", shot.pixels)
    (into / "truth" / f"{name}.gt.txt").write_text(mot_truth(shots), encoding="utf-8")
    tracks[name] = class_names(shots)
    (into / "truth" / "tracks.json").write_text(json.dumps(tracks, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
