"""Find the classes' scores and the features among the outputs of an ONNX classifier, and make them its only outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import heads
from export_model.from_onnx import MOVING
from export_model.network import F32, Shape
from export_model.prepare import allowed, gap, noise
from export_model.questions import Question
from quadrat.errors import GraphError, ParameterError

SUM = 1e-2
"""How far the sum of the probabilities of a softmax may be from 1; float16 rounds."""
ACTIVATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "HardSigmoid": ""}
"""The activation that an operation is; "" for one that cannot be undone exactly."""
DENSE = ("Gemm", "MatMul")
"""Operations that make the scores of classes from features."""
LINEAR = (*DENSE, "Add", "Conv", "BatchNormalization")
"""Operations that make logits: their values are no probabilities, even if those for all drawings are from 0 to 1."""
BETWEEN = (*MOVING, "Flatten", "Add", "Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid", "Clip")
"""Operations between these and the scores."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command line says; None if it says nothing.

    `output` names the scores, `features` the features, `activation` is "softmax", "sigmoid" or "none", and `count`
    is the number of classes that are named.
    """

    output: str | None = None
    features: str | None = None
    activation: str | None = None
    multi_label: bool = False
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Labelling:
    """A classifier with the outputs that an archive states.

    `data` is the file and `roles` the tensor of "logits" or "scores", and of "features" if it has them; `channels`
    is the number of scores, `activation` what makes probabilities of them, "none" if they are probabilities.
    """

    data: bytes
    roles: Mapping[str, str]
    channels: int
    activation: str
    multi_label: bool
    notes: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A tensor of the graph, with the values (N, K) of its rows for each drawing."""

    tensor: str
    rows: tuple[NDArray[Any], ...]


def complete(model: Any, shape: Shape, choice: Choice, where: str) -> Labelling:
    """Find what the outputs of `model` are for inputs of `shape`, and replace them; see `Labelling`.

    Raises GraphError for a network that gives no scores for a whole picture, ParameterError for a wrong choice.
    """
    images = [noise((shape[0] or 2, *shape[1:]), seed) for seed in range(3)]
    given = _run(heads.Runner(model.SerializeToString()), images, where)
    scores, questions = _choose(given, choice, where)
    if any(not np.isfinite(rows).all() for rows in scores.rows):
        raise GraphError(f"output {scores.tensor} holds NaN or infinity", where=where)
    activation, tensor, notes = _meaning(model, scores, images, choice)
    channels = scores.rows[0].shape[1]
    independent = _is_independent(scores, activation)
    _check(choice, activation, channels, independent=independent)
    multi = independent and channels > 1
    if multi and not choice.multi_label:
        notes += (
            f"labels: the {channels} probabilities of a picture are independent, so several can hold, or none",
        )
    features, more = _features(model, tensor, images, choice)
    wanted = {"scores" if activation == "none" else "logits": tensor}
    wanted |= {"features": features} if features else {}
    done, roles = _with_outputs(model, wanted)
    _prove(done, roles, activation, (scores, images, where))
    return Labelling(done, roles, channels, activation, multi, (*notes, *more), questions)


def _run(run: heads.Runner, images: Sequence[F32], where: str) -> dict[str, _Found]:
    """Return the outputs that have one row of numbers for each picture, by name."""
    try:
        given = [run.every(image.astype(run.dtype)) for image in images]
    except Exception as error:  # whatever the runner raises, the graph does not run
        first = (str(error).splitlines() or [""])[0]
        raise GraphError(f"it does not run on {images[0].shape}: {first}", where=where) from error
    return {
        name: _Found(name, tuple(one[name].reshape(len(images[0]), -1) for one in given))
        for name, array in given[0].items()
        if is_row(array, len(images[0]))
    }


def is_row(array: NDArray[Any], batch: int) -> bool:
    """Return True if an output has one row of numbers for each of `batch` pictures: (N, K) or (N, K, 1, 1)."""
    sides = array.shape[1:]
    return (
        array.ndim >= 2 and array.dtype.kind == "f" and len(array) == batch and array.size > 0
        and sum(side != 1 for side in sides) <= 1
    )  # fmt: skip


def _choose(given: Mapping[str, _Found], choice: Choice, where: str) -> tuple[_Found, tuple[Question, ...]]:
    """Return the scores, and the question which output they are if several may be."""
    if choice.output is not None:
        if choice.output not in given:
            raise ParameterError(
                f"no output of this name has one row for each picture; those are {', '.join(given) or 'none'}",
                where=f"--onnx-output {choice.output}",
            )
        return given[choice.output], ()
    others = [one for name, one in given.items() if name != choice.features]
    if not others:
        raise GraphError(
            "no output has one row of numbers for each picture, so it is no classifier", where=where,
            hint="quadrat inspect says what it is",
        )  # fmt: skip
    fitting = [one for one in others if one.rows[0].shape[1] == choice.count]
    if len(others) == 1 or len(fitting) == 1:
        return (fitting or others)[0], ()
    names = ", ".join(f"{one.tensor} ({one.rows[0].shape[1]} numbers)" for one in others)
    first = others[0].tensor
    asked = Question(
        f"several outputs may hold the scores: {names}",
        f"--onnx-output NAME for the one that does; that is often the first, {first}",
    )
    return others[0], (asked,)


def _meaning(
    model: Any, scores: _Found, images: Sequence[F32], choice: Choice
) -> tuple[str, str, tuple[str, ...]]:
    """Return the activation that makes probabilities, the tensor that it is applied to, and notes.

    Where the network applies a softmax or sigmoid itself, the tensor before it is taken, so that a temperature can
    be applied exactly.
    """
    low, high = (
        float(f(rows))
        for f, rows in ((min, [r.min() for r in scores.rows]), (max, [r.max() for r in scores.rows]))
    )
    channels = scores.rows[0].shape[1]
    maker = _maker(model, scores.tensor)
    known = ACTIVATIONS.get(maker.op_type, "") if maker is not None else ""
    if known and _undone(model, maker.input[0], known, scores, images):
        return (
            known,
            str(maker.input[0]),
            (f"scores: probabilities of a {known}; its logits were made the output",),
        )
    guessed = choice.activation is None and (_sums(scores) or maker is None or maker.op_type not in LINEAR)
    if low >= 0 and high <= 1 + SUM and (guessed or choice.activation == "none" or known):
        kind = "probabilities that sum to 1" if _sums(scores) else "independent probabilities"
        return "none", scores.tensor, (f"scores: {kind}",)
    usual = "sigmoid" if channels == 1 or choice.multi_label else "softmax"
    activation = choice.activation or usual
    if activation == "none":
        raise ParameterError("the scores are not in 0..1", where="--activation none")
    notes = () if choice.activation or channels == 1 else (
        f"scores: logits of {channels} classes, by a {activation}",)  # fmt: skip
    return activation, scores.tensor, notes


def _maker(model: Any, tensor: str) -> Any:
    """Return the operation that makes a tensor's values, behind those that only move them; None for an input."""
    makers = {output: node for node in model.graph.node for output in node.output}
    while tensor in makers and makers[tensor].op_type in (*MOVING, "Flatten"):
        tensor = makers[tensor].input[0]
    return makers.get(tensor)


def _undone(model: Any, tensor: str, activation: str, scores: _Found, images: Sequence[F32]) -> bool:
    """Return True if the activation of an inner tensor's rows gives the scores."""
    values = _inner(model, tensor, images)
    if values is None or values[0].shape != scores.rows[0].shape:
        return False
    return all(
        np.allclose(activated(row, activation), given, atol=1e-3)
        for row, given in zip(values, scores.rows, strict=True)
    )


def activated(rows: NDArray[Any], activation: str) -> NDArray[np.float64]:
    """Return the probabilities (N, K) of scores (N, K)."""
    values = rows.astype(np.float64)
    if activation == "softmax":
        parts = np.exp(values - values.max(1, keepdims=True))
        return np.asarray(parts / parts.sum(1, keepdims=True))
    return 1 / (1 + np.exp(-np.clip(values, -700, 700))) if activation == "sigmoid" else values


def _inner(model: Any, tensor: str, images: Sequence[F32]) -> tuple[NDArray[Any], ...] | None:
    """Return the rows of a tensor inside the graph for each drawing; None if it has no row for each picture."""
    from onnx import TensorProto, helper

    probed = type(model)()
    probed.CopyFrom(model)
    del probed.graph.output[:]
    probed.graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None))
    try:
        run = heads.Runner(probed.SerializeToString())
        given = [run(image.astype(run.dtype), tensor) for image in images]
    except Exception:  # noqa: BLE001 - a tensor of another type or name: it holds no rows
        return None
    batch = len(images[0])
    if not all(is_row(one, batch) for one in given):
        return None
    return tuple(one.reshape(batch, -1) for one in given)


def _sums(scores: _Found) -> bool:
    return all(np.allclose(rows.sum(1, dtype=np.float64), 1, atol=SUM) for rows in scores.rows)


def _is_independent(scores: _Found, activation: str) -> bool:
    return activation == "sigmoid" or (activation == "none" and not _sums(scores))


def _check(choice: Choice, activation: str, channels: int, *, independent: bool) -> None:
    """Raise ParameterError for options that contradict what the scores are."""
    stated = choice.activation
    if independent and stated == "softmax":
        raise ParameterError(
            "the scores are from 0 to 1 but do not sum to 1: they are independent probabilities",
            where="--activation softmax", hint="Leave it out",
        )  # fmt: skip
    if not independent and (stated == "sigmoid" or choice.multi_label):
        way = "the probabilities of a picture sum to 1, so they are those of a softmax"
        raise ParameterError(way, where="--activation sigmoid" if stated == "sigmoid" else "--multi-label")
    if channels == 1 and choice.multi_label:
        raise ParameterError("the network has one score", where="--multi-label")
    if channels == 1 and activation == "softmax":
        raise ParameterError("one score has no softmax", where="--activation softmax", hint="Leave it out")


def _features(model: Any, scores: str, images: Sequence[F32], choice: Choice) -> tuple[str, tuple[str, ...]]:
    """Return the tensor of the features, "" for none: the one that is named, or what the last dense layer takes."""
    if choice.features is not None:
        rows = _inner(model, choice.features, images)
        if rows is None or rows[0].shape[1] < 2:
            raise ParameterError(
                "no tensor of this name has one row of numbers for each picture",
                where=f"--features {choice.features}",
            )
        return choice.features, ()
    makers = {output: node for node in model.graph.node for output in node.output}
    held = {each.name for each in model.graph.initializer}
    tensor = scores
    while tensor in makers and makers[tensor].op_type in BETWEEN:
        tensor = next((name for name in makers[tensor].input if name not in held), "")
    if tensor not in makers or makers[tensor].op_type not in DENSE:
        return "", ()
    found = str(makers[tensor].input[0])
    rows = _inner(model, found, images)
    if rows is None or rows[0].shape[1] < 2:
        return "", ()
    return found, (f"features: the {rows[0].shape[1]} numbers that the last layer takes",)


def _with_outputs(model: Any, wanted: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """Return the file with these tensors as outputs (N, K) float32, and the name of each by its role."""
    from onnx import TensorProto, helper

    graph = model.graph
    roles = {}
    del graph.output[:]
    for role, tensor in wanted.items():
        name, flat = heads.PREFIX + role, heads.PREFIX + role + "_flat"
        graph.node.append(helper.make_node("Flatten", [tensor], [flat], name=flat + "_node", axis=1))
        graph.node.append(helper.make_node("Cast", [flat], [name], name=name + "_node", to=TensorProto.FLOAT))
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", role]))
        roles[role] = name
    done: bytes = model.SerializeToString(deterministic=True)
    return done, roles


def _prove(
    done: bytes, roles: Mapping[str, str], activation: str, original: tuple[_Found, Sequence[F32], str]
) -> None:
    """Check that the completed graph gives the scores of the original; GraphError if it does not."""
    scores, images, where = original
    heads.load(done, where)
    run = heads.Runner(done)
    role = "scores" if activation == "none" else "logits"
    for image, expected in zip(images, scores.rows, strict=True):
        given = run(image.astype(run.dtype), roles[role])
        same = gap(expected.astype(np.float64), given.astype(np.float64)) <= allowed(expected)
        if not same and not np.allclose(activated(given, activation), expected, atol=1e-3):
            raise GraphError("the completed graph gives other scores than the original", where=where)
