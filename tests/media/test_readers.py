"""Each kind of moving source has a reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from quadrat.errors import VideoFormatError
from quadrat.media.readers import READERS, open_reader
from quadrat.parameters import FrameSettings, StreamSettings
from quadrat.types import Blob, Source
from tests import videos


def test_a_video_and_a_folder_are_opened(tmp_path: Path) -> None:
    """A video file and a folder of pictures give the same frames."""
    pictures = videos.frames(5)
    film = videos.write(tmp_path / "film.mp4", pictures)
    folder = videos.still_images(tmp_path / "stills", pictures)
    for path, media in ((film, "video"), (folder, "sequence")):
        reader = open_reader(videos.source(path, media), Blob(path), FrameSettings(), StreamSettings())
        assert [videos.number(frame.pixels) for frame in reader] == [0, 1, 2, 3, 4]
        assert reader.reading.error is None
        reader.close()


@pytest.mark.parametrize(
    ("media", "blob"),
    [
        ("image", Blob(Path("x"))),
        ("video", None),
        ("video", Blob(b"x")),
        ("sequence", None),
        ("stream", Blob(Path("x"))),
        ("stream", Blob(b"x")),
    ],
)
def test_what_does_not_fit_is_refused(media: str, blob: Blob | None) -> None:
    """Pictures have no reader, videos and sequences need a path, and streams have none."""
    with pytest.raises(VideoFormatError, match="is not a video"):
        open_reader(Source("urn:x", "x", media), blob, FrameSettings(), StreamSettings())


def test_every_moving_medium_is_listed() -> None:
    """The table contains all kinds of sources except pictures."""
    assert set(READERS) == {"video", "sequence", "stream"}
