"""Identify file types by their first bytes."""

from __future__ import annotations

VIDEO_HINT = "Use --video or --videos for videos"
PICTURE_HINT = "Use --image or --images for pictures"
"""Hints for a file of the other kind, by the command line's options; the Python API has its own."""

RAW = "a raw file of a camera"
CONVERSIONS = {
    "HEIC": "heif-convert in.heic out.jpg",
    "JPEG XL": "djxl in.jxl out.png",
    "an AVIF": "avifdec in.avif out.png",
    "a JPEG 2000": "opj_decompress -i in.jp2 -o out.png",
    RAW: "darktable-cli in.raw out.jpg",
}
"""A command that makes a picture of a supported format, by kind."""

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (8, b"WEBP", "WEBP"),
    (0, b"BM", "BMP"),
    (0, b"GIF8", "a GIF"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript drawing"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript drawing"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"SIMPLE  =", "a FITS file"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (4, b"ftypavif", "an AVIF"),
    (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (4, b"ftypcrx", RAW),
    (0, b"FUJIFILMCCD-RAW", RAW),
    (0, b"IIU\0", RAW),
    (0, b"IIRO", RAW),
    (0, b"IIRS", RAW),
    (4, b"ftyp", "a video"),
    (0, b"RIFF", "a video or sound file"),
)


def looks_like(body: bytes) -> str:
    """Return the type of a file from its first bytes: one of IMAGE_FORMATS or EXTRA_FORMATS, or words for errors."""
    for offset, magic, kind in _MAGIC:
        if body.startswith(magic, offset):
            return kind
    head = body[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return "an SVG drawing"
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if not any(byte < 9 or 13 < byte < 32 for byte in head):
        return "a text file"
    return "unknown data"
