"""Text is drawn in the script of its letters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quadrat.render import text
from quadrat.render.text import (
    DEFAULT,
    SHIPPED,
    draw_text,
    font_of,
    readable,
    shortened,
    text_mask,
    text_width,
)


@pytest.fixture
def _no_fonts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine without fonts, as the container is."""
    monkeypatch.setattr(text, "FOLDERS", (str(tmp_path),))
    monkeypatch.delenv("QUADRAT_FONTS", raising=False)
    for cached in (text._candidates, text.font_of, text._has, text.readable, text._font):
        cached.cache_clear()
    yield
    for cached in (text._candidates, text.font_of, text._has, text.readable, text._font):
        cached.cache_clear()


@pytest.mark.usefixtures("_no_fonts")
@pytest.mark.parametrize(
    "name",
    ["sand", "Grüße, Ångström", "сухой песок", "Κοράλλι", "نبات البحر", "עשב ים", "ծովախոտ", "zostère naine"],
)
def test_the_shipped_fonts_draw_many_scripts(name: str) -> None:
    """Latin, Cyrillic, Greek, Arabic, Hebrew and Armenian names are drawn as they are on any machine."""
    assert readable(name, 3) == name
    assert all(font_of(letter) in (DEFAULT, SHIPPED) for letter in name)
    mask = text_mask(name, 20)
    assert mask.max() == 255
    assert (mask[:, -3:] == 0).all()


@pytest.mark.usefixtures("_no_fonts")
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("海草", "class 3"),
        ("sea 海草", "sea"),
        ("", "class 3"),
        ("a\nb\u202e", "a b\\u202e"),
        ("👩\u200d🔬", "class 3"),
    ],
)
def test_a_name_that_no_font_has_is_readable(name: str, shown: str) -> None:
    """Its ASCII letters remain, or the number of its class; control characters are escaped."""
    assert readable(name, 3) == shown


@pytest.mark.usefixtures("_no_fonts")
def test_a_font_of_the_system_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A font in a folder of the system, or of QUADRAT_FONTS, is used for letters that no earlier one has."""
    monkeypatch.setattr(text, "SHIPPED", tmp_path / "none.ttf")
    assert readable("песок", 3) == "class 3"
    for folder, name in ((tmp_path / "noto", "NotoSans-Regular.ttf"), (tmp_path / "mine", "any.ttf")):
        for cached in (text._candidates, text.font_of, text._has, text.readable):
            cached.cache_clear()
        folder.mkdir()
        (folder / name).write_bytes(SHIPPED.read_bytes())
        if folder.name == "mine":
            monkeypatch.setenv("QUADRAT_FONTS", str(folder))
        assert readable("песок", 3) == "песок"
        assert font_of("п") == folder / name


@pytest.mark.usefixtures("_no_fonts")
def test_a_damaged_font_is_not_used(tmp_path: Path) -> None:
    """What looks like a font by its name and is none changes nothing."""
    (tmp_path / "NotoSansCJK-Regular.ttc").write_bytes(b"no font")
    assert readable("海", 3) == "class 3"
    assert readable("песок", 3) == "песок"


def test_several_fonts_draw_one_text() -> None:
    """Letters that one font lacks come from another; the width is that of all parts."""
    assert text_width("sand песок", 20) > text_width("sand ", 20)
    image = Image.new("L", (200, 40), 0)
    draw_text(image, (0, 20), "sand песок", 20, 255)
    width = text_width("sand песок", 20)
    assert np.array(image)[:, width - 8 : width].any()
    assert not np.array(image)[:, width + 3 :].any()


def test_a_long_text_is_shortened() -> None:
    """It ends with three dots and fits; a short one is not changed."""
    assert shortened("sand", 20, 200) == "sand"
    cut = shortened("sand" * 50, 20, 200)
    assert cut.endswith("...")
    assert text_width(cut, 20) <= 200
    assert shortened("sand", 20, 1) == "..."
