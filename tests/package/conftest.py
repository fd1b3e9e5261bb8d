"""What every test of the package room asks: open an archive, and nothing may be left outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quadrat.errors import ModelError
from quadrat.package import open_archive

Refusal = Callable[..., ModelError]


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """The folder that archives are unpacked below."""
    folder = tmp_path / "outer" / "into"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def refused(into: Path) -> Refusal:
    """Open an archive that must fail: one line, the code, and not one file left anywhere."""

    def refuse(path: Path, code: str) -> ModelError:
        with pytest.raises(ModelError) as caught:
            open_archive(path, into)

        error = caught.value
        assert error.code == code
        assert error.exit_status == 3
        assert "\n" not in error.line
        assert error.line.isprintable()
        assert error.line.startswith(f"{code} {path.name}")
        assert [into] == list(into.parent.rglob("*"))
        return error

    return refuse
