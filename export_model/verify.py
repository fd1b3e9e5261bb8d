"""Run the self-test of a model archive on every installed engine, and compare the results."""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from export_model import parity
from export_model.network import F32
from export_model.parity import ParityRow
from quadrat.engines import ENGINES, isolation, start
from quadrat.engines.limits import Limits
from quadrat.errors import DeviceError, EngineUnavailableError, ParameterError, QuadratError, printable
from quadrat.package import open_archive
from quadrat.parameters import EngineSettings, parse
from quadrat.types import ModelPackage

READS = {"openvino": ("onnx", "pdmodel"), "onnx": ("onnx",), "paddle": ("pdmodel", "pir")}
"""Formats of a network that each engine reads."""
EXAMPLES = """\
examples:
  {prog} model.tgz
  {prog} model.tgz --engine onnx --tolerance 0.001
"""
ABSENT = (EngineUnavailableError, DeviceError)


def parser(prog: str = "verify.py") -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        epilog=EXAMPLES.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("archive", type=Path, help="model.tgz that contains a self-test")
    made.add_argument(
        "--engine",
        action="append",
        choices=sorted(set(ENGINES) - {"fake"}),
        help="run only this engine, and require it",
    )
    made.add_argument("--precision", default="fp32", help="number format of the engines [fp32]")
    made.add_argument(
        "--tolerance",
        type=float,
        help="share of pixels that may differ, or of objects that may be missing; by default what the archive states",
    )
    return made


def main(arguments: Sequence[str] | None = None, prog: str = "verify.py") -> int:
    """Print the table; return 0, or 1 if an engine differs, or the exit status of an error."""
    given = parser(prog).parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        if not given.archive.exists():
            raise ParameterError(
                "there is no such file" + ("" if given.archive.is_absolute() else f" in {Path.cwd()}"),
                where=str(given.archive),
            )
        if given.tolerance is not None and not 0 <= given.tolerance <= 1:
            raise ParameterError("a share from 0 to 1 is needed", where="--tolerance")
        with tempfile.TemporaryDirectory(prefix="quadrat-verify-") as folder:
            package = open_archive(given.archive, Path(folder))
            settings = parse({"precision": given.precision}).engine
            return verify(package, settings, given.engine or [], given.tolerance)
    except QuadratError as error:
        print(error.line, file=sys.stderr)
        return error.exit_status


def verify(
    package: ModelPackage, settings: EngineSettings, engines: Sequence[str], tolerance: float | None
) -> int:
    """Run and compare; return 0 if at least one engine ran, none differs, and every requested one ran.

    If no answer contains anything, return 0 too and print it: the network runs, and no more is known.
    """
    task_parity = parity.of(package)
    test = task_parity.test()
    allowed = test.tolerance if tolerance is None else tolerance
    rows: list[ParityRow] = []
    answers: list[parity.Answer] = []
    for name in engines or [e for e in ENGINES if e != "fake"]:
        chosen = replace(settings, engine=name)
        found, wrong = run_engine(task_parity, package, chosen, test.image)
        rows += [task_parity.compare(answer, test.expected, allowed, answer.who) for answer in found]
        rows += wrong
        answers += found
    pairs = [
        task_parity.compare(b, a, allowed, f"{b.who} / {a.who}")
        for a, b in itertools.combinations(answers, 2)
    ]
    print(f"{printable(package.name)}: {task_parity.summary(test, allowed)}")
    show(task_parity.header, rows + pairs)
    ran = {answer.who.split()[0] for answer in answers}
    missing = [name for name in engines if name not in ran]
    if missing or not answers:
        print(f"not verified: {', '.join(missing) or 'no engine'} did not run")
        return 1
    failed = any(row.failed for row in rows + pairs)
    if failed:
        advise(rows)
    if not failed and not any(row.agrees for row in rows + pairs):
        print(
            f"{parity.NOTHING}: this only shows that the network runs, not that its results are right. "
            "Compare its results on your own pictures with those of the original"
        )
    return int(failed)


def advise(rows: Sequence[ParityRow]) -> None:
    """Print which engines to use, if some agree with the self-test and others do not."""
    good = list(dict.fromkeys(row.who.split()[0] for row in rows if row.agrees))
    bad = list(dict.fromkeys(row.who.split()[0] for row in rows if row.failed))
    good = [name for name in good if name not in bad]
    if good and bad:
        print(
            f"use {' or '.join(f'--engine {name}' for name in good)}: --engine auto takes no engine that differs from "
            f"the self-test, here {' and '.join(bad)}"
        )


def run_engine(
    task_parity: parity.Parity, package: ModelPackage, settings: EngineSettings, image: F32
) -> tuple[list[parity.Answer], list[ParityRow]]:
    """Run one engine on every network of the archive that it reads; return its answers, and rows for errors."""
    answers, rows = [], []
    kinds = [kind for kind in READS[settings.engine] if kind in package.engines]
    if not kinds:
        return [], [ParityRow(settings.engine, (), "absent: the archive has no format that it reads")]
    for kind in kinds:
        only = replace(package, engines={kind: package.engines[kind]})
        who = f"{settings.engine} on {package.engines[kind].name}"
        try:
            answers.append(ask(task_parity, only, settings, image, who))
        except ABSENT:
            continue
        except QuadratError as error:
            rows.append(ParityRow(who, (), f"FAILS: {error.line}"))
    if not answers and not rows:
        try:  # with all networks to choose from, the engine reports what is really missing
            start(package, settings, logging.getLogger("verify"), 1, isolation(Limits())).close()
        except QuadratError as error:
            rows.append(ParityRow(settings.engine, (), f"absent: {error}"))
    return answers, rows


def ask(
    task_parity: parity.Parity, package: ModelPackage, settings: EngineSettings, image: F32, who: str
) -> parity.Answer:
    """Start the engine in a child process, run the input once and close it. Raises any QuadratError of the engine."""
    hosts = isolation(Limits())
    try:
        engine = start(package, settings, logging.getLogger("verify"), 1, hosts)
        try:
            return task_parity.ask(engine, image, who)
        finally:
            engine.close()
    finally:
        if hosts is not None:
            hosts.end()


def show(header: Sequence[str], rows: Sequence[ParityRow]) -> None:
    """Print the table."""
    middle = len(header)
    lines = [("engine", *header, "verdict")]
    lines += [(row.who, *(row.figures or ("",) * middle), row.verdict) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(middle + 1)]
    for first, *figures, last in lines:
        shown = (f"{figure:>{width}}" for figure, width in zip(figures, widths[1:], strict=True))
        print("  ".join([f"{first:<{widths[0]}}", *shown, last]))


if __name__ == "__main__":
    sys.exit(main())
