"""Small videos, good and bad, drawn and written here with PyAV; nothing is read from disk.

`frames(n)` and `scenes(n)` draw pictures that each carry their number, which `number(pixels)` reads back through any codec, so a
test can tell which frame it was given. `write(path, ...)` makes a plain file of them with any codec, container, times
and options, without the code under test; the other builders make one awkward kind each: `rotated`, `with_sound`,
`sound_only`, `two_sizes`, `still_images`. `damaged`, `cut` and `boxes` work on the bytes of a written file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.types import Source

Pixels = NDArray[np.uint8]

_BITS, _BLOCK = 12, 8
HW = (64, 96)
"""Height and width of the usual frame: 12 bits of 8 pixels in a row."""


def frames(count: int, hw: tuple[int, int] = HW, first: int = 0) -> list[Pixels]:
    """Draw `count` frames (H, W, 3) uint8 RGB, at least 64 x 96.

    Each has its number in black and white blocks along the top
    edge, a red square that moves right by two pixels a frame, and soft colours behind.
    """
    return [frame(first + n, hw) for n in range(count)]


def frame(number: int, hw: tuple[int, int] = HW) -> Pixels:
    """Draw frame `number` of the endless scene, 0 to 4095."""
    height, width = hw
    y, x = np.mgrid[0:height, 0:width]
    planes = [90 + 60 * x // width, 90 + 60 * y // height, 140 - 40 * x // width]
    picture = np.stack(planes, axis=-1).astype(np.uint8)
    left = number * 2 % (width - 16)
    picture[24:40, left : left + 16] = (200, 40, 40)
    for bit in range(_BITS):
        value = 235 if number >> bit & 1 else 20
        picture[:_BLOCK, bit * _BLOCK : (bit + 1) * _BLOCK] = value
    return picture


def scenes(count: int, hw: tuple[int, int] = (240, 320), seed: int = 7) -> list[Pixels]:
    """Draw numbered frames over a textured ground that pans: coded pictures of some kilobytes, fit to be damaged."""
    height, width = hw
    coarse = np.random.default_rng(seed).integers(0, 256, (30, 40 + count, 3), np.uint8)
    ground = cv2.resize(coarse, (width + 8 * count, height), interpolation=cv2.INTER_CUBIC)
    pictures = []
    for n in range(count):
        picture = np.ascontiguousarray(ground[:, n * 3 : n * 3 + width])
        picture[:_BLOCK] = frame(n, hw)[:_BLOCK]
        pictures.append(picture)
    return pictures


def number(pixels: Pixels, drawn: tuple[int, int] | None = None) -> int:
    """Read a frame's number back, through coding and a change of size; -1 where the blocks are not clear.

    `drawn` is the (height, width) that it was drawn at, where that is not its own.
    """
    height, width = pixels.shape[:2]
    tall, wide = drawn or (height, width)
    row = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[: max(1, _BLOCK * height // tall)]
    middles = [(2 * bit + 1) * _BLOCK * width // (2 * wide) for bit in range(_BITS)]
    values = [float(row[:, m - 1 : m + 2].mean()) for m in middles]
    if any(80 < v < 170 for v in values):
        return -1
    return sum(1 << bit for bit, value in enumerate(values) if value >= 170)


def source(path: Path, media: Any = "video") -> Source:
    """Name a file as a source."""
    return Source(f"urn:test:{path.name}", path.name, media)


def write(
    path: Path,
    pictures: Iterable[Pixels],
    *,
    rate: Fraction | int = 25,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    colorspace: int | None = None,
    color_range: int | None = None,
    tagged: bool = True,
    aspect: Fraction | None = None,
) -> Path:
    """Write pictures with PyAV alone; the container is told by the path's suffix unless named.

    `aspect` is that of a pixel. `times` in seconds make a variable rate, in ticks of 1/90000 s. The pictures are converted by `colorspace` and
    `color_range` (FFmpeg's numbers), and the file says so if `tagged`.
    """
    with av.open(str(path), "w", format=container, options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        for n, picture in enumerate(pictures):
            if not n:
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = pix_fmt
                if aspect is not None:
                    stream.sample_aspect_ratio = stream.codec_context.sample_aspect_ratio = aspect
                if times is not None:
                    stream.codec_context.time_base = stream.time_base = Fraction(1, 90_000)
                if colorspace is not None and tagged:
                    stream.codec_context.colorspace = colorspace
                if color_range is not None and tagged:
                    stream.codec_context.color_range = color_range
            image = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format=pix_fmt, dst_colorspace=colorspace, dst_color_range=color_range
            )
            if not tagged:
                image.colorspace, image.color_range = 2, 0
            image.time_base = Fraction(1) / Fraction(rate) if times is None else Fraction(1, 90_000)
            image.pts = n if times is None else round(times[n] * 90_000)
            out.mux(stream.encode(image))
        out.mux(stream.encode(None))
    return path


def with_sound(path: Path, pictures: Sequence[Pixels], *, rate: int = 25, seconds: float = 1.0) -> Path:
    """Write pictures and `seconds` of a tone; without pictures, sound alone."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate) if pictures else None
        sound = out.add_stream("aac", rate=48_000, layout="mono")
        for n, picture in enumerate(pictures):
            if not n:
                stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
            image = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            image.pts, image.time_base = n, Fraction(1, rate)
            out.mux(stream.encode(image))
        if stream:
            out.mux(stream.encode(None))
        for begin in range(0, round(seconds * 48_000), 1024):
            tone = np.sin(np.arange(begin, begin + 1024) / 17, dtype=np.float32)[None] / 4
            chunk = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            chunk.sample_rate, chunk.pts, chunk.time_base = 48_000, begin, Fraction(1, 48_000)
            out.mux(sound.encode(chunk))
        out.mux(sound.encode(None))
    return path


def sound_only(path: Path) -> Path:
    """Write a second of a tone without pictures."""
    return with_sound(path, ())


def rotated(path: Path, pictures: Iterable[Pixels], degrees: int, *, mirrored: bool = False) -> Path:
    """Write an MP4 whose player must turn it clockwise by 90, 180 or 270 `degrees`, and then mirror it."""
    write(path, pictures, container="mp4")
    one = 1 << 16
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    flip = -1 if mirrored else 1
    matrix = struct.pack(
        ">9i", cos * one * flip, sin * one, 0, -sin * one * flip, cos * one, 0, 0, 0, 1 << 30
    )
    body = bytearray(path.read_bytes())
    begin, _ = boxes(body)["moov/trak/tkhd"]
    body[begin + 48 : begin + 84] = matrix
    path.write_bytes(body)
    return path


def two_sizes(path: Path, first: Sequence[Pixels], second: Sequence[Pixels]) -> Path:
    """Write an MPEG transport stream whose pictures change size in the middle, at 25 frames/s."""
    with av.open(str(path), "w", format="mpegts") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.height, stream.width = first[0].shape[:2]
        done = 0
        for part in (first, second):
            coder: Any = av.CodecContext.create("libx264", "w")
            coder.height, coder.width, coder.pix_fmt = *part[0].shape[:2], "yuv420p"
            coder.time_base, coder.max_b_frames = Fraction(1, 25), 0
            images = [av.VideoFrame.from_ndarray(p, format="rgb24").reformat(format="yuv420p") for p in part]
            for n, image in enumerate([*images, None]):
                if image is not None:
                    image.pts, image.time_base = done + n, Fraction(1, 25)
                for packet in coder.encode(image):
                    packet.stream = stream
                    out.mux(packet)
            done += len(part)
    return path


def still_images(folder: Path, pictures: Iterable[Pixels], name: str = "img{}.png") -> Path:
    """Write a folder of pictures, numbered from 1 without leading zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, picture in enumerate(pictures, 1):
        cv2.imwrite(str(folder / name.format(n)), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return folder


def packed(path: Path, pictures: Iterable[Pixels]) -> Path:
    """Write an AVI as XviD and DivX do: a B-frame shares the packet of the frame after it, and an empty one follows."""
    plain = write(path.with_suffix(".plain.avi"), pictures, codec="mpeg4", options={"bf": "1", "g": "25"})
    with av.open(str(plain)) as file, av.open(str(path), "w") as out:
        stream = file.streams.video[0]
        copy = out.add_stream_from_template(stream)
        coded = [bytes(packet) for packet in file.demux(stream) if packet.size]
        starts = [body.find(b"\0\0\1\xb6") for body in coded]
        kinds = ["IPBS"[body[start + 4] >> 6] for body, start in zip(coded, starts, strict=True)]
        mark = b"\0\0\1\xb2DivX503b1393p"
        bodies = [
            body[:at] + mark + body[at:] if kind == "I" else body
            for body, at, kind in zip(coded, starts, kinds, strict=True)
        ]
        n, made = 0, []
        while n < len(bodies):
            if n + 1 < len(bodies) and kinds[n + 1] == "B":
                made += [bodies[n] + bodies[n + 1], b"\0\0\1\xb6\x50\0\0"]
            else:
                made.append(bodies[n])
            n += 1 + (n + 1 < len(bodies) and kinds[n + 1] == "B")
        for place, body in enumerate(made):
            packet = av.Packet(body)
            packet.pts = packet.dts = place
            packet.time_base, packet.stream = Fraction(1, 25), copy
            out.mux(packet)
    return path


def headless(path: Path, pictures: Iterable[Pixels], lost: int, **form: Any) -> Path:
    """Write an MPEG transport stream without its first `lost` coded pictures, as a recorder that is switched on late."""
    whole = write(path.with_suffix(".whole.ts"), pictures, container="mpegts", **form)
    with av.open(str(whole)) as file, av.open(str(path), "w", format="mpegts") as out:
        stream = file.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for packet in [packet for packet in file.demux(stream) if packet.size][lost:]:
            packet.stream = copy
            out.mux(packet)
    return path


def two_streams(path: Path, pictures: Sequence[Pixels]) -> Path:
    """Write a Matroska file with two video streams of the same pictures."""
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("libx264", rate=25) for _ in range(2)]
        for stream in streams:
            stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        for n, picture in enumerate(pictures):
            image = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            image.pts, image.time_base = n, Fraction(1, 25)
            for stream in streams:
                out.mux(stream.encode(image))
        for stream in streams:
            out.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    """Keep the first `share` of a file's bytes."""
    body = path.read_bytes()
    path.write_bytes(body[: round(len(body) * share)])
    return path


def packets(path: Path) -> list[tuple[int, int, bool]]:
    """Give where each coded picture lies in a file: offset, bytes, whether it is a key frame."""
    with av.open(str(path)) as file:
        return [(p.pos, p.size, p.is_keyframe) for p in file.demux(video=0) if p.size]


def damaged(path: Path, picture: int, seed: int = 0, share: float = 0.1) -> Path:
    """Overwrite a tenth of one coded picture's bytes at random, its first 32 left as they are."""
    offset, size, _ = packets(path)[picture]
    body = bytearray(path.read_bytes())
    random = np.random.default_rng(seed)
    for at in random.integers(min(32, size - 1), size, max(1, round(size * share))):
        body[offset + at] = int(random.integers(256))
    path.write_bytes(body)
    return path


def boxes(body: bytes | bytearray) -> dict[str, tuple[int, int]]:
    """Give begin and end of every box of an MP4, by its path; of boxes of one path, the first."""
    found: dict[str, tuple[int, int]] = {}
    for path, begin, end in _boxes(body, 0, len(body), ""):
        found.setdefault(path, (begin, end))
    return found


def _boxes(body: bytes | bytearray, at: int, end: int, above: str) -> Iterator[tuple[str, int, int]]:
    while at + 8 <= end:
        size = int.from_bytes(body[at : at + 4], "big") or end - at
        path = above + bytes(body[at + 4 : at + 8]).decode("latin-1")
        yield path, at, at + size
        if path.rsplit("/", 1)[-1] in ("moov", "trak", "mdia", "minf", "stbl", "edts"):
            yield from _boxes(body, at + 8, at + size, path + "/")
        at += max(size, 8)
