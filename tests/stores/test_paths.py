from __future__ import annotations

import errno
from pathlib import Path

import pytest

from quadrat.errors import ParameterError
from quadrat.platforms.arguments import local_path
from quadrat.stores.paths import exists


def test_a_path_exists_or_not(tmp_path: Path) -> None:
    """The plain answers."""
    assert exists(tmp_path, "images")
    assert not exists(tmp_path / "a", "images")


@pytest.mark.parametrize("form", ["{}", "file:///{}"])
def test_a_name_that_is_too_long_is_one_line(tmp_path: Path, form: str) -> None:
    """However long the name is, the error is short, and names the parameter."""
    with pytest.raises(ParameterError) as raised:
        local_path(form.format("x" * 300), tmp_path, "models")

    assert raised.value.line.startswith("E_PARAMETER models: '")
    assert "cannot be accessed (" in raised.value.line
    assert len(raised.value.line) < 400


def test_a_folder_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the system's own."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr("os.path.exists", refuse)
    with pytest.raises(ParameterError, match=r"cannot be accessed \(Permission denied\)"):
        exists(tmp_path / "a", "config")
