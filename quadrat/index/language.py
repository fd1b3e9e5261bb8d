"""The filter language of searches: words about metadata -> a condition with bound values. No text of the user is SQL.

    class = fish and score > 0.5 and site = reef-3
    (class = crab or class = lobster) and not media = video
    taken >= 2024-05 and near(-34.9, 138.5, 2)

Conditions on `class`, `score` and `cover` that `and` joins hold for one and the same class found in the row; another
`class` begins the next. A row is without a class if neither it nor, for a picture or frame, one of its objects has it. Beside
`kind = image` or `kind = frame`, a picture or frame also has the classes of its objects.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from quadrat.errors import QueryError

LONGEST = 2000
"""Characters of a filter."""
DEEPEST = 20
MOST = 100
"""Conditions of a filter."""
LABELS = {"class": "l.class", "score": "l.score", "cover": "l.cover"}
"""Columns of the classes that were found in a row."""
TEXTS = {"name": "s.name", "site": "s.site", "media": "s.media", "taken": "s.taken"}
NUMBERS = {
    "frame": "i.frame", "time": "i.time_s", "track": "i.track", "row": "i.id", "latitude": "s.latitude",
    "longitude": "s.longitude", "width": "coalesce(i.x1 - i.x0, s.width)", "height": "coalesce(i.y1 - i.y0, s.height)",
}  # fmt: skip
KINDS = {"object": "i.object <> ''", "frame": "i.object = '' AND s.media <> 'image'",
         "image": "i.object = '' AND s.media = 'image'"}  # fmt: skip
"""Values of the column `kind`."""
COLUMNS = (*LABELS, *TEXTS, *NUMBERS, "kind")
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~")
"""`~` compares with a pattern, in which * stands for any text."""
_WHERE = "where"
_TIME = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?", re.ASCII)
"""A time in ISO 8601, or its beginning: texts of another form would be compared without meaning."""
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w:.-]))|(?P<word>[^\W_][\w.:/*-]*|\*[\w.:/*-]*)
    |(?P<text>"[^"]*"|'[^']*')|(?P<mark><=|>=|!=|==|[=<>~(),]))""",
    re.VERBOSE,
)


WITH_OBJECTS = (
    "FROM items o JOIN labels l ON l.item = o.id WHERE o.source = i.source AND o.frame = i.frame "
    "AND (i.object = '' OR o.id = i.id) AND"
)
"""Begins the classes of a row, and, if it is a whole picture or frame, those of its objects.

Objects have rows of their own, so that the row of a picture has no classes of theirs. Without this, a picture full of fish
would be one without fish.
"""
OWN = "FROM labels l WHERE l.item = i.id AND"
"""Begins the classes of a row alone."""
_WHOLE = (f"({KINDS['image']})", f"({KINDS['frame']})", f"NOT ({KINDS['object']})")
"""Conditions that only pictures and frames meet."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition in SQL on the tables `i` (items) and `s` (sources), with a value for each question mark.

    `label` is the condition on the table `l` (labels) of the first class that is asked for, with `label_values`; rows
    are ranked by its cover or score. It is empty if no class is asked for. `classes` are the names of classes that rows
    must have. With `objects`, a picture or frame is ranked by its objects, too.
    """

    sql: str
    values: tuple[object, ...]
    label: str = ""
    label_values: tuple[object, ...] = ()
    classes: tuple[str, ...] = ()
    objects: bool = False


@dataclass(slots=True)
class _Label:
    """Conditions on one class found in a row."""

    parts: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    has_class: bool = False

    def text(self, *, objects: bool = False) -> str:
        """Return the condition that the row has such a class, or with `objects` that it or one of its objects has."""
        return f"EXISTS (SELECT 1 {WITH_OBJECTS if objects else OWN} {' AND '.join(self.parts)})"


def parse(text: str) -> Condition:
    """Turn a filter into a condition; an empty one holds for all rows. Raises QueryError for any mistake."""
    if len(text) > LONGEST:
        raise QueryError(f"it has more than {LONGEST} characters", where=_WHERE)
    if not text.strip():
        return Condition("1", ())
    if not text.isascii() and text.encode("utf-8", "replace").decode() != text:
        raise QueryError("it is not UTF-8", where=_WHERE)
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[tuple[str, str]]:
    """Split a filter into (kind, text); kinds are number, word, text and mark."""
    found, place, end = [], 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise QueryError(f"{text[place:].strip()[:30]!r} cannot be read", where=_WHERE, hint=_hint())
        value = match.group(match.lastgroup)
        value = "=" if value == "==" and match.lastgroup == "mark" else value
        found.append((match.lastgroup, value[1:-1] if match.lastgroup == "text" else value))
        place = match.end()
    return found


def _hint() -> str:
    return 'Write, for instance, class = fish and score > 0.5; names with spaces in quotes: site = "reef 3"'


class _Parser:
    """Reads a filter by recursive descent."""

    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._place = 0
        self._count = 0
        self._rank: _Label | None = None
        self._objects = False
        self._classes: list[str] = []

    def whole(self) -> Condition:
        """Read everything."""
        sql, values = self._either(0, positive=True)
        if self._place < len(self._tokens):
            raise self._wrong(f"{self._tokens[self._place][1][:30]!r} is not expected here")
        if self._rank is None:
            return Condition(sql, tuple(values))
        label, bound = " AND ".join(self._rank.parts), tuple(self._rank.values)
        return Condition(sql, tuple(values), label, bound, tuple(self._classes), self._objects)

    def _either(self, depth: int, *, positive: bool) -> tuple[str, list[object]]:
        parts = [self._all(depth, positive=positive)]
        while self._is("or"):
            self._place += 1
            parts.append(self._all(depth, positive=positive))
        if len(parts) == 1:
            return parts[0]
        return f"({' OR '.join(sql for sql, _ in parts)})", [value for _, values in parts for value in values]

    def _all(self, depth: int, *, positive: bool) -> tuple[str, list[object]]:
        """Read conditions joined by `and`; those on a class are put together."""
        sql: list[str] = []
        values: list[object] = []
        labels: list[_Label] = []
        while True:
            self._term(depth, labels, sql, values, positive=positive)
            if not self._is("and"):
                break
            self._place += 1
        objects = not positive or any(part in sql for part in _WHOLE)
        for label in labels:
            sql.append(label.text(objects=objects))
            values += label.values
        if positive and self._rank is None:
            self._rank, self._objects = next(iter(labels), None), objects
        return f"({' AND '.join(sql)})", values

    def _term(
        self, depth: int, labels: list[_Label], sql: list[str], values: list[object], *, positive: bool
    ) -> None:
        """Read one condition, one in brackets, or one after `not`."""
        if depth > DEEPEST:
            raise self._wrong(f"brackets and not are nested more than {DEEPEST} deep")
        if self._is("not"):
            self._place += 1
            inner_labels: list[_Label] = []
            inner: list[str] = []
            own: list[object] = []
            self._term(depth + 1, inner_labels, inner, own, positive=False)
            for label in inner_labels:
                inner.append(label.text(objects=True))
                own += label.values
            sql.append(f"NOT coalesce({' AND '.join(inner)}, 0)")
            values += own
        elif self._mark("("):
            self._place += 1
            inside, own = self._either(depth + 1, positive=positive)
            self._expect(")")
            sql.append(inside)
            values += own
        elif self._is("near"):
            self._place += 1
            sql.append(self._near(values))
        else:
            self._comparison(labels, sql, values)

    def _near(self, values: list[object]) -> str:
        """Read near(latitude, longitude, kilometres)."""
        self._expect("(")
        given: list[float] = []
        for mark in (",", ",", ")"):
            given.append(self._number("near"))
            self._expect(mark)
        latitude, longitude, kilometres = given
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180 and kilometres >= 0):
            raise self._wrong("near takes a latitude, a longitude and a number of kilometres")
        values += [latitude, longitude, kilometres]
        return "coalesce(distance_km(s.latitude, s.longitude, ?, ?) <= ?, 0)"

    def _comparison(self, labels: list[_Label], sql: list[str], values: list[object]) -> None:
        """Read a column, an operator and a value."""
        self._count += 1
        if self._count > MOST:
            raise self._wrong(f"there are more than {MOST} conditions")
        kind, column = self._next("a column")
        column = column.lower()
        if kind not in ("word", "text") or column not in COLUMNS:
            close = difflib.get_close_matches(column, COLUMNS, n=1)
            meant = f"Did you mean {close[0]}? " if close else ""
            raise QueryError(
                f"there is no column {column[:30]!r}",
                where=_WHERE,
                hint=f"{meant}The columns are {', '.join(COLUMNS)}",
            )
        kind, operator = self._next("an operator")
        if kind != "mark" or operator not in OPERATORS:
            raise self._wrong(f"{operator[:30]!r} after {column} is not one of {' '.join(OPERATORS)}")
        if column == "kind":
            sql.append(self._kind(operator))
            return
        is_text = column in TEXTS or column == "class"
        if is_text:
            part, value = self._text_part(column, operator)
        else:
            part, value = f"{(LABELS | NUMBERS)[column]} {operator} ?", self._number(column)
            if operator == "~":
                raise self._wrong(f"~ compares texts, and {column} is a number")
        if column not in LABELS:
            sql.append(f"coalesce({part}, 0)")
            values.append(value)
        elif column == "class" and operator == "!=":
            sql.append(f"NOT EXISTS (SELECT 1 {WITH_OBJECTS} l.class = ? COLLATE NOCASE)")
            values.append(value)
        else:
            _add_to_label(labels, column, part, value)
            if column == "class" and operator == "=":
                self._classes.append(str(value))

    def _kind(self, operator: str) -> str:
        _, value = self._next("a kind")
        if value.lower() not in KINDS or operator not in ("=", "!="):
            raise self._wrong(f"kind is = or != one of {', '.join(KINDS)}")
        return f"{'NOT ' if operator == '!=' else ''}({KINDS[value.lower()]})"

    def _text_part(self, column: str, operator: str) -> tuple[str, object]:
        """Return the condition on a text, and its value. Times are compared as far as they are given."""
        place = (LABELS | TEXTS)[column]
        kind, value = self._next("a value")
        if kind == "mark":
            raise self._wrong(f"a value is missing after {column} {operator}")
        if operator == "~":
            escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            return f"{place} LIKE ? ESCAPE '\\'", escaped.replace("*", "%")
        if column == "taken":
            if not _TIME.fullmatch(value):
                raise self._wrong(
                    f"{value[:30]!r} is not a time, such as 2024, 2024-05-06 or 2024-05-06T09:30"
                )
            value = value.replace(" ", "T")
            place = f"substr({place}, 1, {len(value)})"
        return f"{place} {operator} ? COLLATE NOCASE", value

    def _number(self, column: str) -> float:
        kind, value = self._next("a number")
        if kind != "number":
            raise self._wrong(f"{value[:30]!r} is not a number, and {column} is one")
        return float(value)

    def _next(self, wanted: str) -> tuple[str, str]:
        if self._place >= len(self._tokens):
            raise self._wrong(f"it ends where {wanted} is expected")
        self._place += 1
        return self._tokens[self._place - 1]

    def _expect(self, mark: str) -> None:
        kind, found = self._next(f"a {mark}")
        if (kind, found) != ("mark", mark):
            raise self._wrong(f"{found[:30]!r} stands where {mark} is expected")

    def _is(self, word: str) -> bool:
        here = self._tokens[self._place : self._place + 1]
        return bool(here) and here[0][0] == "word" and here[0][1].lower() == word

    def _mark(self, mark: str) -> bool:
        return self._tokens[self._place : self._place + 1] == [("mark", mark)]

    @staticmethod
    def _wrong(what: str) -> QueryError:
        return QueryError(what, where=_WHERE, hint=_hint())


def _add_to_label(labels: list[_Label], column: str, part: str, value: object) -> None:
    """Add a condition to the class that the last ones are about; a second `class` begins another."""
    if not labels or (column == "class" and labels[-1].has_class):
        labels.append(_Label())
    labels[-1].parts.append(part)
    labels[-1].values.append(value)
    labels[-1].has_class |= column == "class"
