"""Which words of a command are images, videos, streams or models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from quadrat.cli.inputs import Inputs, find_models, sort_inputs, values_for
from quadrat.cli.run import parser, plan
from quadrat.errors import ParameterError
from tests.cli.conftest import BOXES, MASKS, ROOT

PHOTO = ROOT / "examples" / "images" / "site-a" / "quadrat-01.jpg"
VIDEO = ROOT / "examples" / "videos" / "reef-1.mp4"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of several kinds, as the current one."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(PHOTO, "a.jpg")
    shutil.copy(PHOTO, "photo")
    shutil.copy(VIDEO, "dive.mp4")
    shutil.copy(VIDEO, "clip")
    Path("frames").mkdir()
    shutil.copy(PHOTO, "frames/1.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("a.jpg", Inputs(images=(Path("a.jpg"),))),
        ("photo", Inputs(images=(Path("photo"),))),
        ("dive.mp4", Inputs(videos=(Path("dive.mp4"),))),
        ("clip", Inputs(videos=(Path("clip"),))),
        ("frames", Inputs(images=(Path("frames"),))),
        ("*.mp4", Inputs(videos=(Path("dive.mp4"),))),
        ("**/*.jpg", Inputs(images=(Path("a.jpg"), Path("frames/1.jpg")))),
        ("rtsp://camera/1", Inputs(streams=("rtsp://camera/1",))),
        ("https://camera.example/live.m3u8", Inputs(streams=("https://camera.example/live.m3u8",))),
        (".", Inputs(images=(Path(),), videos=(Path(),))),
    ],
)
def test_a_word_is_told_by_what_it_names(here: Path, word: str, found: Inputs) -> None:
    """By its suffix, or by its first bytes if it has none; addresses are streams, folders can be of both kinds."""
    assert sort_inputs([word, word], here / "out") == found


def test_a_file_url_is_a_file(here: Path) -> None:
    """Its path may have characters that an address escapes."""
    shutil.copy("a.jpg", "a b.jpg")
    assert sort_inputs([f"file://{here}/a%20b.jpg"], here / "out") == Inputs(images=(here / "a b.jpg",))


def test_sequences_make_videos_of_folders_only(here: Path) -> None:
    """A named image stays an image."""
    assert sort_inputs(["frames", "a.jpg"], here / "out", sequences=True) == Inputs(
        images=(Path("a.jpg"),), videos=(Path("frames"),)
    )


def test_a_password_is_not_shown(here: Path) -> None:
    """The address of a camera without its scheme is no file, and its login stays out of the error."""
    with pytest.raises(ParameterError) as caught:
        sort_inputs(["user:secret@camera/1"], here / "out")
    assert "secret" not in caught.value.line


def test_a_picture_on_the_web_is_no_stream(here: Path) -> None:
    """It would be read as a video that never ends."""
    with pytest.raises(ParameterError, match="Download it"):
        sort_inputs(["https://reef.example/IMG_1.JPG?size=large"], here / "out")


def test_streams_are_an_order_of_their_own(here: Path) -> None:
    """Their parameters do not reach the images, and the settings of both are checked before anything runs."""
    words = [str(BOXES), "a.jpg", "rtsp://camera/1", "-o", "out", "--stream-seconds", "5"]
    images, streams = plan(parser().parse_intermixed_args(words))
    assert (images.media, streams.media) == ("image", "stream")
    assert (images.out, streams.out) == (Path("out/images"), Path("out/streams"))
    assert (images.settings.streams.stream_seconds, streams.settings.streams.stream_seconds) == (0, 5)
    assert (images.store.moving, streams.store.moving) == (False, True)
    assert [source.urn for source in streams.store.relist()] == ["urn:stream:rtsp://camera/1"]


def test_a_parameter_for_none_of_the_kinds_is_refused(here: Path) -> None:
    """It would have no effect."""
    with pytest.raises(ParameterError, match="applies only to streams"):
        plan(parser().parse_intermixed_args([str(BOXES), "a.jpg", "dive.mp4", "--stream-seconds", "5"]))


def test_models_are_one_word() -> None:
    """Archives separated by commas keep their order; a name with a comma is one archive."""
    assert find_models(f"{BOXES},{MASKS}", []) == [BOXES, MASKS]
    with pytest.raises(ParameterError, match=r"none\.tgz: there is no such file or folder"):
        find_models(f"{BOXES},none.tgz", [])


@pytest.mark.usefixtures("here")
def test_a_comma_in_a_name_is_no_separator() -> None:
    """A file that exists is one archive."""
    shutil.copy(BOXES, "a,b.tgz")
    assert find_models("a,b.tgz", []) == [Path("a,b.tgz")]


def test_outputs_of_images_do_not_reach_videos() -> None:
    """If no picture remains, none is drawn, because none was asked for."""
    assert values_for({"outputs": "pseudo,overlay"}, "video", ["image"])["outputs"] == "overlay"
    assert values_for({"outputs": "labels"}, "video", ["image"])["outputs"] == "none"
    assert values_for({"outputs": "labels"}, "image", ["video"])["outputs"] == "labels"
    assert values_for({"outputs": "labels"}, "video", [])["outputs"] == "labels"
