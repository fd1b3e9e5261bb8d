"""What engines share."""

from __future__ import annotations

import pytest

from quadrat.engines.common import summarize


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("first\nthe reason\n  File x.py\n[Hint: y]", "the reason"),
        ("", "ValueError"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 197 + "..."),
    ],
)
def test_a_long_message_is_summarized(message: str, line: str) -> None:
    """The last line that is not about the library's source is returned, with at most 200 characters."""
    assert summarize(ValueError(message)) == line
