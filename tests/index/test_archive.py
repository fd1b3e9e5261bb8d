"""index.tgz from anywhere: what is cut short, changed, or more than an index is refused with E_INDEX."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from quadrat.errors import IndexFileError
from quadrat.index.archive import DATABASE, MANIFEST, SCHEMA, pack, unpacked
from quadrat.index.read import IndexReader
from tests.archives import Entry, build
from tests.index.things import dump, entry, packed, source, write

THINGS = ((source("a.jpg"), [entry(("cod", 0.5, None), vector=(1, 2, 3))]),)


def refused(path: Path) -> IndexFileError:
    """Return the error for an index that is refused."""
    with pytest.raises(IndexFileError) as raised, unpacked(path):
        pass
    assert raised.value.code == "E_INDEX"
    assert raised.value.where
    return raised.value


def packed_as(path: Path, database: bytes, manifest: object = None, extra: list[Entry] | None = None) -> Path:
    """Pack a database with a manifest that states its digest, or with another one."""
    import hashlib

    stated = {"$schema": SCHEMA, "sha256": {DATABASE: hashlib.sha256(database).hexdigest()}}
    files = {MANIFEST: json.dumps(stated if manifest is None else manifest).encode(), DATABASE: database}
    return build(path, files, extra=extra or [], top="")


def test_what_is_packed_is_unpacked(tmp_path):
    """The database is the same, and the copy is gone afterwards."""
    path = packed(tmp_path, *THINGS)
    with unpacked(path) as database:
        assert dump(database) == dump(tmp_path / "db.sqlite")
    assert not database.exists()
    first = path.read_bytes()
    pack(tmp_path / "db.sqlite", path, {})
    assert path.read_bytes() == first


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_one_that_is_cut_short_is_refused(tmp_path, share):
    """Wherever it ends."""
    path = packed(tmp_path, *THINGS)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path)


@pytest.mark.parametrize("place", range(8))
def test_one_with_a_changed_byte_is_refused(tmp_path, place):
    """The gzip has a checksum, and the database has its digest; a few changes of the gzip give the same bytes."""
    path = packed(tmp_path, *THINGS)
    body = bytearray(path.read_bytes())
    body[10 + place * (len(body) - 11) // 8] ^= 0x40
    path.write_bytes(bytes(body))
    try:
        with unpacked(path) as database:
            assert database.read_bytes() == (tmp_path / "db.sqlite").read_bytes()
    except IndexFileError:
        pass


def test_a_database_that_is_not_the_packed_one_is_refused(tmp_path):
    """Its sha256 is not the stated one."""
    write(tmp_path / "db", *THINGS)
    body = (tmp_path / "db").read_bytes()
    stated = {"$schema": SCHEMA, "sha256": {DATABASE: "0" * 64}}
    assert "is not the one that was packed" in refused(packed_as(tmp_path / "i.tgz", body, stated)).line


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM sources; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE more (x)",
        "ALTER TABLE items ADD COLUMN more",
        "DROP TABLE thumbs",
        "UPDATE facts SET value = '99' WHERE name = 'format'",
        "DELETE FROM facts",
    ],
)
def test_other_tables_than_those_of_an_index_are_refused(tmp_path, statement):
    """Also with the right digest: an index may come from anywhere."""
    write(tmp_path / "db", *THINGS)
    opened = sqlite3.connect(tmp_path / "db")
    opened.execute(statement)
    opened.commit()
    opened.close()
    refused(packed_as(tmp_path / "i.tgz", (tmp_path / "db").read_bytes()))


def test_damaged_pages_are_refused(tmp_path):
    """Also with the right digest."""
    things = [(source(f"{n}.jpg"), [entry(("cod", 0.5, None), vector=(1, 2, n))]) for n in range(500)]
    write(tmp_path / "db", *things)
    body = bytearray((tmp_path / "db").read_bytes())
    for page in range(1, len(body) // 16384):
        body[page * 16384 : page * 16384 + 64] = b"\xff" * 64
    refused(packed_as(tmp_path / "i.tgz", bytes(body)))


@pytest.mark.parametrize("vector", [b"\x00\x7e" * 3, b"\x00\x7c" * 3, b"\x00" * 6, b"\x00\x3c" * 2])
def test_a_vector_that_is_none_is_refused(tmp_path, vector):
    """NaN, infinity or another length; found when it is read."""
    write(tmp_path / "db", *THINGS)
    opened = sqlite3.connect(tmp_path / "db")
    opened.execute("UPDATE vectors SET vector = ?", (vector,))
    opened.commit()
    opened.close()
    with unpacked(packed_as(tmp_path / "i.tgz", (tmp_path / "db").read_bytes())) as database:
        reader = IndexReader(database)
        with pytest.raises(IndexFileError) as raised:
            list(reader.blocks())
        reader.close()
    assert raised.value.code == "E_INDEX"


WRONG = [
    *(
        f"UPDATE sources SET {column} = x'00'"
        for column in ("name", "urn", "media", "site", "taken", "latitude")
    ),
    *(f"UPDATE items SET {column} = 'text'" for column in ("time_s", "frame", "track", "x0")),
    *(f"UPDATE labels SET {column} = x'00'" for column in ("class", "class_id", "model", "score", "cover")),
    *(f"UPDATE labels SET {column} = 9e999" for column in ("score", "cover")),
    "UPDATE sources SET latitude = -9e999",
    "UPDATE items SET x0 = 1",
    "UPDATE facts SET value = x'00' WHERE name = 'dimension'",
    "UPDATE vectors SET vector = 'text'",
    "INSERT INTO thumbs VALUES (1, 'text')",
    "INSERT INTO thumbs VALUES (1, zeroblob(1000000))",
    "UPDATE sources SET name = replace(hex(zeroblob(100000)), '00', 'ab')",
]


@pytest.mark.parametrize("statement", WRONG)
def test_values_of_another_type_are_refused(tmp_path, statement):
    """SQLite stores any value in any column; those of an index are finite numbers, texts, and boxes with four sides."""
    write(tmp_path / "db", *THINGS)
    opened = sqlite3.connect(tmp_path / "db")
    opened.execute(statement)
    opened.commit()
    opened.close()
    assert (
        "a value in its table" in refused(packed_as(tmp_path / "i.tgz", (tmp_path / "db").read_bytes())).line
    )


@pytest.mark.parametrize("extra", [Entry("../escape", b"x"), Entry("more.txt", b"x"), Entry("code.py", b"x")])
def test_more_than_an_index_is_refused(tmp_path, extra):
    """Nothing is written outside, and nothing else is unpacked."""
    write(tmp_path / "db", *THINGS)
    refused(packed_as(tmp_path / "i.tgz", (tmp_path / "db").read_bytes(), extra=[extra]))
    assert not (tmp_path / "escape").exists()


@pytest.mark.parametrize(
    "manifest", [[], {}, {"$schema": "x", "sha256": {}}, {"$schema": SCHEMA, "sha256": 3}]
)
def test_a_wrong_manifest_is_refused(tmp_path, manifest):
    """It states no digest."""
    write(tmp_path / "db", *THINGS)
    refused(packed_as(tmp_path / "i.tgz", (tmp_path / "db").read_bytes(), manifest))


@pytest.mark.parametrize("body", [b"", b"PK\x03\x04", b"SQLite format 3\x00"])
def test_what_is_no_archive_is_refused(tmp_path, body):
    """The error is about an index, not about a model."""
    path = tmp_path / "index.tgz"
    path.write_bytes(body)
    assert "model" not in refused(path).line
