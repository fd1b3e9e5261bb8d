"""Read headers, pixels and EXIF with Pillow, without its warnings and with quadrat's errors."""

from __future__ import annotations

import importlib
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
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
from quadrat.media.depth import shifted
from quadrat.media.exif import kept_tags, orientation
from quadrat.media.kinds import CONVERSIONS

_OPEN: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
_EXTRA: Mapping[str, str] = MappingProxyType(
    {"HEIC": "pi_heif:HeifImageFile", "JPEG XL": "pylibjxl.pillow_plugin:JxlImageFile"}
)
"""Plug-ins of the extra `formats`, as module:attribute. Both are free of the GPL: decoders without an encoder of H.265."""
_UNSUPPORTED = ("unknown", "unsupported", "cannot handle", "not supported")
_NO_PIXELS = "data organization"  # a TIFF that ends within its tags lists neither strips nor tiles

# Pillow warns of unusual headers and EXIF. Python's warning filters are global, so only one thread may change them.
_header_lock = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Pillow's warnings; quadrat checks the relevant conditions itself."""
    with _header_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def plugin(kind: str) -> type[ImageFile.ImageFile]:
    """Return the plug-in class of a format; ImageFormatError if it belongs to an extra that is not installed."""
    if kind in _OPEN:
        return _OPEN[kind]
    module, _, name = _EXTRA[kind].partition(":")
    try:
        found: type[ImageFile.ImageFile] = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ImageFormatError(
            f"this is {kind}, which needs the extra `formats`",
            hint=f"Install it with pip install '.[formats]', or convert the picture: {CONVERSIONS[kind]}",
        ) from error
    return found


def open_header(stream: IO[bytes], kind: str) -> ImageFile.ImageFile:
    """Read the header of a file of `kind` with the plug-in class, as Image.open warns of sizes that are allowed here.

    Raises ImageFormatError for a variant of the format that Pillow does not support, else ImageTruncatedError.
    """
    opener = plugin(kind)
    try:
        with quiet():
            return opener(stream)
    except MemoryError:
        raise
    except Exception as error:  # an invalid header can raise anything in Pillow
        reason = str(error).lower()
        if any(word in reason for word in _UNSUPPORTED) and _NO_PIXELS not in reason:
            raise ImageFormatError(
                f"this variant of {kind} is not supported ({error})", hint="Save it as 8-bit RGB"
            ) from error
        raise damaged(kind, error) from error


def damaged(kind: str, error: Exception | str) -> ImageTruncatedError:
    """Return the error for a file that ends early or is damaged."""
    reason = str(error) or type(error).__name__
    return ImageTruncatedError(
        f"the {kind} file ends early or is damaged ({reason})",
        hint="Copy it again from the camera, or save it again",
    )


def check_mode(image: Image.Image) -> None:
    """Raise ImageFormatError for pixel types without a defined brightness range."""
    if image.mode in ("I", "F", "LAB", "HSV", "I;16S"):
        raise ImageFormatError(
            f"pixels of type {image.mode} have no defined brightness range",
            hint="Save it as 8-bit or 16-bit RGB or grey",
        )


def load(image: ImageFile.ImageFile, kind: str) -> None:
    """Decode the image's pixels; raise ImageTruncatedError if they are damaged."""
    try:
        if kind == "TIFF":
            with quiet():  # this reads EXIF as well
                image.load()
        else:
            image.load()
    except MemoryError:
        raise
    except Exception as error:  # damaged data can raise anything in Pillow
        raise damaged(kind, error) from error


def strip(image: Image.Image, bits: int = 16) -> NDArray[Any]:
    """Return pixels (h, w, 3) uint8 RGB, or (h, w, 1) for 16-bit grey; drops alpha, and keeps the high 8 of `bits` bits."""
    if image.mode.startswith("I;16"):
        return shifted(np.asarray(image), bits)[..., None]
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def exif(image: ImageFile.ImageFile) -> tuple[int, dict[str, str]]:
    """Return the orientation and the tags to keep; damaged EXIF counts as none."""
    try:
        with quiet():
            tags = image.getexif()
            # A JPEG XL states its orientation itself, and its decoder has applied it; so has that of HEIC.
            turn = 1 if image.format in ("JXL", "HEIF") else orientation(tags)
            return turn, kept_tags(tags)
    except Exception:  # noqa: BLE001 - invalid EXIF can raise anything in Pillow
        return 1, {}
