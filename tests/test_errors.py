"""The error classes match the tree in the module's docstring."""

from __future__ import annotations

import pickle
import re

import pytest

from quadrat import errors
from quadrat.errors import QuadratError

KINDS = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, QuadratError)]


def test_the_docstring_lists_every_class() -> None:
    """The tree lists every class with its code, and no others."""
    listed = re.findall(r"^ +(\w+Error) +(E_\w+)", errors.__doc__ or "", re.MULTILINE)

    assert {(k.__name__, k.code) for k in KINDS} == set(listed)


def test_codes_are_unique_and_statuses_are_in_range() -> None:
    """No two classes share a code; exit statuses are neither a signal's nor the SDK's 255."""
    assert len({k.code for k in KINDS}) == len(KINDS)
    assert all(1 <= k.exit_status <= 6 for k in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_one_line_and_crosses_a_process(kind: type[QuadratError]) -> None:
    """Line breaks in foreign messages are folded, and pickling loses nothing."""
    error = kind("it\nbroke", where="a\nb", hint="mend\nit")
    again = pickle.loads(pickle.dumps(error))

    assert error.line == f"{kind.code} a b: it broke. mend it"
    assert (type(again), again.line) == (kind, error.line)


def test_an_error_at_another_place_keeps_or_replaces_its_hint() -> None:
    """Without a hint the old one stays; an empty hint removes it."""
    error = QuadratError("it broke", where="a", hint="mend it")

    assert [str(error.at("b")), str(error.at("b", ""))] == ["b: it broke. mend it", "b: it broke"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("reef 1.jpg", "reef 1.jpg"),
        ("Föhr/海草 – سمك.jpg", "Föhr/海草 – سمك.jpg"),  # noqa: RUF001 - names in other scripts
        ("نمی\u200cخواهم 👩\u200d🔬.jpg", "نمی\u200cخواهم 👩\u200d🔬.jpg"),  # noqa: RUF001 - joiners belong to words
        ("a\nERROR b.jpg", "a\\nERROR b.jpg"),
        ("a\r\x1b[2K\x07.jpg", "a\\r\\x1b[2K\\x07.jpg"),
        ("gpj.\u202ereef", "gpj.\\u202ereef"),
        ("a\u2028b\x85c\ufeff", "a\\u2028b\\x85c\\ufeff"),
        ("\udcff.jpg", "\\udcff.jpg"),
    ],
)
def test_names_cannot_forge_a_line(name: str, shown: str) -> None:
    """Control characters are escaped, the letters of every script are kept."""
    assert errors.printable(name) == shown
    assert errors.ImageFormatError("it is damaged", where=name).where.isprintable() is shown.isprintable()
    assert "\x1b" not in errors.ImageFormatError(name, where=name, hint=name).line


def test_a_line_does_not_repeat_the_name_before_it() -> None:
    """The source's own name is left out after it; another place stays."""
    error = errors.ImageFormatError("it is damaged", where="reef  1.jpg", hint="Copy it again")
    assert error.line_after("reef  1.jpg") == "E_IMAGE_FORMAT it is damaged. Copy it again"
    assert error.line_after("reef 2.jpg") == "E_IMAGE_FORMAT reef 1.jpg: it is damaged. Copy it again"
