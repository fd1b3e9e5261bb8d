"""Long work shows how far it is."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from quadrat.errors import ImageFormatError, NotAnImageError, StreamError
from quadrat.media.sampling import Sampling
from quadrat.report import progress as module
from quadrat.report.progress import Progress
from quadrat.types import Begun, Failure, Reading, Source
from tests.values import settings_of

SOURCE = Source("urn:a", "a.jpg")
LOG = logging.getLogger("test.progress")


def test_log_lines_where_there_is_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    """Each image is a line with its number and covers; skipped files are not counted."""
    caplog.set_level(logging.INFO)
    with Progress(LOG, 2) as progress:
        progress.skipped(Failure(SOURCE, "list", NotAnImageError("a marker")))
        progress.measured(SOURCE, "sand 100.00 %")
        progress.failed(Failure(SOURCE, "read", ImageFormatError("no picture")))

    assert ["[1/2] a.jpg: sand 100.00 %", "[2/2] a.jpg: failed, E_IMAGE_FORMAT no picture"] == caplog.messages


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def last(screen: Terminal) -> str:
    """Give the line that stands on a screen."""
    return screen.getvalue().rsplit("\r", 1)[-1].rstrip()


def test_a_video_says_how_far_it_is(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line now and then with the declared number of frames, and one at the end; no login in it."""
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    caplog.set_level(logging.INFO)
    video, stream = Source("urn:v", "v.mp4", "video"), Source("urn:s", "rtsp://u:p@cam/1", "stream")
    with Progress(LOG, 2, moving=True) as progress:
        progress.begun(Begun(video, Reading((1, 1), declared_frames=2)))
        progress.begun(Begun(stream, Reading((1, 1))))
        progress.frame(video)
        progress.frame(stream)
        progress.frame(video, skipped=True)
        progress.measured(video, "1 track: 1 fish")
        progress.failed(Failure(stream, "read", StreamError("it was lost", where=stream.name)))

    assert caplog.messages == [
        "v.mp4: frame 1 of 2",
        "rtsp://***@cam/1: frame 1",
        "v.mp4: frame 2 of 2",
        "[1/2] v.mp4: 1 of 2 frames, 1 track: 1 fish",
        "[2/2] rtsp://***@cam/1: failed, E_STREAM rtsp://***@cam/1: it was lost",
    ]


def test_the_bar_of_videos_counts_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is the sum of what the videos declare, as long as each does."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress(LOG, 2, moving=True) as progress:
        for name in "ab":
            progress.begun(Begun(Source(f"urn:{name}", name, "video"), Reading((1, 1), declared_frames=7)))
        progress.frame(Source("urn:a", "a", "video"))

    assert "0/14" in screen.getvalue()
    assert "frame" in screen.getvalue()


@pytest.mark.parametrize("declared", [1, 6, 7])
@pytest.mark.parametrize("step", [1, 2, 3, 10])
def test_the_bar_ends_where_the_frames_that_are_taken_do(
    monkeypatch: pytest.MonkeyPatch, declared: int, step: int
) -> None:
    """It stands at its end once every frame that a reader takes of whole videos has come."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress(LOG, 2, moving=True, step=step) as progress:
        for video in (Source("urn:a", "a", "video"), Source("urn:b", "b", "video")):
            progress.begun(Begun(video, Reading((1, 1), declared_frames=declared)))
            sampling = Sampling(settings_of(frame_step=step).frames)
            for index in range(declared):
                if sampling.selects(index, index / 25):
                    progress.frame(video)
        assert progress._bar is not None
        assert progress._bar.n == progress._bar.total


@pytest.mark.parametrize("seconds", [0.01, 0.04, 0.1, 0.5, 10.0])
@pytest.mark.parametrize("frames", [1, 25, 26])
def test_the_bar_ends_where_frames_are_taken_by_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float, frames: int
) -> None:
    """One in each slot of the video's length, and never more than there are; without a length there is no end."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    video, sampling = Source("urn:a", "a", "video"), Sampling(settings_of(frame_seconds=seconds).frames)
    with Progress(LOG, 1, moving=True, seconds=seconds) as progress:
        progress.begun(Begun(video, Reading((1, 1), declared_frames=frames, declared_s=frames / 25)))
        for index in range(frames):
            if sampling.selects(index, index / 25):
                progress.frame(video)
        assert progress._bar is not None
        assert progress._bar.n == progress._bar.total
        progress.begun(Begun(Source("urn:b", "b", "video"), Reading((1, 1), declared_frames=frames)))
        assert progress._bar.total is None


def opened(*, declared: int | None, of: int = 1) -> tuple[Source, Begun]:
    """Give a video, and that it is open."""
    video = Source(f"urn:{of}", f"dive-{of}.mp4", "video")
    return video, Begun(video, Reading((1, 1), declared_frames=declared))


def test_the_bar_says_how_many_videos_are_done_and_which_are_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where a video does not say how long it is; the names, as long as there is room for them."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    said = []
    with Progress(LOG, 10, moving=True) as progress:
        for number in (1, 2, 3):
            _, begun = opened(declared=None, of=number)
            progress.begun(begun)
            said.append(last(screen))
        progress.measured(begun.source, "1 fish")
        progress.failed(Failure(Source("urn:1", "dive-1.mp4", "video"), "read", StreamError("lost")))
        said.append(last(screen))

    assert ["0/10 videos: 0 frames"] * 3 == [line.split(" [")[0] for line in said[:3]]
    assert ["dive-1.mp4]", "dive-1.mp4, dive-2.mp4]", "dive-1.mp4 and 2 more]"] == [
        line.split("/s, ")[1] for line in said[:3]
    ]
    assert said[3].startswith("2/10 videos: ")
    assert said[3].endswith(", dive-2.mp4]")


def test_a_video_that_does_not_say_takes_the_end_only_while_it_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Afterwards its frames are known, and those of one that gave fewer than it said."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    ends: list[float | None] = []
    with Progress(LOG, 3, moving=True) as progress:
        for declared, gives in ((None, 5), (7, 4)):
            video, begun = opened(declared=declared, of=gives)
            progress.begun(begun)
            assert progress._bar is not None
            ends.append(progress._bar.total)
            for _ in range(gives):
                progress.frame(video)
            progress.measured(video, "1 fish")
            ends.append(progress._bar.total)

    assert [None, 5, 12, 9] == ends


def test_lines_of_the_log_stand_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a line of its own on an empty one, and what a video shows is one; afterwards all is as it was."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    log, handler = logging.getLogger("test.progress.screen"), logging.StreamHandler(screen)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log.propagate, log.handlers = False, [handler]
    log.setLevel(logging.DEBUG)
    video, begun = opened(declared=None)
    with Progress(log, 2, moving=True) as progress:
        progress.begun(begun)
        progress.skipped(Failure(SOURCE, "list", NotAnImageError("a marker")))
        progress.frame(video)
        progress.measured(video, "1 track: 1 fish")

    assert [handler] == log.handlers
    lines = [line.rsplit("\r", 1)[-1] for line in screen.getvalue().split("\n")[:-1]]
    assert [
        "DEBUG a.jpg: skipped, E_NOT_IMAGE a marker",
        "INFO [1/2] dive-1.mp4: 1 frame, 1 track: 1 fish",
    ] == lines


def test_a_line_of_a_sampled_video_says_how_many_frames_come(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames taken are counted against those that will be taken, not against all of the file."""
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    caplog.set_level(logging.INFO)
    video = Source("urn:v", "v.mp4", "video")
    for seconds, length in ((0.0, None), (2.0, 7.0), (2.0, None)):
        with Progress(LOG, 1, moving=True, step=3, seconds=seconds) as progress:
            progress.begun(Begun(video, Reading((1, 1), declared_frames=7, declared_s=length)))
            progress.frame(video)

    assert ["v.mp4: frame 1 of 3", "v.mp4: frame 1 of 4", "v.mp4: frame 1"] == caplog.messages


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A person at a terminal sees a bar, and only failures as lines."""
    caplog.set_level(logging.INFO)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress(LOG, 1) as progress:
        progress.measured(SOURCE, "sand 100.00 %")

    assert "0/1" in screen.getvalue()
    assert caplog.messages == []
