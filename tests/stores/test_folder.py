from __future__ import annotations

import filecmp
import json
import math
import os
import resource
import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from quadrat.errors import DeliveryError, ParameterError, SourceError
from quadrat.stores import ledger
from quadrat.stores.folder import FolderStore
from quadrat.stores.listing import file_urn
from quadrat.stores.streams import list_streams
from quadrat.types import Product, Source
from tests.results import paths
from tests.stores.locked import lock


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """A store with one photograph and a model, both too short to be either."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(b"photo")
    (tmp_path / "model.tgz").write_bytes(b"model")
    return FolderStore(tmp_path / "model.tgz", tmp_path / "in", tmp_path / "out")


@pytest.fixture
def ready(store: FolderStore) -> Iterator[FolderStore]:
    """The store with its ledger open."""
    with store.ledger() as opened:
        opened.begin({})
        yield store


def left(out: Path) -> list[str]:
    """Give the names of all files in a folder of results without its ledger."""
    return [path.name for path in paths(out)]


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let writes beyond `size` bytes fail with a real EFBIG, as a full disk does with ENOSPC."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def product(body: bytes = b"body", **metadata: object) -> Product:
    """Give a product with this body."""
    return Product("a.pseudo.png", "image/png", body, {"$schema": "urn:example:schema:a.1", **metadata})


def test_what_goes_in_comes_out(ready: FolderStore, tmp_path: Path) -> None:
    """The model and each source are given as the very files; a product lands with its metadata."""
    store = ready
    (source,) = store.sources()
    assert isinstance(source, Source)
    assert list(store.relist()) == [source]

    with store.models() as models, store.pull(source) as photo:
        assert [path.read_bytes() for path in models.values()] == [b"model"]
        assert photo.loaded().content == b"photo"
    urn = store.deliver(product(cover=[{"name": "Zostera é"}]))
    store.acknowledge(source)

    out = tmp_path / "out"
    assert urn == file_urn(out / "a.pseudo.png")
    assert (out / "a.pseudo.png").read_bytes() == b"body"
    assert json.loads((out / "meta" / "a.pseudo.png-meta.json").read_text()) == {
        "$schema": "urn:example:schema:a.1", "cover": [{"name": "Zostera é"}], "$entity": urn,
    }  # fmt: skip


@pytest.mark.parametrize("missing", ["model.tgz", "in"])
def test_a_path_that_is_not_there(tmp_path: Path, missing: str) -> None:
    """A model or folder that does not exist is the parameter's fault."""
    for name in {"model.tgz", "in"} - {missing}:
        (tmp_path / name).touch()

    with pytest.raises(ParameterError, match="there is no file or folder"):
        FolderStore(tmp_path / "model.tgz", tmp_path / "in", tmp_path)


def test_a_file_that_vanished_or_cannot_be_read(store: FolderStore, tmp_path: Path) -> None:
    """A source that cannot be opened is an error of that source."""
    (source,) = store.sources()
    assert isinstance(source, Source)
    (tmp_path / "in" / "a.jpg").unlink()

    with pytest.raises(SourceError, match=r"a\.jpg: the file cannot be read"), store.pull(source):
        pass


def test_a_pipe_given_by_itself_is_refused(store: FolderStore, tmp_path: Path) -> None:
    """To open it would wait for ever, without a word."""
    os.mkfifo(tmp_path / "dive.mp4")
    source = Source("urn:x", "dive.mp4", "video", str(tmp_path / "dive.mp4"))
    with pytest.raises(SourceError, match="it is a pipe") as caught, store.pull(source):
        pass
    assert "--streams" in caught.value.hint


def test_a_signal_leaves_no_aspect_without_its_product(
    ready: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both or neither, whatever ends the copying."""
    placed = ledger.place

    def interrupted(draft: Path, target: Path, **how: bool) -> None:
        if not target.name.endswith("-meta.json"):
            raise SystemExit(143)
        placed(draft, target, **how)

    monkeypatch.setattr(ledger, "place", interrupted)
    with pytest.raises(SystemExit):
        ready.deliver(Product("a.txt", "text/plain", b"a", {"$schema": "urn:x"}))
    assert [] == left(tmp_path / "out")


def test_a_full_disk_leaves_nothing_behind(ready: FolderStore, tmp_path: Path) -> None:
    """When the product does not fit, neither it nor its metadata nor a temporary file remains."""
    with files_no_larger_than(1000), pytest.raises(DeliveryError, match="the disk is full") as caught:
        ready.deliver(product(bytes(100_000)))

    assert caught.value.code == "E_DELIVERY"
    assert left(tmp_path / "out") == []
    assert list((tmp_path / "out" / ".quadrat" / "work").glob("*quadrat*")) == []


@pytest.mark.parametrize("value", [math.nan, Path("x"), object()])
def test_metadata_that_is_no_json_fails_loudly(ready: FolderStore, tmp_path: Path, value: object) -> None:
    """Nothing is delivered with metadata that a strict reader would refuse."""
    with pytest.raises(DeliveryError, match="not strict JSON"):
        ready.deliver(product(mean=value))

    assert [] == left(tmp_path / "out")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/../../b", "a//b", "/etc/x", "a/", "./a", "a\0"])
def test_a_name_cannot_lead_elsewhere(ready: FolderStore, name: str) -> None:
    """A product's name is a path below the folder of results."""
    with pytest.raises(DeliveryError, match="is not a file name"):
        ready.deliver(Product(name, "image/png", b"", {}))


def test_nothing_is_overwritten(ready: FolderStore, tmp_path: Path) -> None:
    """A file that is there already stays as it was."""
    (tmp_path / "out" / "a.pseudo.png").write_bytes(b"mine")

    with pytest.raises(DeliveryError, match="exists already"):
        ready.deliver(product())
    assert (tmp_path / "out" / "a.pseudo.png").read_bytes() == b"mine"


def test_a_folder_that_takes_no_files(store: FolderStore, tmp_path: Path) -> None:
    """Results cannot go where a file stands in place of a folder."""
    (tmp_path / "out").write_bytes(b"")

    with pytest.raises(DeliveryError, match="cannot be written"), store.ledger():
        pass


def test_nothing_is_delivered_without_a_ledger(store: FolderStore, tmp_path: Path) -> None:
    """Only the ledger knows which files may be replaced."""
    with pytest.raises(DeliveryError, match="is not open"):
        store.deliver(product())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "place", ["a file", "below a file", "no room", "no room yet", "a link", "not even for root"]
)
def test_a_folder_that_takes_no_files_is_known_at_the_start(
    tmp_path: Path, store: FolderStore, place: str
) -> None:
    """It is told before the order begins where its results would find no place; nothing is left behind."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "full").mkdir()
    out = {
        "a file": tmp_path / "file",
        "below a file": tmp_path / "file" / "out",
        "no room": tmp_path / "full",
        "no room yet": tmp_path / "full" / "a" / "b",
        "a link": tmp_path / "link",
        "not even for root": Path("/proc"),
    }[place]
    before = sorted(tmp_path.rglob("*"))
    store = FolderStore(tmp_path / "model.tgz", tmp_path / "in", out)

    room = files_no_larger_than(1000) if "room" in place else nullcontext()
    with room, pytest.raises(DeliveryError) as caught:
        store.check()
    assert ("disk is full" in caught.value.what, str(out)) == ("room" in place, caught.value.where)
    assert before == sorted(tmp_path.rglob("*"))


@pytest.mark.parametrize("out", ["in", "out", "new/out"])
def test_a_folder_that_takes_files_is_left_as_it_was(tmp_path: Path, store: FolderStore, out: str) -> None:
    """Nothing is made before the first product, not even a folder; what lies there is not looked at."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("mine")
    before = sorted(tmp_path.rglob("*"))

    FolderStore(tmp_path / "model.tgz", tmp_path / "in", tmp_path / out).check()
    assert before == sorted(tmp_path.rglob("*"))


def test_a_large_product_is_a_file_that_is_copied(ready: FolderStore, tmp_path: Path) -> None:
    """A body on disk arrives whole without ever being in memory, and stays its maker's."""
    made = tmp_path / "film.mp4"
    with made.open("wb") as file:
        file.write(b"begin")
        file.seek(50 << 20)
        file.write(b"end")
    tracemalloc.start()
    ready.deliver(Product("a.mp4", "video/mp4", made, {"$schema": "urn:example:schema:a.1"}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 8 << 20
    assert filecmp.cmp(made, tmp_path / "out" / "a.mp4", shallow=False)
    assert not made.samefile(tmp_path / "out" / "a.mp4")


def test_a_large_product_that_does_not_fit_or_is_gone(ready: FolderStore, tmp_path: Path) -> None:
    """Half a file is never seen, nor metadata without its file."""
    made = tmp_path / "film.mp4"
    made.write_bytes(bytes(100_000))
    product = Product("a.mp4", "video/mp4", made, {"$schema": "urn:example:schema:a.1"})
    with files_no_larger_than(1000), pytest.raises(DeliveryError, match="the disk is full"):
        ready.deliver(product)
    made.unlink()
    with pytest.raises(DeliveryError, match="No such file"):
        ready.deliver(product)

    assert [] == left(tmp_path / "out")


def test_videos_and_sequences_are_sources(store: FolderStore, tmp_path: Path) -> None:
    """A store of videos gives files and folders, which are pulled as they are, and lists them as often as asked."""
    for name in ("in/dive.mp4", "in/burst/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    moving = FolderStore(tmp_path / "model.tgz", tmp_path / "in", tmp_path / "out", moving=True)

    sources = [item for item in moving.sources() if isinstance(item, Source)]
    assert [("burst", "sequence"), ("dive.mp4", "video")] == [(s.name, s.media) for s in sources]
    assert sources == list(moving.relist())
    assert (True, False) == (moving.moving, store.moving)
    for source in sources:
        with moving.pull(source) as blob:
            assert blob.content == tmp_path / "in" / source.name


@pytest.mark.parametrize("moving", [False, True])
def test_what_cannot_be_read_is_listed_again(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moving: bool
) -> None:
    """It is a source that will fail, and so it is counted; what is skipped is not."""
    (tmp_path / "in" / "locked").mkdir()
    (tmp_path / "in" / "notes.txt").touch()
    (tmp_path / "in" / "dive.mp4").touch()
    lock(tmp_path / "in" / "locked", monkeypatch)
    again = FolderStore(tmp_path / "model.tgz", tmp_path / "in", tmp_path / "out", moving=moving)

    assert ["dive.mp4" if moving else "a.jpg", "locked"] == sorted(source.name for source in again.relist())


def test_streams_need_no_folder(store: FolderStore, tmp_path: Path) -> None:
    """Their sources are what was given, in order."""
    streams = list_streams("rtsp://a/1 http://b/2")
    moving = FolderStore(tmp_path / "model.tgz", streams, tmp_path / "out", moving=True)

    assert streams == list(moving.sources()) == list(moving.relist())


def test_several_archives_keep_their_order_and_must_exist(tmp_path: Path) -> None:
    """Each is given by its URN, in the order in which it was named."""
    paths = [tmp_path / name for name in ("b.tgz", "a.tgz")]
    for path in paths:
        path.write_bytes(path.name.encode())
    with FolderStore(paths, tmp_path, tmp_path / "out").models() as models:
        assert list(models.items()) == [(file_urn(path), path) for path in paths]
    with pytest.raises(ParameterError, match=r"none\.tgz"):
        FolderStore([*paths, tmp_path / "none.tgz"], tmp_path, tmp_path / "out")
