"""Enhanced pictures and frames of enhanced videos, as they are delivered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from quadrat.media.alike import alike
from quadrat.parameters import PictureSettings
from quadrat.predictions import Enhanced
from quadrat.stores.temporary import temporary_folder
from quadrat.types import ClassInfo, Frame, ImageU8


@dataclass(frozen=True, slots=True, eq=False)
class EnhancedPicture:
    """One encoded picture; `lost` is what its source has and it lacks. A file is deleted when the next is requested."""

    suffix: str
    mime: str
    body: bytes | Path
    lost: tuple[str, ...] = ()


def draw_enhanced(frame: Frame, pixels: ImageU8) -> Iterator[EnhancedPicture]:
    """Yield the picture of an image, stored as its source was; a large one is a file. `frame` is the image as read."""
    made = alike(pixels, frame.original, frame.source_hw)
    if not made.on_disk:
        yield EnhancedPicture(made.suffix, made.mime, made.body(), made.lost)
        return
    with temporary_folder("picture") as folder:
        path = folder / f"enhanced{made.suffix}"
        made.write(path)
        yield EnhancedPicture(made.suffix, made.mime, path, made.lost)


def annotate(
    _frame: Frame, enhanced: Enhanced, _classes: Sequence[ClassInfo], _pictures: PictureSettings
) -> ImageU8:
    """Return the enhanced frame (H, W, 3) uint8 RGB itself: nothing is drawn into it."""
    return enhanced.pixels
