"""The tables of an index, and how its database is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from quadrat.errors import IndexFileError

FORMAT = "1"
"""The version of the tables; an index of another version is refused."""
PAGE_BYTES = 16384
"""A vector of 512 values and a thumbnail fit into one page."""
CACHE_KB = 64_000
LONGEST = 1 << 16
"""Bytes of a text or a thumbnail; names, addresses and small pictures are far shorter."""
LARGEST = 1.7976931348623157e308
"""The largest finite number; infinity is larger."""
DAMAGED = "Make the index again, or take it from where it was made"
GIVE = "Give an index.tgz, which quadrat run --index delivers"
WHOLE = ""
"""The key of a whole picture or frame, beside those of its objects."""

TABLES = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE sources (id INTEGER PRIMARY KEY, content TEXT NOT NULL UNIQUE, urn TEXT NOT NULL, "
    "name TEXT NOT NULL, media TEXT NOT NULL, site TEXT NOT NULL, taken TEXT, latitude REAL, longitude REAL, "
    "width INTEGER NOT NULL, height INTEGER NOT NULL)",
    "CREATE TABLE items (id INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES sources, frame INTEGER NOT NULL, "
    "object TEXT NOT NULL, time_s REAL, x0 REAL, y0 REAL, x1 REAL, y1 REAL, track INTEGER, "
    "UNIQUE (source, frame, object))",
    "CREATE TABLE labels (item INTEGER NOT NULL REFERENCES items, model TEXT NOT NULL, class_id TEXT NOT NULL, "
    "class TEXT NOT NULL, score REAL, cover REAL, PRIMARY KEY (item, model, class_id)) WITHOUT ROWID",
    "CREATE TABLE vectors (item INTEGER PRIMARY KEY REFERENCES items, vector BLOB NOT NULL)",
    "CREATE TABLE thumbs (item INTEGER PRIMARY KEY REFERENCES items, jpeg BLOB NOT NULL)",
    "CREATE INDEX labels_by_class ON labels (class COLLATE NOCASE)",
)
"""The statements that make an empty database. Facts are the format, and what the vectors are."""


def create(path: Path) -> sqlite3.Connection:
    """Make an empty database for writing; OSError or sqlite3.Error if that fails."""
    made = sqlite3.connect(path, isolation_level=None)
    made.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    for statement in TABLES:
        made.execute(statement)
    made.execute("INSERT INTO facts VALUES ('format', ?)", (FORMAT,))
    return _tuned(made)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open a checked database for writing, with a log beside it until it is closed."""
    return _tuned(sqlite3.connect(path, isolation_level=None))


def _tuned(opened: sqlite3.Connection) -> sqlite3.Connection:
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", f"cache_size = -{CACHE_KB}"):
        opened.execute(f"PRAGMA {pragma}")
    return opened


def close_written(opened: sqlite3.Connection) -> None:
    """Close a database so that one file remains."""
    opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    opened.execute("PRAGMA journal_mode = DELETE")
    opened.close()


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a database that nothing writes to, after a check of its tables and pages.

    Raises IndexFileError if a page is damaged, or if it has other tables, views or triggers than an index.
    """
    opened = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        opened.execute("PRAGMA trusted_schema = OFF")
        opened.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        found = {sql for (sql,) in opened.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
        if found != set(TABLES):
            raise IndexFileError("its tables are not those of an index", where=path.name, hint=DAMAGED)
        facts = dict(opened.execute("SELECT name, value FROM facts"))
        if facts.get("format") != FORMAT:
            raise IndexFileError(
                f"its format is {facts.get('format', 'unknown')!s:.20}, and this version reads {FORMAT}",
                where=path.name,
                hint="Use the version of quadrat that made it, or make it again",
            )
        (answer,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
        if answer != "ok":
            raise IndexFileError(
                f"a page of its database is damaged: {answer}", where=path.name, hint=DAMAGED
            )
        _check_values(opened, path.name)
    except sqlite3.Error as error:
        opened.close()
        raise IndexFileError(
            f"its database cannot be read: {error}", where=path.name, hint=DAMAGED
        ) from error
    except IndexFileError:
        opened.close()
        raise
    return opened


def _check_values(opened: sqlite3.Connection, name: str) -> None:
    """Raise IndexFileError if a value is not of its column's type, infinite or very long, or a box has not four sides.

    SQLite stores a value of any type in any column.
    """
    tables = [table for (table,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = [(row[1], row[2]) for row in opened.execute(f"PRAGMA table_info({table})")]
        wrong = [f"typeof({column}) NOT IN ('{kind.lower()}', 'null')" for column, kind in columns]
        wrong += [f"abs({column}) > {LARGEST!r}" for column, kind in columns if kind == "REAL"]
        texts = [column for column, kind in columns if kind == "TEXT" or column == "jpeg"]
        wrong += [f"length(CAST({column} AS BLOB)) > {LONGEST}" for column in texts]
        if table == "items":
            wrong.append("(x0 IS NULL) + (y0 IS NULL) + (x1 IS NULL) + (y1 IS NULL) NOT IN (0, 4)")
        if opened.execute(f"SELECT 1 FROM {table} WHERE {' OR '.join(wrong)} LIMIT 1").fetchone():  # noqa: S608 - names of TABLES
            raise IndexFileError(
                f"a value in its table {table} is not one of an index", where=name, hint=DAMAGED
            )


def facts_in(opened: sqlite3.Connection) -> dict[str, Any]:
    """Return the facts of a database by name."""
    return dict(opened.execute("SELECT name, value FROM facts ORDER BY name"))
