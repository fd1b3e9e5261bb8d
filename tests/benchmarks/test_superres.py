"""The benchmark of super-resolution runs, and its tiles equal the whole."""

from __future__ import annotations

import re

import pytest

from benchmarks.superres import main


def test_tiles_differ_by_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/benchmarks.md has the figures of larger pictures, of quality and of time."""
    main(["--quick"])
    rows = re.findall(r"^\| \d+ x \d+ \| \w+ \| \d+ \| (\d+) \|", capsys.readouterr().out, re.MULTILINE)
    assert rows == ["0"] * 12
