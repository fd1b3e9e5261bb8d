"""Enhanced pictures and frames of enhanced videos, as they are delivered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quadrat.geometry import HW
from quadrat.media.alike import Alike, alike
from quadrat.parameters import PictureSettings
from quadrat.predictions import Enhanced
from quadrat.stores.temporary import temporary_folder
from quadrat.types import ClassInfo, Frame, ImageU8, Original


@dataclass(frozen=True, slots=True, eq=False)
class EnhancedPicture:
    """One encoded picture; `lost` is what its source has and it lacks. A file is deleted when the next is requested."""

    suffix: str
    mime: str
    body: bytes | Path
    lost: tuple[str, ...] = ()


def draw_enhanced(frame: Frame, pixels: ImageU8) -> Iterator[EnhancedPicture]:
    """Yield the picture of an image, stored as its source was; a large one is a file. `frame` is the image as read.

    Metadata that cannot be written is left out, and named as lost.
    """
    with temporary_folder("picture") as folder:
        made, body = _written(pixels, frame.original, frame.source_hw, folder)
        yield EnhancedPicture(made.suffix, made.mime, body, made.lost)


def _written(
    pixels: ImageU8, original: Original | None, source_hw: HW, folder: Path
) -> tuple[Alike, bytes | Path]:
    made = alike(pixels, original, source_hw)
    path = folder / f"enhanced{made.suffix}"
    try:
        if not made.on_disk:
            return made, made.body()
        made.write(path)
    except (OSError, MemoryError):  # of the disk or the machine, not of the metadata
        raise
    except Exception:  # whatever the metadata of a file contains, it must not end the order
        if original is None or "metadata" in original.lost:
            raise
        bare = replace(original, exif=b"", profile=b"", tags={}, lost=(*original.lost, "metadata"))
        return _written(pixels, bare, source_hw, folder)
    return made, path


def annotate(
    _frame: Frame, enhanced: Enhanced, _classes: Sequence[ClassInfo], _pictures: PictureSettings
) -> ImageU8:
    """Return the enhanced frame (H, W, 3) uint8 RGB itself: nothing is drawn into it."""
    return enhanced.pixels
