"""What a video file states about its rate, its shape and its beginning is what is measured, or it is said."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from quadrat.errors import VideoTruncatedError
from quadrat.media.video import VideoReader, open_video
from quadrat.parameters import FrameSettings
from quadrat.types import Frame
from tests import videos

CASES = Path(__file__).parents[3] / "shared" / "cases" / "files"
X265 = "log-level=none:keyint=20:min-keyint=20:open-gop=1:bframes=4:scenecut=0"


def read(path: Path, **settings: float) -> tuple[list[Frame], VideoReader]:
    """Read a file to its end."""
    reader = open_video(path, videos.source(path), FrameSettings(**settings))
    return list(reader), reader


@pytest.mark.parametrize("bf", ["0", "3"])
@pytest.mark.parametrize("rate", [10, Fraction(30000, 1001), 60])
@pytest.mark.parametrize(("codec", "kind"), [("libx264", "h264"), ("libx265", "hevc")])
def test_a_raw_stream_has_the_rate_of_its_parameter_sets(
    tmp_path: Path, codec: str, kind: str, rate: Fraction | int, bf: str
) -> None:
    """Without a container, times and length follow the rate that the stream itself states."""
    options = {"bf": bf, "x265-params": "log-level=none"} if kind == "hevc" else {"bf": bf}
    path = tmp_path / f"v.{kind}"
    videos.write(path, videos.scenes(20), codec=codec, container=kind, rate=rate, options=options)
    frames, reader = read(path)
    assert [videos.number(f.pixels) for f in frames] == list(range(20))
    assert [f.time_s for f in frames] == pytest.approx([n / rate for n in range(20)], abs=1e-6)
    assert reader.reading.seconds == pytest.approx(float(20 / rate))
    assert reader.reading.rate == pytest.approx(float(rate))
    assert (reader.reading.error, reader.reading.warnings) == (None, ())


def test_a_raw_stream_that_states_no_rate(tmp_path: Path) -> None:
    """The times of a stream without a rate are an assumption, and a warning says so; no rate is made up."""
    path = tmp_path / "v.h265"
    options = {"x265-params": "log-level=none:vui-timing-info=0"}
    videos.write(path, videos.scenes(5), codec="libx265", container="hevc", rate=10, options=options)
    frames, reader = read(path)
    assert [f.time_s for f in frames] == pytest.approx([n / 25 for n in range(5)])
    assert reader.reading.rate is None
    assert "no frame rate" in reader.reading.warnings[0]


@pytest.mark.parametrize("kind", ["h264", "mpeg4", "packed"])
def test_reordered_frames_in_avi(tmp_path: Path, kind: str) -> None:
    """AVI stores no presentation times: frames of any coding order are shown at the rate, in order."""
    path, pictures = tmp_path / "v.avi", videos.scenes(60)
    if kind == "packed":
        videos.packed(path, pictures)
    else:
        codec, options = {"h264": ("libx264", {"bf": "3"}), "mpeg4": ("mpeg4", {"bf": "2"})}[kind]
        videos.write(path, pictures, codec=codec, options=options)
    frames, reader = read(path)
    assert [videos.number(f.pixels) for f in frames] == list(range(60))
    assert [f.time_s for f in frames] == pytest.approx([n / 25 for n in range(60)])
    assert reader.reading.seconds == pytest.approx(2.4)
    assert reader.reading.error is None


HEADLESS = {
    "h264": {"options": {"g": "20", "keyint_min": "20", "sc_threshold": "0", "bf": "2"}},
    "refresh": {"options": {"intra-refresh": "1", "g": "16"}},
    "hevc": {"codec": "libx265", "options": {"x265-params": X265}},
    "mpeg2": {"codec": "mpeg2video", "options": {"g": "15", "bf": "2"}},
}


@pytest.mark.parametrize("lost", [1, 12])
@pytest.mark.parametrize("kind", HEADLESS)
def test_pictures_without_their_beginning_are_counted(tmp_path: Path, kind: str, lost: int) -> None:
    """Of a recording that starts in the middle, every coded picture is read or counted, and it is partial."""
    path = videos.headless(tmp_path / "v.ts", videos.scenes(60), lost, **HEADLESS[kind])
    frames, reader = read(path)
    reading = reader.reading
    assert reading.damaged > 0
    assert reading.read + reading.damaged == 60 - lost
    assert frames[0].key.index == reading.damaged
    whole = {videos.number(frame.pixels): frame.pixels for frame in read(path.with_suffix(".whole.ts"))[0]}
    assert all(np.array_equal(frame.pixels, whole[videos.number(frame.pixels)]) for frame in frames)
    assert isinstance(reading.error, VideoTruncatedError)
    assert f"the first {reading.damaged} of {60 - lost} frames cannot be decoded" in reading.error.what
    assert "damaged" not in reading.error.what


@pytest.mark.parametrize(("name", "counts"), [("ir-cut.ts", (1, 46)), ("og-cut.ts", (39, 14))])
def test_recordings_that_were_cut(name: str, counts: tuple[int, int]) -> None:
    """Real cut recordings: the frames read and those that cannot be, which together are the coded pictures."""
    frames, reader = read(CASES / name)
    assert (reader.reading.read, reader.reading.damaged) == counts
    assert len(frames) == counts[0]
    assert f"the first {counts[1]} of {sum(counts)} frames" in str(reader.reading.error)


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(8, 9), Fraction(16, 11)])
@pytest.mark.parametrize("limit", [None, 3000])
def test_a_circle_stays_round(tmp_path: Path, aspect: Fraction, limit: int | None) -> None:
    """A circle of a scene filmed with pixels that are not square is as high as wide in the frame that is measured."""
    height, width = 240, 320
    y, x = np.mgrid[0:height, 0:width]
    inside = ((x - 160) * float(aspect)) ** 2 + (y - 120) ** 2 < 80**2
    picture = np.repeat(np.where(inside, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
    frames, reader = read(videos.write(tmp_path / "v.mp4", [picture] * 3, aspect=aspect), max_img_size=limit)
    disc = frames[0].pixels[..., 1] > 128
    high, wide = disc.any(axis=1).sum(), disc.any(axis=0).sum()
    assert high == pytest.approx(wide, rel=0.02, abs=1.5)
    assert reader.reading.hw == frames[0].source_hw
    assert reader.reading.hw[1] / reader.reading.hw[0] == pytest.approx(float(4 / 3 * aspect), rel=0.01)
    assert reader.reading.pixel_aspect == f"{aspect.numerator}:{aspect.denominator}"


def test_anamorphic_film() -> None:
    """A film of 480 x 360 pixels of 4:3 is measured at 640 x 360."""
    frames, reader = read(CASES / "anamorphic.mp4")
    assert {f.pixels.shape[:2] for f in frames} == {reader.reading.hw} == {(360, 640)}


def test_an_absurd_pixel_aspect_is_ignored(tmp_path: Path) -> None:
    """Pixels forty times as wide as high are an error of the file, and a warning says so."""
    path = videos.write(tmp_path / "v.mp4", videos.frames(3), aspect=Fraction(40))
    reading = read(path)[1].reading
    assert (reading.hw, reading.pixel_aspect) == (videos.HW, "1:1")
    assert "pixel aspect of 40" in reading.warnings[0]


def test_a_timestamp_beyond_reason_is_not_tabled(tmp_path: Path) -> None:
    """A frame that is said to last for centuries makes a video partial; its times and its length stay plausible."""
    path = videos.write(tmp_path / "v.mp4", videos.frames(8), options={"bf": "0"}, rate=25)
    film = bytearray(path.read_bytes())
    begin, _ = videos.boxes(film)["moov/trak/mdia/minf/stbl/stts"]
    count, delta = struct.unpack_from(">II", film, begin + 16)
    assert count == 8
    struct.pack_into(">II", film, begin + 16, 8, 2**31 - 1)
    path.write_bytes(film)
    frames, reader = read(path)
    assert delta < 10_000
    assert all(0 <= f.time_s < 10 for f in frames)
    assert reader.reading.seconds < 10
    if len(frames) > 1:
        assert isinstance(reader.reading.error, VideoTruncatedError)
        assert "timestamps jump ahead" in reader.reading.error.what


def test_interlaced_film_is_said() -> None:
    """Frames woven of two fields are measured, and a warning counts them."""
    reading = read(CASES / "interlaced.mts")[1].reading
    assert reading.read == 37
    assert "37 of 37 frames are interlaced" in reading.warnings[0]


def test_a_second_video_is_said(tmp_path: Path) -> None:
    """Of two video streams the first is measured, and a warning says so."""
    frames, reader = read(videos.two_streams(tmp_path / "v.mkv", videos.frames(5)))
    assert len(frames) == 5
    assert reader.reading.warnings == ("only the first of its 2 video streams is measured",)
