from __future__ import annotations

import gzip
import io
import os
import tarfile
import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import ArchiveFormatError, ArchiveUnsafeError, ModelError
from quadrat.package import open_archive
from quadrat.package.members import MAX_MEMBERS, clean_path, list_members
from tests import archives
from tests.archives import Entry

PARTS = st.one_of(
    st.sampled_from(
        ["..", ".", "", "a", "A", "é", "e\u0301", "c:", "a\\b", "\0", "\n", "x" * 200, "~", "-rf", "🌊"]
    ),
    st.text(max_size=12),
)
NAMES = st.lists(PARTS, min_size=1, max_size=10).map("/".join)


@settings(max_examples=400, deadline=None)
@given(name=NAMES)
def test_a_clean_path_stays_inside(name):
    """Whatever the name, it is refused, or it is a path below the folder that every disk takes."""
    try:
        path = clean_path(name)
    except ArchiveUnsafeError as error:
        said = error.line
    else:
        said = ""

    assert said.isprintable()
    if said:
        return

    assert not path.is_absolute()
    assert ".." not in path.parts
    assert not set(str(path)) & set("\\:\0\n")
    assert unicodedata.is_normalized("NFC", str(path))
    assert len(os.fsencode(path)) <= 255


@settings(max_examples=60, deadline=None)
@given(
    name=NAMES, body=st.binary(max_size=20), form=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
)
def test_no_member_is_written_outside(name, body, form, tmp_path_factory):
    """An archive with any further member opens without it, with it in its place, or not at all."""
    outer = tmp_path_factory.mktemp("outer")
    into = outer / "a" / "b"
    into.mkdir(parents=True)
    try:
        entry = Entry(name + ".txt", body, pax={"path": name + ".txt"} if form == tarfile.PAX_FORMAT else {})
        path = archives.build(outer / "m.tgz", extra=[entry], form=form)
    except (UnicodeError, ValueError):
        return  # no tar can hold this name
    try:
        root, code = open_archive(path, into).root, ""
    except ModelError as error:
        root, code = None, error.code

    written = {p for p in outer.rglob("*") if p.is_file()} - {path}
    assert code in ("", "E_MODEL_UNSAFE")
    assert all(root is not None and p.is_relative_to(root) for p in written)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_mangled_tar_never_escapes_the_error_tree(data):
    """Any bytes in the headers of a tar give members inside it, or an error of the archive."""
    whole = archives.tar(
        [
            Entry("deploy.yaml", b"Deploy: 1"),
            Entry("n" * 150, b"x"),
            Entry("é.txt", b"y", pax={"mtime": "1.5"}),
        ],
        data.draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])),
    )
    block = data.draw(st.integers(0, 6)) * 512
    field, width = data.draw(
        st.sampled_from([(0, 100), (124, 12), (156, 1), (157, 100), (257, 8), (345, 155)])
    )
    value = data.draw(
        st.one_of(st.binary(max_size=width), st.sampled_from([b"\xff" * 12, b"S", b"x", b"L", b"g"]))
    )
    header = bytearray(whole[block : block + 512])
    header[field : field + len(value[:width])] = value[:width]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    mangled = whole[:block] + bytes(header) + whole[block + 512 :]
    try:
        members = list_members(io.BytesIO(mangled))
    except ModelError:
        return

    assert all(0 <= m.offset and 0 <= m.size and m.offset + m.size <= len(mangled) for m in members)


SPECIAL = {
    "symlink-out": Entry("a.txt", type=tarfile.SYMTYPE, link="/etc/passwd"),
    "symlink-in": Entry("a.txt", type=tarfile.SYMTYPE, link="meta.json"),
    "symlink-dot": Entry(".a", type=tarfile.SYMTYPE, link="meta.json"),
    "hardlink-out": Entry("a.txt", type=tarfile.LNKTYPE, link="/etc/passwd"),
    "hardlink-in": Entry("a.txt", type=tarfile.LNKTYPE, link="./meta.json"),
    "fifo": Entry("a.txt", type=tarfile.FIFOTYPE),
    "character-device": Entry("a.txt", type=tarfile.CHRTYPE),
    "block-device": Entry("a.txt", type=tarfile.BLKTYPE),
    "contiguous": Entry("a.txt", type=tarfile.CONTTYPE),
    "unknown-type": Entry("a.txt", type=b"Z"),
    "pax-sparse": Entry("a.txt", b"x" * 512, pax={"GNU.sparse.size": "99", "GNU.sparse.map": "0,1"}),
    "parent": Entry("../a.txt", b"x"),
    "parent-inside": Entry("a/../../b.txt", b"x"),
    "parent-harmless": Entry("a/../b.txt", b"x"),
    "absolute": Entry("/tmp/a.txt", b"x"),
    "absolute-folder": Entry("/tmp/a", type=tarfile.DIRTYPE),
    "backslash": Entry("..\\a.txt", b"x"),
    "drive": Entry("C:a.txt", b"x"),
    "newline": Entry("a\nb.txt", b"x"),
    "nul": Entry("a.txt", b"x", pax={"path": "a\0b.txt"}),
    "long": Entry("a" * 300 + ".txt", b"x"),
    "deep": Entry("a/" * 9 + "a.txt", b"x"),
    "not-nfc": Entry("e\u0301.txt", b"x"),
    "not-utf-8": Entry("\udcff.txt", b"x"),
    "nameless": Entry("./", b"x", pax={"path": "."}),
    "twice": Entry("./meta.json", b"{}"),
    "twice-otherwise-spelt": Entry(".//meta.json", b"{}"),
    "case": Entry("META.json", b"{}"),
    "case-of-a-letter": Entry("Meta.JSON", b"{}"),
    "file-as-folder": Entry("meta.json/a.txt", b"x"),
    "long-pax-header": Entry("a.txt", b"x", pax={"comment": "9" * 9000}),
}  # fmt: skip


@pytest.mark.parametrize("entry", SPECIAL.values(), ids=SPECIAL)
def test_unsafe_members_are_refused(entry, tmp_path, refused):
    """One member that a model has no need of, beside good ones, and nothing at all is unpacked."""
    form = tarfile.PAX_FORMAT if entry.pax else tarfile.GNU_FORMAT

    refused(archives.build(tmp_path / "m.tgz", extra=[entry], form=form), "E_MODEL_UNSAFE")


@pytest.mark.parametrize("size", [-512, -1, 1 << 20, 1 << 62, 1 << 80])
@pytest.mark.parametrize(
    "kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE], ids=["file", "gnu", "pax"]
)
def test_lying_sizes_are_refused(size, kind, tmp_path, into):
    """A header's size that is negative or beyond the file is an error at once, for headers of names too."""
    path = archives.build(tmp_path / "m.tgz", extra=[Entry("a.txt", b"x", type=kind, size=size)])

    with pytest.raises(ModelError) as caught:
        open_archive(path, into)

    assert caught.value.code == "E_MODEL_FORMAT" or kind != tarfile.REGTYPE
    assert caught.value.code in ("E_MODEL_FORMAT", "E_MODEL_UNSAFE")
    assert not list(into.iterdir())


def test_a_hundred_thousand_members_are_refused(tmp_path, refused):
    """The count is bounded, whatever the members are."""
    block = archives.tar([Entry("a.txt")])[:512]
    path = tmp_path / "m.tgz"
    path.write_bytes(gzip.compress(block * 100_000 + bytes(1024), 1))
    many = archives.build(
        tmp_path / "n.tgz",
        extra=[Entry(f"{i}.txt") for i in range(MAX_MEMBERS + 1 - len(archives.contents()))],
    )

    refused(path, "E_MODEL_UNSAFE")
    assert str(MAX_MEMBERS) in refused(many, "E_MODEL_UNSAFE").what


def test_endless_headers_are_refused(tmp_path, refused):
    """A chain of name headers, each for the next, ends in an error."""
    link = Entry("././@LongLink", b"a" * 100, type=tarfile.GNUTYPE_LONGNAME)
    path = tmp_path / "m.tgz"
    path.write_bytes(gzip.compress(archives.tar([link] * 3000)))

    refused(path, "E_MODEL_UNSAFE")


def test_the_sum_of_long_headers_is_bounded(tmp_path, refused):
    """Many headers just short enough, which old Pythons search in quadratic time, are too long together."""
    record = b"4096 comment=" + b"x" * (4096 - 14) + b"\n"
    header = Entry("x", record, type=tarfile.XGLTYPE)
    path = tmp_path / "m.tgz"
    path.write_bytes(gzip.compress(archives.tar([header] * 70)))

    assert "too long" in refused(path, "E_MODEL_UNSAFE").what


@pytest.mark.parametrize("end", [b"", bytes(511), b"x" * 512, bytes(512) + b"x" * 512])
def test_a_tar_that_ends_wrong_is_refused(end, tmp_path, refused):
    """A tar cut between members, or with other bytes for its next header, is not taken for a shorter one."""
    tar = archives.tar([Entry(name, body) for name, body in archives.contents().items()]).rstrip(b"\0")
    path = tmp_path / "m.tgz"
    path.write_bytes(gzip.compress(tar + bytes(-len(tar) % 512) + end))

    refused(path, "E_MODEL_FORMAT")


def test_gzip_without_a_tar_is_refused(tmp_path, refused):
    """Compressed text is no archive; an empty tar has no manifest."""
    path = tmp_path / "m.tgz"
    path.write_bytes(gzip.compress(b"hello" * 400))
    refused(path, "E_MODEL_FORMAT")
    path.write_bytes(gzip.compress(b""))
    refused(path, "E_MODEL_FORMAT")
    path.write_bytes(gzip.compress(bytes(10240)))

    refused(path, "E_MODEL_MANIFEST")


def test_all_forms_of_tar_give_the_same_members():
    """GNU, PAX and plain ustar list alike, with long names where the form has them."""
    entries = [Entry("./a/" + "é" * 60 + ".txt", b"1"), Entry("b.txt", b"22")]
    gnu = list_members(io.BytesIO(archives.tar(entries, tarfile.GNU_FORMAT)))
    pax = list_members(io.BytesIO(archives.tar(entries, tarfile.PAX_FORMAT)))

    assert [PurePosixPath("a/" + "é" * 60 + ".txt"), PurePosixPath("b.txt")] == [m.path for m in gnu]
    assert [(m.path, m.size) for m in gnu] == [(m.path, m.size) for m in pax]


def test_modes_of_members_do_not_matter(tmp_path, into):
    """Set-uid and unreadable members come out as plain 0600 files in a 0700 folder."""
    extra = [Entry("docs/a.txt", b"x", mode=0o4777), Entry("b.txt", b"y", mode=0)]
    root: Path = open_archive(archives.build(tmp_path / "m.tgz", extra=extra), into).root

    assert {0o600} == {p.stat().st_mode & 0o7777 for p in root.rglob("*") if p.is_file()}
    assert {0o700} == {p.stat().st_mode & 0o7777 for p in [root, *root.rglob("*")] if p.is_dir()}
    assert b"x" == (root / "docs" / "a.txt").read_bytes()


def test_the_limits_of_a_name_are_inclusive():
    """Eight parts and 255 bytes are accepted, one more is not."""
    deep, long = "a/" * 7 + "a.txt", "é" * 127 + "x"

    assert PurePosixPath(deep) == clean_path(deep)
    assert PurePosixPath(long) == clean_path(long)
    for name in ("a/" + deep, long + "x"):
        with pytest.raises(ArchiveUnsafeError, match=r"more than 8 parts|longer than 255 bytes"):
            clean_path(name)


@pytest.mark.parametrize("entries", [["a/", "a"], ["a", "a/"], ["a", "a/b"], ["a/b", "a"]], ids=str)
def test_a_file_and_a_folder_of_one_name_are_refused(entries):
    """Whichever comes first, and whether the folder is stated or not."""
    kinds = [
        Entry(name.rstrip("/"), type=tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE)
        for name in entries
    ]
    with pytest.raises(ArchiveUnsafeError, match="same name"):
        list_members(io.BytesIO(archives.tar(kinds)))


def test_a_thousand_members_are_accepted():
    """MAX_MEMBERS is the last number that is."""
    whole = archives.tar([Entry(f"{n}.txt") for n in range(MAX_MEMBERS)])

    assert MAX_MEMBERS == len(list_members(io.BytesIO(whole)))


@pytest.mark.parametrize("beyond", [1, 512])
def test_a_member_may_not_reach_beyond_the_tar(beyond):
    """Not even by a byte: what lies there is another file's."""
    header = archives.tar([Entry("a.txt", size=1024 + beyond)])[:512]
    with pytest.raises(ArchiveFormatError, match=f"the size of {1024 + beyond} bytes is wrong"):
        list_members(io.BytesIO(header + bytes(1024)))
