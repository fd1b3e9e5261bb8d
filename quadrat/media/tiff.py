"""Where the pixels of a TIFF lie: its pages, and the tiles or strips of the first one, each as a file of its own.

Pillow reads the tags; libtiff inside it decodes, but only whole pictures. So each piece is handed to it
as a small TIFF of one strip, with the tags that say how the piece is packed. Names of tags are those of
the TIFF 6.0 specification; BigTIFF differs in the width of its numbers only.
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
"""A packed tile or strip of more pixels is refused: it can only be decoded whole, in memory."""
JPEG = 7
"""The value of Compression for baseline JPEG."""
_RAW, _OLD_JPEG = 1, 6
_RAW_PIXELS = 1 << 20
_MAX_PAGES = 1000
_REDUCED_OR_MASK = 1 | 4
_GREY, _RGB, _YCBCR = 1, 2, 6

_SUBFILE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS, _PLANAR = 273, 277, 278, 279, 284
_PREDICTOR, _COLOR_MAP, _TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS = 317, 320, 322, 323, 324, 325
_INK_SET, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _JPEG_TABLES, _SUBSAMPLING, _DNG = 332, 338, 339, 347, 530, 50706
_OF_A_PIECE = (_BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _SAMPLES, _PREDICTOR, _COLOR_MAP, _INK_SET, _EXTRA_SAMPLES,
               _SAMPLE_FORMAT, _SUBSAMPLING)  # fmt: skip
_OF_A_PLANE = (_COMPRESSION, _FILL_ORDER, _PREDICTOR)
_LONGS = (_WIDTH, _LENGTH, _STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_COUNTS)
_SHORT, _LONG, _UNDEFINED = 3, 4, 7
_LETTERS = {_SHORT: "H", _LONG: "L", _UNDEFINED: "B"}
_MAX_TAGS = 10_000

Tags = dict[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Piece:
    """One tile or strip: the pixels it gives, the (height, width) it is packed in, and its bytes in the file.

    `plane` says which channel it holds, None where the channels of a pixel lie together; `count` 0 marks a
    piece that was never written: its pixels are 0.
    """

    window: Window
    packed_hw: HW
    plane: int | None
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How the first page of a TIFF is packed.

    `hw` stored (height, width); `block_hw` that of a tile, or of a strip but the last; `order` "<" or ">";
    `planes` 1 where the channels of a pixel lie together; `tags` are those of every piece, and `tables` what
    its JPEG pieces have in common.
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
        """Yield the pieces row by row, plane after plane; of more than three planes only the first three."""
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
        """How the colours of JPEG pieces are coded, as Adobe's marker says it (0 RGB or grey, 1 YCbCr); None for others."""
        if self.tags[_COMPRESSION] != (JPEG,) or self.tags[_SAMPLES] not in ((1,), (3,)):
            return None
        return int(self.tags[_PHOTOMETRIC] == (_YCBCR,))

    def as_file(self, piece: Piece, body: bytes) -> bytes:
        """Write a TIFF of one strip that holds the piece."""
        height, width = piece.packed_hw
        tags = self.tags | {_WIDTH: (width,), _LENGTH: (height,), _ROWS_PER_STRIP: (height,)}
        tags |= {_STRIP_COUNTS: (len(body),), _STRIP_OFFSETS: (0,)}
        tags |= {_STRIP_OFFSETS: (len(_directory(tags, self.tables, self.order)),)}
        return _directory(tags, self.tables, self.order) + body

    def jpeg_stream(self, body: bytes) -> bytes:
        """Write a JPEG piece as a stream of its own: the common tables put in, its colours said."""
        adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([self.jpeg_transform or 0])
        return body[:2] + adobe + self.tables[2:-2] + body[2:]


def check_pages(image: TiffImageFile) -> None:
    """Refuse a file of several pictures, and a camera's raw file; smaller copies and masks of the picture are no pictures.

    Raises ImageFormatError, and ImageTruncatedError where the pages cannot be walked through.
    """
    if _DNG in image.tag_v2 or image.tag_v2.get(_SUBFILE) == 1:
        raise ImageFormatError("a camera's raw file", hint="Develop it to JPEG or TIFF first")
    if image.fp is None:
        raise damaged("TIFF", "it is closed")
    position = image.fp.tell()
    try:
        kinds = list(_pages(image.fp, "<" if image.tag_v2.prefix == b"II" else ">"))
    except (struct.error, OverflowError, OSError) as error:
        raise damaged("TIFF", "its list of pages is broken") from error
    finally:
        image.fp.seek(position)
    if not all(kind & _REDUCED_OR_MASK for kind in kinds[1:]):
        raise ImageFormatError("a TIFF of several pictures", hint="Save each picture as a file of its own")


def layout(image: TiffImageFile, size: int) -> Layout:
    """Read how the first page of a file of `size` bytes is packed.

    Raises ImageFormatError for a way of packing that cannot be read piece by piece, ImageTruncatedError for
    one that contradicts itself or points beyond the file.
    """
    tags = image.tag_v2
    try:
        hw = (int(tags[_LENGTH]), int(tags[_WIDTH]))
        tiled = _TILE_OFFSETS in tags
        block = (int(tags[_TILE_LENGTH]), int(tags[_TILE_WIDTH])) if tiled else _strip_hw(tags, hw)
        offsets = _numbers(tags[_TILE_OFFSETS if tiled else _STRIP_OFFSETS])
        counts = _numbers(tags[_TILE_COUNTS if tiled else _STRIP_COUNTS])
        planes = _samples(tags) if tags.get(_PLANAR, 1) == 2 else 1
        kept = _kept(tags, planes)
        tables = tags.get(_JPEG_TABLES, b"")
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise damaged("TIFF", "its tags contradict each other") from error
    if min(*hw, *block) < 1:
        raise damaged("TIFF", "its pieces have no pixels")
    order = "<" if tags.prefix == b"II" else ">"
    found = Layout(hw, block, tiled, planes, order, kept, offsets, counts, tables)
    _check_places(found, size)
    found = _split(found)
    _check_packing(found)
    return found


def _strip_hw(tags: Any, hw: HW) -> HW:
    return min(int(tags.get(_ROWS_PER_STRIP, hw[0])), hw[0]), hw[1]


def _samples(tags: Any) -> int:
    return int(tags.get(_SAMPLES, 1))


def _kept(tags: Any, planes: int) -> Tags:
    """Give the tags that a piece needs to be decoded; a plane is decoded as a grey picture."""
    kept: Tags = {tag: _numbers(tags[tag]) for tag in _OF_A_PIECE if tag in tags}
    kept = {_COMPRESSION: (1,), _SAMPLES: (1,), _BITS: (1,), **kept}
    if planes == 1:
        return kept
    if kept[_PHOTOMETRIC] not in ((_RGB,), (0,), (1,)):
        raise ImageFormatError(
            "a TIFF whose channels lie apart and are neither grey nor RGB",
            hint="Save it with the channels of a pixel together",
        )
    plane = {tag: kept[tag] for tag in _OF_A_PLANE if tag in kept}
    return {**plane, _SAMPLES: (1,), _BITS: kept[_BITS][:1], _PHOTOMETRIC: (_GREY,)}


def _check_packing(found: Layout) -> None:
    if found.tags[_COMPRESSION] == (_OLD_JPEG,):
        raise ImageFormatError("a TIFF with JPEG of the old kind", hint="Save it anew, with tiles and LZW")
    if (pixels := found.block_hw[0] * found.block_hw[1]) > MAX_PIECE_PIXELS:
        raise ImageFormatError(
            f"a TIFF packed in pieces of {pixels // 10**6} million pixels, which cannot be read bit by bit",
            hint="Save it with tiles, for example by gdal_translate -co TILED=YES",
        )


def _check_places(found: Layout, size: int) -> None:
    """Refuse a table of pieces that is too short or points beyond the file, before anything is decoded."""
    (height, width), (block_h, block_w) = found.hw, found.block_hw
    due = found.planes * -(-height // block_h) * -(-width // block_w)
    if min(len(found.offsets), len(found.counts)) < due:
        raise damaged("TIFF", f"it lists {len(found.offsets)} pieces of {due}")
    if any(offset + count > size for offset, count in zip(found.offsets, found.counts, strict=False)):
        raise damaged("TIFF", "its pixels lie beyond the end of the file")


def _split(found: Layout) -> Layout:
    """Cut one strip of plain numbers for the whole picture into ones of few rows."""
    (height, width), rows = found.hw, max(1, _RAW_PIXELS // found.hw[1])
    bits, samples = found.tags[_BITS], found.tags[_SAMPLES][0]
    a_row = -(-width * (sum(bits) if len(bits) == samples else bits[0] * samples) // 8)
    whole = not found.tiled and found.block_hw[0] == height and min(found.counts) == height * a_row
    if found.tags[_COMPRESSION] != (_RAW,) or not whole or rows >= height:
        return found
    tops = range(0, height, rows)
    offsets = [start + top * a_row for start in found.offsets[: found.planes] for top in tops]
    counts = [min(rows, height - top) * a_row for _ in range(found.planes) for top in tops]
    return replace(found, block_hw=(rows, width), offsets=offsets, counts=counts)


def _pages(stream: IO[bytes], order: str) -> Iterator[int]:
    """Yield what kind each page is: bit 0 a smaller copy, bit 2 a mask, 0 a picture."""
    stream.seek(2)
    big = struct.unpack(order + "H", stream.read(2)) == (43,)
    count_form, entry_bytes, next_form = ("Q", 20, "Q") if big else ("H", 12, "L")
    stream.seek(8 if big else 4)
    (offset,) = struct.unpack(order + next_form, stream.read(struct.calcsize(order + next_form)))
    for _ in range(_MAX_PAGES):
        if not offset:
            return
        stream.seek(offset)
        (entries,) = struct.unpack(order + count_form, stream.read(struct.calcsize(order + count_form)))
        if entries > _MAX_TAGS:
            raise OverflowError
        body = stream.read(entries * entry_bytes)
        (offset,) = struct.unpack(order + next_form, stream.read(struct.calcsize(order + next_form)))
        yield _kind_of_page(body, entry_bytes, order)
    raise OverflowError


def _kind_of_page(body: bytes, entry_bytes: int, order: str) -> int:
    for start in range(0, len(body), entry_bytes):
        tag, form = struct.unpack_from(order + "HH", body, start)
        if tag == _SUBFILE:
            value = start + entry_bytes // 2 + 2  # the tag, its type and its count come first
            kind: int = struct.unpack_from(order + ("H" if form == _SHORT else "L"), body, value)[0]
            return kind
    return 0


def _directory(tags: Tags, tables: bytes, order: str) -> bytes:
    """Write the head of a TIFF with one page, its pixels to follow at once."""
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
