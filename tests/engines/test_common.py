"""What engines share."""

from __future__ import annotations

import pytest

from quadrat.engines.common import run_error, summarize


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


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "E_ENGINE_MEMORY"),
        (RuntimeError("std::bad_alloc"), "E_ENGINE_MEMORY"),
        (RuntimeError("Failed to allocate memory for requested buffer of size 800"), "E_ENGINE_MEMORY"),
        (RuntimeError("Shapes differ"), "E_ENGINE_RUN"),
    ],
    ids=str,
)
def test_a_lack_of_memory_has_a_code_of_its_own(error: Exception, code: str) -> None:
    """However a library reports it."""
    found = run_error(error, (1, 3, 8, 8), "onnx")

    assert code == found.code
    assert "a batch of shape (1, 3, 8, 8)" in found.line
