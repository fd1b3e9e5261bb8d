"""A folder that may not be read, for root too, whom permissions do not hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


def lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to list this folder, as the system does."""
    scandir = os.scandir

    def refused(path: Any = ".") -> Any:
        if not isinstance(path, int) and Path(path).absolute() == folder.absolute():
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
