"""The command in this process, as its users call it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from quadrat.cli.commands import main

ROOT = Path(__file__).resolve().parent.parent.parent
MASKS = ROOT / "examples" / "models" / "seagrass-tiny.tgz"
BOXES = ROOT / "examples" / "models" / "rectangles.tgz"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status, what it printed, and what it logged."""

    status: int
    out: str
    log: str


Quadrat = Callable[..., Ended]


@pytest.fixture
def quadrat(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kernels: Path
) -> Iterator[Quadrat]:
    """A function that runs a command in an empty folder; its loggers are put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUADRAT_CACHE_DIR", str(kernels))
    loggers = [logging.getLogger(name) for name in ("quadrat", "service")]
    before = [(log, log.handlers, log.propagate, log.level) for log in loggers]

    def run(*words: str | Path) -> Ended:
        capsys.readouterr()
        here = (
            ["--executor", "local"] if words[:1] == ("run",) and len(words) > 2 else []
        )  # a child takes a second
        try:
            status = main([*(str(word) for word in words), *here])
        except SystemExit as end:  # argparse after --help, and the parser of the parameters
            status = int(end.code or 0)
        out, log = capsys.readouterr()
        return Ended(status, out, log)

    yield run
    for log, old, propagate, level in before:
        log.handlers, log.propagate = old, propagate
        log.setLevel(level)
