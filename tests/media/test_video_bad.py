"""Bad video files are refused, or read in part and reported."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from quadrat.errors import ImageSizeError, QuadratError, VideoFormatError, VideoTruncatedError
from quadrat.media import container
from quadrat.media.video import VideoReader, open_video
from quadrat.parameters import FrameSettings
from tests import videos


def opened(path: Path) -> VideoReader:
    """Open a file."""
    return open_video(path, videos.source(path), FrameSettings())


def read(path: Path) -> tuple[list[int], VideoReader]:
    """Read a file's frame numbers."""
    reader = opened(path)
    return [videos.number(frame.pixels) for frame in reader], reader


LISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXTINF:1,\nhttp://127.0.0.1:{port}/x.ts\n",
    "bom": "\ufeff\n#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:{port}/x.ts\n",
    "ffconcat": "ffconcat version 1.0\nfile other.ts\nfile http://127.0.0.1:{port}/x.ts\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
    "dash": '<?xml version="1.0"?><MPD type="static"><BaseURL>http://127.0.0.1:{port}/</BaseURL></MPD>',
}


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("kind", LISTS)
def test_a_playlist_opens_nothing(tmp_path: Path, monkeypatch, kind: str, by_name: bool) -> None:
    """A playlist named .mp4 is refused as such; even if not recognised, it opens no connection."""
    videos.write(tmp_path / "other.ts", videos.frames(5), container="mpegts")
    if not by_name:
        monkeypatch.setattr(container, "_PLAYLISTS", ())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.05)
        path = tmp_path / f"{kind}.mp4"
        path.write_text(LISTS[kind].format(port=listener.getsockname()[1]), encoding="utf-8")
        with pytest.raises(VideoFormatError) as caught:
            opened(path)
        with pytest.raises(TimeoutError):
            listener.accept()
    if by_name:
        assert "playlist" in caught.value.what or "sdp" in caught.value.what
    assert caught.value.where == path.name


def test_a_playlist_would_have_been_followed(tmp_path: Path) -> None:
    """The refusal is necessary: FFmpeg itself would read the file in the playlist."""
    videos.write(tmp_path / "other.ts", videos.frames(5), container="mpegts")
    path = tmp_path / "list.mp4"
    path.write_text("ffconcat version 1.0\nfile other.ts\n")
    with av.open(str(path)) as file:
        assert len(list(file.decode(video=0))) == 5


@pytest.mark.parametrize(
    "name", ["%02d.mp4", "a%d.mp4", "http:x.mp4", "concat:a|b.mp4", "-i.mp4", "pipe:0", "a b.mp4"]
)
def test_names_are_only_names(tmp_path: Path, name: str) -> None:
    """Names that FFmpeg interprets as patterns or protocols open the file itself, also as relative paths."""
    path = videos.write(tmp_path / "v.mp4", videos.frames(3)).rename(tmp_path / name)
    assert read(path)[0] == [0, 1, 2]
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        assert read(Path(name))[0] == [0, 1, 2]
    finally:
        os.chdir(here)


def test_a_pattern_is_no_film_of_pictures(tmp_path: Path) -> None:
    """A picture named like a pattern does not open other files."""
    folder = videos.still_images(tmp_path, videos.frames(3), "{:02d}.png")
    path = (folder / "01.png").rename(folder / "%02d.png")
    with pytest.raises(VideoFormatError, match=r"PNG picture.*--images"):
        opened(path)


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"", VideoTruncatedError, "empty"),
        (b"hello\n", VideoFormatError, "text file"),
        (b"<html>503</html>", VideoFormatError, "web page"),
        (b"GIF89a" + bytes(99), VideoFormatError, "GIF"),
        (b"PK\x03\x04" + bytes(99), VideoFormatError, "zip"),
        (bytes(5000), VideoFormatError, "unknown data"),
        (bytes(range(256)) * 40, VideoFormatError, "unknown data"),
    ],
)
def test_what_is_no_video(tmp_path: Path, body: bytes, error: type[QuadratError], words: str) -> None:
    """The error states what a file of another kind is."""
    path = tmp_path / "v.mp4"
    path.write_bytes(body)
    with pytest.raises(error, match=words) as caught:
        opened(path)
    assert caught.value.where == "v.mp4"


def test_missing_and_audio_only(tmp_path: Path) -> None:
    """A missing file and an audio file are refused in one line."""
    with pytest.raises(VideoFormatError, match="cannot be read"):
        opened(tmp_path / "absent.mp4")
    with pytest.raises(VideoFormatError, match="audio but no video"):
        opened(videos.sound_only(tmp_path / "v.mp4"))


def test_an_index_that_never_came(tmp_path: Path) -> None:
    """An MP4 without its index, as after a power failure, is reported as such."""
    path = videos.cut(videos.write(tmp_path / "v.mp4", videos.scenes(20)), 0.7)
    with pytest.raises(VideoTruncatedError, match="moov"):
        opened(path)


CUT = {
    "front.mp4": {"options": {"g": "5"}, "container_options": {"movflags": "+faststart"}},
    "reordered.mp4": {"container_options": {"movflags": "+faststart"}, "options": {"bf": "3", "g": "5"}},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "h264.mkv": {"options": {"bf": "0", "g": "5"}},
    "fragments.mp4": {"options": {"g": "5"}, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
}


@pytest.mark.parametrize("name", CUT)
def test_a_cut_file_is_read_as_far_as_it_goes(tmp_path: Path, name: str) -> None:
    """The frames before the cut are returned, and the reading reports how many are missing."""
    pictures = videos.scenes(30)
    whole, _ = read(videos.write(tmp_path / name, pictures, **CUT[name]))
    assert whole == list(range(30))
    found, reader = read(videos.cut(tmp_path / name, 0.6))
    assert 3 < len(found) < 27
    assert found == sorted(found)
    assert found[:3] == [0, 1, 2]
    reading = reader.reading
    assert isinstance(reading.error, VideoTruncatedError)
    assert "ends early" in reading.error.what
    there = reading.read + reading.damaged
    if reading.declared_frames:
        assert reading.declared_frames == 30
        assert f"it contains {there} of 30 frames" in reading.error.what
    else:
        stated = f"{there / 25:.1f} of {reading.declared_s:.1f} s ({there} frames)"
        assert stated in reading.error.what
    assert reading.read == reading.taken == len(found)


def test_an_avi_of_which_nothing_is_left(tmp_path: Path) -> None:
    """An AVI cut right after its header is an error: none of its 12 frames can be decoded."""
    path = videos.write(tmp_path / "v.avi", videos.scenes(12), codec="mjpeg", pix_fmt="yuvj420p")
    body = path.read_bytes()
    path.write_bytes(body[: body.index(b"movi") + 4 + 300])
    with pytest.raises(VideoTruncatedError, match="none of its 12 frames"):
        opened(path)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("v.mp4", {"options": {"bf": "0", "g": "12"}}),
        ("v.avi", {"codec": "mpeg4", "options": {"g": "12"}}),
        ("m.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    ],
)
def test_damaged_frames_are_not_handed_on(tmp_path: Path, name: str, options: dict, seed: int) -> None:
    """With flipped bytes in one coded frame, it and the frames predicted from it are skipped."""
    path = videos.write(tmp_path / name, videos.scenes(30), **options)
    clean = {frame.key.index: frame.pixels for frame in opened(path)}
    reader = opened(videos.damaged(path, 15, seed, share=0.05))
    found = list(reader)
    reading = reader.reading
    assert reading.read + reading.damaged == 30
    assert 0 < reading.damaged < 15
    assert {f.key.index for f in found} == set(range(30)) - set(range(15, 15 + reading.damaged))
    assert all(np.array_equal(f.pixels, clean[f.key.index]) for f in found)
    assert isinstance(reading.error, VideoTruncatedError)
    assert f"{reading.damaged} of 30 frames are damaged, the first at 0.60 s" in reading.error.what


def test_a_change_of_size(tmp_path: Path) -> None:
    """Frames after a change of size are scaled to the first size, and the reading reports when it changes."""
    path = videos.two_sizes(tmp_path / "v.ts", videos.frames(10), videos.frames(10, (96, 144), 10))
    reader = opened(path)
    found = list(reader)
    assert {f.pixels.shape[:2] for f in found} == {f.source_hw for f in found} == {videos.HW}
    assert [videos.number(f.pixels, (96, 144) if n > 9 else None) for n, f in enumerate(found)] == list(
        range(20)
    )
    assert isinstance(reader.reading.error, VideoFormatError)
    assert "from 0.40 s on" in reader.reading.error.what


def test_headers_that_lie_about_the_number(tmp_path: Path) -> None:
    """A billion declared frames cost neither memory nor time, and the actual number is reported."""
    path = videos.write(tmp_path / "v.avi", videos.frames(20), codec="mpeg4")
    body = bytearray(path.read_bytes())
    struct.pack_into("<I", body, body.index(b"strh") + 40, 10**9)
    struct.pack_into("<I", body, body.index(b"avih") + 24, 10**9)
    path.write_bytes(body)
    found, reader = read(path)
    assert found == list(range(20))
    assert reader.reading.declared_frames == 10**9
    assert "20 of 1000000000 frames" in str(reader.reading.error)

    film = bytearray(videos.write(tmp_path / "v.mp4", videos.frames(20)).read_bytes())
    begin, _ = videos.boxes(film)["moov/trak/mdia/minf/stbl/stsz"]
    struct.pack_into(">II", film, begin + 12, 1, 10**9)
    (tmp_path / "v.mp4").write_bytes(film)
    used = time.process_time()
    with pytest.raises(VideoTruncatedError):
        opened(tmp_path / "v.mp4")
    assert time.process_time() - used < 5  # CPU time: a walk through 10^9 entries takes minutes


@pytest.mark.parametrize(("side", "words"), [(12_000, "12000 x 12000"), (1 << 14, "limit of 36 million")])
def test_frames_without_end(tmp_path: Path, side: int, words: str) -> None:
    """Frames larger than quadrat's or FFmpeg's limit are refused from the header."""
    path = videos.write(tmp_path / "v.avi", videos.frames(3), codec="rawvideo", pix_fmt="bgr24")
    body = bytearray(path.read_bytes())
    struct.pack_into("<ii", body, body.index(b"strf") + 12, side, side)
    path.write_bytes(body)
    with pytest.raises(ImageSizeError, match=words):
        opened(path)


def test_a_frame_that_grows_in_the_stream(tmp_path: Path) -> None:
    """A frame in the stream that declares 16,384 x 16,384 pixels, unlike the container, counts as damage and uses no memory."""
    path = videos.write(tmp_path / "v.avi", videos.scenes(6), codec="png", pix_fmt="rgb24")
    body = bytearray(path.read_bytes())
    at = -1
    for _ in range(4):
        at = body.index(b"IHDR", at + 1)
    struct.pack_into(">II", body, at + 4, 1 << 14, 1 << 14)
    path.write_bytes(body)
    found, reader = read(path)
    assert found == [0, 1, 2, 4, 5]
    assert reader.reading.damaged == 1


def test_no_rate_and_no_times(tmp_path: Path) -> None:
    """A rate of 0 counts as unknown, and constant times are replaced by increasing ones."""
    path = videos.write(tmp_path / "v.avi", videos.frames(6), codec="mjpeg", pix_fmt="yuvj420p")
    body = bytearray(path.read_bytes())
    struct.pack_into("<I", body, body.index(b"strh") + 8 + 24, 0)
    path.write_bytes(body)
    film = bytearray(videos.write(tmp_path / "v.mp4", videos.frames(6), options={"bf": "0"}).read_bytes())
    begin, _ = videos.boxes(film)["moov/trak/mdia/minf/stbl/stts"]
    struct.pack_into(">I", film, begin + 20, 0)
    (tmp_path / "v.mp4").write_bytes(film)
    for name in ("v.avi", "v.mp4"):
        reader = opened(tmp_path / name)
        times = [frame.time_s for frame in reader]
        assert times[0] == 0
        assert all(a < b for a, b in pairwise(times)), name
        assert reader.reading.seconds > times[-1]
        assert reader.reading.rate is None or reader.reading.rate > 0


@pytest.mark.parametrize("seed", range(30))
def test_random_damage_is_never_a_crash(tmp_path: Path, seed: int) -> None:
    """Flipped bytes or a cut anywhere give frames or a QuadratError, promptly."""
    random = np.random.default_rng(seed)
    kind = ("v.mp4", "v.mkv", "v.avi", "v.ts")[seed % 4]
    form = {"v.avi": {"codec": "mpeg4"}, "v.ts": {"container": "mpegts"}}.get(kind, {})
    path = videos.write(tmp_path / kind, videos.frames(12), **form)
    body = bytearray(path.read_bytes())
    for at in random.integers(0, len(body), 1 + seed):
        body[at] = int(random.integers(256))
    path.write_bytes(body[: int(random.integers(len(body) // 2, len(body) + 1))])
    try:
        reader = opened(path)
    except QuadratError:
        return
    frames = list(reader)
    assert all(a.time_s < b.time_s for a, b in pairwise(frames))
    assert all(f.pixels.shape[:2] == reader.reading.hw for f in frames)


class FailingDisk:
    """A file that cannot be read beyond `limit` bytes."""

    limit = 1 << 40

    def __init__(self, file) -> None:
        self.seek, self.tell, self._file = file.seek, file.tell, file

    def read(self, count: int) -> bytes:
        """Read a few kilobytes, or fail."""
        if self._file.tell() > self.limit:
            raise OSError(errno.EIO, "Input/output error")
        return self._file.read(min(count, 4096))


def test_a_disk_that_fails_in_the_middle(tmp_path: Path, monkeypatch) -> None:
    """The readable part is measured: a failing memory card gives a partial video, not a failed one."""
    path = tmp_path / "a.mkv"
    videos.write(path, videos.scenes(30), **CUT["h264.mkv"])
    monkeypatch.setattr(container, "_UnnamedFile", FailingDisk)
    monkeypatch.setattr(FailingDisk, "limit", path.stat().st_size // 2)
    reader = open_video(path, videos.source(path), FrameSettings())
    count = len(list(reader))
    assert 0 < count < 30
    assert count == reader.reading.read
    assert isinstance(reader.reading.error, VideoTruncatedError)
