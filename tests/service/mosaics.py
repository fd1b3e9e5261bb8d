"""Orders of one TIFF each in this process, to be run as one of its own: their status, table, and memory as they go.

python -m tests.service.mosaics MODEL OUT TIFF...

Pictures of more than a million pixels count as larger than memory here; the first order only warms up.
"""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat import job
from quadrat.executors import local
from quadrat.media import images, scratch
from quadrat.parameters import parse
from quadrat.pipeline.models import Pass, load_models
from quadrat.protocols import Engine
from quadrat.render import pictures
from quadrat.report import objects
from quadrat.stores.folder import FolderStore
from quadrat.types import Product
from tests.service.run import rows

LARGE = 1_000_000


class Memory:
    """Anonymous memory of this process in MB, the most that was seen since it was `begun`."""

    def __init__(self) -> None:
        self.most = 0.0

    def begin(self) -> float:
        """Forget what was, and give what is once the garbage of an order before is gone."""
        gc.collect()
        self.most = 0.0
        return self.look()

    def look(self) -> float:
        """Note and give what is, without what the C library has been given back and keeps."""
        ctypes.CDLL(None).malloc_trim(0)
        status = Path("/proc/self/status").read_text("utf-8")
        now = int(status.split("RssAnon:")[1].split()[0]) / 1024
        self.most = max(self.most, now)
        return now


class Watched:
    """An engine after whose every run memory is looked at."""

    def __init__(self, engine: Engine, memory: Memory) -> None:
        self._engine, self._memory = engine, memory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run."""
        arrays = self._engine.run(batch, outputs)
        self._memory.look()
        return arrays


class Store(FolderStore):
    """A folder at whose every product memory is looked at."""

    memory: Memory

    def deliver(self, product: Product) -> str:
        """Write it."""
        self.memory.look()
        return super().deliver(product)


def main(model: Path, out: Path, tiffs: Sequence[Path]) -> None:
    """Run an order on each picture and print what came of it."""
    images.MAX_SOURCE_PIXELS = scratch.LARGE_PIXELS = LARGE
    pictures.OVERLAY_PIXELS = objects.PICTURE_PIXELS = LARGE
    memory, told = Memory(), []

    @contextmanager
    def watched(*args: Any, **more: Any) -> Iterator[Pass]:
        with load_models(*args, **more) as models:
            yield Pass([replace(each, engine=Watched(each.engine, memory)) for each in models.values()])  # type: ignore[arg-type]

    local.load_models = watched  # type: ignore[assignment]
    for tiff in (tiffs[0], *tiffs):
        store = Store(model, tiff, out / str(len(told)))
        store.memory = memory
        before = memory.begin()
        settings = parse({"tile_size": 512, "tile_overlap": 128})
        status = job.run_order(settings, store, logging.getLogger("mosaics")).exit_status
        table = rows(out / str(len(told)) / "survey.csv")
        told.append({"status": status, "before": before, "most": memory.most, "rows": table})
    sys.stdout.write(json.dumps(told[1:]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
