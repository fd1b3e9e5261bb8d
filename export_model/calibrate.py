"""Calibrate a classifier's archive on labelled images, and choose its threshold by what matters more.

The images are a folder with a sub-folder for each class, or any files that a CSV lists (columns image and label). They
must not have been used in training. The new archive differs in its temperature and threshold only: its probabilities are
as high as it is often right, and which class is best for an image never changes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from export_model import archive, calibration, labelled, plot
from export_model.calibration import F64, Bools, Choice, Reliability
from quadrat.errors import ParameterError, QuadratError
from quadrat.package import open_archive
from quadrat.package.labels import THRESHOLD, LabelWords, read_labels
from quadrat.package.write import to_json, write_archive
from quadrat.types import ModelPackage

LEAST = 50
"""Fewest images that a temperature is fitted on."""
LEAST_OF_CLASS = 20
"""Fewest images with the class, and without it, that a threshold is chosen on."""
EXAMPLES = """\
examples:
  {prog} fire.tgz validation --class fire --recall 0.95
  {prog} species.tgz photos --labels labels.csv --save-path species-2.tgz
"""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was fitted: the temperature in all, the threshold of each class that one was chosen for, and the curves."""

    temperature: float
    thresholds: tuple[float, ...]
    chosen: Mapping[str, Choice]
    before: Reliability
    after: Reliability
    nll: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Preference:
    """What a threshold must reach: a recall or a precision, for one class or, "" with several labels, for each."""

    name: str = ""
    recall: float | None = None
    precision: float | None = None

    @property
    def stated(self) -> bool:
        """True if a threshold is to be chosen."""
        return self.recall is not None or self.precision is not None


def parser(prog: str = "calibrate.py") -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog=prog, description=__doc__, epilog=EXAMPLES.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    made.add_argument("archive", type=Path, help="model.tgz of a classifier")
    made.add_argument(
        "images", type=Path, help="folder of images; without --labels, of one folder for each class"
    )
    made.add_argument(
        "--labels", type=Path, metavar="CSV",
        help="columns image and label; several labels are separated by semicolons",
    )  # fmt: skip
    made.add_argument("--class", dest="name", help="class whose threshold is chosen")
    made.add_argument(
        "--recall", type=float, metavar="R", help="highest threshold that finds this share of its images"
    )
    made.add_argument(
        "--precision",
        type=float,
        metavar="P",
        help="threshold with the best recall at which this share of the labels is right",
    )
    made.add_argument("--save-path", type=Path, help="archive to write [NAME-calibrated.tgz]")
    made.add_argument(
        "--plot", type=Path, metavar="PNG", help="reliability before and after [NAME-reliability.png]"
    )
    return made


def main(arguments: Sequence[str] | None = None, prog: str = "calibrate.py") -> int:
    """Calibrate and return the exit status: 0, or that of an error."""
    given = parser(prog).parse_args(arguments)
    try:
        calibrate(given)
    except QuadratError as error:
        print(error.line, file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(ParameterError(str(error.strerror), where=str(error.filename)).line, file=sys.stderr)
        return ParameterError.exit_status
    return 0


def calibrate(given: argparse.Namespace) -> None:
    """Measure the images, fit, choose, and write the new archive and its plot; print what was found."""
    preference = _preference(given)
    target = given.save_path or given.archive.with_name(f"{given.archive.stem}-calibrated.tgz")
    picture = given.plot or target.with_name(f"{target.stem}-reliability.png")
    if target.resolve() == given.archive.resolve():
        raise ParameterError("the calibrated archive is a new one", where=f"--save-path {target}")
    with tempfile.TemporaryDirectory(prefix="quadrat-calibrate-") as folder:
        package = open_archive(given.archive, Path(folder))
        if package.task != "classify":
            raise ParameterError(f"its task is {package.task}, not classify", where=str(given.archive))
        words = read_labels(package.meta)
        names = [each.name for each in package.classes]
        images = labelled.read(given.images, given.labels, names, several=words.multi_label)
        _check(images, names, preference)
        scores = labelled.measure(given.archive, images.paths)
        found = fitted(scores, images.truth, names, words, preference)
        members = {path.name: path.read_bytes() for path in package.root.iterdir()}
    members["meta.json"] = to_json(_meta(package, words, found, preference, len(images.paths)))
    archive.check_readable(members)
    digest = write_archive(members, target)
    beside = archive.write_metadata(members, target)
    plot.reliability(picture, {"before": found.before, "after": found.after})
    _tell(found, target, digest)
    print(f"  reliability: {picture}; metadata to upload with it: {beside}")


def fitted(
    scores: F64, truth: Bools, names: Sequence[str], words: LabelWords, preference: Preference
) -> Calibrated:
    """Fit the temperature on probabilities (N, K) of an archive and choose thresholds by the preference.

    The temperature multiplies that which the archive has already. Raises ParameterError for what cannot be fitted.
    """
    independent = words.multi_label
    logits = calibration.as_logits(scores, independent=independent)
    temperature = round(
        words.temperature * calibration.fit(logits, truth, independent=independent), calibration.DIGITS
    )
    factor = temperature / words.temperature
    after = calibration.tempered(logits, factor, independent=independent)
    thresholds, chosen = _chosen(after, truth, names, words, preference)
    return Calibrated(
        round(words.temperature * factor, calibration.DIGITS), thresholds, chosen,
        calibration.reliability(scores, truth, independent=independent),
        calibration.reliability(after, truth, independent=independent),
        (calibration.nll(scores, truth, independent=independent), calibration.nll(after, truth, independent=independent)),
    )  # fmt: skip


def _preference(given: argparse.Namespace) -> Preference:
    made = Preference(given.name or "", given.recall, given.precision)
    if given.recall is not None and given.precision is not None:
        raise ParameterError("give one of them: the other follows from it", where="--recall, --precision")
    for option in ("recall", "precision"):
        share = getattr(given, option)
        if share is not None and not 0 < share <= 1:
            raise ParameterError("a share above 0 and up to 1 is needed", where=f"--{option}")
    if made.name and not made.stated:
        raise ParameterError("it only goes with --recall or --precision", where="--class")
    return made


def _check(images: labelled.Images, names: Sequence[str], preference: Preference) -> None:
    """Raise ParameterError for too few images, a class without any, and a preference for no class."""
    counts = images.truth.sum(0)
    if len(images.paths) < LEAST:
        raise ParameterError(
            f"{len(images.paths)} images are too few to fit a temperature",
            where=str(images.where),
            hint=f"Give at least {LEAST} labelled images that were not used in training",
        )
    if lost := [name for name, count in zip(names, counts.tolist(), strict=True) if not count]:
        raise ParameterError(
            f"{len(lost)} of the {len(names)} classes have no image, such as {lost[0]!r}", where=str(images.where),
            hint="Add images of each class, as many as are usual where the archive will be used",
        )  # fmt: skip
    if not preference.stated:
        return
    if not preference.name and not images.several:
        raise ParameterError(
            "the class that it is about is missing", where="--recall, --precision", hint="Give --class NAME"
        )
    if preference.name and preference.name not in names:
        raise ParameterError(
            f"the archive has no such class; it has {', '.join(names[:20])}",
            where=f"--class {preference.name}",
        )
    for name, count in zip(names, counts.tolist(), strict=True):
        fewest = min(count, len(images.paths) - count)
        if preference.name in ("", name) and fewest < LEAST_OF_CLASS:
            raise ParameterError(
                f"{count} of {len(images.paths)} images have the class {name!r}: a threshold takes {LEAST_OF_CLASS} "
                "with it and as many without",
                where=str(images.where),
            )


def _chosen(
    scores: F64, truth: Bools, names: Sequence[str], words: LabelWords, preference: Preference
) -> tuple[tuple[float, ...], dict[str, Choice]]:
    """Return the threshold of every class, and what those that were chosen reach; () to leave them as they are."""
    if not preference.stated:
        return words.threshold, {}
    limits = list(words.threshold or (THRESHOLD,))
    limits = limits * len(names) if len(limits) == 1 else limits
    chosen: dict[str, Choice] = {}
    for index, name in enumerate(names):
        if preference.name not in ("", name):
            continue

        decide = _decider(scores, limits, index, several=words.multi_label)
        chosen[name] = calibration.choose(
            scores[:, index],
            truth[:, index],
            decide,
            recall=preference.recall,
            precision=preference.precision,
        )
        limits = _with(limits, index, chosen[name].threshold, several=words.multi_label)
    return tuple(limits), chosen


def _decider(scores: F64, limits: Sequence[float], index: int, *, several: bool) -> Callable[[float], Bools]:
    """Return a function that says which images get the label of a class, if its threshold is the given one."""

    def decide(limit: float) -> Bools:
        return labels_of(scores, _with(limits, index, limit, several=several), several=several)[:, index]

    return decide


def _with(limits: Sequence[float], index: int, limit: float, *, several: bool = False) -> list[float]:
    """Return the thresholds with another one for a class; of two classes, the other one holds below it."""
    made = list(limits)
    made[index] = limit
    if len(made) == 2 and not several:
        made[1 - index] = round(1 - limit, calibration.DIGITS)
    return made


def labels_of(scores: F64, limits: Sequence[float], *, several: bool) -> Bools:
    """Return which labels (N, K) images get, as orders decide it, without names above the classes.

    One label is that of the class that passes its threshold by the largest factor.
    """
    passing = scores.astype(np.float32) >= np.array(limits, np.float32)
    if several:
        return np.asarray(passing)
    factors = np.where(passing, scores / np.array(limits), -1.0)
    best = np.zeros_like(passing)
    best[np.arange(len(scores)), factors.argmax(1)] = True
    return np.asarray(best & passing)


def _meta(
    package: ModelPackage, words: LabelWords, found: Calibrated, preference: Preference, count: int
) -> dict[str, Any]:
    """Return meta.json with the temperature, the thresholds, and how they were found."""
    classify = {**dict(package.meta.get("classify") or {}), "temperature": found.temperature}
    if found.chosen:
        classify["threshold"] = list(found.thresholds)
    stated = (
        {"recall": preference.recall}
        if preference.recall is not None
        else {"precision": preference.precision}
    )
    made: dict[str, Any] = {
        "images": count,
        "temperature": {"before": words.temperature, "after": found.temperature},
        "ece": {"before": round(found.before.ece, 6), "after": round(found.after.ece, 6)},
        "nll": {"before": round(found.nll[0], 6), "after": round(found.nll[1], 6)},
        "archive": package.digest,
    }
    if found.chosen:
        made["preference"] = stated
        made["thresholds"] = {
            name: {
                "threshold": one.threshold,
                "precision": round(one.precision, 6),
                "recall": round(one.recall, 6),
            }
            for name, one in found.chosen.items()
        }
    return json.loads(json.dumps({**package.meta, "classify": classify, "calibration": made}))  # type: ignore[no-any-return]  # a copy


def _tell(found: Calibrated, target: Path, digest: str) -> None:
    print(f"{target}: sha256 {digest}")
    print(
        f"  temperature {found.temperature:.4g}; expected calibration error {found.before.ece:.4f} before, {found.after.ece:.4f} after"
    )
    for name, one in found.chosen.items():
        print(
            f"  {name}: threshold {one.threshold:.4g}, recall {one.recall:.3f}, precision {one.precision:.3f} on these images"
        )


if __name__ == "__main__":
    sys.exit(main())
