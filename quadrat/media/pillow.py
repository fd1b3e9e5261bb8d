"""Pillow, kept strict and silent: headers, strips of pixels, EXIF, and its errors in our words."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

# Importing a plug-in registers its format in Image.OPEN.
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from quadrat.errors import ImageFormatError, ImageTruncatedError
from quadrat.media.exif import kept_tags, orientation

_OPEN: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
_UNSUPPORTED = ("unknown", "unsupported", "cannot handle", "not supported")
_NO_PIXELS = "data organization"  # a TIFF that ends within its tags lists neither strips nor tiles

# Pillow warns of odd headers and EXIF; Python's filters are the process's, hence one at a time.
_header_lock = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings to ourselves; what matters in them is checked."""
    with _header_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_header(stream: IO[bytes], kind: str) -> ImageFile.ImageFile:
    """Read the header of a file of `kind`; the class itself, as Image.open would warn of sizes that we accept.

    Raises ImageFormatError for a kind within the format that Pillow does not know, ImageTruncatedError otherwise.
    """
    try:
        with quiet():
            return _OPEN[kind](stream)
    except MemoryError:
        raise
    except Exception as error:  # a header from a stranger can raise anything in Pillow
        reason = str(error).lower()
        if any(word in reason for word in _UNSUPPORTED) and _NO_PIXELS not in reason:
            raise ImageFormatError(
                f"a {kind} of a kind we do not read ({error})", hint="Save it as 8-bit RGB"
            ) from error
        raise damaged(kind, error) from error


def damaged(kind: str, error: Exception | str) -> ImageTruncatedError:
    """Make the error of a file that ends early or is damaged."""
    reason = str(error) or type(error).__name__
    return ImageTruncatedError(
        f"the {kind} file ends early or is damaged ({reason})",
        hint="Copy it again from the camera, or save it anew",
    )


def check_mode(image: Image.Image) -> None:
    """Refuse numbers of which nobody has said how bright they are."""
    if image.mode in ("I", "F", "LAB", "HSV", "I;16S"):
        raise ImageFormatError(
            f"pixels of type {image.mode} have no agreed brightness",
            hint="Save it as 8-bit or 16-bit RGB or grey",
        )


def load(image: ImageFile.ImageFile, kind: str) -> None:
    """Decode the pixels into the image; ImageTruncatedError where they are damaged."""
    try:
        if kind == "TIFF":
            with quiet():  # reads EXIF as well
                image.load()
        else:
            image.load()
    except MemoryError:
        raise
    except Exception as error:  # damaged data can raise anything in Pillow
        raise damaged(kind, error) from error


def strip(image: Image.Image) -> NDArray[Any]:
    """Give RGB (h, w, 3), or grey (h, w, 1) for RGB; alpha dropped, 16 bits cut to the high byte."""
    if image.mode.startswith("I;16"):
        return (np.asarray(image) >> 8)[..., None]
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def exif(image: ImageFile.ImageFile) -> tuple[int, dict[str, str]]:
    """Give the orientation and the tags kept; broken EXIF is as none, it is no part of the picture."""
    try:
        with quiet():
            tags = image.getexif()
            return orientation(tags), kept_tags(tags)
    except Exception:  # noqa: BLE001 - EXIF from a stranger can raise anything in Pillow
        return 1, {}
