from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quadrat.errors import NotAnImageError
from quadrat.stores.listing import file_urn, list_images, list_videos
from quadrat.types import Failure, Source
from tests.stores.locked import lock

Listing = Callable[[Path], Iterator[Source | Failure]]


def touch(folder: Path, *names: str) -> None:
    """Make files of one byte."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(items: list[Source | Failure]) -> list[str]:
    """Give the names, those skipped with a dash before them."""
    return [item.name if isinstance(item, Source) else f"-{item.source.name}" for item in items]


def test_order_is_by_path_part_and_every_file_has_a_row(tmp_path: Path) -> None:
    """A folder is walked in order of name, each level whole, and nothing in it is lost."""
    touch(
        tmp_path,
        "b.jpg",
        "a/2.jpg",
        "a/1.jpg",
        "a-b/1.jpg",
        "a.png",
        "a/.ivcap-1.jpg.txt",
        ".git/x.jpg",
        "n.txt",
    )

    found = list(list_images(tmp_path))

    assert names(found) == [
        "-.git", "-a/.ivcap-1.jpg.txt", "a/1.jpg", "a/2.jpg", "a-b/1.jpg", "a.png", "b.jpg", "-n.txt",
    ]  # fmt: skip


def test_a_skipped_file_is_a_failure_of_its_kind(tmp_path: Path) -> None:
    """A file that is no image travels as a failure at stage list with the error that means skipped."""
    touch(tmp_path, "notes.txt")

    (item,) = list_images(tmp_path)

    assert isinstance(item, Failure)
    assert (item.stage, type(item.error)) == ("list", NotAnImageError)
    assert item.error.line == "E_NOT_IMAGE notes.txt: .txt is not a suffix of images"


def test_one_file_is_tried_whatever_its_name(tmp_path: Path) -> None:
    """The user pointed at it, so its name decides nothing."""
    touch(tmp_path, "photo.dat")

    assert names(list(list_images(tmp_path / "photo.dat"))) == ["photo.dat"]


def test_links_to_files_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    """A linked photograph counts; a folder linked into itself ends with a row that says so."""
    touch(tmp_path, "real/a.jpg", "elsewhere.jpg")
    (tmp_path / "real" / "b.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    (tmp_path / "real" / "loop").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "lost.jpg").symlink_to(tmp_path / "nowhere")

    assert names(list(list_images(tmp_path / "real"))) == ["a.jpg", "b.jpg", "-loop", "lost.jpg"]


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    """A pipe named like a photograph would block the order for ever, so it is skipped."""
    os.mkfifo(tmp_path / "a.jpg")

    assert names(list(list_images(tmp_path))) == ["-a.jpg"]


def test_a_name_of_any_bytes_can_be_read_and_printed(tmp_path: Path) -> None:
    """A name that is not UTF-8 keeps its bytes in the token and is printable in name and URN."""
    raw = os.fsdecode(b"caf\xe9.jpg")
    touch(tmp_path, raw)

    (item,) = list_images(tmp_path)

    assert isinstance(item, Source)
    assert item.name.encode() == "caf\ufffd.jpg".encode()
    assert item.urn.endswith("/caf%E9.jpg")
    assert Path(item.token).read_bytes() == b"x"


def test_earlier_results_are_not_measured(tmp_path: Path) -> None:
    """Results inside the folder of images are skipped, whether they lie beside the images or below."""
    touch(tmp_path, "a.jpg", "a.pseudo.png", "a.pseudo.png-meta.json", "run/a.pseudo.png")

    assert names(list(list_images(tmp_path, tmp_path / "run"))) == [
        "a.jpg", "a.pseudo.png", "-a.pseudo.png-meta.json", "-run",
    ]  # fmt: skip
    assert names(list(list_images(tmp_path, tmp_path))) == [
        "a.jpg", "-a.pseudo.png", "-a.pseudo.png-meta.json", "run/a.pseudo.png",
    ]  # fmt: skip


def test_urn_of_a_file_is_one_word() -> None:
    """Spaces and letters beyond ASCII are percent-encoded."""
    assert file_urn(Path("/data/my photo é.jpg")) == "urn:file:///data/my%20photo%20%C3%A9.jpg"


def test_a_link_to_itself_is_one_failed_row(tmp_path: Path) -> None:
    """What cannot be looked at ends nothing but itself."""
    touch(tmp_path, "a.jpg", "z.jpg")
    (tmp_path / "m.jpg").symlink_to("m.jpg")
    found = list(list_images(tmp_path))

    assert names(found) == ["a.jpg", "-m.jpg", "z.jpg"]
    assert isinstance(found[1], Failure)
    assert found[1].error.code == "E_SOURCE"


@pytest.mark.parametrize("listed", [list_images, list_videos])
@pytest.mark.parametrize("given", ["dives", "."])
def test_a_folder_that_cannot_be_read_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: Listing, given: str
) -> None:
    """The folder given, too, however it is written; it is of the kind that is looked for."""
    (tmp_path / "dives").mkdir()
    monkeypatch.chdir(tmp_path / "dives" if given == "." else tmp_path)
    lock(tmp_path / "dives", monkeypatch)

    (item,) = listed(Path(given))

    assert isinstance(item, Failure)
    assert item.error.line == "E_SOURCE dives: the folder cannot be read (Permission denied)"
    assert (item.source.name, item.source.media) == ("dives", "video" if listed is list_videos else "image")


def test_videos_and_sequences_are_told_apart(tmp_path: Path) -> None:
    """Each video is a source, each folder of pictures alone is one, and whatever else lies there has a row."""
    touch(
        tmp_path,
        "dive-2.MP4",
        "dive-1.mov",
        "cover.jpg",
        "notes.txt",
        "burst/1.jpg",
        "burst/2.png",
        "burst/deep/frame1.tif",
        "burst/readme.md",
        ".hidden.mp4",
    )
    listed = list(list_videos(tmp_path))

    assert [
        "-.hidden.mp4", "burst", "burst/deep", "-burst/readme.md", "-cover.jpg", "dive-1.mov", "dive-2.MP4",
        "-notes.txt",
    ] == names(listed)  # fmt: skip
    media = {item.name: item.media for item in listed if isinstance(item, Source)}
    assert {
        "burst": "sequence",
        "burst/deep": "sequence",
        "dive-1.mov": "video",
        "dive-2.MP4": "video",
    } == media


def test_a_folder_of_pictures_is_one_sequence_by_its_own_name(tmp_path: Path) -> None:
    """What is given as videos, or as the video, may be the sequence itself."""
    touch(tmp_path, "reef/1.jpg", "reef/2.jpg")

    (source,) = list_videos(tmp_path / "reef")
    assert isinstance(source, Source)
    assert ("reef", "sequence", str(tmp_path / "reef")) == (source.name, source.media, source.token)


def test_results_of_an_earlier_run_are_no_videos(tmp_path: Path) -> None:
    """An annotated video in the folder of results is not measured again, nor its pictures taken as a sequence."""
    touch(tmp_path, "a.mp4", "a-2.mp4", "a-2.mp4-meta.json", "out/b.mp4", "seq/1.jpg", "seq/1.jpg-meta.json")

    assert ["-a-2.mp4", "-a-2.mp4-meta.json", "a.mp4", "out/b.mp4", "seq", "-seq/1.jpg-meta.json"] == names(
        list(list_videos(tmp_path, tmp_path))
    )
    assert ["-1.jpg", "-1.jpg-meta.json"] == names(list(list_videos(tmp_path / "seq", tmp_path / "seq")))
    assert "-out" in names(list(list_videos(tmp_path, tmp_path / "out")))


def test_one_video_is_tried_whatever_its_name(tmp_path: Path) -> None:
    """A file given by itself needs no suffix."""
    touch(tmp_path, "clip")

    (source,) = list_videos(tmp_path / "clip")
    assert isinstance(source, Source)
    assert "video" == source.media


def test_results_below_a_relative_folder_are_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of results is known by its place, however either path is written."""
    (tmp_path / "in" / "out").mkdir(parents=True)
    (tmp_path / "in" / "out" / "a.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    for results in (Path("in/out"), tmp_path / "in" / "out"):
        (skipped,) = list_images(Path("in"), results)
        assert isinstance(skipped, Failure)
        assert "results of this order" in str(skipped.error)
