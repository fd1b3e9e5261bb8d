"""Errors are reported with the name of what they are about, in one line."""

from __future__ import annotations

import pytest

from quadrat.errors import EngineRunError, ImageFormatError, QuadratError
from quadrat.pipeline.events import located, to_quadrat_error


@pytest.mark.parametrize(
    ("where", "expected"), [("", "a.png"), ("a.png", "a.png"), ("tile-size", "a.png (tile-size)")]
)
def test_an_error_names_its_source_once(where: str, expected: str) -> None:
    """What the error was about itself stays in brackets; code and hint are kept."""
    error = located(ImageFormatError("no picture", where=where, hint="Look"), "a.png")

    assert (expected, "E_IMAGE_FORMAT", "Look") == (error.where, error.code, error.hint)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (EngineRunError("no", where="a.png"), "E_ENGINE_RUN a.png: no"),
        (MemoryError(), "E_ENGINE_RUN a.png: there is not enough memory"),
        (OSError(5, "Input/output error"), "E_SOURCE a.png: the file cannot be read (Input/output error). Check its disk"),
        (OSError("odd"), "E_INTERNAL a.png: unexpected OSError: odd. Please report this"),
        (ZeroDivisionError(), "E_INTERNAL a.png: unexpected ZeroDivisionError. Please report this"),
        (SystemExit(0), "E_INTERNAL a.png: unexpected SystemExit: 0. Please report this"),
    ],
)  # fmt: skip
def test_whatever_is_raised_becomes_a_line(error: BaseException, line: str) -> None:
    """Errors of the system and of libraries have a code and a hint, too."""
    found = to_quadrat_error(error, "a.png")

    assert isinstance(found, QuadratError)
    assert line == found.line
