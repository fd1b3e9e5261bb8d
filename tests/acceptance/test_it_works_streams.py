"""The points of test_it_works that concern live streams."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

from quadrat.media.stream import StreamReader
from quadrat.pipeline.models import LoadedModel
from quadrat.stores.streams import list_streams
from tests import videos
from tests.media.feeds import Line, feed, transport
from tests.moving import RECTANGLES, film, measured, order, swim, times, watched
from tests.service.run import Service, rows
from tests.waiting import LIMIT_S


def test_point_01_a_live_stream_and_a_recording_in_one_run(service: Service, tmp_path: Path) -> None:
    """Addresses and files of this machine go together in `streams`: every frame of each is accounted for."""
    live, recording = transport(tmp_path, 20), tmp_path / "dive.mp4"
    film(recording, swim(9))
    with feed("http", lambda line: line.send(live, 0.4)) as server:
        counts = {server.url: 20, str(recording): 9}
        words = ("--streams", " ".join(counts), "--reconnect-seconds", "0")
        ran = service.run("--model", RECTANGLES, *words)

    assert (ran.status, ran.left) == (0, []), ran.said
    kinds = {
        r["name"]: (r["media"], r["status"], r["frames"], r["gaps"]) for r in rows(service.out / "survey.csv")
    }
    assert {name: ("stream", "ok", str(count), "0") for name, count in counts.items()} == kinds
    for name, count in counts.items():
        assert [(n, pytest.approx(n / 25, abs=1e-3)) for n in range(count)] == times(service.out, name)


@pytest.mark.usefixtures("no_proxy")
@pytest.mark.parametrize("mode", ["every", "latest"])
def test_point_01_streams_every_frame_or_the_latest(
    tmp_path: Path, model: LoadedModel, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """A stream faster than the network waits for it, or drops the oldest frames and counts them."""
    body = transport(tmp_path, 40, hw=(64, 96))
    came = itertools.count(1)
    all_came = threading.Event()
    on_frame = StreamReader.on_frame

    def counted(self: StreamReader, *frame: Any) -> bool:
        taken = on_frame(self, *frame)
        if next(came) == 40:
            all_came.set()
        return taken

    monkeypatch.setattr(StreamReader, "on_frame", counted)
    # the first batch lasts until the last frame has come, where none waits for it
    slow = watched(model, lambda _: mode == "every" or all_came.wait(LIMIT_S))
    with feed("http", lambda line: line.send(body)) as server:
        sources = list_streams(server.url)
        results, ends = measured(slow, sources, read_mode=mode, reconnect_seconds=0.0)

    reading = ends[sources[0].urn].reading  # type: ignore[union-attr]
    measured_frames = results[sources[0].urn]
    indices = [r.frame.key.index for r in measured_frames]
    assert indices == [videos.number(r.frame.pixels) for r in measured_frames] == sorted(set(indices))
    assert (40, 40 - len(measured_frames)) == (reading.read, reading.dropped)
    assert (len(measured_frames) == 40) is (mode == "every")
    assert 39 in indices  # the last one is never the one that is dropped


@pytest.mark.usefixtures("no_proxy")
def test_point_02_a_stream_comes_back_while_others_go_on(tmp_path: Path) -> None:
    """A broken stream is connected anew, its gap is in the metadata, and another loses no frame by it."""
    first, second = transport(tmp_path, 10), transport(tmp_path, 10, first=100)

    def breaks(line: Line) -> None:
        line.send(first, 0.4)
        line.reset()

    scripts = (breaks, lambda line: line.send(second, 0.4), lambda line: line.reset())
    with feed("http", *scripts) as flaky, feed("sized", lambda x: x.send(first), size=len(first)) as steady:
        sources = list_streams(f"{flaky.url} {steady.url}")
        ran = order(RECTANGLES, sources, tmp_path / "out", reconnect_seconds=1.5, stall_seconds=1.0)
        assert 3 <= flaky.calls < 9  # with pauses between

    assert ran.status == 0, ran.errors
    lost, whole = (ran.row(source.name) for source in sources)
    assert ("ok", "10", "0") == (whole["status"], whole["frames"], whole["gaps"])
    assert ("partial", "E_STREAM") == (lost["status"], lost["code"])
    assert 10 < int(lost["frames"]) <= 20
    gaps = ran.aspect(lost["product"])["gaps"]
    assert len(gaps) == 2  # where it came back, and where it did not
    assert all(gap["end"] > gap["start"] and gap["reason"] for gap in gaps)
