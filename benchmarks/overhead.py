"""Compare the whole pipeline with the bare engine on the same tensors, interleaved in one process.

segment.py runs it as a separate process; it prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from pathlib import Path
from time import perf_counter

from quadrat.executors.local import LocalExecutor
from quadrat.geometry import Geometry
from quadrat.job import Order
from quadrat.media.images import decode
from quadrat.parameters import Settings
from quadrat.pipeline.facts import facts_of
from quadrat.pipeline.models import load_models
from quadrat.stores.folder import FolderStore
from quadrat.types import Blob, FrameKey


def main() -> None:
    """Time `--rounds` pairs of (whole pipeline, bare engine) and print {"path": [...], "engine": [...]}."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings = Settings.of({"precision": options.precision})
    log = logging.getLogger("quadrat")
    paths: list[float] = []
    engines: list[float] = []
    with load_models([options.model], settings, log) as models:
        (model,) = models.values()
        executor = LocalExecutor(models, facts_of(models, "", ["urn:model"], moving=False), moving=False)
        tensors = []
        for path in sorted(options.images.iterdir()):
            frame = decode(Blob(path), FrameKey(str(path)), model.frames.max_img_size)
            tensors.append(model.transform(frame.pixels, Geometry.identity(frame.pixels.shape[:2]))[0][None])
        for turn in range(options.rounds + 1):
            with tempfile.TemporaryDirectory() as out:
                begin = perf_counter()
                store = FolderStore(options.model, options.images, Path(out))
                with store.ledger() as ledger:
                    ledger.begin({})
                    Order(settings, store, log, executor, ledger).run(ledger.folder)
                path_s = perf_counter() - begin
            begin = perf_counter()
            for tensor in tensors:
                model.engine.run(tensor, model.task.wanted)
            engine_s = perf_counter() - begin
            if turn:
                paths.append(path_s)
                engines.append(engine_s)
    print(json.dumps({"path": paths, "engine": engines, "images": len(tensors)}))


if __name__ == "__main__":
    main()
