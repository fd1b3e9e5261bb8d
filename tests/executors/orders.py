"""Folders and stores for orders on any executor."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from quadrat.stores.folder import FolderStore
from quadrat.types import Blob, Source
from tests import pictures, videos
from tests.moving import Order, draw, film, swim


def photos(folder: Path) -> Path:
    """Write four pictures, two that are broken, and a text."""
    folder.mkdir()
    for n in range(4):
        (folder / f"{n}.png").write_bytes(pictures.png(draw([(10 + 20 * n, 30, 60 + 20 * n, 90)])))
    (folder / "torn.jpg").write_bytes(pictures.truncated(pictures.jpeg()))
    (folder / "2-page.jpg").write_text("<html>503</html>")
    (folder / "notes.txt").write_text("windy")
    return folder


def dives(folder: Path) -> Path:
    """Write a video, one with black frames, a sequence, one that is cut, and one that is none."""
    folder.mkdir()
    film(folder / "a.mp4", swim(8))
    dark = np.zeros((144, 192, 3), np.uint8)
    film(folder / "b.mp4", [dark if n in (2, 3) else frame for n, frame in enumerate(swim(7, y=60))])
    videos.still_images(folder / "c", swim(3))
    cut = {"options": {"g": "5", "bf": "0"}, "container_options": {"movflags": "+faststart"}}
    videos.cut(videos.write(folder / "d.mp4", swim(20), **cut), 0.8)  # type: ignore[arg-type]
    (folder / "e.mp4").write_bytes(b"\0" * 2000)
    return folder


def everything(ran: Order) -> dict[str, Any]:
    """Give all files of an order: bytes of products, metadata without the place, run.json without times."""
    found: dict[str, Any] = dict(ran.products)
    for path in (ran.out / "meta").rglob("*-meta.json"):
        aspect = json.loads(path.read_text())
        aspect.pop("$entity")
        found[path.name] = _untimed(aspect)
    return {**found, "run.json": _untimed(ran.json("run.json"))}


def _untimed(content: dict[str, Any]) -> dict[str, Any]:
    settings = {key: value for key, value in content.get("settings", {}).items() if key != "executor"}
    timed = ("wall-seconds", "stages", "settings")
    return {key: value for key, value in content.items() if key not in timed} | (
        {"settings": settings, "stages": [stage["name"] for stage in content.get("stages", ())]}
        if settings
        else {}
    )


class BytesStore(FolderStore):
    """A store whose sources are in memory; it counts what is pulled and released, and keeps what is acknowledged."""

    def __init__(self, model: Path | Sequence[Path], images: Any, out: Path, **how: Any) -> None:
        super().__init__(model, images, out, **how)
        self.pulled: list[str] = []
        self.released: list[str] = []
        self.acknowledged: list[str] = []

    @contextmanager
    def pull(self, source: Source) -> Iterator[Blob]:
        """Give the bytes of a file."""
        self.pulled.append(source.name)
        try:
            yield Blob(Path(source.token).read_bytes())
        finally:
            self.released.append(source.name)

    def acknowledge(self, source: Source) -> None:
        """Note it."""
        self.acknowledged.append(source.name)
