"""Draw a plot of lines over values that double, such as batch sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw

from quadrat.render.text import draw_text, shortened, text_width

WIDTH, HEIGHT = 960, 540
LEFT, RIGHT, TOP, BOTTOM = 90, 260, 60, 70
"""The room around the axes, in pixels; the legend is on the right."""
SIZE = 15
BLACK, GREY, WHITE = (20, 20, 20), (215, 215, 215), (255, 255, 255)
COLORS = (
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (230, 159, 0), (90, 90, 90),
)  # fmt: skip
"""The colours of Okabe and Ito, which people with colour-blindness can tell apart."""
MOST_LINES = 14
TICKS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its name, its points (x, y) in order of x, and the x of the point that is ringed, or None."""

    name: str
    points: tuple[tuple[float, float], ...]
    marked: float | None = None


def draw_plot(title: str, across: str, up: str, lines: Sequence[Line]) -> bytes:
    """Draw lines over a logarithmic x axis and a y axis from 0, and return the picture as PNG.

    `across` and `up` name the axes. Lines after MOST_LINES are left out.
    """
    lines = lines[:MOST_LINES]
    image = Image.new("RGB", (WIDTH, HEIGHT), WHITE)
    draw = ImageDraw.Draw(image)
    xs = sorted({x for line in lines for x, _ in line.points}) or [1.0]
    top = _round_up(max((y for line in lines for _, y in line.points), default=1.0))
    first, last = math.log2(xs[0]), math.log2(xs[-1])

    def place(x: float, y: float) -> tuple[int, int]:
        share = (math.log2(x) - first) / (last - first) if last > first else 0.5
        return (
            round(LEFT + share * (WIDTH - LEFT - RIGHT)),
            round(HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)),
        )

    draw_text(image, (LEFT, TOP // 2), title, SIZE + 3, BLACK)
    for number in range(TICKS + 1):
        value = top * number / TICKS
        height = place(xs[0], value)[1]
        draw.line([(LEFT, height), (WIDTH - RIGHT, height)], GREY if number else BLACK)
        _right(image, (LEFT - 10, height), f"{value:g}")
    for x in xs:
        left = place(x, 0)[0]
        _centred(image, (left, HEIGHT - BOTTOM + 20), f"{x:g}")
    _centred(image, ((LEFT + WIDTH - RIGHT) // 2, HEIGHT - 18), across)
    draw_text(image, (10, TOP - 12), up, SIZE, BLACK)
    for number, line in enumerate(lines):
        color = COLORS[number % len(COLORS)]
        places = [place(x, y) for x, y in line.points]
        draw.line(places, color, 3, joint="curve")
        for (x, _), (left, height) in zip(line.points, places, strict=True):
            draw.ellipse((left - 4, height - 4, left + 4, height + 4), color)
            if x == line.marked:
                draw.ellipse((left - 10, height - 10, left + 10, height + 10), outline=BLACK, width=3)
        middle = TOP + 12 + number * 26
        draw.line([(WIDTH - RIGHT + 25, middle), (WIDTH - RIGHT + 55, middle)], color, 4)
        draw_text(image, (WIDTH - RIGHT + 65, middle), shortened(line.name, SIZE, RIGHT - 75), SIZE, BLACK)
    file = BytesIO()
    image.save(file, "PNG", optimize=False)
    return file.getvalue()


def _round_up(value: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten, so that the ticks are round numbers."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if value <= step * power)


def _centred(image: Image.Image, at: tuple[int, int], text: str) -> None:
    draw_text(image, (at[0] - text_width(text, SIZE) // 2, at[1]), text, SIZE, BLACK)


def _right(image: Image.Image, at: tuple[int, int], text: str) -> None:
    draw_text(image, (at[0] - text_width(text, SIZE), at[1]), text, SIZE, BLACK)
