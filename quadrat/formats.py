"""The file formats that quadrat reads: names, suffixes, and their names in hints."""

from __future__ import annotations

from pathlib import PurePath

IMAGE_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
"""Image formats, by Pillow's names. An MPO file is a JPEG with more images after the first."""
IMAGE_WORDS = "JPEG, PNG, TIFF, WebP or BMP"
"""The same formats in a sentence."""
EXTRA_FORMATS = ("HEIC", "JPEG XL")
"""Image formats that need the extra `formats`: their decoders are not part of Pillow."""
_READABLE = (".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")
_UNREADABLE = (".avif", ".gif", ".heic", ".heif", ".jp2", ".jxl")
IMAGE_SUFFIXES = frozenset((*_READABLE, *_UNREADABLE))
"""Suffixes of files that are read as images. They include those of unsupported formats, so that the table reports
such a file as failed, with a reason, instead of skipping it."""
RAW_SUFFIXES = frozenset((".arw", ".cr2", ".cr3", ".dng", ".gpr", ".nef", ".orf", ".raf", ".rw2"))
"""Suffixes of raw files of cameras."""
LIST_SUFFIXES = frozenset((".json", ".jsonl", ".ndjson"))
"""Suffixes of files that list instances: JSON lines, or one JSON document."""
VIDEO_CONTAINERS = (
    "mov", "mp4", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "mxf", "ogg", "asf", "ivf", "h264",
    "hevc",
)  # fmt: skip
"""Video containers, by FFmpeg's names. None of them names other files that FFmpeg would open."""
VIDEO_SUFFIXES = frozenset((
    ".264", ".265", ".3gp", ".asf", ".avi", ".flv", ".h264", ".h265", ".hevc", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
    ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
))  # fmt: skip
"""Suffixes of files that are read as videos."""
VIDEO_WORDS = "mp4, mov, avi, mkv, ..."
"""The most common of them, for a hint."""


def skip_reason(name: str, *, moving: bool = False) -> str | None:
    """Return why a file of this name is not an image (or a video, if `moving`), or None to read it."""
    if name.startswith(".ivcap-") and name.endswith(".txt"):
        return "it is a marker of the ivcap tools"
    if name.startswith("."):
        return "its name starts with a dot"
    suffix = PurePath(name).suffix.lower()
    if moving and suffix in IMAGE_SUFFIXES:
        return "it is a picture in a folder with videos; only a folder without videos is a sequence"
    if suffix in RAW_SUFFIXES:
        return (
            "it is a raw file of a camera; its JPEG is measured if there is one, else develop it to JPEG or TIFF, "
            "for example with darktable-cli"
        )
    if suffix in (VIDEO_SUFFIXES if moving else IMAGE_SUFFIXES):
        return None
    kind = "video" if moving else "image"
    return (
        f"{suffix} is not a suffix of {'videos' if moving else 'images'}"
        if suffix
        else f"its name has no {kind} suffix"
    )
