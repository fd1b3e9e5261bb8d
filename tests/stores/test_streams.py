"""Addresses of streams: told apart, and without their passwords."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quadrat.errors import ParameterError
from quadrat.stores.streams import list_streams


def test_each_address_is_a_source_with_a_name_of_its_own() -> None:
    """Spaces, or commas and spaces, part them; equal names get numbers."""
    listed = list_streams(" rtsp://a/1, rtsp://u:p@a/1  http://b:8080/live.ts?key=s ")

    assert ["rtsp://a/1", "rtsp://a/1 (2)", "http://b:8080/live.ts"] == [s.name for s in listed]
    assert ["rtsp://a/1", "rtsp://u:p@a/1", "http://b:8080/live.ts?key=s"] == [s.token for s in listed]
    assert 3 == len({s.urn for s in listed})
    assert not any(" " in s.urn for s in listed)
    assert {"stream"} == {s.media for s in listed}


def test_what_nothing_can_come_of_is_refused_at_once(tmp_path: Path) -> None:
    """A name without rtsp:// or the like must be a path that is here; no login is in the line."""
    pipe = tmp_path / "camera.fifo"
    os.mkfifo(pipe)
    assert [str(pipe)] == [source.token for source in list_streams(str(pipe))]
    for wrong in ("camera-1", "rtsp://a/1 admin:secret@cam/live", str(tmp_path / "none.ts")):
        with pytest.raises(ParameterError, match="neither an address nor an existing path") as caught:
            list_streams(wrong)
        assert "secret" not in caught.value.line


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_no_address_is_an_error(text: str) -> None:
    """Nothing named is no stream."""
    with pytest.raises(ParameterError, match="no address"):
        list_streams(text)
