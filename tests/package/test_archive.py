from __future__ import annotations

import hashlib
import logging
import os
import stat
import subprocess
import sys
import tarfile
import zlib

import pytest

from quadrat.errors import ModelError
from quadrat.package import archive, open_archive
from quadrat.types import TransformSpec
from tests import archives
from tests.archives import Entry


@pytest.mark.parametrize(("fixture", "kind"), [("archive_pdmodel", "pdmodel"), ("archive_pir", "pir")])
def test_real_archives_open(fixture, kind, into, request):
    """Both archives of a trained SegFormer open, with every file as tar itself unpacks it."""
    path = request.getfixturevalue(fixture)
    package = open_archive(path, into)

    assert [kind] == list(package.engines)
    assert ("segb0", "segment", 2, (None, 3, None, None)) == (
        package.name, package.task, package.num_classes, package.input_shape,
    )  # fmt: skip
    assert (TransformSpec("Normalize"),) == package.transforms
    assert [("background", (0, 0, 0)), ("seagrass", (0, 200, 0))] == [
        (c.name, c.color) for c in package.classes
    ]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == package.digest
    with tarfile.open(path) as tar:
        for member in filter(tarfile.TarInfo.isfile, tar):
            assert tar.extractfile(member).read() == (package.root / member.name).read_bytes()


def test_a_real_archive_is_decompressed_once(archive_pdmodel, into, monkeypatch):
    """Fifteen megabytes are read, checked and unpacked in one pass over the compressed file."""
    passes = []
    decompressobj = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda *args: passes.append(args) or decompressobj(*args))
    open_archive(archive_pdmodel, into)

    assert 1 == len(passes)


@pytest.mark.process
def test_memory_does_not_grow_with_the_archive(tmp_path, into):
    """A process that opens 60 MB of weights needs no more than a few megabytes above its start."""
    path = archives.build(tmp_path / "m.tgz", archives.contents(params=bytes(range(256)) * 240_000))
    program = (
        "import resource, sys, pathlib; from quadrat.package import open_archive\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "open_archive(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    grown = subprocess.run(
        [sys.executable, "-c", program, path, into], check=True, capture_output=True, text=True
    ).stdout

    assert int(grown) * (1 if sys.platform == "darwin" else 1024) < 16 << 20


def test_two_openings_do_not_meet(tmp_path, into):
    """Each opening has a folder of its own, and both say the same."""
    path = archives.build(tmp_path / "m.tgz")
    one, two = open_archive(path, into), open_archive(path, into)

    assert one.root != two.root
    assert (one.digest, one.classes, one.meta) == (two.digest, two.classes, two.meta)


@pytest.mark.parametrize("top", ["./", "", "my-model/", "./my model/"])
def test_one_top_folder_is_accepted(top, tmp_path, into):
    """Files may lie at the top or together in one folder; dot-files of a Mac do not count."""
    extra = [
        Entry("._my-model", b"mac"),
        Entry(top + "._meta.json", b"mac"),
        Entry(top + ".DS_Store", b"mac"),
    ]
    package = open_archive(archives.build(tmp_path / "m.tgz", top=top, extra=extra), into)

    assert {"deploy.yaml", "meta.json", "model.pdmodel", "model.pdiparams"} == {
        p.name for p in package.root.iterdir()
    }


@pytest.mark.parametrize("top", ["a/b/", "deep/er/"])
def test_deeper_folders_are_not_searched(top, tmp_path, refused):
    """A manifest two folders down is not found, and the message says how to pack."""
    assert "tar czf" in refused(archives.build(tmp_path / "m.tgz", top=top), "E_MODEL_MANIFEST").hint


def test_two_models_in_one_archive_are_refused(tmp_path, refused):
    """Where two folders hold a model each, none is taken."""
    other = [Entry("two/" + name, body) for name, body in archives.contents().items()]

    refused(archives.build(tmp_path / "m.tgz", top="one/", extra=other), "E_MODEL_MANIFEST")


@pytest.mark.parametrize("suffix", sorted(archive.CODE))
def test_code_is_refused(suffix, tmp_path, refused):
    """Pickles, TorchScript, checkpoints and programs are refused by name, in any case and any folder."""
    for name in (f"model{suffix}", f"sub/MODEL{suffix.upper()}", f".hidden{suffix}"):
        refused(archives.build(tmp_path / "m.tgz", extra=[Entry(name, b"x")]), "E_MODEL_UNSAFE")


def test_other_files_are_left_out_and_named(tmp_path, into, caplog):
    """Pictures and logs are not unpacked; texts and licences are."""
    extra = [
        Entry("preview.png", b"x"),
        Entry("train.log", b"x"),
        Entry("LICENSE", b"x"),
        Entry("README.md", b"x"),
        Entry(".git/notes.txt", b"x"),
        Entry("sub/.cache/notes.txt", b"x"),
    ]
    with caplog.at_level(logging.INFO, logger="quadrat.package"):
        root = open_archive(archives.build(tmp_path / "m.tgz", extra=extra), into).root

    assert ["preview.png, train.log"] == [r.getMessage().split(": ")[1] for r in caplog.records]
    assert {"LICENSE", "README.md"} == {p.name for p in root.iterdir()} - set(archives.contents())


def test_a_full_or_missing_disk_is_one_line(tmp_path, monkeypatch, into):
    """No room, or no folder, to unpack into is said in one line and leaves nothing behind."""
    path = archives.build(tmp_path / "m.tgz")
    with pytest.raises(ModelError, match="No such file"):
        open_archive(path, tmp_path / "nowhere")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_copy", full)
    with pytest.raises(ModelError, match="No space left"):
        open_archive(path, into)

    assert not list(into.iterdir())


def test_what_is_unpacked_is_the_owners_alone(tmp_path, into):
    """Folders have mode 0700 and files 0600, whatever the archive and the umask say."""
    before = os.umask(0)
    try:
        extra = [Entry("sub/notes.txt", b"x", mode=0o777)]
        root = open_archive(archives.build(tmp_path / "m.tgz", extra=extra), into).root
    finally:
        os.umask(before)

    assert {0o700} == {stat.S_IMODE(path.stat().st_mode) for path in (root, root / "sub")}
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()}


def test_a_file_is_whole_though_the_kernel_copies_it_in_pieces(tmp_path, into, monkeypatch):
    """It may copy less than it was asked for; the rest follows, and nothing of the next file."""
    copied = os.sendfile
    monkeypatch.setattr(archive.os, "sendfile", lambda out, tar, at, n: copied(out, tar, at, min(n, 999)))
    root = open_archive(archives.build(tmp_path / "m.tgz"), into).root

    assert archives.contents() == {path.name: path.read_bytes() for path in root.iterdir()}


def test_an_archive_without_a_name_is_named_after_its_file(tmp_path, into):
    """Up to the first dot."""
    nameless = archives.contents(name=archives.ABSENT)

    assert "reef" == open_archive(archives.build(tmp_path / "reef.v2.tgz", nameless), into).name
