"""Addresses of streams: told apart, and without their passwords."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quadrat.artifacts.addresses import public
from quadrat.artifacts.streams import list_streams
from quadrat.errors import ParameterError


def test_each_address_is_a_source_with_a_name_of_its_own() -> None:
    """Spaces, or commas and spaces, part them; equal names get numbers."""
    listed = list_streams(" rtsp://a/1, rtsp://u:p@a/1  http://b:8080/live.ts?key=s ")

    assert ["rtsp://a/1", "rtsp://a/1 (2)", "http://b:8080/live.ts"] == [s.name for s in listed]
    assert ["rtsp://a/1", "rtsp://u:p@a/1", "http://b:8080/live.ts?key=s"] == [s.token for s in listed]
    assert 3 == len({s.urn for s in listed})
    assert {"stream"} == {s.media for s in listed}


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:secret@cam.example:554/live?token=secret#secret", "rtsp://cam.example:554/live"),
        ("rtsp://user:sec%40ret@[::1]:99999/live", "rtsp://[::1]:99999/live"),
        ("/tmp/camera.fifo", "/tmp/camera.fifo"),
        ("rtsp://u:p@[fe80::1]:554/live", "rtsp://[fe80::1]:554/live"),
        ("rtsp://cam:554/user=admin_password=secret_channel=1.sdp", "rtsp://cam:554/"),
        ("rtsp://cam/live/channel=1&Passwd=secret", "rtsp://cam/live/channel=1&"),
        ("rtsp://admin:1234/secret?@cam/live", "rtsp://cam/live"),
        ("udp://@239.0.0.1:1234", "udp://239.0.0.1:1234"),
        ("/data/dive#2?.ts", "/data/dive#2?.ts"),
        ("admin:secret@cam/live", "cam/live"),
    ],
)
def test_no_password_is_in_a_name(address: str, shown: str) -> None:
    """User, password and query stay in the token."""
    assert shown == public(address)


def test_what_nothing_can_come_of_is_refused_at_once(tmp_path: Path) -> None:
    """A name without rtsp:// or the like must be a path that is here; no login is in the line."""
    pipe = tmp_path / "camera.fifo"
    os.mkfifo(pipe)
    assert [str(pipe)] == [source.token for source in list_streams(str(pipe))]
    for wrong in ("camera-1", "rtsp://a/1 admin:secret@cam/live", str(tmp_path / "none.ts")):
        with pytest.raises(ParameterError, match="neither an address nor a path") as caught:
            list_streams(wrong)
        assert "secret" not in caught.value.line


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_no_address_is_an_error(text: str) -> None:
    """Nothing named is no stream."""
    with pytest.raises(ParameterError, match="no address"):
        list_streams(text)
