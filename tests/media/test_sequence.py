"""Folders of pictures as sequences of frames."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import VideoFormatError, VideoTruncatedError
from quadrat.media.sequence import natural_key, open_sequence
from quadrat.parameters import FrameSettings
from tests import videos


def opened(folder: Path, **settings: float):
    """Open a folder with some settings."""
    return open_sequence(folder, videos.source(folder, "sequence"), FrameSettings(**settings))


@given(
    st.lists(st.integers(0, 10**6), unique=True, max_size=20),
    st.sampled_from(["img{}.png", "{}", "a 1 {} b"]),
)
def test_numbers_order_by_value(numbers: list[int], form: str) -> None:
    """Names that differ only in a number are sorted by that number, with or without leading zeros."""
    names = [form.format(n) for n in numbers]
    assert sorted(names, key=natural_key) == [form.format(n) for n in sorted(numbers)]


@given(st.lists(st.text(max_size=8), unique=True))
def test_every_name_has_its_place(names: list[str]) -> None:
    """Any names can be sorted, and the order does not depend on the order of listing."""
    backwards = list(reversed(names))
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)


@given(st.integers(1, 30), st.sampled_from([0.5, 10.0, 25.0, 30.0]), st.integers(1, 7))
def test_every_picture_comes_once(tmp_path_factory, count: int, rate: float, step: int) -> None:
    """Every n-th frame is returned in natural order, at index / rate seconds."""
    folder = videos.still_images(tmp_path_factory.mktemp("stills"), videos.frames(count))
    reader = opened(folder, sequence_rate=rate, frame_step=step)
    found = [(f.key.index, videos.number(f.pixels), f.time_s) for f in reader]
    assert found == [(n, n, n / rate) for n in range(0, count, step)]
    reading = reader.reading
    assert (reading.read, reading.taken, reading.declared_frames) == (count, len(found), count)
    assert reading.seconds == count / rate
    assert reading.error is None


def test_a_sequence_left_early_lasts_as_long_as_was_read(tmp_path: Path) -> None:
    """Before the end, `seconds` covers the pictures read so far, not all in the folder."""
    reader = opened(videos.still_images(tmp_path, videos.frames(6)))
    frames = iter(reader)
    next(frames)
    next(frames)
    assert (2, 0.2) == (reader.reading.read, reader.reading.seconds)
    assert 0.6 == pytest.approx(reader.reading.declared_s)
    reader.close()


def test_a_bad_picture_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    """An unreadable picture keeps its index and time, and the reading names it."""
    folder = videos.still_images(tmp_path, videos.frames(6))
    (folder / "img3.png").write_bytes((folder / "img3.png").read_bytes()[:200])
    reader = opened(folder)
    assert [(f.key.index, f.time_s, f.file) for f in reader] == [
        (n, n / 10, f"img{n + 1}.png") for n in (0, 1, 3, 4, 5)
    ]
    reading = reader.reading
    assert (reading.read, reading.damaged) == (5, 1)
    assert isinstance(reading.error, VideoTruncatedError)
    assert "1 of 6 pictures" in reading.error.what
    assert "img3.png" in reading.error.what


def test_another_size_is_scaled_to_the_first(tmp_path: Path) -> None:
    """All frames have one size, and the reading names the first picture that was scaled."""
    folder = videos.still_images(tmp_path, videos.frames(3))
    other = videos.still_images(tmp_path / "other", [videos.frame(3, (96, 144))])
    shutil.move(other / "img1.png", folder / "img4.png")
    reader = opened(folder)
    found = [(f.source_hw, f.pixels.shape[:2], videos.number(f.pixels, drawn)) for f, drawn in zip(
        reader, [videos.HW] * 3 + [(96, 144)], strict=True)]  # fmt: skip
    assert found == [(videos.HW, videos.HW, n) for n in range(4)]
    assert isinstance(reader.reading.error, VideoFormatError)
    assert "img4.png" in reader.reading.error.what


def test_working_size_and_digest(tmp_path: Path) -> None:
    """max-img-size shrinks the frames but not the source size; the digest covers all bytes in order."""
    folder = videos.still_images(tmp_path, videos.frames(3))
    reader = opened(folder, max_img_size=1000)
    frames = list(reader)
    assert all(f.pixels.shape[0] * f.pixels.shape[1] <= 1000 for f in frames)
    assert all(f.source_hw == videos.HW for f in frames)
    bodies = b"".join((folder / f"img{n}.png").read_bytes() for n in (1, 2, 3))
    assert reader.reading.digest == hashlib.sha256(bodies).hexdigest()
    assert np.array_equal(frames[0].pixels, next(iter(opened(folder, max_img_size=1000))).pixels)
    assert {max(frame.pixels.shape[:2]) for frame in opened(folder, max_img_size="50px")} == {50}


def test_what_is_no_picture_is_no_frame(tmp_path: Path) -> None:
    """Other files, hidden files, folders and earlier products are ignored; a folder without pictures is refused."""
    folder = videos.still_images(tmp_path / "stills", videos.frames(2))
    (folder / "notes.txt").write_text("x")
    (folder / ".img0.png").write_bytes((folder / "img1.png").read_bytes())
    (folder / "img0.png").mkdir()
    (folder / "img1.annotated.jpg").write_bytes(b"x")
    (folder / "img1.annotated.jpg-meta.json").write_text("{}")
    (folder / "img2.png-meta.json").write_text("{}")  # of another program
    assert [videos.number(f.pixels) for f in opened(folder)] == [0, 1]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(VideoFormatError, match="no picture"):
        opened(empty)
    (empty / "dive.MP4").write_bytes(b"x")
    with pytest.raises(VideoFormatError, match="contains videos"):
        opened(empty)
    with pytest.raises(VideoFormatError, match="folder cannot be read"):
        opened(tmp_path / "absent")


def test_nothing_readable_is_refused(tmp_path: Path) -> None:
    """If no picture can be read, the error names the first."""
    for n in range(3):
        (tmp_path / f"{n}.jpg").write_bytes(b"no picture")
    with pytest.raises(VideoTruncatedError, match=r"none of the 3 pictures.*0\.jpg"):
        opened(tmp_path)


def test_closing_ends_the_iteration(tmp_path: Path) -> None:
    """After close, no further frame comes."""
    reader = opened(videos.still_images(tmp_path, videos.frames(9)))
    frames = iter(reader)
    next(frames)
    reader.close()
    assert list(frames) == []
