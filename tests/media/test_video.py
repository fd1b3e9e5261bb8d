"""Video files are read frame by frame: in order, upright, with times."""

from __future__ import annotations

import gc
import hashlib
import math
import threading
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.media.colors import default_matrix, to_rgb
from quadrat.media.exif import upright
from quadrat.media.video import VideoReader, open_video
from quadrat.parameters import FrameSettings
from quadrat.types import Frame
from tests import videos

FORMS = {
    "h264.mp4": {"options": {"bf": "0"}},
    "reordered.mp4": {"options": {"bf": "3"}},
    "h264.mov": {},
    "h264.mkv": {"options": {"bf": "3"}},
    "h264.flv": {},
    "h264.ts": {"container": "mpegts"},
    "fragments.mp4": {"options": {"g": "5"}, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "mpeg2.mpg": {"codec": "mpeg2video", "container": "mpeg"},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "ten-bit.mp4": {"pix_fmt": "yuv420p10le"},
    "lossless-rgb.mkv": {"codec": "ffv1", "pix_fmt": "bgr0"},
    "raw.h264": {"container": "h264", "options": {"bf": "0"}},
}


def opened(path: Path, **values: float) -> VideoReader:
    """Open a file with some settings."""
    return open_video(path, videos.source(path), FrameSettings(**values))


def numbers(frames: list[Frame]) -> list[int]:
    """Read the frames' numbers."""
    return [videos.number(frame.pixels) for frame in frames]


@pytest.mark.parametrize("name", FORMS)
def test_every_frame_written_is_read(tmp_path: Path, name: str) -> None:
    """In every supported container and codec, each frame is returned once, in order, at its time, to the end."""
    path = videos.write(tmp_path / name, videos.frames(20), **FORMS[name])
    reader = opened(path)
    frames = list(reader)
    assert numbers(frames) == list(range(20))
    assert [f.key.index for f in frames] == list(range(20))
    assert [f.time_s for f in frames] == pytest.approx([n / 25 for n in range(20)], abs=1e-3)
    assert {f.source_hw for f in frames} == {f.pixels.shape[:2] for f in frames} == {videos.HW}
    reading = reader.reading
    assert (reading.hw, reading.read, reading.taken, reading.damaged) == (videos.HW, 20, 20, 0)
    assert reading.seconds == pytest.approx(0.8, abs=2e-3)
    assert reading.rate == pytest.approx(25)
    assert reading.error is None
    assert reading.digest == hashlib.sha256(path.read_bytes()).hexdigest()


STEPS = st.lists(st.integers(1, 90_000), min_size=1, max_size=12)


@settings(max_examples=15, deadline=None)
@given(STEPS, st.sampled_from([{}, {"frame_step": 3}, {"frame_seconds": 0.7}]))
def test_times_of_a_variable_rate(tmp_path_factory, steps: list[int], sampling: dict[str, float]) -> None:
    """Irregular times are exact to the tick, for all frames, every n-th, and one every N seconds."""
    times = [0.0, *np.cumsum(steps) / 90_000]
    path = videos.write(tmp_path_factory.mktemp("v") / "v.mp4", videos.frames(len(times)), times=times)
    frames = list(opened(path, **sampling))
    assert numbers(frames) == [f.key.index for f in frames]
    assert [f.time_s for f in frames] == pytest.approx([times[f.key.index] for f in frames], abs=1e-9)
    step, seconds = sampling.get("frame_step", 1), sampling.get("frame_seconds", 0)
    indices = [f.key.index for f in frames]
    if seconds:
        slots = [math.floor((t + 1e-6) / seconds) for t in times]
        assert indices == [slots.index(slot) for slot in sorted(set(slots))]
    else:
        assert indices == list(range(0, len(times), step))


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), 24, 60])
def test_constant_rates(tmp_path: Path, rate: Fraction | int) -> None:
    """A constant rate is read correctly, and times do not drift."""
    path = videos.write(tmp_path / "v.mp4", videos.frames(70), rate=rate)
    reader = opened(path, frame_seconds=0.5)
    frames = list(reader)
    assert [f.time_s for f in frames] == pytest.approx([f.key.index / rate for f in frames], abs=1e-6)
    assert all(0 <= f.time_s - 0.5 * n < 1 / rate for n, f in enumerate(frames))
    assert (reader.reading.rate, reader.reading.read) == (pytest.approx(float(rate)), 70)
    assert reader.reading.seconds == pytest.approx(70 / rate, abs=2e-3)
    assert reader.reading.declared_frames == 70


def test_the_first_frame_is_at_zero(tmp_path: Path) -> None:
    """A video whose timestamps start later starts at 0."""
    path = videos.write(tmp_path / "v.mkv", videos.frames(4), times=[5.0, 5.1, 5.3, 6.0])
    assert [f.time_s for f in opened(path)] == pytest.approx([0, 0.1, 0.3, 1.0], abs=1e-3)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("degrees", "turn"), [(0, 1), (90, 6), (180, 3), (270, 8)])
def test_frames_are_upright(tmp_path: Path, degrees: int, turn: int, mirrored: bool) -> None:
    """The display matrix is applied as in players, to pixels and sizes."""
    pictures = videos.frames(3, (64, 128))
    reader = opened(videos.rotated(tmp_path / "v.mp4", pictures, degrees, mirrored=mirrored))
    stored = opened(videos.write(tmp_path / "plain.mp4", pictures))
    for frame, plain in zip(reader, stored, strict=True):
        wanted = upright(plain.pixels, turn)
        assert np.array_equal(frame.pixels, wanted[:, ::-1] if mirrored else wanted)
        assert frame.source_hw == reader.reading.hw == wanted.shape[:2]
        assert frame.pixels.flags.c_contiguous
    assert reader.reading.rotation == degrees


@pytest.mark.parametrize(
    ("hw", "form"),
    [
        (videos.HW, {"colorspace": 1, "color_range": 1}),
        (videos.HW, {"colorspace": 5, "color_range": 1}),
        (videos.HW, {"colorspace": 1, "color_range": 2}),
        (videos.HW, {"colorspace": 5, "color_range": 2, "pix_fmt": "yuv444p"}),
        (videos.HW, {"colorspace": 5, "color_range": 1, "tagged": False}),
        ((720, 1280), {"colorspace": 1, "color_range": 1, "tagged": False}),
        ((65, 97), {"colorspace": 1, "color_range": 1}),
    ],
)
def test_colours_are_right(tmp_path: Path, hw: tuple[int, int], form: dict) -> None:
    """Flat colours are within four levels, by the tags of matrix and range, or the defaults."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 40)]
    flat = [np.full((*hw, 3), colour, np.uint8) for colour in colours]
    path = videos.write(tmp_path / "v.mkv", flat, codec="ffv1", **form)
    for frame, wanted in zip(opened(path), flat, strict=True):
        assert np.abs(frame.pixels.astype(int) - wanted).max() <= 4


@given(st.integers(16, 235), st.integers(40, 216), st.integers(40, 216), st.booleans())
@settings(max_examples=50, deadline=None)
def test_conversion_is_near_the_formula(y: int, u: int, v: int, hd: bool) -> None:
    """Every colour is within three levels of the exact formulas of ITU-R BT.601 and BT.709."""
    import av

    planes = (
        np.concatenate([np.full(256, y), np.full(64, u), np.full(64, v)]).astype(np.uint8).reshape(24, 16)
    )
    image = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    image.colorspace, image.color_range = (1 if hd else 5), 1
    red, blue = (0.2126, 0.0722) if hd else (0.299, 0.114)
    luma, cb, cr = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    wanted = np.clip([r, (luma - red * r - blue * b) / (1 - red - blue), b], 0, 1) * 255
    assert np.abs(to_rgb(image) - wanted).max() <= 3


def test_the_custom_of_untagged_videos() -> None:
    """Without a tag, 720p and more is BT.709 and less is BT.601, in landscape and portrait."""
    assert [default_matrix(hw) for hw in ((720, 1280), (1280, 720), (1080, 1080), (576, 720), (480, 854))] == [
        1, 1, 1, 5, 5,
    ]  # fmt: skip


def test_working_size(tmp_path: Path) -> None:
    """max-img-size shrinks the pixels but not the source size, rotated or not."""
    path = videos.rotated(tmp_path / "v.mp4", videos.frames(2, (64, 128)), 90)
    for frame in opened(path, max_img_size=2000):
        assert frame.source_hw == (128, 64)
        assert frame.pixels.shape[0] > frame.pixels.shape[1]
        assert frame.pixels.shape[0] * frame.pixels.shape[1] <= 2000
    assert {frame.pixels.shape[:2] for frame in opened(path, max_img_size="100px")} == {(100, 50)}


def test_two_readings_are_equal(tmp_path: Path) -> None:
    """Reading a file twice gives the same pixels and times, despite the decoder's threads."""
    path = videos.write(tmp_path / "v.mp4", videos.scenes(30), options={"bf": "3"})
    for a, b in zip(opened(path), opened(path), strict=True):
        assert (a.key, a.time_s) == (b.key, b.time_s)
        assert np.array_equal(a.pixels, b.pixels)


def test_sound_is_no_matter(tmp_path: Path) -> None:
    """Audio, also after the end of the video, changes nothing."""
    reader = opened(videos.with_sound(tmp_path / "v.mp4", videos.frames(10), seconds=2))
    assert numbers(list(reader)) == list(range(10))
    assert reader.reading.error is None
    assert reader.reading.seconds == pytest.approx(0.4, abs=1e-3)


def test_closing_from_another_thread(tmp_path: Path) -> None:
    """A reader closed by another thread ends soon and without an error; closing again does nothing."""
    reader = opened(videos.write(tmp_path / "v.mp4", videos.frames(400)))
    seen: list[int] = []
    begun, closed = threading.Event(), threading.Event()

    def work() -> None:
        for frame in reader:
            seen.append(frame.key.index)
            begun.set()
            closed.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    reader.close()
    closed.set()
    thread.join(10)
    assert not thread.is_alive()
    assert seen == [0]
    assert (reader.reading.error, reader.reading.digest) == (None, "")
    reader.close()
    assert list(reader) == []


def test_an_abandoned_reading_is_no_partial_video(tmp_path: Path) -> None:
    """Stopping early gives no digest or error, and closes the file."""
    reader = opened(videos.write(tmp_path / "v.mp4", videos.frames(30)))
    frames = iter(reader)
    next(frames)
    frames.close()
    assert (reader.reading.read, reader.reading.error, reader.reading.digest) == (1, None, "")
    assert reader._opened.file.closed


def test_memory_is_flat(tmp_path: Path) -> None:
    """Reading 3000 frames takes no more memory than reading 500."""
    pictures = (videos.frame(n) for n in range(3000))
    reader = opened(videos.write(tmp_path / "v.mp4", pictures, options={"preset": "ultrafast"}))
    pages = []
    for frame in reader:
        if frame.key.index in (500, 2999):
            gc.collect()
            pages.append(int(Path("/proc/self/statm").read_text().split()[1]))
    assert reader.reading.read == 3000
    assert all(b - a < 2048 for a, b in pairwise(pages))
