from __future__ import annotations

import gzip
import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import ArchiveFormatError, ArchiveUnsafeError
from quadrat.package import gzipped, open_archive
from tests import archives

PLAIN = os.urandom(3000) + bytes(3000)
PACKED = gzip.compress(PLAIN, mtime=0)


def test_what_comes_out_is_what_went_in(tmp_path):
    """The tar is the gunzip'd bytes, and the digest is that of the file as it lies on the disk."""
    path, out = tmp_path / "m.tgz", io.BytesIO()
    path.write_bytes(PACKED)

    assert hashlib.sha256(PACKED).hexdigest() == gzipped.gunzip(path, out)
    assert PLAIN == out.getvalue()


@settings(max_examples=300, deadline=None)
@given(bit=st.integers(0, len(PACKED) * 8 - 1))
def test_no_flipped_bit_goes_unseen(bit, tmp_path_factory):
    """One wrong bit is an error, or (in a time stamp, or a code that decodes to the same) changes nothing."""
    path, out = tmp_path_factory.mktemp("flip") / "m.tgz", io.BytesIO()
    data = bytearray(PACKED)
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    try:
        gzipped.gunzip(path, out)
    except ArchiveFormatError:
        return

    assert PLAIN == out.getvalue()


@settings(max_examples=200, deadline=None)
@given(length=st.integers(0, len(PACKED) - 1))
def test_no_cut_goes_unseen(length, tmp_path_factory):
    """A file that ends early, wherever, is an error."""
    path = tmp_path_factory.mktemp("cut") / "m.tgz"
    path.write_bytes(PACKED[:length])

    with pytest.raises(ArchiveFormatError):
        gzipped.gunzip(path, io.BytesIO())


@pytest.mark.parametrize("cut", [1, 4, 8, len(PACKED) // 2])
def test_truncated_archive_is_refused(cut, tmp_path, refused):
    """Half an archive, and one without its CRC, are refused."""
    refused(archives.build(tmp_path / "m.tgz", cut=cut), "E_MODEL_FORMAT")


def test_flipped_weights_are_refused(tmp_path, refused):
    """One bit of a weight, which tarfile would let through, is found by the CRC."""
    weights = archives.contents(params=os.urandom(100_000))
    for flip in range(200_000, 700_000, 100_003):
        refused(archives.build(tmp_path / "m.tgz", weights, flip=flip), "E_MODEL_FORMAT")


@pytest.mark.parametrize("tail", [b"x", bytes(512), gzip.compress(b"more")], ids=["byte", "zeros", "member"])
@pytest.mark.parametrize("chunk", [gzipped._CHUNK, 64])
def test_trailing_bytes_are_refused(tail, chunk, tmp_path, refused, monkeypatch):
    """Nothing may follow the gzip data, not even zeros or a second member, wherever a read ends."""
    monkeypatch.setattr(gzipped, "_CHUNK", chunk)

    assert "bytes after" in refused(archives.build(tmp_path / "m.tgz", tail=tail), "E_MODEL_FORMAT").what


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("deploy.yaml", "Deploy: {}")
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"\x1f", "ends before"),
        (b"\x1f\x8b\x08", "ends before"),
        (b"<html>503</html>", "not gzip"),
        (_zip(), "a zip"),
        (archives.tar([archives.Entry("a.txt", b"x")]), "not gzipped"),
        (b"\x1f\x8b" + b"\xff" * 100, "damaged"),
    ],
    ids=["empty", "one-byte", "header-only", "html", "zip", "tar", "garbage"],
)
def test_other_files_are_named_for_what_they_are(body, said, tmp_path, refused):
    """A file that is no gzip is refused, and the reason says what it is where that can be told."""
    path = tmp_path / "m.tgz"
    path.write_bytes(body)

    assert said in refused(path, "E_MODEL_FORMAT").what


def test_missing_file_and_folder_are_refused(tmp_path, refused):
    """A path that is no file gives one line, not a traceback."""
    (tmp_path / "folder.tgz").mkdir()
    os.mkfifo(tmp_path / "pipe.tgz")

    refused(tmp_path / "nowhere.tgz", "E_MODEL")
    refused(tmp_path / "folder.tgz", "E_MODEL_FORMAT")
    refused(tmp_path / "pipe.tgz", "E_MODEL_FORMAT")


def test_bomb_is_refused_before_it_is_written(tmp_path, refused):
    """256 MiB of zeros in 261 kB stop at the bound on the ratio."""
    path = tmp_path / "m.tgz"
    with gzip.open(path, "wb") as file:
        for _ in range(256):
            file.write(bytes(1 << 20))

    assert str(gzipped.ALWAYS_ALLOWED) in refused(path, "E_MODEL_UNSAFE").what


def test_bounds_are_kept_to_the_byte(tmp_path, monkeypatch):
    """Sizes packed and unpacked are bounded; exactly the bound is allowed."""
    path, out = tmp_path / "m.tgz", io.BytesIO()
    path.write_bytes(PACKED)
    monkeypatch.setattr(gzipped, "MAX_UNPACKED", len(PLAIN))
    monkeypatch.setattr(gzipped, "MAX_PACKED", len(PACKED))
    gzipped.gunzip(path, out)
    monkeypatch.setattr(gzipped, "MAX_UNPACKED", len(PLAIN) - 1)
    with pytest.raises(ArchiveUnsafeError):
        gzipped.gunzip(path, io.BytesIO())
    monkeypatch.setattr(gzipped, "MAX_PACKED", len(PACKED) - 1)

    with pytest.raises(ArchiveUnsafeError):
        gzipped.gunzip(path, io.BytesIO())


def test_digest_of_package_is_the_files(tmp_path, into):
    """`digest` is what sha256sum says of the archive."""
    path: Path = archives.build(tmp_path / "m.tgz")

    assert hashlib.sha256(path.read_bytes()).hexdigest() == open_archive(path, into).digest
