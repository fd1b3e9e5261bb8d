"""Local streams that stall, break, come back, stay away, or send invalid data."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quadrat.errors import StreamError
from quadrat.types import Frame
from tests import videos
from tests.media.feeds import Line, feed, transport
from tests.media.streams import Losses, Paced, holds, numbers, reader
from tests.waiting import LIMIT_S, repeated, wait_until


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable proxies of this machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Check that no thread of a stream outlives it for good."""
    yield
    wait_until(
        lambda: not any(thread.name.startswith("quadrat-stream") for thread in threading.enumerate()),
        "the end of the streams' threads",
    )


@pytest.fixture(scope="module")
def ts(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, bytes]:
    """Three parts of the scene, 20 frames each, starting at 0, 100 and 200."""
    folder = tmp_path_factory.mktemp("ts")
    return tuple(transport(folder, 20, first) for first in (0, 100, 200))  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_stream_is_read_whole_and_its_end_is_a_loss(kind: Any, ts: tuple[bytes, ...]) -> None:
    """Every frame is returned once, and the reading reports when no connection succeeds for reconnect-seconds."""
    with feed(kind, lambda line: line.send(ts[0]), lambda line: line.reset()) as server:
        stream = reader(server.url, reconnect_seconds=2.0)
        assert (0, 0) == stream.reading.hw
        frames = list(stream)

    assert list(range(20)) == numbers(frames)
    holds(frames)
    assert [round(n / 25, 3) for n in range(20)] == [round(f.time_s or 0, 3) for f in frames]
    reading = stream.reading
    assert (videos.HW, 20, 20, 0, 0) == (
        reading.hw,
        reading.read,
        reading.taken,
        reading.dropped,
        reading.damaged,
    )
    assert (25.0, "h264") == (reading.rate, reading.codec)
    assert isinstance(reading.error, StreamError)
    assert "lost after 20 frames at 0.8 s and could not be reconnected within 2 s (it ended" in str(
        reading.error
    )
    assert server.calls >= 2


def test_an_end_is_the_end_where_nothing_is_reconnected(ts: tuple[bytes, ...]) -> None:
    """With reconnect-seconds 0, a normal end is not an error, and the reader does not reconnect."""
    with feed("tcp", lambda line: line.send(ts[0])) as server:
        stream = reader(server.url, reconnect_seconds=0.0)
        assert list(range(20)) == numbers(list(stream))
        assert (1, None, ()) == (server.calls, stream.reading.error, stream.reading.gaps)


def test_a_file_on_a_web_server_is_not_read_again(ts: tuple[bytes, ...]) -> None:
    """A source of known length ends there, and no frame is dropped in any read-mode."""
    with feed("sized", lambda line: line.send(ts[0]), size=len(ts[0])) as server:
        stream = reader(server.url, read_mode="latest")
        assert list(range(20)) == numbers(list(stream))
        assert (1, None) == (server.calls, stream.reading.error)


def test_a_file_on_a_web_server_that_is_cut_is_not_begun_again(ts: tuple[bytes, ...]) -> None:
    """The received part is kept, the rest is reported missing, and the file is not read again from its start."""
    with feed("sized", lambda line: line.send(ts[0]), size=len(ts[0]) * 2) as server:
        stream = reader(server.url)
        assert list(range(20)) == numbers(list(stream))
        assert 1 == server.calls
    assert "lost after 20 frames at 0.8 s (it ended early)" in str(stream.reading.error)


@pytest.mark.parametrize("how", ["ends", "breaks", "stalls"])
def test_a_stream_that_comes_back(how: str, ts: tuple[bytes, ...]) -> None:
    """Indices continue, times include the gap, and the gap is reported with start, end and reason."""

    def first(line: Line) -> None:
        line.send(ts[0], 0.1)
        if how == "stalls":
            line.wait()
        elif how == "breaks":
            line.reset()

    with feed("tcp", first, lambda line: line.reset(), lambda line: line.send(ts[1])) as server:
        stream = reader(server.url, stall_seconds=1.0)
        frames = []
        for frame in stream:
            frames.append(frame)
            if videos.number(frame.pixels) == 119:
                stream.close()

    whole = numbers(frames)
    lost = [n for n in whole if n < 100]
    assert lost == list(range(len(lost)))
    assert len(lost) >= 18
    assert whole[len(lost) :] == list(range(100, 120))
    holds(frames)
    assert [f.key.index for f in frames] == list(range(len(frames)))
    (gap,) = stream.reading.gaps
    before, after = frames[len(lost) - 1].time_s, frames[len(lost)].time_s
    assert before is not None
    assert after is not None
    assert gap.start_s == pytest.approx(before + 0.04)
    assert gap.end_s == pytest.approx(after)
    if how == "stalls":
        assert gap.reason.startswith("no frame for "), "whether we notice the silence first or FFmpeg"
        assert after >= 1.0
    assert stream.reading.error is None


def test_a_stream_that_never_comes_back() -> None:
    """If there is no frame at all, the iteration raises after reconnect-seconds."""
    with feed("tcp", lambda line: line.wait()) as server:
        with pytest.raises(StreamError, match=r"cam: the stream cannot be reached \(no "):
            list(reader(server.url, stall_seconds=0.1, reconnect_seconds=1.0))
        assert server.calls >= 2


def test_nobody_is_there() -> None:
    """A refused connection is retried with growing pauses, and the error names the reason."""
    with feed("tcp", lambda line: line.reset()) as server:
        url = server.url
    with pytest.raises(StreamError, match="Connection refused") as caught:
        list(reader(url, reconnect_seconds=0.3))
    assert "Check the camera" in caught.value.hint


def test_without_reconnecting_one_try_is_made() -> None:
    """With reconnect-seconds 0, a stream that stalls at once ends after stall-seconds."""
    with feed("http", lambda line: line.wait()) as server:
        with pytest.raises(StreamError, match="cannot be reached"):
            list(reader(server.url, stall_seconds=0.2, reconnect_seconds=0.0))
        assert server.calls == 1


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_nonsense_is_a_loss_like_any_other(kind: Any, ts: tuple[bytes, ...]) -> None:
    """Invalid data is reported, and a valid connection after it is read."""
    noise = os.urandom(100_000)
    with feed(kind, lambda line: line.send(noise), lambda line: line.send(ts[0])) as server:
        stream = reader(server.url, stream_seconds=0.79)
        assert list(range(20)) == numbers(list(stream))
    with (
        feed(kind, lambda line: line.send(noise)) as server,
        pytest.raises(StreamError, match=r"no supported video|it ended"),
    ):
        list(reader(server.url, reconnect_seconds=0.2))


def test_nonsense_in_the_middle_costs_the_frames_it_hits(ts: tuple[bytes, ...]) -> None:
    """Damaged frames are skipped and counted; the frames after them are intact."""
    middle = len(ts[0]) // 2
    spoilt = ts[0][:middle] + os.urandom(188 * 3) + ts[0][middle + 188 * 3 :] + ts[1]
    with feed("tcp", lambda line: line.send(spoilt)) as server:
        stream = reader(server.url, reconnect_seconds=0.0)
        frames = list(stream)

    found = numbers(frames)
    assert found[-15:] == list(range(105, 120))
    assert -1 not in found
    assert len(found) < 40
    holds(frames)


def test_the_latest_frame_wins_where_the_reader_is_slow(ts: tuple[bytes, ...]) -> None:
    """Of the frames that arrive during a measurement, the newest is returned next; older ones are dropped and counted."""
    with feed("tcp", lambda line: line.send(ts[0])) as server:
        stream = reader(server.url, Paced, reconnect_seconds=0.0, read_mode="latest")
        stream.leave.release()
        frames = []
        for frame in stream:
            frames.append(frame)
            stream.let(5, of=20)

    assert [0, 5, 10, 15, 19] == numbers(frames) == [f.key.index for f in frames]
    reading = stream.reading
    assert (20, 5, 15) == (reading.read, reading.taken, reading.dropped)
    holds(frames)


def test_every_frame_waits_for_a_slow_reader(ts: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow consumer is not a stall, and no frame is dropped."""
    later = [0.0]
    monkeypatch.setattr("quadrat.media.stream.monotonic", lambda: time.monotonic() + later[0])
    with feed("tcp", lambda line: line.send(ts[0])) as server:
        stream = reader(server.url, reconnect_seconds=0.0, stall_seconds=30.0)
        frames = []
        for frame in stream:
            frames.append(frame)
            if len(frames) in (1, 10):
                wait_until(lambda: stream.reading.read >= len(frames) + 2, "frames that are ready")
                later[0] += 100.0

    assert list(range(20)) == numbers(frames)
    assert ((), 0) == (stream.reading.gaps, stream.reading.dropped)


@pytest.mark.parametrize(
    ("settings", "taken"), [({"frame_step": 4}, [0, 4, 8, 12, 16]), ({"frame_seconds": 0.2}, [0, 5, 10, 15])]
)
def test_frames_are_sampled(settings: dict[str, Any], taken: list[int], ts: tuple[bytes, ...]) -> None:
    """Frames are sampled by count or seconds, as in files, and keep their index."""
    with feed("tcp", lambda line: line.send(ts[0])) as server:
        stream = reader(server.url, reconnect_seconds=0.0, **settings)
        frames = list(stream)
    assert taken == numbers(frames) == [f.key.index for f in frames]
    assert (20, len(taken)) == (stream.reading.read, stream.reading.taken)


def test_another_size_is_scaled_to_the_first(tmp_path: Path, ts: tuple[bytes, ...]) -> None:
    """A camera that comes back with another frame size is scaled to the first size."""
    large = transport(tmp_path, 10, 100, (128, 192))
    with feed("tcp", lambda line: line.send(ts[0]), lambda line: line.send(large)) as server:
        stream = reader(server.url, stream_seconds=3.0)
        frames = list(stream)
    assert {(videos.HW, (*videos.HW, 3))} == {(f.source_hw, f.pixels.shape) for f in frames}
    assert len(frames) > 20


def test_seconds_end_a_stream(ts: tuple[bytes, ...]) -> None:
    """stream-seconds ends the stream, also during a gap, without an error."""
    with feed("tcp", lambda line: line.send(ts[0]), lambda line: line.wait()) as server:
        stream = reader(server.url, stream_seconds=0.4)
        assert list(range(10)) == numbers(list(stream))
        assert stream.reading.error is None

        stream = reader(server.url, stream_seconds=0.4)
    with feed("tcp", lambda line: line.send(ts[0][: len(ts[0]) // 4]), lambda line: line.wait()) as server:
        stream = reader(server.url, stream_seconds=0.6, stall_seconds=60.0, reconnect_seconds=60.0)
        assert 0 < len(list(stream)) < 10
        (gap,) = stream.reading.gaps
        assert 0.6 <= gap.end_s < 60  # and not when the stall was noticed
        assert stream.reading.error is None


@pytest.mark.parametrize("state", ["connecting", "stalled", "pausing", "full"])
def test_close_ends_it_at_once_from_another_thread(state: str, ts: tuple[bytes, ...]) -> None:
    """In any state of the stream, close returns and the iteration ends promptly."""
    scripts = {
        "connecting": [lambda line: line.wait()],
        "stalled": [lambda line: (line.send(ts[0]), line.wait())],
        "pausing": [lambda line: line.reset()],
        "full": [lambda line: (line.send(ts[0]), line.wait())],
    }[state]
    with feed("tcp", *scripts) as server:
        stream = reader(server.url, stall_seconds=1.0, reconnect_seconds=3600.0, backoff_s=3600.0)
        got, held = threading.Event(), threading.Event()
        frames: list[Frame] = []

        def read() -> None:
            for frame in stream:
                frames.append(frame)
                got.set()
                if state == "full":
                    held.wait(LIMIT_S)

        thread = threading.Thread(target=read)
        thread.start()
        wait_until(lambda: server.calls > 0, "a connection")
        reached = {
            "connecting": lambda: server.connected > 0,
            "stalled": lambda: len(frames) >= 10,
            "pausing": lambda: server.connected == 0,
            "full": lambda: stream.reading.read > 2,
        }[state]
        wait_until(reached, state)
        stream.close()
        held.set()
        thread.join(LIMIT_S)
        assert not thread.is_alive()
        assert stream.reading.error is None
        wait_until(lambda: server.connected == 0, "the end of the connection")


@repeated
def test_waiting_costs_nothing() -> None:
    """While a stream stalls or cannot be reached, no CPU time is wasted."""
    with feed("tcp", lambda line: line.wait(), lambda line: line.reset()) as server:
        stream = reader(server.url, stall_seconds=0.5, reconnect_seconds=1.0, backoff_s=0.1)
        before = time.process_time()
        with pytest.raises(StreamError):
            list(stream)
        assert time.process_time() - before < 0.25
        assert server.calls < 20


def test_a_pipe(tmp_path: Path, ts: tuple[bytes, ...]) -> None:
    """A pipe is read by its path; a change of writers is a gap, and waiting for one wastes no CPU time."""
    pipe = tmp_path / "pipe.ts"
    os.mkfifo(pipe)

    def write() -> None:
        for piece in ts[:2]:
            with pipe.open("wb") as file:
                file.write(piece)
            assert losses.lost.wait(LIMIT_S)

    stream, losses = reader(str(pipe)), Losses()
    logging.getLogger("quadrat").addHandler(losses)
    thread = threading.Thread(target=write)
    thread.start()
    frames = []
    for frame in stream:
        frames.append(frame)
        if videos.number(frame.pixels) == 119:
            stream.close()
    thread.join(LIMIT_S)
    logging.getLogger("quadrat").removeHandler(losses)

    assert [*range(20), *range(100, 120)] == numbers(frames)
    assert 1 == len(stream.reading.gaps)


def test_a_recording_is_read_once(tmp_path: Path, ts: tuple[bytes, ...]) -> None:
    """A local file ends at its end, given by path or as file:; invalid data is reported at once."""
    path = tmp_path / "a b.ts"
    path.write_bytes(ts[0])
    for address in (str(path), path.as_uri()):
        stream = reader(address, read_mode="latest")
        assert list(range(20)) == numbers(list(stream))
        assert stream.reading.error is None
    path.write_bytes(os.urandom(50_000))
    with pytest.raises(StreamError, match="sends no supported video"):
        list(reader(str(path), reconnect_seconds=3600.0, backoff_s=3600.0))  # at once: it would hang


def test_nothing_tells_a_password(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], ts: tuple[bytes, ...]
) -> None:
    """User and password are sent to the server, and appear in no error, log, gap or output."""
    logging.getLogger("quadrat").propagate = True
    caplog.set_level(logging.DEBUG)
    with feed("http", lambda line: line.send(ts[0]), lambda line: line.reset()) as server:
        address = server.url.replace("//", "//admin:geheim@")
        stream = reader(address, reconnect_seconds=0.2)
        list(stream)
    with pytest.raises(StreamError) as caught:
        list(reader(address, reconnect_seconds=0.1))
    out, err = capfd.readouterr()
    text = [caught.value.line, repr(caught.value), str(stream.reading), caplog.text, out, err]
    assert "connection lost at 0.8 s" in caplog.text
    assert "geheim" not in " ".join(text)
    assert caught.value.__cause__ is None
    assert "geheim" not in repr(caught.value.__context__)
