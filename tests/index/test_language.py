"""The filter language: what it selects, and what it refuses. No text of the user becomes SQL."""

from __future__ import annotations

import itertools
import random
import sqlite3

import numpy as np
import pytest

from quadrat.errors import QueryError
from quadrat.index.language import COLUMNS, parse
from quadrat.index.read import IndexReader, distance_km
from tests.index.things import entry, names, source, write

BOX = (10.0, 10.0, 50.0, 90.0)
THINGS = (
    (source("reef-1/a.jpg", latitude=-34.9, longitude=138.5, taken="2024-05-06T07:08:09"), [
        entry(("Cod", 0.9, None), ("crab", 0.3, None)),
    ]),
    (source("reef-1/b.jpg", latitude=-34.91, longitude=138.5, taken="2024-06-01T00:00:00"), [
        entry(("cod", 0.4, None), ("crab", 0.8, None)),
    ]),
    (source("reef 3/c.jpg"), [entry(("sand", 0.9, 0.7), ("weed", 0.8, 0.3))]),
    (source("d.mp4", media="video"), [entry(), entry(("shark", 0.6, None), box=BOX, model="fish", track=4)]),
)  # fmt: skip


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory):
    """An index of four sources: two with animals, one with covers, and a video with an object."""
    path = tmp_path_factory.mktemp("index") / "db"
    write(path, *THINGS)
    opened = IndexReader(path)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "abcdd"),
        ("class = cod", "ab"),
        ("class == cod", "ab"),
        ("class = COD and score > 0.5", "a"),
        ("score > 0.5 and class = cod", "a"),
        ("class = cod and class = crab and score > 0.5", "b"),
        ("class = cod and score > 0.5 and class = crab and score < 0.5", "a"),
        ("class != cod", "cdd"),
        ("not class = cod", "cdd"),
        ("not class = shark", "abc"),
        ("class != shark", "abc"),
        ("kind != object and not class = shark", "abc"),
        ("not (class = shark and score > 0.8)", "abcdd"),
        ("kind = frame and not class = cod", "d"),
        ("kind = frame and class = shark and score > 0.5", "d"),
        ("class = shark and score > 0.8 and kind = frame", ""),
        ("kind != object and class = shark", "d"),
        ("kind = object and class = shark", "d"),
        ("class = shark", "d"),
        ("kind = frame and not class = shark", ""),
        ("class = cod or class = sand", "abc"),
        ("(class = cod or class = sand) and not site = reef-1", "c"),
        ("class ~ s*", "cd"),
        ("class ~ *a*", "abcd"),
        ("cover >= 0.7", "c"),
        ("cover < 0.5", "c"),
        ("site = reef-1", "ab"),
        ('site = "reef 3"', "c"),
        ("site = 'reef 3'", "c"),
        ("name ~ reef*", "abc"),
        ('name ~ "%"', ""),
        ('name ~ "_*"', ""),
        ("name = reef-1/a.jpg", "a"),
        ("media = video", "dd"),
        ("kind = object", "d"),
        ("kind = frame", "d"),
        ("kind = image", "abc"),
        ("kind != object", "abcd"),
        ("taken >= 2024-05", "ab"),
        ("taken = 2024-05", "a"),
        ("taken = 2024", "ab"),
        ("taken < 2024-06-01T00:00:01", "ab"),
        ("taken < 2024-06", "a"),
        ('taken < "2024-06-01 00:00:01"', "ab"),
        ('taken = "2024-05-06 07:08"', "a"),
        ("taken ~ *-05-*", "a"),
        ("time > 1", "dd"),
        ("track = 4", "d"),
        ("width = 40", "d"),
        ("height = 480", "abcd"),
        ("frame = 0 and row <= 2", "ab"),
        ("latitude < -34.905", "b"),
        ("near(-34.9, 138.5, 0.5)", "a"),
        ("near(-34.9, 138.5, 2)", "ab"),
        ("not near(-34.9, 138.5, 2)", "cdd"),
        ("NOT (class = cod AND score > 0.5)", "bcdd"),
        ("not not class = cod", "ab"),
        ('class = "\'; DROP TABLE items; --"', ""),
        ("class = cod and class = \"x' OR '1'='1\"", ""),
    ],
)
def test_what_a_filter_selects(reader, text, found):
    """Conditions on one class hold together; a second `class` begins the next."""
    rows, _ = reader.select(parse(text))
    assert "".join(name.rpartition("/")[2][0] for name in names(reader, rows)) == found


@pytest.mark.parametrize(
    "text", ["class = cod", "taken >= 2024-06", "latitude > 0", "track = 4", "near(0, 0, 9)", "cover > 0.5"]
)
def test_a_filter_and_its_opposite_give_all_rows_once(reader, text):
    """Also rows that lack what is compared."""
    every, _ = reader.select(parse(""))
    one, _ = reader.select(parse(text))
    other, _ = reader.select(parse(f"not ({text})"))
    assert sorted([*one, *other]) == sorted(every)


def test_rows_are_ranked_by_the_class_that_is_asked_for(reader):
    """Its cover, or else its score; nothing for a filter without a class."""
    for text, ranks in (
        ("class = crab", [0.3, 0.8]),
        ("class = weed", [0.3]),
        ("kind = frame and class = shark", [0.6]),
        ("cover > 0.1 and class = sand", [0.7]),
    ):
        assert reader.select(parse(text))[1].tolist() == ranks
    assert np.isnan(reader.select(parse("not class = crab"))[1]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = red", "there is no column 'colour'"),
        ("klass = cod", "Did you mean class?"),
        ("sqlite_master = 1", "there is no column 'sqlite_master'"),
        ("l.class = cod", "there is no column 'l.class'"),
        ("score > high", "'high' is not a number"),
        ("taken = 2024-5", "is not a time"),
        ("taken >= 2024:05:06", "is not a time"),
        ("taken >= 06.05.2024", "is not a time"),
        ("taken < yesterday", "is not a time"),
        ("score ~ 5", "'~' after|compares texts"),
        ("class", "it ends where an operator"),
        ("class =", "it ends where a value"),
        ("class = (", "a value is missing"),
        ("class = cod and", "it ends where a column"),
        ("(class = cod", "it ends where a \\)"),
        ("class = cod)", "'\\)' is not expected"),
        ("class = cod crab", "'crab' is not expected"),
        ("class = cod; DROP TABLE items", "cannot be read"),
        ("class = 'cod", "cannot be read"),
        ("near(1, 2)", "'\\)' stands where ,"),
        ("near(91, 0, 1)", "near takes a latitude"),
        ("kind = whale", "kind is"),
        ("kind > image", "kind is"),
        ("(" * 30 + "class = cod" + ")" * 30, "nested more than"),
        ("not " * 30 + "class = cod", "nested more than"),
        (" or ".join(["class = cod"] * 101), "more than 100 conditions"),
        ('name = "\udcff"', "it is not UTF-8"),
        ("x" * 2001, "more than 2000 characters"),
    ],
)
def test_what_is_refused(text, message):
    """With a code and what is right."""
    with pytest.raises(QueryError, match=message) as raised:
        parse(text)
    assert raised.value.code == "E_INDEX_QUERY"
    assert raised.value.where == "where"


def test_an_unknown_column_is_answered_with_the_columns():
    """So that nobody needs the manual."""
    with pytest.raises(QueryError) as raised:
        parse("species = cod")
    assert all(column in raised.value.hint for column in COLUMNS)


def test_no_text_reaches_the_database_but_as_a_value(reader):
    """Any filter of random pieces is refused, or runs and has its texts among the bound values."""
    pieces = [
        "class",
        "score",
        "=",
        ">",
        "cod",
        "'x'",
        "and",
        "or",
        "not",
        "(",
        ")",
        "0.5",
        "--",
        ";",
        "UNION",
        "near",
        ",",
        "*",
        '"y;--"',
    ]
    drawn = random.Random(7)
    for _ in range(3000):
        text = " ".join(drawn.choices(pieces, k=drawn.randint(1, 9)))
        try:
            condition = parse(text)
        except QueryError:
            continue
        assert not {"--", ";", "UNION", "y;"} & set(condition.sql.split())
        try:
            reader.select(condition)
        except sqlite3.Error as error:  # pragma: no cover - the message names the filter
            pytest.fail(f"{text}: {error}")


@pytest.mark.parametrize(
    ("one", "two", "kilometres"),
    [
        ((0, 0), (0, 0), 0),
        ((0, 0), (0, 180), 20015.1),
        ((90, 0), (-90, 50), 20015.1),
        ((0, 179.5), (0, -179.5), 111.19),
    ],
)
def test_distances(one, two, kilometres):
    """Along great circles, also across the date line; none to a source without a place."""
    assert distance_km(*one, *two) == pytest.approx(kilometres, abs=0.1)
    assert distance_km(None, 1.0, *two) is None


def test_every_column_can_be_asked_for(reader):
    """Each with each of its operators."""
    values = {"kind": "image", "taken": "2024"}
    for column, operator in itertools.product(COLUMNS, ("=", "!=", "<", "<=", ">", ">=", "~")):
        text = f"{column} {operator} {values.get(column, '5')}"
        is_text = column in ("class", "name", "site", "media", "taken")
        if (operator == "~" and not is_text) or (column == "kind" and operator not in ("=", "!=")):
            with pytest.raises(QueryError):
                parse(text)
        else:
            reader.select(parse(text))
