"""Determine how a detector's outputs are to be read: by their shapes, and by what they hold for pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import counts, export_hints, objects, plausibility
from export_model.preprocessing import Transforms
from quadrat.errors import ClassesError, LayoutError, ModelError, ParameterError
from quadrat.geometry import HW
from quadrat.package.detectors import BELONGS, LAYOUTS, WITH_BACKGROUND, read_detect
from quadrat.tasks.detect import layouts
from quadrat.tasks.detect.layouts.base import LEAST_BOXES, SLACK, DetectorSpec

SCORES = ("scores", "classes", "heat")
"""Beginnings of the roles of outputs that an activation applies to."""
LARGEST_FRACTION = 2.0
"""Most boxes in fractions of the input's sides hold no number larger than this."""
MOSTLY = 0.9
"""Share of the anchors that have no object, at least, in a network that has a class for it."""
CERTAIN = 0.98
"""Share of boxes that must be valid as corners, or as centres with sizes."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The outputs of a network for one picture: `arrays` by name, as they are, for an input of (height, width)."""

    arrays: Mapping[str, NDArray[Any]]
    hw: HW


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One way to read a network: its `detect` for meta.json, its transforms, and why it cannot be right, if so.

    `asks` are the errors for what must be given before the network can be packed in this way.
    """

    detect: Mapping[str, Any]
    transforms: Transforms
    layout: layouts.Layout | None = None
    fault: LayoutError | None = None
    doubt: str = ""
    asks: tuple[ParameterError, ...] = ()

    @property
    def name(self) -> str:
        """The layout's name."""
        return str(self.detect["layout"])

    @property
    def outputs(self) -> dict[str, str]:
        """The tensor of each role."""
        return {} if self.layout is None else dict(zip(self.layout.roles, self.layout.wanted, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is known before pictures are tried.

    `network` has the true shapes of the outputs; `stated` are the entries of `detect` that the command line gives;
    `prepare` returns the transforms of a layout, and the errors for options that must be given first; `run` tries
    pictures with them.
    """

    network: DetectorSpec
    stated: Mapping[str, Any]
    prepare: Callable[[str], tuple[Transforms, tuple[ParameterError, ...]]]
    run: Callable[[Transforms], Sequence[Trial]]


def determine(question: Question, where: str, notify: Callable[[str], None]) -> Candidate:
    """Return the way to read a network that is stated, or the only one that is plausible.

    Raises LayoutError if none is, or several are, or the stated one does not fit; ParameterError if something else
    must be given.
    """
    network = question.network
    if "layout" in question.stated:
        tried = _try(str(question.stated["layout"]), question, notify)
        if tried.fault is not None:
            raise tried.fault
        if tried.doubt and not tried.asks:
            notify(f"warning: {tried.doubt}. Is the layout right, and are the transforms?")
        return _answered(tried)
    fitting = layouts.fitting(network.outputs, network.num_classes, network.fixed_hw)
    if not fitting:
        raise _unknown(question, where)
    each = [_try(name, question, notify) for name in fitting]
    good = [one for one in each if one.fault is None and not one.doubt]
    if len(good) == 1:
        reason = fitting[good[0].name]
        others = [f"it is not {one.name}: {one.doubt or _what(one)}" for one in each if one is not good[0]]
        listed = "; ".join([f"the network gives {network.shapes}: {reason}", *others])
        notify(f"no --layout: guessed {good[0].name}, because {listed}")
        return _answered(good[0])
    names = " or ".join(one.name for one in good or each)
    faults = "; ".join(f"{one.name}: {one.doubt or _what(one)}" for one in each if one not in good)
    raise LayoutError(
        f"the network gives {network.shapes}, which may be {names}" + (f" ({faults})" if faults else ""),
        where=where,
        hint=f"Give --layout: {', '.join(one.name for one in each)}",
    )


def _answered(candidate: Candidate) -> Candidate:
    """Return the candidate if nothing is asked for; else raise one ParameterError with all that is."""
    if not candidate.asks:
        return candidate
    what, where, hint = ([getattr(ask, key) for ask in candidate.asks] for key in ("what", "where", "hint"))
    raise ParameterError("; ".join(what), where=", ".join(where), hint=". ".join(hint))


def _what(candidate: Candidate) -> str:
    return candidate.fault.what if candidate.fault is not None else ""


def _unknown(question: Question, where: str) -> ModelError:
    """Return the error for outputs that no layout is known to have; its hint names layouts that could be read.

    If a layout fits with another number of classes than is named, the error says so.
    """
    network, possible = question.network, []
    if counted := _counts(question):
        return ClassesError(
            f"{network.num_classes} classes are named, but the network has {' or '.join(map(str, counted))}",
            where=where, hint="Name every class of the network once, in its order, or none",
        )  # fmt: skip
    for name in LAYOUTS:
        try:
            layouts.choose(replace(network, words=read_detect({"detect": {"layout": name}})))
            tried = _try(name, question, _ignore)
        except Exception:  # noqa: BLE001, S112 - whatever a reader raises, it does not fit
            continue
        if tried.fault is None and not tried.doubt:
            possible.append(name)
    hint = f"If it is one of these, give --layout: {', '.join(possible)}" if possible else (
        "quadrat reads none of its outputs as boxes, classes and scores: see the layouts in "
        "docs/reference/model-archive.md, or export the network with its post-processing"
    )  # fmt: skip
    return LayoutError(
        f"the network gives {network.shapes}, which is no known layout", where=where, hint=hint
    )


def _counts(question: Question) -> list[int]:
    """Return the numbers of classes that the network can have, by the layouts that fit if none are named."""
    if question.network.num_classes is None:
        return []
    unnamed = replace(question, network=replace(question.network, num_classes=None))
    found = set()
    for name in layouts.fitting(unnamed.network.outputs, None, unnamed.network.fixed_hw):
        tried = _try(name, unnamed, _ignore)
        if tried.fault is None and not tried.doubt and tried.outputs:
            given = {one.name: one.shape for one in unnamed.network.outputs}
            shapes = {role: [side or 0 for side in given[tensor]] for role, tensor in tried.outputs.items()}
            found.add(counts.count_classes(tried.detect, shapes) or 0)
    return sorted(found - {0, question.network.num_classes})


def _ignore(_line: str) -> None:
    """Print nothing: what is found of a layout that is only offered does not hold yet."""


def _try(name: str, question: Question, notify: Callable[[str], None]) -> Candidate:
    """Read a network by one layout, on pictures."""
    detect: dict[str, Any] = {"layout": name, **question.stated}
    transforms, asks = question.prepare(name)
    trials = question.run(transforms)
    try:
        detect = _completed(detect, question.network, trials, notify)
        spec = replace(question.network, words=read_detect({"detect": detect}))
        read, layout = reader(spec)
        found = [read(trial.arrays, trial.hw) for trial in trials]
    except LayoutError as fault:
        return Candidate(detect, transforms, None, fault)
    except ParameterError as ask:
        return Candidate(detect, transforms, asks=(*asks, ask))
    return Candidate(detect, transforms, layout, None, plausibility.judge(found, trials[0].hw), asks)


def reader(known: DetectorSpec) -> tuple[objects.Reading, layouts.Layout]:
    """Return the function that reads the objects; hints of errors, here and at each call, name options."""
    with export_hints.by_options(known):
        read, layout = objects.reader(known)

    def read_listed(arrays: Mapping[str, NDArray[Any]], hw: HW) -> objects.CanonicalObjects:
        with export_hints.by_options(known):
            found = read(arrays, hw)
        export_hints.check_classes(found.classes, known.num_classes, known.words, "--class")
        return found

    return read_listed, layout


def _completed(
    detect: dict[str, Any], network: DetectorSpec, trials: Sequence[Trial], notify: Callable[[str], None]
) -> dict[str, Any]:
    """Add to `detect` what a layout leaves open and the outputs show: activation, background, form of the boxes."""
    name = str(detect["layout"])
    if name not in BELONGS["activation"] + BELONGS["unit"]:
        return detect
    bare = {key: value for key, value in detect.items() if key in ("layout", "activation")}
    spec = replace(network, words=read_detect({"detect": bare}), num_classes=None)
    with export_hints.by_options(spec):
        layout = layouts.choose(spec)
    tensors = dict(zip(layout.roles, layout.wanted, strict=True))
    made = dict(detect)
    if name != "ssd" and name in BELONGS["unit"]:
        return made | _unit(made, [trial.arrays[tensors["boxes"]] for trial in trials], notify)
    if "activation" not in made:
        scores = [
            trial.arrays[tensor]
            for trial in trials
            for role, tensor in tensors.items()
            if role.startswith(SCORES)
        ]
        made |= _activation(name, scores, notify)
    if name == "ssd":
        made |= _forms(made, [trial.arrays[tensors["boxes"]] for trial in trials], notify)
        scores = [trial.arrays[tensors["scores"]] for trial in trials]
        made |= _background(
            made, network.num_classes, scores, trials[0].arrays[tensors["boxes"]].shape[1], notify
        )
    return made


def _activation(name: str, scores: Sequence[NDArray[Any]], notify: Callable[[str], None]) -> dict[str, str]:
    """Return the activation of scores that are not in 0..1 as they are."""
    low = min((float(np.nanmin(each)) for each in scores if each.size), default=0.0)
    high = max((float(np.nanmax(each)) for each in scores if each.size), default=0.0)
    if low >= -SLACK and high <= 1 + SLACK:
        return {}
    if name == "ssd":
        raise ParameterError(
            f"the scores range from {low:.3g} to {high:.3g}, so they are raw", where="--activation",
            hint="Give --activation softmax if the network has a class for the background, else --activation sigmoid",
        )  # fmt: skip
    notify(f"scores range from {low:.3g} to {high:.3g}: activation sigmoid")
    return {"activation": "sigmoid"}


def _forms(
    detect: Mapping[str, Any], boxes: Sequence[NDArray[Any]], notify: Callable[[str], None]
) -> dict[str, str]:
    """Return whether boxes are corners or centres with sizes, in pixels or fractions, as far as it is not stated."""
    rows = np.concatenate([each.reshape(-1, 4) for each in boxes]).astype(np.float64)
    rows = rows[np.isfinite(rows).all(axis=1)]
    made = {key: str(detect[key]) for key in ("boxes", "unit") if key in detect}
    if "unit" not in made:
        made["unit"] = "fractions" if np.mean(np.abs(rows) <= LARGEST_FRACTION) > CERTAIN else "pixels"
    if "boxes" not in made:
        corners = float(np.mean((rows[:, 2:] > rows[:, :2]).all(axis=1))) if len(rows) else 1.0
        centres = float(np.mean((rows[:, 2:] > 0).all(axis=1))) if len(rows) else 1.0
        if max(corners, centres) < CERTAIN:
            raise LayoutError(
                "its boxes are neither corners nor centres with sizes, so they may be relative to anchors",
                where="--layout ssd",
                hint="Export the network with its boxes decoded; or give --boxes corners or --boxes centres",
            )
        made["boxes"] = "corners" if corners >= CERTAIN else "centres"
    notify(f"boxes: {made['boxes']} in {made['unit']}")
    return made


def _unit(
    detect: Mapping[str, Any], boxes: Sequence[NDArray[Any]], notify: Callable[[str], None]
) -> dict[str, str]:
    """Return that boxes are fractions, if all that are not empty are."""
    rows = np.concatenate([each.reshape(-1, each.shape[-1])[:, :4] for each in boxes]).astype(np.float64)
    rows = rows[np.isfinite(rows).all(axis=1) & (rows != 0).any(axis=1)]
    if "unit" in detect or len(rows) < LEAST_BOXES or np.abs(rows).max() > LARGEST_FRACTION:
        return {}
    notify("boxes: in fractions")
    return {"unit": "fractions"}


def _background(
    detect: Mapping[str, Any],
    classes: int | None,
    scores: Sequence[NDArray[Any]],
    anchors: int,
    notify: Callable[[str], None],
) -> dict[str, int | None]:
    """Return the background of scores (N, A, C) that sum to 1: the class that nearly all anchors have."""
    if "background" in detect or detect["layout"] not in WITH_BACKGROUND:
        return {}
    rows = np.concatenate(
        [each.reshape(-1, each.shape[2]) if each.shape[1] == anchors else each.swapaxes(1, 2).reshape(-1, each.shape[1])
         for each in scores]
    )  # fmt: skip
    shares = detect.get("activation") == "softmax" or np.allclose(rows.sum(axis=1), 1, atol=0.01)
    if not shares or rows.shape[1] < 2:
        return {}
    usual = np.bincount(rows.argmax(axis=1), minlength=rows.shape[1])
    index = int(usual.argmax())
    what = f"class {index} of {rows.shape[1]}, which {usual[index] / len(rows):.0%} of the anchors have"
    if classes == rows.shape[1]:
        if usual[index] < MOSTLY * len(rows):
            return {}
        raise ParameterError(
            f"{what}, seems to mean no object, but it has a name", where="--background",
            hint=f"Give --background {index} and leave it out of the classes; or --background none if it is an object",
        )  # fmt: skip
    notify(f"background: {what}")
    return {"background": index}
