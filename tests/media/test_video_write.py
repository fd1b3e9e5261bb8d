"""Written videos: size, times, colours and bytes."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from av.error import err_check, tag_to_code
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import DeliveryError, EncoderError, ImageSizeError
from quadrat.media.video import open_video
from quadrat.media.video_write import VideoWriter
from quadrat.parameters import FrameSettings
from quadrat.types import Frame, Reading
from tests import videos

CODECS = ("h264", "vp9", "av1")
TICK = 1 / 90_000


def written(
    path: Path,
    pictures: Sequence[videos.Pixels],
    times: Sequence[float],
    rate: float | None = 25,
    codec: str = "h264",
) -> Path:
    """Write pictures at times."""
    writer = VideoWriter(path, pictures[0].shape[:2], rate, codec)
    for picture, time_s in zip(pictures, times, strict=True):
        writer.write(picture, time_s)
    writer.close()
    return path


def read(path: Path) -> tuple[list[Frame], Reading]:
    """Read all frames."""
    reader = open_video(path, videos.source(path), FrameSettings())
    return list(reader), reader.reading


def regular(count: int, rate: float = 25) -> list[float]:
    """Return times at a constant rate."""
    return [n / rate for n in range(count)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("rate", [25, 30000 / 1001, 7.5])
def test_frames_rate_and_duration_are_kept(tmp_path: Path, codec: str, rate: float) -> None:
    """Every frame is read back in order at its time, with the source's rate and duration."""
    path = written(tmp_path / "v.mp4", videos.frames(20), regular(20, rate), rate, codec)
    frames, reading = read(path)
    assert [videos.number(f.pixels) for f in frames] == list(range(20))
    assert [f.time_s for f in frames] == pytest.approx(regular(20, rate), abs=TICK)
    assert reading.rate == pytest.approx(rate, rel=1e-3)
    assert reading.seconds == pytest.approx(20 / rate, abs=1e-3)
    assert reading.declared_s == pytest.approx(20 / rate, abs=2e-3)
    assert reading.error is None
    assert reading.codec == codec


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("rate", [241, 300, 480, 1000, 10**6])
def test_fast_videos_are_kept(tmp_path: Path, codec: str, rate: int) -> None:
    """The encoder's nominal rate is limited, but times, duration and rate are those of the source."""
    least = min(rate, 90_000)  # two frames are at least one tick apart
    path = written(tmp_path / "v.mp4", videos.frames(20), regular(20, rate), rate, codec)
    frames, reading = read(path)
    assert [videos.number(f.pixels) for f in frames] == list(range(20))
    assert [f.time_s for f in frames] == pytest.approx(regular(20, least), abs=TICK)
    assert reading.rate == pytest.approx(least, rel=1e-3)
    assert [reading.seconds, reading.declared_s] == pytest.approx([20 / least] * 2, abs=2 * TICK)
    assert reading.error is None


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("rate", "seconds"), [(10**6, TICK), (0.001, 1000)])
def test_one_frame_of_an_odd_rate(tmp_path: Path, codec: str, rate: float, seconds: float) -> None:
    """A single frame lasts for one frame period, at least one tick."""
    frames, reading = read(written(tmp_path / "v.mp4", videos.frames(1), [0], rate, codec))
    assert 1 == len(frames)
    assert reading.seconds == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("number", "refused"),
    [(n, True) for n in (errno.EINVAL, errno.ENOMEM, tag_to_code(b"INDA"), tag_to_code(b"EXT "))]
    + [(n, False) for n in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)],
)
def test_what_the_encoder_says_and_what_the_disk_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, number: int, refused: bool
) -> None:
    """Both are DeliveryErrors; only an encoder failure is an EncoderError, whose hint is another codec."""

    def failing(*_: object) -> None:
        err_check(-number)

    writer = VideoWriter(tmp_path / "v.mp4", videos.HW, 25, codec)
    monkeypatch.setattr(VideoWriter, "_mux", failing)
    with pytest.raises(DeliveryError) as caught:  # noqa: PT012 - some encoders delay a few frames
        for n, picture in enumerate(videos.frames(30)):
            writer.write(picture, n / 25)
        writer.close()
    assert refused == isinstance(caught.value, EncoderError)
    assert ("--codec" in caught.value.hint, "TMPDIR" in caught.value.hint) == (refused, not refused)
    assert refused == (f"the {codec} encoder" in caught.value.what)
    assert caught.value.code == ("E_ENCODER" if refused else "E_DELIVERY")


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(90, 450_000), min_size=1, max_size=10), st.sampled_from(CODECS), st.booleans())
def test_times_without_a_rate_are_kept(tmp_path_factory, steps: list[int], codec: str, stated: bool) -> None:
    """Any increasing times are kept to the tick, with any stated rate or none."""
    times = [0.0, *np.cumsum(steps) * TICK]
    path = tmp_path_factory.mktemp("v") / "v.mp4"
    frames, reading = read(written(path, videos.frames(len(times)), times, 25 if stated else None, codec))
    assert [f.time_s for f in frames] == pytest.approx(times, abs=TICK)
    assert [videos.number(f.pixels) for f in frames] == list(range(len(times)))
    assert reading.declared_s == pytest.approx(times[-1] + steps[-1] * TICK, abs=2e-3)
    assert reading.seconds == pytest.approx(reading.declared_s, abs=max(steps) * TICK + 1e-3)


@pytest.mark.parametrize(
    ("hw", "codec"),
    [((64, 96), c) for c in CODECS]
    + [((65, 97), c) for c in CODECS]
    + [((64, 97), "h264"), ((1081, 721), "h264")],
)
def test_the_size_is_kept(tmp_path: Path, hw: tuple[int, int], codec: str) -> None:
    """Even and odd sizes are kept; even sizes use the pixel format that every browser plays."""
    path = written(tmp_path / "v.mp4", videos.frames(4, hw), regular(4), codec=codec)
    frames, reading = read(path)
    assert {f.pixels.shape[:2] for f in frames} == {reading.hw} == {hw}
    assert [videos.number(f.pixels) for f in frames] == [0, 1, 2, 3]
    with av.open(str(path)) as file:
        odd = bool(hw[0] % 2 or hw[1] % 2)
        wanted = "yuv444p" if codec == "h264" and odd else "yuv420p"
        assert file.streams.video[0].codec_context.pix_fmt == wanted
        assert "mp4" in file.format.name


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("hw", [(96, 128), (95, 127), (720, 1280)])
def test_colours_are_kept(tmp_path: Path, codec: str, hw: tuple[int, int]) -> None:
    """Flat colours are within five levels, in quadrat's reader and in one that follows the tags."""
    picture = np.zeros((*hw, 3), np.uint8)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (10, 10, 10), (200, 120, 40)]
    width = hw[1] // len(colours)
    for n, colour in enumerate(colours):
        picture[:, n * width : (n + 1) * width] = colour
    path = written(tmp_path / "v.mp4", [picture] * 3, regular(3), codec=codec)
    frames, _ = read(path)
    with av.open(str(path)) as file:
        image = list(file.decode(video=0))[-1]
        assert image.color_range == 1
        assert image.colorspace == (1 if hw == (720, 1280) else 6)
        other = image.to_ndarray(format="rgb24")
    for pixels in (frames[-1].pixels, other):
        for n, colour in enumerate(colours):
            middle = pixels[8:-8, n * width + 6 : (n + 1) * width - 6].astype(int)
            assert np.abs(middle.mean((0, 1)) - colour).max() <= 5, (colour, middle.mean((0, 1)))


@pytest.mark.parametrize("codec", CODECS)
def test_no_thread_becomes_a_real_time_one(tmp_path: Path, codec: str) -> None:
    """SVT-AV1, as root, gives the writing thread and its own real-time priority; it is restored."""

    def policies() -> set[int]:
        found = set()
        for task in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                found.add(os.sched_getscheduler(int(task.name)))
        return found

    before = policies()
    writer = VideoWriter(tmp_path / "v.mp4", (64, 96), 25.0, codec)
    for n, picture in enumerate(videos.frames(20)):
        writer.write(picture, n / 25)
        assert policies() <= before
    writer.close()
    assert policies() <= before


@pytest.mark.parametrize("codec", CODECS)
def test_two_writings_are_equal(tmp_path: Path, codec: str) -> None:
    """The same frames give the same bytes."""
    pictures = videos.scenes(12)
    bodies = [written(tmp_path / f"{n}.mp4", pictures, regular(12), codec=codec).read_bytes() for n in "ab"]
    assert bodies[0] == bodies[1]


def test_the_index_is_in_front(tmp_path: Path) -> None:
    """The index is at the start, and the file names no writer or date."""
    body = written(tmp_path / "v.mp4", videos.frames(5), regular(5)).read_bytes()
    order = [path for path, _ in sorted(videos.boxes(body).items(), key=lambda item: item[1])]
    assert order.index("moov") < order.index("mdat")
    assert b"Lavf" not in body


def test_an_interrupted_video_plays(tmp_path: Path) -> None:
    """After an exception, closing gives a complete file of the frames so far; closing again does nothing."""
    writer = VideoWriter(tmp_path / "v.mp4", videos.HW, 25)
    try:
        for n, picture in enumerate(videos.frames(7)):
            writer.write(picture, n / 25)
        raise RuntimeError
    except RuntimeError:
        writer.close()
    writer.close()
    frames, reading = read(tmp_path / "v.mp4")
    assert [videos.number(f.pixels) for f in frames] == list(range(7))
    assert reading.error is None
    with pytest.raises(DeliveryError, match="closed"):
        writer.write(videos.frame(8), 1)


def test_the_end_may_be_told(tmp_path: Path) -> None:
    """The last frame lasts until the given end, else as long as the one before, else for one frame period."""
    for times, rate, end_s, seconds in (
        ([0, 0.1, 0.4], 25, None, 0.7),
        ([0, 0.1, 0.4], 25, 0.5, 0.5),
        ([0], 10, None, 0.1),
        ([0], None, 3.0, 3.0),
        ([0, 1], None, 0.5, 2.0),
    ):
        writer = VideoWriter(tmp_path / "v.mp4", videos.HW, rate)
        for n, time_s in enumerate(times):
            writer.write(videos.frame(n), time_s)
        writer.close(end_s)
        frames, reading = read(tmp_path / "v.mp4")
        assert len(frames) == len(times)
        assert reading.seconds == pytest.approx(seconds, abs=1e-3)


def test_times_that_stand_still(tmp_path: Path) -> None:
    """Frames with equal or decreasing times are all kept, one tick apart."""
    frames, _ = read(written(tmp_path / "v.mp4", videos.frames(4), [0, 0, 0, 0.5]))
    assert [videos.number(f.pixels) for f in frames] == [0, 1, 2, 3]
    assert [f.time_s for f in frames] == pytest.approx([0, TICK, 2 * TICK, 0.5], abs=1e-9)


def test_a_late_begin_is_kept(tmp_path: Path) -> None:
    """If the source's first frames are missing, the first remaining one is shown at its own time."""
    path = written(tmp_path / "v.mp4", videos.frames(5), [0.4 + n / 25 for n in range(5)])
    with av.open(str(path)) as file:
        times = [image.time for image in file.decode(video=0)]
    assert times == pytest.approx([0.4 + n / 25 for n in range(5)], abs=TICK)


@pytest.mark.parametrize("name", ["%02d.mp4", "a:b.mp4", "-y.mp4", "ü #?.mp4"])
def test_names_are_only_names(tmp_path: Path, name: str) -> None:
    """A file is written under its literal name, which FFmpeg could interpret."""
    written(tmp_path / name, videos.frames(3), regular(3))
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert len(read(tmp_path / name)[0]) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """A full disk is a DeliveryError, at the latest on closing, and only once."""
    path = tmp_path / "v.mp4"
    path.symlink_to("/dev/full")
    writer = VideoWriter(path, (240, 320), 25)
    with pytest.raises(DeliveryError, match="could not be written") as caught:  # noqa: PT012 - at any write
        for n, picture in enumerate(videos.scenes(40)):
            writer.write(picture, n / 25)
        writer.close()
    assert "No space left" in caught.value.what
    assert "\n" not in caught.value.line
    writer.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A folder that cannot be written to is a DeliveryError."""
    with pytest.raises(DeliveryError, match="No such file"):  # noqa: PT012 - at the first frame or before it
        writer = VideoWriter(tmp_path / "absent" / "v.mp4", videos.HW, 25)
        writer.write(videos.frame(0), 0)
        writer.close()


def test_no_frame_no_file(tmp_path: Path) -> None:
    """Without frames there is no file; a frame of another size is a ValueError."""
    writer = VideoWriter(tmp_path / "v.mp4", videos.HW, 25)
    with pytest.raises(ValueError, match="a frame of"):
        writer.write(videos.frame(0, (64, 128)), 0)
    writer.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("codec", "hw"), [("h264", (2, 16386)), ("h264", (16386, 2)), ("av1", (64, 16386)), ("av1", (8706, 64))]
)
def test_sizes_that_an_encoder_does_not_take(tmp_path: Path, codec: str, hw: tuple[int, int]) -> None:
    """Unsupported sizes raise ImageSizeError before a file is created."""
    with pytest.raises(ImageSizeError, match=f"{codec} does not support {hw[1]} x {hw[0]} pixels"):
        VideoWriter(tmp_path / "v.mp4", hw, 25, codec)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("hw", [(1, 1), (2, 2), (16, 16), (31, 17), (8, 300)])
def test_small_sizes(tmp_path: Path, codec: str, hw: tuple[int, int]) -> None:
    """The smallest sizes are supported, except by the AV1 encoder."""
    picture = np.full((*hw, 3), 128, np.uint8)
    if codec == "av1" and min(hw) < 64:
        with pytest.raises(ImageSizeError, match="only 64 x 64 to"):
            VideoWriter(tmp_path / "v.mp4", hw, 25, codec)
        return
    frames, reading = read(written(tmp_path / "v.mp4", [picture] * 3, regular(3), codec=codec))
    assert (len(frames), reading.hw) == (3, hw)
