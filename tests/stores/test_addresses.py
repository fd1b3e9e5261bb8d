"""An address keeps what tells a camera from another and loses what opens it."""

from __future__ import annotations

import pytest

from quadrat.stores.addresses import public, redacted, shown
from quadrat.types import Source


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "rtsp://admin:pa@ss@cam:554/live?channel=1&subtype=0",
            "rtsp://***@cam:554/live?channel=1&subtype=0",
        ),
        ("E_STREAM rtsp://u:p@h/a: lost", "E_STREAM rtsp://***@h/a: lost"),
        ("rtsp://u:p/w@h/a", "rtsp://***@h/a"),
        ("http://h/x?token=abc&id=2, and more", "http://h/x?token=***&id=2, and more"),
        ("http://h/x?ToKeN=abc&id=2", "http://h/x?ToKeN=***&id=2"),
        ("rtsp://h/user=admin&password=&channel=1", "rtsp://h/user=***&password=***&channel=1"),
        ("https://h/a?aGVsbG8gd29ybGQ", "https://h/a?***"),
        ("https://h/a?hdnts=exp~acl~hmac~0123456789", "https://h/a?hdnts=***"),
        ("rtsp://h:554/p@th and urn:ivcap:artifact:1", "rtsp://h:554/p@th and urn:ivcap:artifact:1"),
        ("no address, a@b.c", "no address, a@b.c"),
    ],
)
def test_secrets_are_left_out(text: str, left: str) -> None:
    """Logins, keys and long values go, hosts and channels stay; twice is as once."""
    assert left == redacted(text) == redacted(left)


def test_names_of_files_are_left_alone() -> None:
    """Only a stream's name is an address."""
    assert shown("a://b:c@d", Source("u", "n", "video")) == "a://b:c@d"
    assert shown("a://b:c@d", Source("u", "n", "stream")) == "a://***@d"


@pytest.mark.parametrize(
    ("address", "name"),
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
        ("rtsp://cam/hdnts=exp0123456789&id=1", "rtsp://cam/hdnts=***&id=1"),
    ],
)
def test_no_password_is_in_a_name(address: str, name: str) -> None:
    """User, password and query stay in the token; a name need not be redacted again."""
    assert name == public(address) == redacted(name)
