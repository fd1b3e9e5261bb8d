"""The glossary is in order, and the modules that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "glossary.md").read_text("utf-8")


def test_terms_are_in_alphabetical_order_and_unique() -> None:
    """A reader finds each term once, in its place."""
    terms = [term.lower() for term in re.findall(r"^\*\*(.+?)[.,]", PAGE, re.MULTILINE)]

    assert len(terms) > 80
    assert terms == sorted(set(terms))


def test_every_path_exists() -> None:
    """A path in the glossary is a module or folder below quadrat/, or below the project's root."""
    paths = set(re.findall(r"`([\w/]+(?:/|\.py))`", PAGE))
    missing = {path for path in paths if not any((base / path).exists() for base in (ROOT / "quadrat", ROOT))}

    assert not missing
