"""What it costs to run networks in child processes, interleaved with running them in the same process.

    python -m benchmarks.isolation --rounds 9 --images MODEL FOLDER --videos MODEL FOLDER

Both executors are loaded once; then each measures the same sources in turn. CPU time is that of this process and of its
children. `--start` times whole orders of one image instead.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.process import Command, interleave, spread
from quadrat.executors import open_executor
from quadrat.executors.work import Executor, Work
from quadrat.parameters import Settings
from quadrat.pipeline.measure import SourceDone
from quadrat.stores.folder import FolderStore

ROOT = Path(__file__).resolve().parent.parent
EXECUTORS = ("local", "isolated")
LOG = logging.getLogger("benchmark")


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its living children so far (Linux)."""
    ticks = os.sysconf("SC_CLK_TCK")
    own = os.times()
    total = own.user + own.system
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text("ascii").split():
            fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total


@contextmanager
def opened(
    model: Path, place: Path, executor: str, *, moving: bool
) -> Iterator[tuple[Executor, FolderStore]]:
    """Load a model with an executor."""
    settings = Settings.of({"executor": executor, "outputs": ("none",)})
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as out:
        store = FolderStore(model, place, Path(out), moving=moving)
        with open_executor(Work((model,), ("urn:model",), "", settings, moving=moving), LOG) as loaded:
            yield loaded, store


def once(executor: Executor, store: FolderStore) -> tuple[float, float]:
    """Measure all sources and return the wall and CPU seconds."""
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as folder:
        begin, cpu = time.perf_counter(), cpu_seconds()
        run = executor.measure(store.sources(), store.pull, Path(folder))
        measured = sum(isinstance(event, SourceDone) and event.record.status == "ok" for event in run)
        spent = time.perf_counter() - begin, cpu_seconds() - cpu
    if not measured:
        raise RuntimeError("nothing was measured")
    return spent


def compare(model: Path, place: Path, rounds: int, *, moving: bool) -> None:
    """Print the times of both executors and their ratios, round by round."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in EXECUTORS}
    with ExitStack() as stack:
        loaded = {name: stack.enter_context(opened(model, place, name, moving=moving)) for name in EXECUTORS}
        for turn in range(rounds + 1):
            for name in EXECUTORS if turn % 2 else EXECUTORS[::-1]:
                seconds = once(*loaded[name])
                if turn:
                    spent[name].append(seconds)
    print(f"{model.name} on {place}")
    for name in EXECUTORS:
        wall, cpu = zip(*spent[name], strict=True)
        print(f"  {name}: wall {spread(wall)} s, CPU {spread(cpu)} s")
    for index, kind in enumerate(("wall", "CPU")):
        pairs = zip(spent["isolated"], spent["local"], strict=True)
        print(f"  {kind}, isolated over local: {spread([a[index] / b[index] for a, b in pairs], '.3f')}")


def starts(model: Path, image: Path, rounds: int) -> None:
    """Print the duration of orders of one image."""
    program = [sys.executable, "infer_service.py", "--ivcap:in-dir", str(ROOT), "--ivcap:out-dir", "OUT"]
    commands = [
        Command(name, [*program, "--model", str(model), "--image", str(image), "--executor", name], ROOT, {})
        for name in EXECUTORS
    ]
    runs = interleave(commands, 0, rounds)
    for name, each in runs.items():
        print(f"  {name}: wall {spread([r.wall_s for r in each])} s, CPU {spread([r.cpu_s for r in each])} s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for."""
    made = argparse.ArgumentParser(prog="benchmarks.isolation", description=__doc__)
    made.add_argument("--rounds", type=int, default=9)
    for name in ("images", "videos", "start"):
        made.add_argument(
            f"--{name}", nargs=2, type=Path, action="append", default=[], metavar=("MODEL", "FILES")
        )
    given = made.parse_args(arguments)
    for model, place in given.images:
        compare(model.resolve(), place.resolve(), given.rounds, moving=False)
    for model, place in given.videos:
        compare(model.resolve(), place.resolve(), given.rounds, moving=True)
    for model, image in given.start:
        starts(model.resolve(), image.resolve(), given.rounds)


if __name__ == "__main__":
    main()
