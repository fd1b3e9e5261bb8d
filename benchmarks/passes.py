"""Several models in one pass against an order for each: what decoding and reporting every source once saves.

    python -m benchmarks.passes                            three models on the example images and videos
    python -m benchmarks.passes --images PHOTOS            on photographs of your own
    python -m benchmarks.passes --models A.tgz B.tgz ...   with models of your own
    python -m benchmarks.passes --quick                    one round

Each round runs, in turn, an order with each model alone and one with all of them; all models are loaded before. A ratio
is the time of the one pass over the sum of the others: 1 means that nothing is saved. "joined" is the pass with one
picture of all models against orders that draw a picture each; "none" is without pictures on both sides. Decoding is the time
that reading all sources takes once, which the pass saves for all models but one.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

from benchmarks.video import order_on
from quadrat.media import images
from quadrat.media.readers import open_reader
from quadrat.package.write import write_archive
from quadrat.parameters import Settings, parse
from quadrat.pipeline.models import Pass, load_models
from quadrat.stores.folder import FolderStore
from quadrat.types import Blob, FrameKey, Source

ROOT = Path(__file__).resolve().parent.parent
MODELS = [ROOT / "examples" / "models" / f"{name}.tgz" for name in ("seagrass-tiny", "rectangles")]
LOG = logging.getLogger("quadrat.benchmark")
LOG.setLevel(logging.ERROR)


def renamed(archive: Path, name: str, folder: Path) -> Path:
    """Write a copy of an archive whose model has another name."""
    with tarfile.open(archive) as tar:
        files = {
            Path(member.name).name: file.read() for member in tar.getmembers() if (file := tar.extractfile(member))
        }  # fmt: skip
    files["meta.json"] = json.dumps({**json.loads(files["meta.json"]), "name": name}).encode()
    path = folder / f"{name}.tgz"
    write_archive(files, path)
    return path


def seconds(models: Pass, archives: Sequence[Path], sources: Path, *, moving: bool) -> float:
    """Run one order and return its time."""
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as made:
        out = Path(made, "out")
        out.mkdir()
        begin = perf_counter()
        order_on(models, FolderStore(list(archives), sources, out, moving=moving), LOG)
        return perf_counter() - begin


def decoding(sources: Path, archives: Sequence[Path], *, moving: bool) -> float:
    """Read all sources once and return the time."""
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as made:
        store = FolderStore(list(archives), sources, Path(made), moving=moving)
        settings, begin = Settings(), perf_counter()
        for source in store.sources():
            if not isinstance(source, Source):
                continue
            with store.pull(source) as blob:
                if moving:
                    for _ in open_reader(source, blob, settings.frames, settings.streams):
                        pass
                else:
                    images.decode(Blob(blob.content), FrameKey(source.urn), -1)
        return perf_counter() - begin


def compare(
    archives: Sequence[Path], sources: Path, rounds: int, outputs: tuple[str, str], *, moving: bool
) -> None:
    """Print a row: `outputs` are those of an order with one model, and of the pass with all."""
    with ExitStack() as stack:
        given = [([one], outputs[0]) for one in archives] + [(list(archives), outputs[1])]
        loaded = [
            stack.enter_context(
                load_models(each, parse({"outputs": drawn, "executor": "local"}), LOG, throughput=moving)
            )
            for each, drawn in given
        ]
        times: list[list[float]] = []
        decoded: list[float] = []
        for turn in range(rounds + 1):
            round_s = [
                seconds(models, each, sources, moving=moving)
                for models, (each, _) in zip(loaded, given, strict=True)
            ]
            if turn or rounds == 0:  # the first round warms up
                times.append(round_s)
                decoded.append(decoding(sources, archives, moving=moving))
    ratios = sorted(every / sum(alone) for *alone, every in times)
    alone = [statistics.median(each) for each in list(zip(*times, strict=True))[:-1]]
    every = statistics.median(each[-1] for each in times)
    print(
        f"| {'videos' if moving else 'images'}, {outputs[1]} | {' + '.join(f'{one:.2f}' for one in alone)} | {every:.2f} "
        f"| {sum(alone) - every:.2f} | {(len(archives) - 1) * statistics.median(decoded):.2f} "
        f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |"
    )


def main() -> None:
    """Run the benchmark as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, default=ROOT / "examples" / "images")
    parser.add_argument("--videos", type=Path, default=ROOT / "examples" / "videos")
    parser.add_argument("--models", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", "--smoke", action="store_true", help="one round")
    given = parser.parse_args()
    rounds = 0 if given.quick else given.rounds
    print(
        "| sources, pictures | each model, s | one pass, s | saved, s | decoding of the others, s | ratio |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as folder:
        archives = given.models or [*MODELS, renamed(MODELS[0], "seagrass-again", Path(folder))]
        for moving, sources in ((False, given.images), (True, given.videos)):
            for outputs in (("none", "none"), ("auto", "joined"), ("auto", "auto")):
                compare(archives, sources, rounds, outputs, moving=moving)


if __name__ == "__main__":
    main()
