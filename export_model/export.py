"""Make a model archive, model.tgz, from an ONNX file, a torch module, a Hugging Face folder or a PaddleSeg config."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from export_model import (
    archive,
    classifier,
    from_enhancer,
    labels,
    masks,
    on_objects,
    pictures,
    preprocessing,
    sizes,
)
from export_model.command import parser
from export_model.network import Network, Shape, check_size
from export_model.scores import ScoreOptions
from quadrat.errors import ParameterError, QuadratError
from quadrat.package.detectors import CHOICES
from quadrat.package.write import write_archive
from quadrat.task_kinds import default_task, kind_of


def main(arguments: Sequence[str] | None = None, prog: str = "export.py") -> int:
    """Export and return the exit status: 0, 2 for a wrong option, 3 for a network that cannot be used."""
    given = parser(prog).parse_args(arguments)
    try:
        export(given)
    except QuadratError as error:
        print(error.line, file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(
            ParameterError(str(error.strerror), where=str(error.filename or given.save_path)).line,
            file=sys.stderr,
        )
        return ParameterError.exit_status
    return 0


def export(given: argparse.Namespace) -> None:
    """Read, convert and write; print what the archive contains."""
    objects = on_objects.stated(given)
    network, classes = read(given)
    network = replace(network, trained_size=given.trained_size, objects=objects)
    if given.trained_size is None and kind_of(network.task).measures and not sizes.fixed(network):
        print("no --trained-size: orders cannot warn of images at another scale than those of the training")
    name = labels.clean(given.name or network.name, "--name")
    files, channels = archive.assemble(network, classes, name, print)
    archive.check_readable(files)
    digest = write_archive(files, given.save_path)
    beside = archive.write_metadata(files, given.save_path)
    size = given.save_path.stat().st_size
    forms = ", ".join(network.engines.values())
    heads = ", ".join(network.outputs) or "those of the Paddle network"
    named = archive.count_words(network.task, classes, channels)
    weight = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
    print(f"{given.save_path}: {weight}, sha256 {digest}")
    print(f"  networks: {forms}; outputs: {heads}; classes: {named}; transforms: {list(network.transforms)}")
    print(f"  metadata to upload with it: {beside}")


def read(given: argparse.Namespace) -> tuple[Network, list[dict[str, Any]]]:
    """Read the network that the options name, and its classes. Raises QuadratError for all that is wrong or open."""
    pipeline = _pipeline(given)
    _check(given)
    network, classes = READERS[given.task](given, _classes(given, pipeline))
    if kind_of(given.task).measures:  # what makes pictures takes every size, in tiles
        sizes.check(network)
    return network, classes


def _pipeline(given: argparse.Namespace) -> dict[str, Any]:
    """Fill in options from --cv-config that the command line does not give, and return the JSON."""
    if given.cv_config is None:
        return {}
    pipeline = labels.read_document(given.cv_config, "--cv-config")
    if not isinstance(pipeline, dict):
        raise ParameterError("a JSON object is needed", where=f"--cv-config {given.cv_config}")
    for option, what in (("config", "config"), ("model", "model")):
        key = f"paddlepaddlesegmentation_{what}_filename"
        if getattr(given, option) is None:
            if not isinstance(pipeline.get(key), str):
                raise ParameterError(f"{key} is missing", where=f"--cv-config {given.cv_config}")
            setattr(given, option, given.cv_config.parent / pipeline[key])
    return pipeline


def _check(given: argparse.Namespace) -> None:
    """Raise ParameterError for options that exclude each other or have no effect."""
    routes = [
        r for r in ("config", "paddle", "transformers", "torch", "onnx") if getattr(given, r) is not None
    ]
    if len(routes) != 1:
        raise ParameterError(
            "exactly one source is needed, " + (" and ".join(routes) or "none") + " given",
            where="--config, --cv-config, --paddle, --transformers, --torch, --onnx",
            hint="Give --onnx FILE, --torch MODULE:FACTORY or --config YML",
        )
    belongs = {"model": "config", "without_argmax": "config", "with_softmax": "config", "weights": "torch",
               "onnx_output": "onnx"}  # fmt: skip
    for option, route in belongs.items():
        if getattr(given, option) and route != routes[0]:
            raise ParameterError(f"it only goes with --{route}", where="--" + option.replace("_", "-"))
    if given.task is None:
        given.task = classifier.TASK if given.transformers else default_task()
    _check_task(given, routes[0])
    if given.names and given.classes:
        raise ParameterError("classes are given twice", where="--class, --classes")
    stated = [o for o in ("activation", "background", "threshold", "multi_label") if getattr(given, o)]
    if stated and routes == ["config"]:
        raise ParameterError(
            "a PaddleSeg network has classes that exclude each other",
            where="--" + stated[0].replace("_", "-"),
            hint="Export the network with PaddleSeg, and pack that with --paddle",
        )
    preprocessing.check(given)
    if given.multiples and (given.letterbox or given.stretch or given.crop or given.transforms):
        raise ParameterError("it has no effect with another size", where="--multiples")
    if given.trained_size is not None and not 1 <= given.trained_size <= 1_000_000:
        raise ParameterError("a number of pixels is needed", where="--trained-size")
    if given.save_path.is_dir():
        raise ParameterError("it is a folder, not a file", where=f"--save-path {given.save_path}")


def _check_task(given: argparse.Namespace, route: str) -> None:
    """Raise ParameterError for a detector's options without a detector, and for a source it cannot come from."""
    routes = ROUTES[given.task]
    if route not in routes:
        ways = " or ".join(f"--{each}" for each in reversed(routes))
        raise ParameterError(f"its networks come from {ways}", where=f"--task {given.task}")
    for option in dict.fromkeys(option for options in OPTIONS.values() for option in options):
        tasks = [task for task, options in OPTIONS.items() if option in options]
        if getattr(given, option) and given.task not in tasks:
            where = "--" + {"pictures": "picture"}.get(option, option).replace("_", "-")
            raise ParameterError(f"it only goes with --task {' or '.join(tasks)}", where=where)


def _classes(given: argparse.Namespace, pipeline: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the classes that the command line gives; their names are unique."""
    urn = kind_of(given.task).class_urn
    if given.names:
        where, classes = "--class", [labels.parse_class(text, urn) for text in given.names]
    elif given.classes:
        where, classes = f"--classes {given.classes}", labels.read_classes(given.classes, urn)
    else:
        where, classes = f"--cv-config {given.cv_config}", labels.from_pipeline(pipeline)
    labels.check_names(classes, where)
    return classes


def _network(given: argparse.Namespace, options: ScoreOptions) -> Network:
    """Load the network by the route of its source; only that route's libraries are imported."""
    shape = _shape(given.input_shape)
    if given.torch is not None:
        from export_model import from_torch

        return from_torch.load(given.torch, given.weights, shape, print, options)
    if given.onnx is not None:
        from export_model import from_onnx

        return from_onnx.load(given.onnx, given.onnx_output, shape, options)
    if given.paddle is not None:
        from export_model import from_inference

        return from_inference.load(given.paddle, shape, options)
    from export_model import from_paddle

    paddle = from_paddle.Options(given.without_argmax, given.with_softmax, shape, given.onnx_python or None)
    return from_paddle.load(given.config, given.model, paddle, print)


def _detector(
    given: argparse.Namespace, classes: list[dict[str, Any]]
) -> tuple[Network, list[dict[str, Any]]]:
    """Load a detector, with its classes: the given ones, or those that the file states."""
    from export_model import from_detector

    options = from_detector.Options(
        layout=given.layout, output=given.onnx_output, background=given.background, classes=classes,
        shape=_shape(given.input_shape), preprocessing=_preprocessing(given),
        words={key: getattr(given, key) for key in CHOICES if getattr(given, key, None) is not None}
        | ({"threshold": given.threshold} if given.threshold else {}),
        pictures=[pictures.read(path) for path in given.pictures or ()],
    )  # fmt: skip
    if given.torch is not None:
        from export_model import from_torch_detector

        return from_torch_detector.load(given.torch, given.weights, options, print)
    return from_detector.load(given.onnx, options, print)


def _labels(given: argparse.Namespace, classes: list[dict[str, Any]]) -> tuple[Network, list[dict[str, Any]]]:
    """Read a classifier, with its classes: the given ones, or those that its file or folder states."""
    return classifier.read(given, classes, _shape(given.input_shape), _preprocessing(given), print)


def _masks(given: argparse.Namespace, classes: list[dict[str, Any]]) -> tuple[Network, list[dict[str, Any]]]:
    """Read a network that makes masks; its classes are those of the command line, or those that its file states."""
    options = ScoreOptions(
        given.activation, given.background, tuple(given.threshold or ()), given.multi_label,
        tuple(each["name"] for each in classes),
    )  # fmt: skip
    network = _network(given, options)
    return masks.complete(network, classes, _preprocessing(given), given.multiples, print)


def _preprocessing(given: argparse.Namespace) -> preprocessing.Preprocessing:
    return preprocessing.of(given)


def _shape(shape: list[int] | None) -> Shape | None:
    if shape is None:
        return None
    if any(s == 0 or s < -1 for s in shape) or shape[1] not in (3, -1):
        raise ParameterError("four sizes are needed, above 0 or -1; C is 3", where="--input-shape")
    made: Shape = tuple(None if s == -1 else s for s in (shape[0], 3, *shape[2:]))
    check_size(made)
    return made


def _embedding(
    given: argparse.Namespace, classes: list[dict[str, Any]]
) -> tuple[Network, list[dict[str, Any]]]:
    """Read a network that gives a vector for each picture; it has no classes."""
    from export_model import embeddings

    if classes:
        raise ParameterError("an embedding has no classes", where="--class, --classes", hint="Leave it out")
    shape = _shape(given.input_shape)
    return embeddings.load(given.onnx, given.onnx_output, shape, _preprocessing(given)), []


READERS = {
    "segment": _masks,
    "detect": _detector,
    "classify": _labels,
    "embed": _embedding,
    "enhance": from_enhancer.read,
}
"""How a network is read, by task."""
ROUTES = {
    "segment": ("config", "paddle", "torch", "onnx"), "detect": ("torch", "onnx"),
    "classify": ("transformers", "torch", "onnx"), "embed": ("onnx",),
    "enhance": ("torch", "onnx"),
}  # fmt: skip
"""What a network can come from, by task."""
OPTIONS = {
    "detect": ("layout", "pictures", "nms", "boxes", "unit"), "segment": ("multi_label", "multiples"),
    "classify": ("multi_label", "hierarchy", "levels", "features"), "enhance": ("scale", "multiple_of", "output_range"),
}  # fmt: skip
"""Options for some tasks only."""


if __name__ == "__main__":
    sys.exit(main())
