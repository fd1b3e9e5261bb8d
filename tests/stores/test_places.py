"""Several files and folders as one list of sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from quadrat.stores.places import Places, prefixes
from quadrat.types import Failure, Source


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sites with pictures, one with a video, too, and a folder of pictures only."""
    for name in ("a/one.jpg", "a/dive.mp4", "b/one.jpg", "b/notes.txt", "b/frames/1.png", "b/frames/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(places: Places) -> list[str]:
    """Give the names of the sources, and those of skipped files in brackets."""
    return [
        f"[{item.source.name}]" if isinstance(item, Failure) else item.name
        for item in places
        if isinstance(item, Source | Failure)
    ]


def test_one_folder_is_listed_as_ever(tree: Path) -> None:
    """Names are those below the folder."""
    assert listed(Places((Path("b"),))) == ["frames/1.png", "frames/2.png", "[notes.txt]", "one.jpg"]


def test_names_of_several_places_differ(tree: Path) -> None:
    """They begin with the path below the common parent, and a file of its own with that of its folder."""
    assert listed(Places((Path("a"), Path("b/one.jpg"), Path("b/frames/2.png")))) == [
        "[a/dive.mp4]", "a/one.jpg", "b/one.jpg", "b/frames/2.png",
    ]  # fmt: skip


def test_a_source_is_listed_once_and_anew_each_time(tree: Path) -> None:
    """A file inside a given folder is not repeated, and a second iteration gives the same."""
    places = Places((Path("b"), Path("b/one.jpg"), Path("b/frames")))
    assert (
        listed(places) == listed(places) == ["b/frames/1.png", "b/frames/2.png", "[b/notes.txt]", "b/one.jpg"]
    )


def test_each_kind_leaves_the_other_one_out(tree: Path) -> None:
    """If both are measured, a video is no skipped row among the images, and no picture one among the videos."""
    both = (Path("a"), Path("b"))
    assert listed(Places(both, both=True)) == [
        "a/one.jpg", "b/frames/1.png", "b/frames/2.png", "[b/notes.txt]", "b/one.jpg",
    ]  # fmt: skip
    assert listed(Places(both, moving=True, both=True)) == ["a/dive.mp4", "[b/notes.txt]"]


def test_sequences_are_asked_for(tree: Path) -> None:
    """A folder of pictures is a video only with `sequences`; it is then named by its folder."""
    assert listed(Places((Path("b/frames"),), moving=True)) == []
    assert listed(Places((Path("b/frames"),), moving=True, sequences=True)) == ["frames"]
    assert listed(Places((Path("b/frames"), Path("a")), moving=True, sequences=True))[0] == "b/frames"
    assert listed(Places((Path("b/frames"),), sequences=True)) == []


def test_prefixes_without_a_common_parent(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two drives have no common parent: the folders' own names are used."""

    def apart(_paths: list[str]) -> str:
        raise ValueError

    monkeypatch.setattr("os.path.commonpath", apart)
    assert prefixes([Path("a"), Path("b/one.jpg")]) == ["a", "b"]


def test_places_are_described_in_one_line(tree: Path) -> None:
    """Folders by their names; of many files their number, and what changes if one comes or goes."""
    assert Places((Path("a"),)).described == f"urn:{(tree / 'a').as_uri()}"
    two = Places((Path("b"), Path("a/one.jpg"), Path("b/one.jpg"))).described
    assert two.startswith(f"urn:{(tree / 'b').as_uri()}, 2 files in ")
    assert two != Places((Path("b"), Path("a/one.jpg"), Path("b/frames/1.png"))).described
