"""Streams with a display rotation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quadrat.media.video import open_video
from quadrat.parameters import FrameSettings
from quadrat.types import Frame
from tests import videos
from tests.media.feeds import feed, turned
from tests.media.streams import reader


def stored(frames: list[Frame], clockwise: int) -> list[int]:
    """Read the numbers of frames rotated clockwise by this many quarters."""
    back = [np.ascontiguousarray(np.rot90(frame.pixels, clockwise)) for frame in frames]
    return [videos.number(pixels, videos.HW) for pixels in back]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_video_is_upright_as_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, degrees: int
) -> None:
    """By path and from a web server, frames and their metadata equal those of the file, also when scaled."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    path = videos.rotated(tmp_path / "phone.mp4", videos.frames(6, (64, 128)), degrees)
    body = path.read_bytes()
    for most in (-1, 3000):
        file = open_video(path, videos.source(path), FrameSettings(max_img_size=most))
        expected = list(file)
        with feed("sized", lambda line: line.send(body), size=len(body)) as server:
            for address in (str(path), server.url):
                stream = reader(address, max_img_size=most)
                frames = list(stream)
                assert (
                    [f.source_hw for f in expected] == [f.source_hw for f in frames] == [file.reading.hw] * 6
                )
                assert all((e.pixels == f.pixels).all() for e, f in zip(expected, frames, strict=True))
                assert (degrees, file.reading.hw) == (stream.reading.rotation, stream.reading.hw)


def test_a_camera_that_is_turned_is_upright(tmp_path: Path) -> None:
    """Frames without the tag are rotated too; after a gap, the tag of the new connection applies."""
    first, second = (turned(tmp_path, 20, begin, turn) for begin, turn in ((0, 90), (100, 180)))
    with feed("tcp", lambda line: line.send(first), lambda line: line.send(second)) as server:
        stream = reader(server.url)
        frames = []
        for frame in stream:
            frames.append(frame)
            if frame.key.index == 39:
                stream.close()

    height, width = videos.HW
    assert {(width, height, 3)} == {frame.pixels.shape for frame in frames}
    assert ((width, height), 270) == (
        stream.reading.hw,
        stream.reading.rotation,
    )  # H.264 counts counter-clockwise
    assert [*range(20), *range(100, 120)] == stored(frames[:20], 3) + stored(frames[20:], 2)
