"""Export an ONNX file, with the outputs `labels`, `confidence` and `logits`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import heads, kinds, labels, prepare, sizes, values
from export_model.network import F32, Network, Shape, digest, existing, need, refuse_programs
from export_model.questions import Question
from export_model.scores import UNSTATED, Meaning, ScoreOptions, determine
from export_model.selftest import labels_of
from quadrat.errors import GraphError, ParameterError

MOVING = ("Identity", "Resize", "Upsample", "Cast", "Transpose", "Squeeze", "Unsqueeze", "Reshape")
"""Operations that keep the range of values."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A model with its outputs: `data` is the file, `roles` the tensor of each role.

    `shares` is True if the network itself outputs probabilities; the logits are then their logarithm. `meaning` is
    what its scores mean, None for classes. `notes` list what was changed or assumed; `names` are the classes that the
    file states; `probe` is a shape at which it runs; `questions` are what its outputs leave open.
    """

    data: bytes
    roles: Mapping[str, str]
    shape: Shape
    input_name: str
    shares: bool = False
    meaning: Meaning | None = None
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    probe: Shape = ()
    questions: tuple[Question, ...] = ()


def load(
    path: Path,
    output: str | None,
    shape: Shape | None,
    options: ScoreOptions = UNSTATED,
    notify: Callable[[str], None] = print,
) -> Network:
    """Read `path`, with weights from files beside it, and append the outputs that are missing.

    `output` names the scores if the graph has several outputs; `shape` fixes dynamic axes; `options` state what the
    scores mean. Raises ParameterError for a wrong choice, GraphError for a graph that cannot be used.
    """
    data = read(path)
    import onnx

    graph = complete(data, str(path), output=output, shape=shape, options=options)
    for note in graph.notes:
        notify(note)
    return Network(
        name=path.stem,
        model={"type": "onnx", "file": path.name},
        files={"model.onnx": graph.data},
        engines={"onnx": "model.onnx"},
        outputs=graph.roles,
        shape=graph.shape,
        input_name=graph.input_name,
        run=runner(graph),
        provenance={"sources": {path.name: digest(path)}, "versions": {"onnx": onnx.__version__}},
        **meant(graph),
    )


def meant(graph: Graph) -> dict[str, Any]:
    """Return the parts of a Network that state what the scores of its graph mean."""
    found: dict[str, Any] = {"names": graph.names, "probe": graph.probe, "questions": graph.questions}
    if graph.meaning is None:
        return found
    meaning = graph.meaning
    questions = (*graph.questions, *meaning.questions)
    return found | {"segment": meaning.words, "added": meaning.added, "questions": questions}


def read(path: Path) -> bytes:
    """Read an ONNX file, with weights from files beside it; ParameterError or GraphError if it is not one."""
    refuse_programs(path, "--onnx")
    existing(path, "--onnx")
    need("--onnx", "onnx")
    import onnx

    try:
        onnx.checker.check_model(str(path))  # by path, so that files outside its folder are refused
        data: bytes = onnx.load_model(str(path)).SerializeToString()
    except Exception as error:  # protobuf, checker and C++ errors share no base
        first = (str(error).splitlines() or [""])[0]
        raise GraphError(f"this is not a valid ONNX model: {first}", where=f"--onnx {path}") from error
    return data


def runner(graph: Graph) -> Any:
    """Return a function that computes the logits of the graph, or its labels if it has no scores."""
    run = heads.Runner(graph.data)
    wanted = graph.roles.get("logits") or graph.roles["labels"]

    def scores(image: F32) -> NDArray[Any]:
        return run(image, wanted)

    return scores


def complete(
    data: bytes,
    where: str,
    *,
    output: str | None = None,
    shape: Shape | None = None,
    options: ScoreOptions = UNSTATED,
) -> Graph:
    """Find the scores or classes of an ONNX model, and make them the outputs that an archive states.

    A graph that has all three outputs by name is kept. Raises GraphError, or ParameterError if `output`, `shape` or
    `options` do not fit.
    """
    model = heads.load(data, where)
    names = labels.from_metadata({p.key: p.value for p in model.metadata_props})
    options = options if options.names else replace(options, names=names)
    notes: list[str] = []
    image = image_input(model, where, shape)
    notes += image.notes
    heads.with_shape(model, image.shape)
    if output is None and set(heads.ROLES) <= {o.name for o in model.graph.output}:
        roles = {r: r for r in heads.ROLES}
        return Graph(model.SerializeToString(deterministic=True), roles, image.shape, image.name, names=names)
    model, note = prepare.upgraded(model, heads.LEAST, where)
    notes += [note] if note else []
    scores, asked = _scores(model, output)
    runs = sizes.runnable(lambda one: heads.Runner(model.SerializeToString())(one, scores), image.shape)
    given = values.probe(model, scores, runs, where)
    known = Graph(
        b"", {}, image.shape, image.name, notes=tuple(notes), names=names, probe=runs, questions=asked
    )
    plane = values.as_classes(given)
    if plane is not None:
        heads.append_labels(model, scores, squeeze=plane.squeeze, cast=plane.cast)
        done = _proven(model, data, image, where)
        return replace(known, data=done, roles={"labels": "labels"}, notes=(*notes, *plane.notes))
    return _with_scores(model, scores, (data, image, given, where), options, known)


def _with_scores(
    model: Any,
    name: str,
    original: tuple[bytes, prepare.Image, values.Given, str],
    options: ScoreOptions,
    known: Graph,
) -> Graph:
    """Append the outputs to a model whose output `name` holds scores; `known` is what is known of it so far."""
    data, image, given, where = original
    notes = list(known.notes)
    found = values.as_scores(given, name, where)
    notes += found.notes
    channels = found.arrays[0].shape[1]
    if known.names and len(known.names) not in (channels, channels + 1):
        notes.append(
            f"the file names {len(known.names)} classes, the network has {channels}: they are not used"
        )
        options = replace(options, names=()) if options.names == known.names else options
        known = replace(known, names=())
    meaning = determine(found.arrays, options, notes.append, _ending(model, name))
    picture = None if options.names else kinds.as_picture(given.arrays[-1], given.image)
    if picture is not None:
        asked = Question(
            f"it looks like {picture.name}: {picture.reason}",
            f"--task enhance, or --class, {channels} times, if it makes masks",
        )
        meaning = replace(meaning, questions=(asked, *meaning.questions))
    if found.resize and heads.opset(model) < heads.LEAST_RESIZED:
        model, note = prepare.upgraded(model, heads.LEAST_RESIZED, where)
        notes.append(note)
    ending = heads.Ending(
        channels=channels, probabilities=bool(meaning.applied), resize=found.resize,
        separate=meaning.separate, channels_last=found.channels_last, half=found.half,
    )  # fmt: skip
    heads.append(model, name, ending)
    done = _proven(model, data, image, where)
    if not found.resize and (meaning.separate or not meaning.applied) and ending.channels > 1:
        values.check_same(heads.Runner(done), known.probe, found.arrays[-1], where)
    wanted = ("logits",) if meaning.separate else heads.ROLES
    return replace(
        known, data=done, roles={r: r for r in wanted}, shares=bool(meaning.applied), meaning=meaning,
        notes=tuple(notes),
    )  # fmt: skip


def _proven(model: Any, data: bytes, image: prepare.Image, where: str) -> bytes:
    """Return the file of a completed model, after a check that it is valid and that its input was adapted correctly."""
    done: bytes = model.SerializeToString(deterministic=True)
    heads.load(done, where)
    if image.notes:
        prepare.prove(data, done, image, where)
    return done


def agrees(graph: Graph, image: F32, expected: NDArray[np.uint8]) -> int:
    """Count the pixels of `image` at which the graph's labels differ from `expected`."""
    given = heads.Runner(graph.data)(image.repeat(graph.shape[0] or 1, 0), graph.roles["labels"])
    own = labels_of(given)[:1]
    return int((own != expected).sum()) if own.shape == expected.shape else expected.size


def _scores(model: Any, output: str | None) -> tuple[str, tuple[Question, ...]]:
    """Return the name of the output with the scores or classes, and the question which one it is if several may be."""
    names = [str(o.name) for o in model.graph.output]
    if output is not None:
        if output not in names:
            raise ParameterError(
                f"there is no such output; it has {', '.join(names)}", where=f"--onnx-output {output}"
            )
        return output, ()
    four = [str(o.name) for o in model.graph.output if len(o.type.tensor_type.shape.dim) == 4]
    if len(names) == 1 or len(four) == 1:
        return names[0] if len(names) == 1 else four[0], ()
    asked = Question(
        f"it has several outputs: {', '.join(names)}",
        f"--onnx-output NAME for the one that holds the scores; that is often the first, {(four or names)[0]}",
    )
    return (four or names)[0], (asked,)


def _ending(model: Any, name: str) -> str:
    """Return the operation that makes an output's values, behind those that only move them."""
    makers = {output: node for node in model.graph.node for output in node.output}
    while name in makers and makers[name].op_type in MOVING:
        name = makers[name].input[0]
    return str(makers[name].op_type) if name in makers else ""


def image_input(model: Any, where: str, wanted: Shape | None) -> prepare.Image:
    """Prepare the only input, an image, with the axes that `wanted` fixes."""
    prepare.drop_held_inputs(model)
    inputs = model.graph.input
    if len(inputs) != 1:
        names = ", ".join(i.name for i in inputs)
        raise GraphError(f"one input is needed, an image; it has {names or 'none'}", where=where)
    if len(inputs[0].type.tensor_type.shape.dim) != 4:
        raise GraphError("the input is not float32 (N, C, H, W)", where=where)
    return prepare.image_first(model, inputs[0], where, wanted)
