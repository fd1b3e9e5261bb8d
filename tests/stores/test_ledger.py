"""The ledger's own rules; tests/test_job_resumed.py has those of whole orders."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quadrat.errors import DeliveryError, ResultsError
from quadrat.records import SourceRecord
from quadrat.stores.delivered import delivered_in
from quadrat.stores.entries import FOLDER, PART, Written, difference, signature_of
from quadrat.stores.journal import Journal
from quadrat.stores.ledger import RESERVE, FolderLedger
from quadrat.types import Product, Reading, Source
from tests.results import contents, paths


def product(name: str, body: bytes | Path = b"body") -> Product:
    """Make a product."""
    return Product(name, "image/png", body, {"$schema": "urn:example:schema:a.1"})


def names(out: Path) -> list[str]:
    """Give the paths of all files without the ledger."""
    return [str(path.relative_to(out)) for path in paths(out)]


def test_a_product_lies_below_its_kind_and_its_metadata_beside_no_picture(tmp_path: Path) -> None:
    """The tree of the source is the same in both; a table is at the top."""
    with FolderLedger(tmp_path / "out").open() as ledger:
        ledger.begin({})
        ledger.write(product("overlay/T13/a.overlay.jpg"))
        ledger.write(product("survey.csv"))

    assert [
        "meta/T13/a.overlay.jpg-meta.json", "meta/survey.csv-meta.json", "overlay/T13/a.overlay.jpg", "survey.csv",
    ] == names(tmp_path / "out")  # fmt: skip


def test_a_file_system_without_links_gets_files_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that of a USB stick; a file that is there is not replaced."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with FolderLedger(tmp_path / "out").open() as ledger:
        ledger.begin({})
        ledger.write(product("a.png"))
        (tmp_path / "out" / "b.png").write_text("mine")
        with pytest.raises(DeliveryError, match="exists already"):
            ledger.write(product("b.png"))

    assert b"body" == (tmp_path / "out" / "a.png").read_bytes()
    assert "mine" == (tmp_path / "out" / "b.png").read_text()


def test_a_file_that_appears_at_the_last_moment_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Products are created exclusively; the file stays somebody else's."""
    out = tmp_path / "out"
    added = Journal.add

    def meanwhile(self: Journal, value: object) -> int:
        if isinstance(value, Written):
            (out / "a.png").write_text("mine")
        return added(self, value)

    with FolderLedger(out).open() as ledger:
        ledger.begin({})
        monkeypatch.setattr(Journal, "add", meanwhile)
        with pytest.raises(DeliveryError, match="exists already"):
            ledger.write(product("a.png"))
        monkeypatch.undo()
        ledger.complete()

    assert {"a.png": b"mine"} == contents(out)
    with FolderLedger(out).open() as ledger:
        ledger.begin({})
    assert {"a.png": b"mine"} == contents(out)


def test_a_product_of_the_orders_own_disk_is_linked(tmp_path: Path) -> None:
    """A large video needs its room once; its maker may delete it."""
    with FolderLedger(tmp_path / "out").open() as ledger:
        ledger.begin({})
        made = ledger.folder / "film.mp4"
        made.write_bytes(b"film")
        assert ledger.write(product("video/a.mp4", made)).samefile(made)
        made.unlink()

    assert b"film" == (tmp_path / "out" / "video" / "a.mp4").read_bytes()


def test_room_is_kept_for_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that pictures have filled, survey.csv finds room; a small disk keeps a tenth."""
    for free, kept in ((1 << 40, RESERVE), (5000, 500)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        with FolderLedger(tmp_path / str(free)).open() as ledger:
            (reserve,) = (tmp_path / str(free) / FOLDER / "work").glob("reserve")
            assert kept == reserve.stat().st_size
            ledger.make_room(reached=False)
            assert not reserve.exists()


@pytest.mark.parametrize("tmp_has_more", [False, True])
def test_temporary_files_lie_where_there_is_more_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_has_more: bool
) -> None:
    """Beside the results, unless TMPDIR has more; nothing is left of them."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    def usage(path: Any) -> Any:
        return SimpleNamespace(free=1000 + 1000 * ((str(path) == str(tmp_path / "tmp")) == tmp_has_more))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with FolderLedger(tmp_path / "out").open() as ledger:
        assert ledger.folder.is_relative_to(tmp_path / ("tmp" if tmp_has_more else "out"))
        ledger.begin({})
    assert [] == list((tmp_path / "tmp").iterdir())
    assert ["journal", "lock"] == sorted(path.name for path in (tmp_path / "out" / FOLDER).iterdir())


def test_a_run_that_begins_nothing_leaves_nothing(tmp_path: Path) -> None:
    """As for a model that cannot be read: no folder is made for it."""
    with FolderLedger(tmp_path / "runs" / "one").open():
        pass

    assert [] == list(tmp_path.iterdir())


def test_a_users_file_of_the_growing_tables_name_stays(tmp_path: Path) -> None:
    """Then there is no growing table."""
    (tmp_path / PART).write_text("mine")
    with FolderLedger(tmp_path).open() as ledger:
        ledger.begin({})
        assert ledger.part is None
    assert "mine" == (tmp_path / PART).read_text()


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/x", "a/../../outside.txt"])
def test_a_ledger_of_somebody_else_leads_nowhere(tmp_path: Path, name: str) -> None:
    """Its names are checked before a file is removed."""
    (tmp_path / "outside.txt").write_text("mine")
    (tmp_path / "out" / FOLDER).mkdir(parents=True)
    journal = Journal(tmp_path / "out" / FOLDER / "journal")
    journal.add(Written({name: ""}, table=False))

    with FolderLedger(tmp_path / "out", overwrite=True).open() as ledger, pytest.raises(DeliveryError):
        ledger.begin({})
    assert "mine" == (tmp_path / "outside.txt").read_text()


def test_the_login_of_a_stream_is_in_no_file(tmp_path: Path) -> None:
    """Of its record only the files are noted."""
    address = "rtsp://diver:s3cret@cam/1"
    source = Source(address, address, "stream", address, "cam-1")
    with FolderLedger(tmp_path).open() as ledger:
        ledger.begin({})
        assert ledger.known(source) is None
        ledger.write(product("video/cam-1.mp4"))
        ledger.commit(SourceRecord(source, "ok", reading=Reading((4, 4)), products=("video/cam-1.mp4",)))
        ledger.make_room(reached=True)
        ledger.complete()
    assert (tmp_path / "video" / "cam-1.mp4").exists()

    assert b"s3cret" not in (tmp_path / FOLDER / "journal").read_bytes()
    with FolderLedger(tmp_path).open() as ledger, pytest.raises(ResultsError):
        ledger.begin({"sources": "live streams from another time"})


def test_a_signature_changes_with_every_write(tmp_path: Path) -> None:
    """Of a file, and of any file of a sequence; what cannot be read has none."""
    (tmp_path / "burst").mkdir()
    for name in ("a.png", "burst/1.png"):
        (tmp_path / name).write_text("one")
    sources = [Source(f"urn:{n}", n, token=str(tmp_path / n)) for n in ("a.png", "burst", "gone")]
    before = [signature_of(source) for source in sources]
    for name in ("a.png", "burst/1.png"):
        os.utime(tmp_path / name, (1, 1))
    after = [signature_of(source) for source in sources]

    assert before[0] != after[0]
    assert before[1] != after[1]
    assert (before[2], after[2]) == ("", "")


def test_what_is_being_written_counts_as_delivered(tmp_path: Path) -> None:
    """A listing that goes on meanwhile does not take it for a picture."""
    assert delivered_in(tmp_path) is None
    with FolderLedger(tmp_path).open() as ledger:
        ledger.begin({})
        delivered = delivered_in(tmp_path)
        assert delivered is not None
        assert "overlay/a.jpg" not in delivered
        ledger.write(product("overlay/a.jpg"))
        assert "overlay/a.jpg" in delivered
        assert "meta/a.jpg-meta.json" in delivered
        assert PART in delivered
        assert "overlay/b.jpg" not in delivered


def test_many_differences_are_counted() -> None:
    """A line names the first ones, so that it stays a line."""
    few = dict.fromkeys("abc", "1")
    many = dict.fromkeys("abcdefghij", "1")
    assert difference(few, dict.fromkeys(few, "2")).count(" was ") == 3
    text = difference(many, {})
    assert text.startswith("a was 1, and is not set")
    assert text.endswith("and 5 more settings differ")
    assert difference(many, dict(many)) == ""
