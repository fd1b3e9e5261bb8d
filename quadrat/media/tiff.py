"""Read the layout of a TIFF: its pages, and the tiles or strips of the first one, each as a separate file.

Pillow reads the tags, and its libtiff decodes, but only whole pictures. So each tile or strip (a piece) is
wrapped in a small TIFF of one strip, with the tags that describe its encoding. Tag names are those of the
TIFF 6.0 specification; BigTIFF differs only in the width of its numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

from PIL.TiffImagePlugin import TiffImageFile

from quadrat.errors import ImageFormatError
from quadrat.geometry import HW, Window
from quadrat.media.pillow import damaged

MAX_PIECE_PIXELS = 32_000_000
"""Larger compressed tiles and strips are refused: they can only be decoded as a whole, in memory."""
MAX_TAG_BYTES = 1 << 28
"""Larger tags are refused: Pillow reads every tag of the header. The list of a mosaic's tiles takes a few megabytes."""
JPEG = 7
"""Value of the Compression tag for JPEG (as opposed to old-style JPEG, 6)."""
_RAW, _OLD_JPEG = 1, 6
_RAW_PIXELS = 1 << 20
_MAX_PAGES = 1000
_REDUCED_OR_MASK = 1 | 4
_GREY, _RGB, _YCBCR = 1, 2, 6

_SUBFILE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS, _PLANAR = 273, 277, 278, 279, 284
_PREDICTOR, _COLOR_MAP, _TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS = 317, 320, 322, 323, 324, 325
_INK_SET, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _JPEG_TABLES, _SUBSAMPLING, _DNG = 332, 338, 339, 347, 530, 50706
_PIECE_TAGS = (_BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _SAMPLES, _PREDICTOR, _COLOR_MAP, _INK_SET, _EXTRA_SAMPLES,
               _SAMPLE_FORMAT, _SUBSAMPLING)  # fmt: skip
_PLANE_TAGS = (_COMPRESSION, _FILL_ORDER, _PREDICTOR)
_LONGS = (_WIDTH, _LENGTH, _STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_COUNTS)
_SHORT, _LONG, _UNDEFINED = 3, 4, 7
_LETTERS = {_SHORT: "H", _LONG: "L", _UNDEFINED: "B"}
_MAX_TAGS = 10_000
_TYPE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_UNPACKED = {
    22610: "JPEG XR", 32766: "NeXT", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 34661: "JBIG",
    34712: "JPEG 2000", 34713: "Nikon NEF", 34715: "JBIG2", 34887: "LERC", 34892: "lossy JPEG of a DNG", 34933: "PNG",
    34934: "JPEG XR", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL", 65000: "Kodak DCR", 65535: "Pentax PEF",
}  # fmt: skip
"""Values of the Compression tag that libtiff cannot decode here."""

Tags = dict[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Piece:
    """One tile or strip: its window in the picture, its encoded (height, width), and its bytes in the file.

    `plane` is the channel it holds, or None if channels are interleaved. A `count` of 0 marks a piece that was
    never written: its pixels are 0.
    """

    window: Window
    packed_hw: HW
    plane: int | None
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """The tiles or strips of the first page of a TIFF.

    `hw` is the stored (height, width), and `block_hw` that of a tile, or of a strip except the last; `order` is
    "<" or ">" for the byte order; `planes` is 1 if channels are interleaved; `tags` are the tags of every
    piece, and `tables` the tables that its JPEG pieces share.
    """

    hw: HW
    block_hw: HW
    tiled: bool
    planes: int
    order: str
    tags: Tags
    offsets: Sequence[int]
    counts: Sequence[int]
    tables: bytes = b""

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces row by row, plane by plane, of the first three planes only."""
        (height, width), (block_h, block_w) = self.hw, self.block_hw
        places = [(top, left) for top in range(0, height, block_h) for left in range(0, width, block_w)]
        for plane in range(min(self.planes, 3)):
            start = plane * len(places)
            for index, (top, left) in enumerate(places, start):
                window = Window(top, left, min(block_h, height - top), min(block_w, width - left))
                packed = self.block_hw if self.tiled else (window.height, width)
                channel = plane if self.planes > 1 else None
                yield Piece(window, packed, channel, self.offsets[index], self.counts[index])

    @property
    def jpeg_transform(self) -> int | None:
        """Colour transform of JPEG pieces for Adobe's marker: 0 for RGB or grey, 1 for YCbCr; None for other pieces."""
        if self.tags[_COMPRESSION] != (JPEG,) or self.tags[_SAMPLES] not in ((1,), (3,)):
            return None
        return int(self.tags[_PHOTOMETRIC] == (_YCBCR,))

    def as_file(self, piece: Piece, body: bytes) -> bytes:
        """Return a TIFF of one strip that contains the piece."""
        height, width = piece.packed_hw
        tags = self.tags | {_WIDTH: (width,), _LENGTH: (height,), _ROWS_PER_STRIP: (height,)}
        tags |= {_STRIP_COUNTS: (len(body),), _STRIP_OFFSETS: (0,)}
        tags |= {_STRIP_OFFSETS: (len(_tiff_header(tags, self.tables, self.order)),)}
        return _tiff_header(tags, self.tables, self.order) + body

    def jpeg_stream(self, body: bytes) -> bytes:
        """Return a JPEG piece as a complete stream, with the shared tables and its colour transform."""
        adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([self.jpeg_transform or 0])
        return body[:2] + adobe + self.tables[2:-2] + body[2:]


def check_tags(stream: IO[bytes]) -> None:
    """Refuse a TIFF of a compression that cannot be decoded, or with a huge tag, before Pillow reads it.

    Raises ImageFormatError. A file whose tags cannot be found is left to Pillow.
    """
    stream.seek(0)
    order = "<" if stream.read(2) == b"II" else ">"
    try:
        entries = next(_pages(stream, order), [])
    except (struct.error, OverflowError, OSError):
        return
    for tag, form, count, value in entries:
        if tag == _COMPRESSION and value in _UNPACKED:
            raise ImageFormatError(
                f"the TIFF is packed with {_UNPACKED[value]}, which is not supported",
                hint="Save it with Deflate, for example with gdal_translate -co COMPRESS=DEFLATE in.tif out.tif",
            )
        if (size := count * _TYPE_BYTES.get(form, 1)) > MAX_TAG_BYTES:
            raise ImageFormatError(
                f"its tag {tag} has {size / 1e9:.1f} GB", hint="Save it again without that tag"
            )


def has_jpegs(image: TiffImageFile) -> bool:
    """Return True if the tiles or strips of a picture are JPEGs that can be decoded one by one, to RGB."""
    tags = image.tag_v2
    colours = (tags.get(_SAMPLES, 1), tags.get(_PHOTOMETRIC))
    return tags.get(_COMPRESSION) == JPEG and colours in ((1, _GREY), (3, _RGB), (3, _YCBCR))


def check_pages(image: TiffImageFile) -> None:
    """Refuse files with several pictures, and camera raw files; reduced copies and masks of the picture do not count.

    Raises ImageFormatError, and ImageTruncatedError if the list of pages cannot be read.
    """
    if _DNG in image.tag_v2 or image.tag_v2.get(_SUBFILE) == 1:
        raise ImageFormatError(
            "camera raw files are not supported",
            hint="Develop it to JPEG or TIFF, for example with darktable-cli",
        )
    if image.fp is None:
        raise damaged("TIFF", "it is closed")
    position = image.fp.tell()
    try:
        kinds = list(_page_kinds(image.fp, "<" if image.tag_v2.prefix == b"II" else ">"))
    except (struct.error, OverflowError, OSError) as error:
        raise damaged("TIFF", "its list of pages is broken") from error
    finally:
        image.fp.seek(position)
    if not all(kind & _REDUCED_OR_MASK for kind in kinds[1:]):
        raise ImageFormatError(
            "the TIFF file contains several pictures", hint="Save each picture as a separate file"
        )


def read_layout(image: TiffImageFile, size: int, max_piece: int = MAX_PIECE_PIXELS) -> TiffLayout:
    """Read the layout of the first page of a file of `size` bytes, with pieces of at most `max_piece` pixels.

    Raises ImageFormatError for an encoding that cannot be read piece by piece, and ImageTruncatedError for
    tags that are inconsistent or point beyond the end of the file.
    """
    tags = image.tag_v2
    try:
        hw = (int(tags[_LENGTH]), int(tags[_WIDTH]))
        tiled = _TILE_OFFSETS in tags
        block = (int(tags[_TILE_LENGTH]), int(tags[_TILE_WIDTH])) if tiled else _strip_hw(tags, hw)
        offsets = _numbers(tags[_TILE_OFFSETS if tiled else _STRIP_OFFSETS])
        counts = _numbers(tags[_TILE_COUNTS if tiled else _STRIP_COUNTS])
        planes = _samples(tags) if tags.get(_PLANAR, 1) == 2 else 1
        kept = _piece_tags(tags, planes)
        tables = tags.get(_JPEG_TABLES, b"")
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise damaged("TIFF", "its tags contradict each other") from error
    if min(*hw, *block) < 1:
        raise damaged("TIFF", "its tiles or strips have no pixels")
    order = "<" if tags.prefix == b"II" else ">"
    found = TiffLayout(hw, block, tiled, planes, order, kept, offsets, counts, tables)
    _check_offsets(found, size)
    found = _split_raw_strip(found)
    _check_encoding(found, max_piece)
    return found


def _strip_hw(tags: Any, hw: HW) -> HW:
    return min(int(tags.get(_ROWS_PER_STRIP, hw[0])), hw[0]), hw[1]


def _samples(tags: Any) -> int:
    return int(tags.get(_SAMPLES, 1))


def _piece_tags(tags: Any, planes: int) -> Tags:
    """Return the tags needed to decode a piece; a single plane is decoded as a grey picture."""
    kept: Tags = {tag: _numbers(tags[tag]) for tag in _PIECE_TAGS if tag in tags}
    kept = {_COMPRESSION: (1,), _SAMPLES: (1,), _BITS: (1,), **kept}
    if planes == 1:
        return kept
    if kept[_PHOTOMETRIC] not in ((_RGB,), (0,), (1,)):
        raise ImageFormatError(
            "a TIFF with separate planes must be grey or RGB",
            hint="Save it with interleaved channels",
        )
    plane = {tag: kept[tag] for tag in _PLANE_TAGS if tag in kept}
    return {**plane, _SAMPLES: (1,), _BITS: kept[_BITS][:1], _PHOTOMETRIC: (_GREY,)}


def _check_encoding(found: TiffLayout, max_piece: int) -> None:
    if found.tags[_COMPRESSION] == (_OLD_JPEG,):
        raise ImageFormatError(
            "old-style JPEG compression in TIFF is not supported", hint="Save it again, with tiles and LZW"
        )
    if (pixels := found.block_hw[0] * found.block_hw[1]) > max_piece:
        raise ImageFormatError(
            f"tiles or strips of {pixels // 10**6} million pixels are too large to decode one by one",
            hint="Save it with tiles, for example with gdal_translate -co TILED=YES",
        )


def _check_offsets(found: TiffLayout, size: int) -> None:
    """Raise ImageTruncatedError if offsets are missing or point beyond the file, before anything is decoded."""
    (height, width), (block_h, block_w) = found.hw, found.block_hw
    expected = found.planes * -(-height // block_h) * -(-width // block_w)
    if min(len(found.offsets), len(found.counts)) < expected:
        raise damaged("TIFF", f"it lists {len(found.offsets)} of {expected} tiles or strips")
    if any(offset + count > size for offset, count in zip(found.offsets, found.counts, strict=False)):
        raise damaged("TIFF", "its pixels lie beyond the end of the file")


def _split_raw_strip(found: TiffLayout) -> TiffLayout:
    """Split a single uncompressed strip for the whole picture into strips of a few rows."""
    (height, width), rows = found.hw, max(1, _RAW_PIXELS // found.hw[1])
    bits, samples = found.tags[_BITS], found.tags[_SAMPLES][0]
    row_bytes = -(-width * (sum(bits) if len(bits) == samples else bits[0] * samples) // 8)
    whole = not found.tiled and found.block_hw[0] == height and min(found.counts) == height * row_bytes
    if found.tags[_COMPRESSION] != (_RAW,) or not whole or rows >= height:
        return found
    tops = range(0, height, rows)
    offsets = [start + top * row_bytes for start in found.offsets[: found.planes] for top in tops]
    counts = [min(rows, height - top) * row_bytes for _ in range(found.planes) for top in tops]
    return replace(found, block_hw=(rows, width), offsets=offsets, counts=counts)


def _page_kinds(stream: IO[bytes], order: str) -> Iterator[int]:
    """Yield each page's NewSubfileType: bit 0 for a reduced copy, bit 2 for a mask, 0 for a picture."""
    for entries in _pages(stream, order):
        yield next((value for tag, _, _, value in entries if tag == _SUBFILE), 0)


def _pages(stream: IO[bytes], order: str) -> Iterator[list[tuple[int, int, int, int]]]:
    """Yield the entries of each page: tag, type, count, and the value if it is a single number, else its offset."""
    stream.seek(2)
    big = struct.unpack(order + "H", stream.read(2)) == (43,)
    count_form, entry_bytes, next_form = ("Q", 20, "Q") if big else ("H", 12, "L")
    stream.seek(8 if big else 4)
    (offset,) = struct.unpack(order + next_form, stream.read(struct.calcsize(order + next_form)))
    for _ in range(_MAX_PAGES):
        if not offset:
            return
        stream.seek(offset)
        (count,) = struct.unpack(order + count_form, stream.read(struct.calcsize(order + count_form)))
        if count > _MAX_TAGS:
            raise OverflowError
        body = stream.read(count * entry_bytes)
        (offset,) = struct.unpack(order + next_form, stream.read(struct.calcsize(order + next_form)))
        yield [_entry(body, start, order, big=big) for start in range(0, len(body), entry_bytes)]
    raise OverflowError


def _entry(body: bytes, start: int, order: str, *, big: bool) -> tuple[int, int, int, int]:
    tag, form = struct.unpack_from(order + "HH", body, start)
    (count,) = struct.unpack_from(order + ("Q" if big else "L"), body, start + 4)
    (value,) = struct.unpack_from(order + ("H" if form == _SHORT else "L"), body, start + (12 if big else 8))
    return tag, form, count, value


def _tiff_header(tags: Tags, tables: bytes, order: str) -> bytes:
    """Return the header of a TIFF with one page, to be followed by its pixels."""
    fields = [(tag, _LONG if tag in _LONGS else _SHORT, value) for tag, value in tags.items()]
    fields += [(_JPEG_TABLES, _UNDEFINED, tuple(tables))] if tables else []
    entries, after = [], b""
    start = 8 + 2 + 12 * len(fields) + 4
    for tag, form, value in sorted(fields):
        count = len(value)
        data = struct.pack(f"{order}{count}{_LETTERS[form]}", *value)
        if len(data) > 4:
            place = struct.pack(order + "L", start + len(after))
            after += data + b"\0" * (len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        entries.append(struct.pack(order + "HHL", tag, form, count) + place)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HLH", 42, 8, len(entries))
    return head + b"".join(entries) + bytes(4) + after


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in value) if isinstance(value, tuple) else (int(value),)
