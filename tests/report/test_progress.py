"""Long work shows how far it is."""

from __future__ import annotations

import io
import logging
import re
import sys
from functools import partialmethod

import pytest
import tqdm

from quadrat.errors import ImageFormatError, NotAnImageError, QuadratError, StreamError, TooManyObjectsError
from quadrat.media.sampling import Sampling
from quadrat.pipeline.measure import failed_record
from quadrat.records import ImageFacts, ModelRecord, SourceRecord
from quadrat.report import progress as module
from quadrat.report.progress import Progress
from quadrat.types import Failure, Reading, Source, SourceOpened
from tests.values import settings_of

SOURCE = Source("urn:a", "a.jpg")
LOG = logging.getLogger("test.progress")


def measured(source: Source, *texts: str, faults: tuple[QuadratError, ...] = ()) -> SourceRecord:
    """Make the record of a measured source, with a model for each text."""
    models = tuple(ModelRecord(f"m{n}", "detect", 1, text=text) for n, text in enumerate(texts))
    if source.media == "image":
        facts = ImageFacts((1, 1), (1, 1), "", {})
        return SourceRecord(source, "ok", faults, image=facts, models=models)
    return SourceRecord(source, "ok", faults, reading=Reading((1, 1)), models=models)


def failed(source: Source, error: QuadratError) -> SourceRecord:
    """Make the record of a source that gave no result."""
    return failed_record(Failure(source, "read", error))


def test_log_lines_if_there_is_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    """Each image is a line with its number and covers; skipped files are not counted."""
    caplog.set_level(logging.DEBUG)
    with Progress(LOG, 2) as progress:
        progress.finished(failed(SOURCE, NotAnImageError("a marker")))
        progress.finished(measured(SOURCE, "sand 100.00 %"))
        progress.finished(failed(SOURCE, ImageFormatError("no picture")))

    assert [
        "a.jpg: skipped, E_NOT_IMAGE a marker",
        "[1/2] a.jpg: sand 100.00 %",
        "[2/2] a.jpg: failed, E_IMAGE_FORMAT no picture",
    ] == caplog.messages
    assert ["DEBUG", "INFO", "WARNING"] == [record.levelname for record in caplog.records]


def test_a_black_image_is_counted_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    """It was read, unlike a file that is no image; the total may be unknown."""
    caplog.set_level(logging.INFO)
    facts = ImageFacts((1, 1), (1, 1), "", {}, "black")
    with Progress(LOG, None) as progress:
        models = (ModelRecord("m", "detect"),)
        progress.finished(
            SourceRecord(SOURCE, "skipped", reason="the picture is black", image=facts, models=models)
        )

    assert ["[1] a.jpg: skipped, black"] == caplog.messages


def test_every_model_is_named_if_there_are_several(caplog: pytest.LogCaptureFixture) -> None:
    """One that failed has its error in place of a summary."""
    caplog.set_level(logging.INFO)
    record = measured(SOURCE, "sand 100.00 %", "2 fish")
    lost = ModelRecord("lost", "detect", faults=(TooManyObjectsError("more"),))
    with Progress(LOG, 1) as progress:
        progress.finished(
            SourceRecord(SOURCE, "partial", lost.faults, image=record.image, models=(*record.models, lost))
        )

    assert ["[1/1] a.jpg: m0: sand 100.00 %; m1: 2 fish; lost: more"] == caplog.messages


def test_all_errors_of_a_failed_source_are_in_its_line(caplog: pytest.LogCaptureFixture) -> None:
    """Each with its code."""
    faults = (ImageFormatError("no picture"), StreamError("it was lost"))
    with Progress(LOG, 1) as progress:
        progress.finished(SourceRecord(SOURCE, "failed", faults))

    assert ["[1/1] a.jpg: failed, E_IMAGE_FORMAT no picture; E_STREAM it was lost"] == caplog.messages


class Terminal(io.StringIO):
    """A text stream that claims to be a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Open a terminal on which the bar shows every change; not a fixture, as pytest changes stderr after those."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(tqdm.tqdm, "__init__", partialmethod(tqdm.tqdm.__init__, mininterval=0, miniters=1))
    return screen


def last(screen: Terminal) -> str:
    """Give the line that stands on a screen."""
    return screen.getvalue().rsplit("\r", 1)[-1].rstrip()


def place(screen: Terminal) -> tuple[int, int | None]:
    """Read from the bar how many frames have come, and how many are expected."""
    known = re.search(r"\| *(\d+)/(\d+) \[", last(screen))
    if known:
        return int(known[1]), int(known[2])
    unknown = re.search(r"(\d+) frames \[", last(screen))
    return int(unknown[1]) if unknown else -1, None


def test_a_video_logs_how_far_it_is(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line now and then with the declared number of frames, and one at the end; no login in it."""
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    caplog.set_level(logging.INFO)
    video, stream = Source("urn:v", "v.mp4", "video"), Source("urn:s", "rtsp://u:p@cam/1", "stream")
    with Progress(LOG, 2, moving=True) as progress:
        progress.opened(SourceOpened(video, Reading((1, 1), declared_frames=2)))
        progress.opened(SourceOpened(stream, Reading((1, 1))))
        progress.frame(video)
        progress.frame(stream)
        progress.frame(video, skipped=True)
        progress.finished(measured(video, "1 track: 1 fish"))
        progress.finished(failed(stream, StreamError("it was lost", where=stream.name)))

    assert caplog.messages == [
        "v.mp4: frame 1 of 2",
        "rtsp://***@cam/1: frame 1",
        "v.mp4: frame 2 of 2",
        "[1/2] v.mp4: 1 of 2 frames, 1 track: 1 fish",
        "[2/2] rtsp://***@cam/1: failed, E_STREAM it was lost",
    ]


def test_lines_of_frames_are_not_frequent(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One every ten seconds, however many frames there are."""
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    caplog.set_level(logging.INFO)
    video = Source("urn:v", "v.mp4", "video")
    with Progress(LOG, 1, moving=True) as progress:
        for second in range(25):
            now[0] = float(second)
            progress.frame(video)

    assert ["v.mp4: frame 11", "v.mp4: frame 21"] == caplog.messages


def test_the_bar_of_videos_counts_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is the sum of what the videos declare, as long as each does."""
    screen = terminal(monkeypatch)
    with Progress(LOG, 2, moving=True) as progress:
        for name in "ab":
            opened = SourceOpened(Source(f"urn:{name}", name, "video"), Reading((1, 1), declared_frames=7))
            progress.opened(opened)
        assert place(screen) == (0, 14)
        progress.frame(Source("urn:a", "a", "video"))
        assert place(screen) == (1, 14)

    assert "frame" in screen.getvalue()


@pytest.mark.parametrize("declared", [1, 6, 7])
@pytest.mark.parametrize("step", [1, 2, 3, 10])
def test_the_bar_ends_with_the_last_frame_that_is_taken(
    monkeypatch: pytest.MonkeyPatch, declared: int, step: int
) -> None:
    """It stands at its end once every frame that a reader takes of whole videos has come."""
    screen = terminal(monkeypatch)
    with Progress(LOG, 2, moving=True, step=step) as progress:
        for video in (Source("urn:a", "a", "video"), Source("urn:b", "b", "video")):
            progress.opened(SourceOpened(video, Reading((1, 1), declared_frames=declared)))
            sampling = Sampling(settings_of(frame_step=step).frames)
            for index in range(declared):
                if sampling.selects(index, index / 25):
                    progress.frame(video)
        taken, expected = place(screen)
        assert taken == expected == 2 * -(-declared // step)


@pytest.mark.parametrize("seconds", [0.01, 0.04, 0.1, 0.5, 10.0])
@pytest.mark.parametrize("frames", [1, 25, 26])
def test_the_bar_ends_where_frames_are_taken_by_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float, frames: int
) -> None:
    """One in each slot of the video's length, and never more than there are; without a length there is no end."""
    screen = terminal(monkeypatch)
    video, sampling = Source("urn:a", "a", "video"), Sampling(settings_of(frame_seconds=seconds).frames)
    with Progress(LOG, 1, moving=True, seconds=seconds) as progress:
        progress.opened(SourceOpened(video, Reading((1, 1), declared_frames=frames, declared_s=frames / 25)))
        for index in range(frames):
            if sampling.selects(index, index / 25):
                progress.frame(video)
        taken, expected = place(screen)
        assert taken == expected
        other = Source("urn:b", "b", "video")
        progress.opened(SourceOpened(other, Reading((1, 1), declared_frames=frames)))
        assert place(screen) == (taken, None)


def opened(*, declared: int | None, of: int = 1) -> tuple[Source, SourceOpened]:
    """Give a video, and the event that it is open."""
    video = Source(f"urn:{of}", f"dive-{of}.mp4", "video")
    return video, SourceOpened(video, Reading((1, 1), declared_frames=declared))


def test_the_bar_names_the_videos_that_are_measured_and_counts_those_that_are_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if a video does not declare its length; the names, as long as there is room for them."""
    screen = terminal(monkeypatch)
    lines = []
    with Progress(LOG, 10, moving=True) as progress:
        for number in (1, 2, 3):
            video, event = opened(declared=None, of=number)
            progress.opened(event)
            lines.append(last(screen))
        progress.finished(measured(video, "1 fish"))
        progress.finished(failed(Source("urn:1", "dive-1.mp4", "video"), StreamError("lost")))
        lines.append(last(screen))

    assert ["0/10 videos: 0 frames"] * 3 == [line.split(" [")[0] for line in lines[:3]]
    assert ["dive-1.mp4]", "dive-1.mp4, dive-2.mp4]", "dive-1.mp4 and 2 more]"] == [
        line.split("/s, ")[1] for line in lines[:3]
    ]
    assert lines[3].startswith("2/10 videos: ")
    assert lines[3].endswith(", dive-2.mp4]")


def test_names_that_are_too_long_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar stays one line."""
    screen = terminal(monkeypatch)
    video = Source("urn:v", f"{'x' * 60}.mp4", "video")
    with Progress(LOG, None, moving=True) as progress:
        progress.opened(SourceOpened(video, Reading((1, 1))))

        assert "xxx" not in last(screen)
        assert last(screen).startswith("0 videos: ")


def test_the_bar_of_streams_calls_them_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And shows no login."""
    screen = terminal(monkeypatch)
    stream = Source("urn:s", "rtsp://u:p@cam/1", "stream")
    with Progress(LOG, 1, moving=True) as progress:
        progress.opened(SourceOpened(stream, Reading((1, 1))))

        assert last(screen).startswith("0/1 streams: ")
        assert last(screen).endswith("rtsp://***@cam/1]")


def test_the_bar_has_no_end_while_a_video_is_measured_that_declares_no_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Afterwards its frames are known, and those of one that gave fewer than it declares."""
    screen = terminal(monkeypatch)
    ends = []
    with Progress(LOG, 3, moving=True) as progress:
        for declared, gives in ((None, 5), (7, 4)):
            video, event = opened(declared=declared, of=gives)
            progress.opened(event)
            ends.append(place(screen)[1])
            for _ in range(gives):
                progress.frame(video)
            progress.finished(measured(video, "1 fish"))
            ends.append(place(screen)[1])

    assert [None, 5, 12, 9] == ends


def test_log_lines_stand_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a line of its own on an empty one, and the summary of a video is one; afterwards all is as it was."""
    screen = terminal(monkeypatch)
    log, handler = logging.getLogger("test.progress.screen"), logging.StreamHandler(screen)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log.propagate, log.handlers = False, [handler]
    log.setLevel(logging.DEBUG)
    video, event = opened(declared=None)
    with Progress(log, 2, moving=True) as progress:
        progress.opened(event)
        progress.finished(failed(SOURCE, NotAnImageError("a marker")))
        progress.frame(video)
        progress.finished(measured(video, "1 track: 1 fish"))

    assert [handler] == log.handlers
    lines = [line.rsplit("\r", 1)[-1] for line in screen.getvalue().split("\n")[:-1]]
    assert [
        "DEBUG a.jpg: skipped, E_NOT_IMAGE a marker",
        "INFO [1/2] dive-1.mp4: 1 frame, 1 track: 1 fish",
    ] == lines


def test_a_line_of_a_sampled_video_has_the_number_of_frames_that_come(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames taken are counted against those that will be taken, not against all of the file."""
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    caplog.set_level(logging.INFO)
    video = Source("urn:v", "v.mp4", "video")
    for seconds, length in ((0.0, None), (2.0, 7.0), (2.0, None)):
        with Progress(LOG, 1, moving=True, step=3, seconds=seconds) as progress:
            progress.opened(SourceOpened(video, Reading((1, 1), declared_frames=7, declared_s=length)))
            progress.frame(video)

    assert ["v.mp4: frame 1 of 3", "v.mp4: frame 1 of 4", "v.mp4: frame 1"] == caplog.messages


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A person at a terminal sees a bar, and only failures as lines."""
    screen = terminal(monkeypatch)
    caplog.set_level(logging.INFO)
    with Progress(LOG, 2) as progress:
        progress.finished(measured(SOURCE, "sand 100.00 %"))
        assert "1/2" in last(screen)
        progress.finished(failed(SOURCE, ImageFormatError("no picture")))

    assert "0/2" in screen.getvalue()
    assert "2/2" in screen.getvalue()
    assert caplog.messages == ["[2/2] a.jpg: failed, E_IMAGE_FORMAT no picture"]
