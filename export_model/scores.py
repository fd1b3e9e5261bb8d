"""Determine what the scores of a segmentation network mean: exclusive or independent classes, and which activation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model.questions import Question
from quadrat.errors import ParameterError
from quadrat.package.masks import THRESHOLD

SUM = 1e-2
"""How far the sum of the probabilities of a softmax may be from 1; float16 rounds."""
Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """Options of the command line about scores; None, () or False if not given.

    `background` is the name or index of a class, or "none"; `names` are those of the classes.
    """

    activation: str | None = None
    background: str | None = None
    threshold: tuple[float, ...] = ()
    multi_label: bool = False
    names: tuple[str, ...] = ()


UNSTATED = ScoreOptions()
"""No option is given."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the scores mean: `words` is the `segment` entry of meta.json.

    `applied` is the activation that the network has applied itself, "" if none. `separate` is True if thresholds
    decide, so that the archive holds the scores alone. `added` is the name of a background class that has no channel
    and is not listed; it becomes class 0.
    """

    words: Mapping[str, Any]
    applied: str = ""
    separate: bool = False
    added: str = ""
    questions: tuple[Question, ...] = field(default=())


def determine(
    values: Sequence[NDArray[Any]],
    options: ScoreOptions,
    notify: Notify,
    ending: str = "",
    *,
    appended: bool = True,
) -> Meaning:
    """Determine the meaning of scores from their values (N, K, h, w) for several inputs, and the options.

    `ending` is the operation that makes the scores; it decides if the values do not. `notify` is called with a line
    for everything that was assumed. If nothing is `appended` to the network, its scores stay as they are. Raises
    ParameterError for options that contradict the values or each other.
    """
    channels = values[0].shape[1]
    applied = _applied(values, ending)
    if applied is None:
        known = {"sigmoid": "sigmoid", "softmax": ""}
        if options.activation not in known:
            return Meaning({"activation": "softmax"}, questions=(_constant(),))
        applied = known[options.activation]
    _check(options, applied, channels)
    independent = applied == "sigmoid" or options.multi_label or options.activation == "sigmoid"
    if options.activation == "none" and not applied:
        raise ParameterError("the scores are not in 0..1", where="--activation none")
    if channels > 1 and not independent:
        found = _exclusive(options, applied, channels, notify)
        if applied and (found.separate or not appended):
            return replace(found, words={**found.words, "activation": "none"})
        return found
    if options.multi_label:
        return _multi_label(options, applied)
    return _independent(options, applied, channels, notify, appended=appended)


def _applied(values: Sequence[NDArray[Any]], ending: str) -> str | None:
    """Return "softmax", "sigmoid" or "" for scores that are probabilities of that kind, or are not probabilities.

    None if neither the values nor the operation that makes them tell, because they are constant.
    """
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    if low < 0 or high > 1 + SUM:
        return ""
    if low == high and ending not in ("Sigmoid", "HardSigmoid", "Softmax"):
        return None
    if values[0].shape[1] > 1 and all(np.allclose(v.sum(1, dtype=np.float64), 1, atol=SUM) for v in values):
        return "softmax"
    return "sigmoid" if high <= 1 else ""


def _check(options: ScoreOptions, applied: str, channels: int) -> None:
    """Raise ParameterError for options that contradict the values or each other."""
    if applied == "sigmoid" and options.activation == "softmax":
        raise ParameterError(
            "the scores are from 0 to 1 but do not sum to 1: they are independent probabilities",
            where="--activation softmax", hint="Leave it out",
        )  # fmt: skip
    if applied == "softmax" and (options.activation == "sigmoid" or options.multi_label):
        raise ParameterError(
            "the scores of each pixel sum to 1, so they are those of a softmax",
            where="--activation sigmoid" if options.activation == "sigmoid" else "--multi-label",
        )
    if options.multi_label and options.background not in (None, "none"):
        raise ParameterError("a pixel over no threshold has no class", where="--multi-label, --background")
    if options.multi_label and options.activation == "softmax":
        raise ParameterError("the classes of a softmax exclude each other", where="--multi-label")
    if any(not 0 < t < 1 for t in options.threshold):
        raise ParameterError("a number between 0 and 1 is needed", where="--threshold")
    if len(options.threshold) > 1 and len(options.threshold) not in (channels, channels - 1):
        raise ParameterError(
            f"give one number, or one for each of the {channels} classes with scores", where="--threshold"
        )


def _exclusive(options: ScoreOptions, applied: str, channels: int, notify: Notify) -> Meaning:
    """Return the meaning of scores of classes that exclude each other."""
    if not applied:
        notify(
            f"scores: {channels} classes that exclude each other, by a softmax. If several can hold at one pixel, give "
            "--multi-label"
        )
    words: dict[str, Any] = {"activation": "softmax", "background": None, "multi-label": False}
    if options.background in (None, "none"):
        if options.threshold:
            raise ParameterError(
                "it needs the class of the pixels that are below it",
                where="--threshold",
                hint="Give --background",
            )
        return Meaning(words, applied)
    index, added = _background(options, channels)
    words |= {"background": index, "threshold": _threshold(options)}
    return Meaning(words, applied, separate=True, added=added)


def _multi_label(options: ScoreOptions, applied: str) -> Meaning:
    words = {
        "activation": "none" if applied else "sigmoid", "background": None, "multi-label": True,
        "threshold": _threshold(options),
    }  # fmt: skip
    return Meaning(words, applied, separate=True)


def _independent(
    options: ScoreOptions, applied: str, channels: int, notify: Notify, *, appended: bool
) -> Meaning:
    """Return the meaning of independent scores if each pixel gets one class."""
    words: dict[str, Any] = {
        "activation": "none" if applied else "sigmoid", "background": None, "multi-label": False,
    }  # fmt: skip
    if channels > 1 and options.background is None:
        return Meaning(words, applied, separate=True, questions=(_several(channels, applied),))
    if channels > 1 and options.background == "none":
        if options.threshold:
            raise ParameterError("it needs a background", where="--threshold, --background none")
        return Meaning(words, applied, separate=True)
    if channels == 1 and options.background == "none":
        raise ParameterError("one channel needs a class for the other pixels", where="--background none")
    index, added = _background(options, channels)
    if channels == 1:
        notify(
            f"scores: one channel, {'probabilities' if applied else 'logits'} of one class against a background; "
            f"threshold {options.threshold[0] if options.threshold else f'{THRESHOLD} (--threshold changes it)'}"
        )
    if appended and channels == 1 and index == 0 and options.threshold in ((), (THRESHOLD,)):
        # the graph makes two exclusive classes of it; the better one is over 0.5
        return Meaning({**words, "activation": "softmax"}, applied, added=added)
    words |= {"background": index, "threshold": _threshold(options)}
    return Meaning(words, applied, separate=True, added=added)


def _constant() -> Question:
    return Question(
        "the scores are the same at every pixel of the drawings, so they do not tell what they are",
        "--activation sigmoid if they are probabilities, --activation softmax if they are logits",
    )


def _several(channels: int, applied: str) -> Question:
    values = "from 0 to 1, and do not sum to 1" if applied else "independent, by --activation sigmoid"
    return Question(
        f"the {channels} scores of a pixel are {values}: several classes can hold at once, or none",
        "--multi-label (several classes per pixel), or --background NAME (one class, or NAME where none is over its "
        "threshold), or --background none (always the best class)",
    )


def _threshold(options: ScoreOptions) -> float | list[float]:
    stated = options.threshold or (THRESHOLD,)
    return stated[0] if len(stated) == 1 else list(stated)


def _background(options: ScoreOptions, channels: int) -> tuple[int, str]:
    """Return the index of the background, and its name if it is not in the list of classes."""
    names, given = options.names, options.background
    if given is None:  # one channel
        if len(names) == channels:
            return 0, "background" if "background" not in names else "no " + names[0]
        return 0, ""
    if given in names:
        return names.index(given), ""
    if given.isdecimal():
        if (names and int(given) >= len(names)) or int(given) > channels:
            raise ParameterError("there is no class of this index", where=f"--background {given}")
        return int(given), ""
    if names and len(names) != channels:
        raise ParameterError(
            f"no class has this name; the classes are {', '.join(names)}", where=f"--background {given}"
        )
    return 0, given
