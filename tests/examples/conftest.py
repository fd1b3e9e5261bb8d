"""The folder of the examples."""

from __future__ import annotations

from pathlib import Path

EXAMPLES_FOLDER = Path(__file__).resolve().parents[2] / "examples"
