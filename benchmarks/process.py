"""Time whole processes from outside, interleaved."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """A finished process: wall and CPU seconds, and the peak memory of its largest process in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Command:
    """A program to compare; `OUT` in `argv` stands for its output folder."""

    name: str
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]


def run(command: Command, products: int) -> Run:
    """Run a command in a fresh output folder; raise RuntimeError if it fails or writes fewer masks than `products`."""
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as out, tempfile.TemporaryFile() as log:
        argv = [word.replace("OUT", out) for word in command.argv]
        environment = {**os.environ, **command.env}
        begin = time.perf_counter()
        process = subprocess.Popen(argv, cwd=command.cwd, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        made = len(list(Path(out).rglob("*.pseudo.png")))
        if process.returncode != 0 or made < products:
            log.seek(0)
            tail = log.read()[-2000:].decode(errors="replace")
            raise RuntimeError(
                f"{command.name}: exit {process.returncode}, {made} of {products} masks\n{tail}"
            )
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def interleave(commands: Sequence[Command], products: int, rounds: int) -> dict[str, list[Run]]:
    """Run all commands in turn, A B C A B C, after one uncounted warm-up round."""
    runs: dict[str, list[Run]] = {command.name: [] for command in commands}
    for turn in range(rounds + 1):
        for command in commands:
            finished = run(command, products)
            if turn:
                runs[command.name].append(finished)
            print(
                f"  {turn if turn else 'warm-up'} {command.name}: {finished.wall_s:.2f} s, {finished.peak_mb:.0f} MB",
                flush=True,
            )
    return runs


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Format values as min-median-max."""
    return "-".join(format(v, form) for v in (min(values), statistics.median(values), max(values)))
