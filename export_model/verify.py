"""Run a model archive's self-test on every engine that is here, and compare what they say."""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from quadrat.engines import ENGINES, start
from quadrat.errors import DeviceError, EngineUnavailableError, ManifestError, ParameterError, QuadratError
from quadrat.package import open_archive
from quadrat.settings import Settings, parse
from quadrat.tasks.segment import find_roles
from quadrat.types import ModelPackage

FORMATS = ("onnx", "pdmodel", "pir")
CONFIDENCE = 1e-3
"""Largest difference of confidence between two engines that counts as the same."""
ABSENT = (EngineUnavailableError, DeviceError)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one engine made of one network: labels (N, h, w) integer, confidence (N, h, w) or None."""

    who: str
    labels: NDArray[np.integer]
    confidence: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: pixels that differ, the largest difference of confidence, and the verdict."""

    who: str
    pixels: str
    confidence: str
    verdict: str

    @property
    def failed(self) -> bool:
        """Whether this row alone fails the archive."""
        return self.verdict.startswith("FAILS")


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(prog="verify.py", description=__doc__)
    made.add_argument("archive", type=Path, help="model.tgz with a self-test in it")
    made.add_argument(
        "--engine",
        action="append",
        choices=sorted(set(ENGINES) - {"fake"}),
        help="only this one; it must be here",
    )
    made.add_argument("--precision", default="fp32", help="number format of the engines [fp32]")
    made.add_argument(
        "--tolerance", type=float, help="share of pixels that may differ; else what the archive says"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 0, or 1 where an engine is off, or the exit status of an error."""
    given = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        if not given.archive.is_file():
            raise ParameterError(
                "there is no such file" + ("" if given.archive.is_absolute() else f" in {Path.cwd()}"),
                where=str(given.archive),
            )
        if given.tolerance is not None and not 0 <= given.tolerance <= 1:
            raise ParameterError("a share from 0 to 1 is needed", where="--tolerance")
        with tempfile.TemporaryDirectory(prefix="quadrat-verify-") as folder:
            package = open_archive(given.archive, Path(folder))
            settings = parse({"precision": given.precision})
            return verify(package, settings, given.engine or [], given.tolerance)
    except QuadratError as error:
        print(error.line, file=sys.stderr)
        return error.exit_status


def verify(package: ModelPackage, settings: Settings, engines: Sequence[str], tolerance: float | None) -> int:
    """Run and compare; 0 if at least one engine ran, none is off, and those asked for are here."""
    image, expected, stated = self_test(package)
    allowed = stated if tolerance is None else tolerance
    rows: list[Row] = []
    answers: list[Answer] = []
    for name in engines or [e for e in ENGINES if e != "fake"]:
        chosen = replace(settings, engine=name)
        found, wrong = run_engine(package, chosen, image)
        rows += [compare(answer, Answer("the self-test", expected, None), allowed) for answer in found]
        rows += wrong
        answers += found
    pairs = [compare(b, a, allowed, pair=True) for a, b in itertools.combinations(answers, 2)]
    print(
        f"{package.name}: {expected.size} pixels, at most {allowed:.4%} may differ, confidence by {CONFIDENCE:g}"
    )
    show(rows + pairs)
    ran = {answer.who.split()[0] for answer in answers}
    missing = [name for name in engines if name not in ran]
    if missing or not answers:
        print(f"not verified: {', '.join(missing) or 'no engine'} did not run")
        return 1
    return int(any(row.failed for row in rows + pairs))


def run_engine(
    package: ModelPackage, settings: Settings, image: NDArray[np.float32]
) -> tuple[list[Answer], list[Row]]:
    """Run one engine on every network of the archive that it reads: its answers, and rows of what went wrong."""
    answers, rows = [], []
    for kind in (kind for kind in FORMATS if kind in package.engines):
        only = replace(package, engines={kind: package.engines[kind]})
        who = f"{settings.engine} on {package.engines[kind].name}"
        try:
            answers.append(ask(only, settings, image, who))
        except ABSENT:
            continue
        except QuadratError as error:
            rows.append(Row(who, "", "", f"FAILS: {error.line}"))
    if not answers and not rows:
        try:  # with all networks to choose from, the engine says what it really lacks
            start(package, settings, logging.getLogger("verify")).close()
        except QuadratError as error:
            rows.append(Row(settings.engine, "", "", f"absent: {error}"))
    return answers, rows


def self_test(package: ModelPackage) -> tuple[NDArray[np.float32], NDArray[np.integer], float]:
    """Read the archive's input (N, C, h, w) float32, labels (N, h, w) and tolerance; ManifestError if it has none."""
    stated = package.self_test
    if not stated or not {"input", "labels"} <= set(stated):
        raise ManifestError("it has no self-test", where=package.name, hint="Export it again with export.py")
    try:
        image = np.load(package.root / stated["input"], allow_pickle=False).astype(np.float32)
        labels = np.load(package.root / stated["labels"], allow_pickle=False)
        tolerance = float(stated.get("tolerance", 0.0))
    except (OSError, ValueError, TypeError) as error:
        raise ManifestError(f"its self-test cannot be read: {error}", where=package.name) from error
    if (
        image.ndim != 4
        or not np.issubdtype(labels.dtype, np.integer)
        or labels.shape != (1, *image.shape[2:])
    ):
        raise ManifestError(f"its self-test is {image.shape} with labels {labels.shape}", where=package.name)
    return image.repeat(package.input_shape[0] or 1, 0), labels, tolerance


def ask(package: ModelPackage, settings: Settings, image: NDArray[np.float32], who: str) -> Answer:
    """Start the engine, run the input once and close it; any QuadratError of the engine."""
    engine = start(package, settings, logging.getLogger("verify"))
    try:
        roles = find_roles(package, engine.outputs)
        given = engine.run(image, list(dict.fromkeys(roles.values())))
    finally:
        engine.close()
    labels = given[roles["labels"]] if "labels" in roles else given[roles["logits"]].argmax(1)
    confidence = given[roles["confidence"]][:1] if "confidence" in roles else None
    return Answer(who, labels.reshape(len(image), *image.shape[2:])[:1], confidence)


def compare(answer: Answer, other: Answer, allowed: float, *, pair: bool = False) -> Row:
    """Hold an answer against another one, or against the self-test's labels."""
    who = f"{answer.who} / {other.who}" if pair else answer.who
    off = int((answer.labels.astype(np.int64) != other.labels.astype(np.int64)).sum())
    gap: float | None = None
    if answer.confidence is not None and other.confidence is not None:
        gap = float(np.abs(answer.confidence - other.confidence).max())
    good = off <= allowed * other.labels.size and (gap is None or gap <= CONFIDENCE)
    return Row(who, str(off), "-" if gap is None else f"{gap:.1e}", "agrees" if good else "FAILS")


def show(rows: Sequence[Row]) -> None:
    """Print the table; the pairs follow the engines."""
    lines = [("engine", "differing pixels", "confidence", "verdict")]
    lines += [(row.who, row.pixels, row.confidence, row.verdict) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    for first, second, third, last in lines:
        print(f"{first:<{widths[0]}}  {second:>{widths[1]}}  {third:>{widths[2]}}  {last}")


if __name__ == "__main__":
    sys.exit(main())
