from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image

from quadrat.errors import NotAnImageError
from quadrat.formats import IMAGE_SUFFIXES
from quadrat.stores.listing import file_urn, list_frames, list_images, list_videos, place_of
from quadrat.task_kinds import TASKS, kind_of
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


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    """A linked photograph counts; a linked folder, a loop included, is one row that says so."""
    touch(tmp_path, "real/a.jpg", "elsewhere.jpg", "other/c.jpg")
    real = tmp_path / "real"
    (real / "b.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    (real / "loop").symlink_to(real)
    (real / "lost.jpg").symlink_to(tmp_path / "nowhere")
    (real / "other").symlink_to(tmp_path / "other")
    (real / "system").symlink_to("/proc")

    found = list(list_images(real))
    assert names(found) == ["a.jpg", "b.jpg", "-loop", "lost.jpg", "-other", "-system"]
    links = [item for item in found if isinstance(item, Failure)]
    assert all(
        isinstance(item.error, NotAnImageError) and "link to a folder" in item.error.what for item in links
    )


@pytest.mark.parametrize("listed", [list_images, list_videos])
def test_each_file_below_a_folder_is_measured_once(tmp_path: Path, listed: Listing) -> None:
    """However many links a folder has to its own files and folders, no file counts twice."""
    touch(tmp_path, "site/a.jpg", "site/deep/b.jpg", "site/deep/v.mp4", "site/deep/w.mp4", "site/v.mp4")
    (tmp_path / "site" / "again.jpg").symlink_to("deep/b.jpg")
    (tmp_path / "site" / "again.mp4").symlink_to("deep/v.mp4")
    (tmp_path / "site" / "copy").symlink_to("deep")
    (tmp_path / "up").symlink_to(tmp_path)

    found = list(listed(tmp_path))
    files = [Path(item.token).resolve() for item in found if isinstance(item, Source)]
    assert len(files) == len(set(files)) == (2 if listed is list_images else 3)
    reasons = [str(item.error) for item in found if isinstance(item, Failure)]
    assert sum("which is measured under that name" in reason for reason in reasons) == 1


def test_the_folder_given_may_be_a_link(tmp_path: Path) -> None:
    """The user pointed at it, so it is followed."""
    touch(tmp_path, "real/a.jpg")
    (tmp_path / "link").symlink_to("real")
    assert names(list(list_images(tmp_path / "link"))) == ["a.jpg"]


def test_folders_may_be_nested_deeply(tmp_path: Path) -> None:
    """The depth of folders is not limited by Python's stack."""
    here = Path.cwd()
    depth = 1500
    try:
        os.chdir(tmp_path)
        for _ in range(depth):
            Path("d").mkdir()
            os.chdir("d")
        Path("a.jpg").write_bytes(b"x")
        os.chdir(tmp_path)
        (item,) = list_images(Path())
        assert item.name.count("/") == depth
        Path(item.token).unlink()
        os.removedirs(Path(item.token).parent)  # not recursive, unlike the clearing of temporary folders
    finally:
        os.chdir(here)


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


METADATA = '{\n  "$schema": "urn:ibenthos:schema:quadrat.picture.1",\n  "kind": "overlay"\n}'


def deliver(folder: Path, *names: str) -> None:
    """Make files with the metadata of products beside them."""
    touch(folder, *names)
    for name in names:
        (folder / f"{name}-meta.json").write_text(METADATA)


def test_earlier_results_are_not_measured(tmp_path: Path) -> None:
    """Products of earlier runs are skipped, known by their metadata, wherever they lie; so is the folder of results."""
    touch(tmp_path, "a.jpg", "run/a.jpg")
    deliver(tmp_path, "b.png", "old/c.jpg")

    assert names(list(list_images(tmp_path, tmp_path / "run"))) == [
        "a.jpg", "-b.png", "-b.png-meta.json", "-old/c.jpg", "-old/c.jpg-meta.json", "-run",
    ]  # fmt: skip


@pytest.mark.parametrize("ending", [each for task in TASKS for each in kind_of(task).endings])
def test_a_lone_product_is_no_photograph(tmp_path: Path, ending: str) -> None:
    """A mask or drawing among photographs is skipped by its name, which the reason gives."""
    touch(tmp_path, "a.jpg", f"a{ending}", f"B.reef{ending.upper()}")

    found = list(list_images(tmp_path))
    assert [name for name in names(found) if not name.startswith("-")] == ["a.jpg"]
    if PurePath(ending).suffix in IMAGE_SUFFIXES:
        reasons = [item.error.what for item in found if isinstance(item, Failure)]
        assert len(reasons) == 2
        assert all(ending in reason for reason in reasons)


def test_a_palette_png_of_few_colours_is_a_mask(tmp_path: Path) -> None:
    """Under whatever name: it would be measured as a photograph. A photograph with a palette uses all its colours."""
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    photo.quantize(256).save(tmp_path / "photograph.png")
    mask = Image.fromarray(np.repeat(np.arange(64, dtype=np.uint8), 64).reshape(64, 64), "P")
    mask.putpalette(bytes(range(256)) * 3)
    mask.save(tmp_path / "renamed.PNG")
    mask.convert("RGB").save(tmp_path / "drawing.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "renamed.PNG").read_bytes()[:60])

    found = list(list_images(tmp_path))
    assert ["cut.png", "drawing.png", "photograph.png"] == sorted(n for n in names(found) if n[0] != "-")
    (reason,) = [item.error.what for item in found if isinstance(item, Failure)]
    assert "a palette PNG of 64 colours, as masks are" in reason


def test_metadata_of_another_program_hides_nothing(tmp_path: Path) -> None:
    """Photographs and frames with a `-meta.json` of another program beside them are measured, all of them."""
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        touch(tmp_path, name)
    (tmp_path / "1.jpg-meta.json").write_text('{"camera": "x"}')
    (tmp_path / "2.jpg-meta.json").mkdir()
    (tmp_path / "3.jpg-meta.json").write_bytes(b"\xff" * 9000)

    for results in (None, tmp_path, tmp_path / "out"):
        assert [n for n in names(list(list_images(tmp_path, results))) if n[0] != "-"] == [
            "1.jpg",
            "2.jpg",
            "3.jpg",
        ]
    (sequence,) = (item for item in list_videos(tmp_path) if isinstance(item, Source))
    assert sequence.media == "sequence"
    assert sorted(list_frames(tmp_path)) == ["1.jpg", "2.jpg", "3.jpg"]


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
    touch(tmp_path, "a.mp4", "out/b.mp4")
    deliver(tmp_path, "a-2.mp4", "seq/1.jpg")

    assert [
        "-a-2.mp4",
        "-a-2.mp4-meta.json",
        "a.mp4",
        "out/b.mp4",
        "-seq/1.jpg",
        "-seq/1.jpg-meta.json",
    ] == names(list(list_videos(tmp_path, tmp_path)))
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


@pytest.mark.parametrize("name", ["survey.csv", "my survey #1 100%.csv", "море.csv"])
def test_a_path_is_shown_as_people_write_it(tmp_path: Path, name: str) -> None:
    """The log shows the path of a local file, not its URN; the URN of an artifact is left as it is."""
    assert place_of(file_urn(tmp_path / name)) == str(tmp_path / name)
    assert place_of("urn:ivcap:artifact:1") == "urn:ivcap:artifact:1"
    assert place_of(file_urn(tmp_path / "a\nb.csv")) == f"{tmp_path}/a\\nb.csv"
