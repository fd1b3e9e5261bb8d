"""Draw text in the script of its letters, with fonts that are shipped or found on the system."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from quadrat.errors import printable

Font = ImageFont.FreeTypeFont
SHIPPED = Path(__file__).resolve().parent / "fonts" / "DejaVuSans.ttf"
"""Latin, Greek, Cyrillic, Hebrew, Arabic, Armenian, Georgian and more; not Chinese, Japanese, Korean or Indic scripts."""
FOLDERS = (
    "/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts",
    "/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts", "${WINDIR}/Fonts",
)  # fmt: skip
"""Where Linux, macOS and Windows keep fonts. QUADRAT_FONTS names a folder that is searched first."""
FAMILIES = (
    "notosans-regular", "notosanscjk", "notosans", "wqy", "droidsansfallback", "unifont", "arialunicode",
    "arial unicode", "freesans", "pingfang", "hiragino", "applesdgothic", "msyh", "yugoth", "meiryo", "malgun",
    "nirmala", "leelawui", "segoeui", "tahoma",
)  # fmt: skip
"""Beginnings of the file names of sans-serif fonts with many scripts, best first."""
OTHER_STYLES = ("bold", "italic", "oblique", "light", "thin", "black", "medium", "condensed", "mono")
MOST_FONTS = 200
"""The most fonts of a system that are tried."""
LONGEST = 200
"""The most characters of a text that are drawn."""
_UNSEEN = "\u200c\u200d\ufe0e\ufe0f"
_MISSING = "\U0010ffff"
"""A code point that no font has: its picture is that of every character that a font lacks."""


@lru_cache(maxsize=4096)
def readable(name: str, index: int) -> str:
    """Return a class's name as it can be drawn.

    Letters that no font has are replaced by their ASCII form; without any letter, the name is "class N".
    """
    text = printable(" ".join(name.split()))
    if all(font_of(letter) is not None for letter in text):
        return text or f"class {index}"
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    plain = " ".join(plain.split())
    return plain if any(letter.isalnum() for letter in plain) else f"class {index}"


def shortened(text: str, size: int, width: int) -> str:
    """Shorten a text to a width in pixels, with three dots at its end if something is left out."""
    if text_width(text, size) <= width:
        return text
    kept = text
    while kept and text_width(f"{kept}...", size) > width:
        kept = kept[: -max(1, len(kept) // 8)]
    return f"{kept.rstrip()}..."


def text_width(text: str, size: int) -> int:
    """Return the width of a text in pixels at a size in pixels."""
    return round(sum(_font(path, size).getlength(run) for path, run in _runs(text[:LONGEST])))


@lru_cache(maxsize=1024)
def text_mask(text: str, size: int) -> NDArray[np.uint8]:
    """Render a text as (h, w) uint8 coverage, 0 to 255, with a margin; cached, because names and scores recur."""
    margin = max(2, size // 4)
    image = Image.new("L", (text_width(text, size) + 2 * margin, size + margin + 2), 0)
    draw_text(image, (margin, image.height // 2), text, size, 255)
    return np.array(image)


def draw_text(
    image: Image.Image, at: tuple[int, int], text: str, size: int, color: int | tuple[int, int, int]
) -> None:
    """Draw a text whose left end and middle line are at `at`, each part of it with a font that has its letters."""
    draw, left = ImageDraw.Draw(image), float(at[0])
    for path, run in _runs(text[:LONGEST]):
        font = _font(path, size)
        draw.text((left, at[1]), run, fill=color, font=font, anchor="lm")
        left += font.getlength(run)


def _runs(text: str) -> Iterator[tuple[Path | None, str]]:
    """Split a text into parts with the same font: a single one if a font has all its letters."""
    for path in _fonts_for(text):
        yield path, text
        return
    run, before = "", None
    for letter in text:
        path = font_of(letter) or DEFAULT
        if run and path != before and letter not in _UNSEEN:
            yield before if before != DEFAULT else None, run
            run = ""
        if not run or letter not in _UNSEEN:
            before = path
        run += letter
    if run:
        yield before if before != DEFAULT else None, run


DEFAULT = Path("default")
"""Stands for the font that Pillow contains."""


@lru_cache(maxsize=4096)
def font_of(letter: str) -> Path | None:
    """Return the first font that has a letter: DEFAULT, the shipped one, or one of the system; else None."""
    if letter in _UNSEEN or letter == " ":
        return DEFAULT
    own = next((path for path in (DEFAULT, SHIPPED) if _has(path, letter)), None)
    return own or next((path for path in _candidates() if _has(path, letter)), None)


def _fonts_for(text: str) -> Iterator[Path | None]:
    """Yield the fonts that are used by a letter of a text and have all the others, too; None for the default."""
    for path in dict.fromkeys(font_of(letter) for letter in text):
        if path is not None and all(
            letter in _UNSEEN or letter == " " or _has(path, letter) for letter in text
        ):
            yield None if path == DEFAULT else path


@lru_cache(maxsize=65536)
def _has(path: Path, letter: str) -> bool:
    """Return True if a font has a picture of a letter that differs from the one for missing letters."""
    try:
        font = _font(None if path == DEFAULT else path, 16)
        return _picture(font, letter) != _picture(font, _MISSING)
    except (OSError, ValueError):  # not a font, or damaged
        return False


def _picture(font: Font, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter, "L")
    return mask.size, bytes(mask)


@cache
def _candidates() -> tuple[Path, ...]:
    """List the fonts of the system in the order in which they are tried, which takes time if there are many."""
    found: dict[str, Path] = {}
    named = os.environ.get("QUADRAT_FONTS")
    for folder in (*([named] if named else []), *FOLDERS):
        place = Path(os.path.expandvars(folder)).expanduser()
        for path in sorted(place.rglob("*")) if place.is_dir() else ():
            if path.suffix.lower() in (".ttf", ".otf", ".ttc") and (
                path.parent == Path(named or "") or _rank(path)
            ):
                found.setdefault(path.name, path)
    ranked = sorted(found.values(), key=lambda path: (_rank(path) or 0, path.name))
    return tuple(ranked[:MOST_FONTS])


def _rank(path: Path) -> int | None:
    """Return the place of a font in FAMILIES, from 1; None for other families and styles."""
    name = path.name.lower()
    if any(style in name for style in OTHER_STYLES):
        return None
    return next((place for place, family in enumerate(FAMILIES, 1) if name.startswith(family)), None)


@lru_cache(maxsize=64)
def _font(path: Path | None, size: int) -> Font:
    if path is None:
        return cast(Font, ImageFont.load_default(size))
    return ImageFont.truetype(str(path), size)
