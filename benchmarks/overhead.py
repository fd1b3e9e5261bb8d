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

from quadrat.pipeline.loaded import load_model

from quadrat.geometry import Geometry
from quadrat.job import Order
from quadrat.media.images import decode
from quadrat.parameters import Settings
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
    with load_model(options.model, settings, log) as model:
        tensors = []
        for path in sorted(options.images.iterdir()):
            frame = decode(Blob(path), FrameKey(str(path)), settings.max_img_size)
            tensors.append(model.transform(frame.pixels, Geometry.identity(frame.pixels.shape[:2]))[0][None])
        for turn in range(options.rounds + 1):
            with tempfile.TemporaryDirectory() as out:
                begin = perf_counter()
                Order(settings, FolderStore(options.model, options.images, Path(out)), log, model).run()
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
