"""Names of products are plain, readable and never the same twice."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.report.names import Names, folder_of, slug
from quadrat.types import Source


@given(st.lists(st.text(max_size=120), max_size=20))
def test_no_two_stems_are_equal_on_any_file_system(names: list[str]) -> None:
    """Whatever the images are called, products differ even where case does not count."""
    taken = Names()
    stems = [taken.stem(name).casefold() for name in names]

    assert len(set(stems)) == len(stems)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9._-]*|_[a-z0-9._-]*", s) for s in stems)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("reef/IMG_0001.JPG", "IMG_0001"),
        ("Grüße Strand.jpg", "Grue-Strand"),
        ("-rf.jpg", "rf"),
        ("=cmd().png", "cmd"),
        ("🐟.jpg", "image"),
        ("a.b.tar.jpg", "a.b.tar"),
        ("urn:ivcap:artifact:0779-bbff", "0779-bbff"),
        ("x" * 300 + ".jpg", "x" * 80),
        ("", "image"),
    ],
)
def test_slug(name: str, stem: str) -> None:
    """A name keeps what is plain in it."""
    assert stem == slug(name)


def test_equal_base_names_in_two_folders_give_two_products() -> None:
    """The second is numbered, and so is one that only differs in case or suffix."""
    names = Names()

    assert ["q1", "q1-2", "Q1-3", "q1-2-2"] == [
        names.stem(n) for n in ("a/q1.jpg", "b/q1.jpg", "Q1.PNG", "q1-2.jpg")
    ]


def test_a_folder_of_images_keeps_the_dots_of_its_name() -> None:
    """A sequence has no suffix to lose, a video has."""
    names = Names()
    sources = [
        Source("urn:1", "site/2024.05.06", "sequence"),
        Source("urn:2", "site/2024.05.mp4", "video"),
    ]

    assert ["2024.05.06", "2024.05"] == [names.video(s) for s in sources]


@pytest.mark.parametrize(
    ("address", "stem"),
    [
        ("rtsp://u:p@cam.local", "cam.local"),
        ("udp://127.0.0.1:23456", "127.0.0.1-23456"),
        ("rtsp://10.0.0.7:554/Streaming/Channels/101", "10.0.0.7-554-Streaming-Channels-101"),
        ("https://cam.example.org/reef/live.m3u8", "cam.example.org-reef-live"),
        ("pipes/cam.ts", "cam"),
    ],
)
def test_a_stream_is_named_by_host_and_path(address: str, stem: str) -> None:
    """Cameras of one make have the same paths; a login is in no name."""
    assert stem == Names().video(Source("urn:1", address, "stream"))


def test_every_media_has_its_rule() -> None:
    """A sequence keeps the dots of its name, a photograph and a video lose their suffix."""
    names = Names()
    media = {"image": "a/p.jpg", "video": "v.mp4", "sequence": "s.05", "stream": "rtsp://u:p@cam/1"}
    sources = [Source(f"urn:{name}", name, kind) for kind, name in media.items()]  # type: ignore[arg-type]

    assert ["p", "v", "s.05", "cam-1"] == [names.of(source) for source in sources]


def test_a_login_is_in_no_stem() -> None:
    """Also if it stands in the query of an address."""
    stem = Names().of(Source("urn:s", "rtsp://diver:s3cret@cam/live?token=abcdefghijklmnop", "stream"))

    assert stem == "cam-live"


@given(st.lists(st.text(max_size=120), max_size=20))
def test_every_path_is_allowed_on_every_file_system(names: list[str]) -> None:
    """No two are equal where neither case nor the form of letters counts; none leads out of the folder of results."""
    taken = Names(in_folders=True)
    stems = [taken.stem(name) for name in names]

    assert len({unicodedata.normalize("NFC", stem).casefold() for stem in stems}) == len(stems)
    for part in (part for stem in stems for part in stem.split("/")):
        assert part not in ("", ".", "..")
        assert not set(part) & set('<>:"|?*\\')
        assert part.isprintable()
        assert part == part.strip(" .")
        assert len(part.encode()) <= 180


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("T13/IMG_0100.JPG", "T13/IMG_0100"),
        ("Große Bucht/Tag 1/Bild 3.jpg", "Große Bucht/Tag 1/Bild 3"),
        ("珊瑚/鱼.png", "珊瑚/鱼"),
        ("a/../../etc/passwd", "a/etc/passwd"),
        ("..", "_"),
        ("-rf.jpg", "-rf"),
        (".hidden/.a.jpg", "hidden/a"),
        ("con.jpg", "_con"),
        ("a\nb/c:d.png", "a-b/c-d"),
        ("x" * 300 + ".jpg", "x" * 80),
    ],
)
def test_a_path_mirrors_the_tree(name: str, stem: str) -> None:
    """Five hundred pictures in twenty-six folders are found by eye."""
    assert stem == Names(in_folders=True).stem(name)


def test_equal_base_names_in_two_folders_need_no_numbers() -> None:
    """Only two names of one folder that differ in case or suffix do."""
    names = Names(in_folders=True)
    listed = ("a/q1.jpg", "b/q1.jpg", "a/Q1.PNG", "a/q1.tif")

    assert ["a/q1", "b/q1", "a/Q1-2", "a/q1-3"] == [names.stem(n) for n in listed]


@pytest.mark.parametrize(
    ("ending", "folder"),
    [
        (".pseudo.png", "mask"), (".overlay.jpg", "overlay"), (".labels.png", "labels"), (".mp4", "video"),
        (".webm", "video"), (".annotated.jpg", "annotated"), (".mot.txt", "mot"), (".cover.csv", "cover"),
    ],
)  # fmt: skip
def test_every_kind_of_product_has_a_folder(ending: str, folder: str) -> None:
    """It is the first word of the ending, if that is no code."""
    assert folder == folder_of(ending)


def test_very_many_sources_of_one_name_are_numbered_on() -> None:
    """Numbering goes on where it stopped, so a thousand equal names do not take a million attempts."""
    names, attempts = Names(), 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal attempts
        attempts += event == "call"

    sys.setprofile(count)
    try:
        stems = [names.stem("q.jpg") for _ in range(1000)]
    finally:
        sys.setprofile(None)

    assert attempts < 100_000
    assert (stems[0], stems[1], stems[-1]) == ("q", "q-2", "q-1000")
    assert names.whole("a.csv") == "a.csv"
    assert [names.whole("A.csv"), names.whole("a.csv")] == ["A-2.csv", "a-3.csv"]
