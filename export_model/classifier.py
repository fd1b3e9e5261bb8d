"""Complete a classifier from any route: its transforms, its classes, and what its outputs mean."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import from_onnx, heads, hierarchy, label_outputs, labels, prepare
from export_model.label_outputs import Choice, Labelling
from export_model.network import F32, Network, Shape, digest
from export_model.preprocessing import IMAGENET, Preprocessing, Usual, assumed
from export_model.questions import Question, ask
from quadrat.errors import ClassesError, GraphError, ParameterError
from quadrat.package.labels import read_labels
from quadrat.task_kinds import kind_of

TASK = "classify"
VALUES = (
    f"--mean {' '.join(map(str, IMAGENET[0]))} --std {' '.join(map(str, IMAGENET[1]))} (those of ImageNet, for most of "
    "timm and torchvision), or --range 0 1, --range -1 1 or --range 0 255"
)
USUAL = Usual(stretch=None, normalize=None, ask=VALUES, resample="bilinear")
"""Classifiers are trained in too many ways for a default."""
CLOSE = 1e-4
"""Largest difference between the scores of a module and of its traced network."""
EXAMPLE = 224
"""The side at which a network of open size is tried."""
Classes = Sequence[Mapping[str, Any]]
Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """The command line about a classifier; None, () or empty if not given.

    `classes` are those of the command line, `parents` and `levels` the hierarchy of their names; `shape` fixes open
    axes of the input, (N, C, H, W).
    """

    choice: Choice
    classes: Classes = ()
    threshold: tuple[float, ...] = ()
    parents: Mapping[str, str | None] = field(default_factory=dict)
    levels: tuple[str, ...] = ()
    shape: Shape | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)


def add_options(made: argparse.ArgumentParser) -> None:
    """Add the options for classifiers only to a command line."""
    group = made.add_argument_group("classifiers")
    group.add_argument(
        "--hierarchy", type=Path, metavar="FILE",
        help="CSV with the columns name and parent, or JSON {name: parent}: the groups that classes belong to",
    )  # fmt: skip
    group.add_argument(
        "--levels", nargs="+", metavar="LEVEL", help="names of the levels of --hierarchy, the coarsest first"
    )
    group.add_argument(
        "--features", metavar="TENSOR",
        help="tensor with the feature vector of a picture [what the last layer takes]",
    )  # fmt: skip


def read(
    given: argparse.Namespace,
    classes: Classes,
    shape: Shape | None,
    preprocessing: Preprocessing,
    notify: Notify,
) -> tuple[Network, list[dict[str, Any]]]:
    """Read the classifier that a parsed command line names, with its classes. Raises what its route raises."""
    options = options_of(given, classes, shape, preprocessing)
    if given.transformers is not None:
        from export_model import from_transformers

        return from_transformers.load(given.transformers, options, notify)
    if given.torch is not None:
        from export_model import from_torch_classifier

        return from_torch_classifier.load(given.torch, given.weights, options, notify)
    return from_file(given.onnx, options, notify)


def options_of(
    given: argparse.Namespace, classes: Classes, shape: Shape | None, preprocessing: Preprocessing
) -> Options:
    """Return the options of a parsed command line. Raises ParameterError for those that a classifier does not have."""
    if given.background is not None:
        raise ParameterError(
            "a classifier has no background", where="--background",
            hint="If one class means that there is nothing, name it with the others",
        )  # fmt: skip
    if given.levels and not given.hierarchy:
        raise ParameterError("it only goes with --hierarchy", where="--levels")
    choice = Choice(
        given.onnx_output, given.features, given.activation, bool(given.multi_label), len(classes) or None
    )
    return Options(
        choice, classes, tuple(given.threshold or ()), hierarchy.read(given.hierarchy) if given.hierarchy else {},
        tuple(given.levels or ()), shape, preprocessing,
    )  # fmt: skip


def from_file(path: Path, options: Options, notify: Notify) -> tuple[Network, list[dict[str, Any]]]:
    """Read an ONNX classifier, with the classes of the command line or of its file.

    Raises ParameterError with everything that is open, GraphError and ClassesError for what cannot be used.
    """
    import onnx

    return complete(
        from_onnx.read(path), str(path), options, notify,
        name=path.stem, model={"type": "onnx", "file": path.name},
        provenance={"sources": {path.name: digest(path)}, "versions": {"onnx": onnx.__version__}},
    )  # fmt: skip


def complete(
    data: bytes, where: str, options: Options, notify: Notify, **said: Any
) -> tuple[Network, list[dict[str, Any]]]:
    """Return the network of an ONNX file and its classes; `said` are further fields of the Network."""
    model = heads.load(data, where)
    names = labels.from_metadata({p.key: p.value for p in model.metadata_props})
    questions: list[Question] = []
    image, sized = _image(model, where, options, questions)
    heads.with_shape(model, image.shape)
    choice = options.choice if options.classes else replace(options.choice, count=len(names) or None)
    found = label_outputs.complete(model, image.shape, choice, where)
    for note in (*image.notes, *found.notes):
        notify(note)
    transforms = _transforms(options.preprocessing, sized, questions, notify)
    questions += found.questions
    ask(questions, where)
    classes = _classes(options.classes or _named(names, found, notify), found, where)
    network = Network(
        files={"model.onnx": found.data}, engines={"onnx": "model.onnx"}, outputs=found.roles, shape=image.shape,
        input_name=image.name, run=_runner(found), transforms=transforms, task=TASK,
        classify=_words(found, options), **said,
    )  # fmt: skip
    if not classes:
        notify(
            "the classes have no names: tables will call them class 0, class 1, ... (--classes names them)"
        )
    read_labels({"classify": dict(network.classify), "classes": classes})
    return network, classes


def _image(
    model: Any, where: str, options: Options, questions: list[Question]
) -> tuple[prepare.Image, tuple[int, int] | None]:
    """Prepare the input, with the size of the options if its own is open; return it with its (width, height).

    Without any size, it is a question, and an example is taken to find out the rest.
    """
    size = options.preprocessing.size
    image = from_onnx.image_input(model, where, options.shape)
    height, width = image.shape[2:]
    if not (height and width) and size is None and options.preprocessing.transforms is None:
        questions.append(
            Question(
                "it takes pictures of several sizes, and the file does not say which it was trained on",
                "--crop W H, --stretch W H or --letterbox W H",
            )
        )
    open_size = size or (EXAMPLE, EXAMPLE)
    hw = (height or open_size[1], width or open_size[0])
    fixed = bool(height and width) or options.preprocessing.transforms is None
    shape = (*image.shape[:2], *hw) if fixed else image.shape
    return replace(image, shape=shape), (hw[1], hw[0]) if height and width else size


def _transforms(
    given: Preprocessing, size: tuple[int, int] | None, questions: list[Question], notify: Notify
) -> tuple[Mapping[str, Any], ...]:
    """Return the transforms, and add what is open about them to the questions."""
    if given.transforms is not None:
        return given.transforms
    usual = USUAL
    if given.size is None and size is not None:
        width, height = size
        questions.append(
            Question(
                f"how pictures are brought to {width} x {height} pixels is not known",
                f"--crop {width} {height} (the middle of the picture; add --short-side PIXELS if it is cut out of a "
                f"larger one), --stretch {width} {height} (the whole) or --letterbox {width} {height}",
            )
        )
        usual = replace(usual, stretch=True)
    if not given.normalized:
        questions.append(Question("what values the network expects is not known", VALUES))
        usual = replace(usual, normalize=IMAGENET)
    if questions:
        return given.listed(usual, size)
    if given.bgr is None:
        notify(assumed("channels in RGB order", "--bgr"))
    if given.resample is None and not given.letterbox:
        notify(
            assumed("pictures are resized with Pillow's bilinear filter, as torchvision does", "--resample")
        )
    return given.listed(usual, size)


def _named(names: Sequence[str], found: Labelling, notify: Notify) -> list[dict[str, Any]]:
    """Return the classes that the file names, if their number fits."""
    if names and len(names) not in _counts(found):
        notify(f"the file names {len(names)} classes, the network has {found.channels}: they are not used")
        return []
    if names:
        notify(f"classes: {len(names)}, from the metadata of the file")
    return [labels.entry(name, urn=kind_of(TASK).class_urn) for name in names]


def _counts(found: Labelling) -> tuple[int, ...]:
    return (1, 2) if found.channels == 1 else (found.channels,)


def _classes(classes: Classes, found: Labelling, where: str) -> list[dict[str, Any]]:
    """Return one class for each score, or two for one score; [] if none is named.

    Raises ClassesError if numbers differ, and ParameterError for names that repeat.
    """
    made = [dict(each) for each in classes]
    if not made:
        return []
    if len(made) not in _counts(found):
        raise ClassesError(
            f"{len(made)} classes are named, but the network gives {found.channels} scores for a picture", where=where,
            hint="Name each class once, in the order of the scores",
        )  # fmt: skip
    if len(made) == 1 and found.channels == 1:
        made.insert(
            0, labels.entry(labels.clean(f"no {made[0]['name']}", where), urn=kind_of(TASK).class_urn)
        )
    labels.check_names(made, where)
    return made


def _words(found: Labelling, options: Options) -> dict[str, Any]:
    """Return the `classify` entry of meta.json."""
    words: dict[str, Any] = {
        "activation": found.activation, "multi-label": found.multi_label, "temperature": 1.0,
    }  # fmt: skip
    if any(not 0 < t < 1 for t in options.threshold):
        raise ParameterError("a number between 0 and 1 is needed", where="--threshold")
    count = max(found.channels, 2)
    if len(options.threshold) not in (0, 1, count):
        raise ParameterError(f"give one number, or one for each of the {count} classes", where="--threshold")
    if options.threshold:
        words["threshold"] = options.threshold[0] if len(options.threshold) == 1 else list(options.threshold)
    if options.parents:
        words["parents"] = dict(options.parents)
    if options.levels:
        words["levels"] = list(options.levels)
    return words


def _runner(found: Labelling) -> Callable[[F32], dict[str, Any]]:
    """Return a function that gives the outputs for (N, C, H, W) by their tensors' names."""
    run = heads.Runner(found.data)

    def every(image: F32) -> dict[str, Any]:
        return run.every(image.astype(run.dtype))

    return every


def check_same(network: Network, run: Callable[[F32], NDArray[Any]], where: str) -> None:
    """Compare the traced network with its module `run`, which gives scores (N, K); GraphError if they differ.

    The scores of the module may be probabilities whose logits the traced network gives.
    """
    role = next(role for role in ("logits", "scores") if role in network.outputs)
    activation = str(network.classify["activation"])
    for batch in (1, 3):
        image = prepare.noise((network.shape[0] or batch, *network.shape[1:]), batch)
        own = run(image).reshape(len(image), -1)
        traced = network.run(image)[network.outputs[role]]
        if own.shape == traced.shape and np.allclose(own, traced, rtol=CLOSE, atol=CLOSE * np.abs(own).max()):
            continue
        shares = label_outputs.activated(traced, activation)
        if own.shape != shares.shape or not np.allclose(own, shares, atol=CLOSE):
            raise GraphError(
                f"the traced network gives other scores than the module for {len(image)} pictures", where=where,
                hint="Fix its batch with --input-shape, or compute sizes from tensors in the network",
            )  # fmt: skip
