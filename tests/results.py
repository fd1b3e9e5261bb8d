"""Looks into a folder of results: products lie in folders by kind, tables at the top, the ledger is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quadrat.stores.ledger import FOLDER

META = "-meta.json"


def paths(out: Path) -> Iterator[Path]:
    """Yield all files of a folder of results in order, without the ledger."""
    found = sorted(out.rglob("*")) if out.exists() else []
    return (path for path in found if path.is_file() and FOLDER not in path.relative_to(out).parts)


def files(out: Path) -> dict[str, Path]:
    """Give all files with their metadata by base name, which must be unique."""
    found: dict[str, Path] = {}
    for path in paths(out):
        assert path.name not in found, f"{path.name} is there twice"
        found[path.name] = path
    return found


def product(out: Path, name: str) -> Path:
    """Give the path of a product or its metadata: by base name, or as it stands in survey.csv."""
    return out / name if (out / name).exists() else files(out).get(name, out / name)


def aspect(out: Path, name: str) -> Any:
    """Give the metadata of a product."""
    return json.loads(product(out, f"{Path(name).name}{META}").read_text())


def contents(out: Path) -> dict[str, bytes]:
    """Give the bytes of every file by path; run.json and metadata of it without what two runs differ in."""
    found = {str(path.relative_to(out)): path.read_bytes() for path in paths(out)}
    if "run.json" in found:
        run = json.loads(found["run.json"])
        for entry in ("wall-seconds", "stages"):
            run.pop(entry)
        found["run.json"] = json.dumps(run).encode()
    return found
