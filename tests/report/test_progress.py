"""Long work shows how far it is."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from quadrat.errors import ImageFormatError, NotAnImageError
from quadrat.report.progress import Progress
from quadrat.types import Failure, Source

SOURCE = Source("urn:a", "a.jpg")
LOG = logging.getLogger("test.progress")


def test_log_lines_where_there_is_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    """Each image is a line with its number and covers; skipped files are not counted."""
    caplog.set_level(logging.INFO)
    with Progress(LOG, 2) as progress:
        progress.skipped(Failure(SOURCE, "list", NotAnImageError("a marker")))
        progress.measured(SOURCE, "sand 100.00 %")
        progress.failed(Failure(SOURCE, "read", ImageFormatError("no picture")))

    assert ["[1/2] a.jpg: sand 100.00 %", "[2/2] a.jpg: failed, E_IMAGE_FORMAT no picture"] == caplog.messages


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A person at a terminal sees a bar, and only failures as lines."""

    class Terminal(io.StringIO):
        """A text stream that says it is a terminal."""

        def isatty(self) -> bool:
            """Say so."""
            return True

    caplog.set_level(logging.INFO)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress(LOG, 1) as progress:
        progress.measured(SOURCE, "sand 100.00 %")

    assert "0/1" in screen.getvalue()
    assert caplog.messages == []
