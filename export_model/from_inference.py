"""Pack a Paddle network as it was exported: inference.pdmodel or inference.json with its weights beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import labels, values
from export_model.network import DYNAMIC, F32, Network, Shape, digest, existing
from export_model.prepare import noise
from export_model.scores import ScoreOptions, determine
from export_model.selftest import picture
from export_model.sizes import runnable
from quadrat import engines
from quadrat.errors import GraphError, ParameterError, QuadratError
from quadrat.parameters import parse
from quadrat.protocols import Engine
from quadrat.tasks.segment.roles import find_roles
from quadrat.types import ModelPackage

FORMS = {".pdmodel": "pdmodel", ".json": "pir"}
"""Formats of Paddle networks, by suffix."""
MEMBERS = {"pdmodel": "model.pdmodel", "pir": "model.json"}
PARAMS = "model.pdiparams"


def load(
    path: Path, shape: Shape | None, options: ScoreOptions, notify: Callable[[str], None] = print
) -> Network:
    """Read a network and its weights, and run it to see what it gives; `options` state what its scores mean.

    The transforms of a deploy.yaml beside it are used. Raises ParameterError for missing files, GraphError for a
    network that cannot be used, and the errors of an engine that cannot start: .json needs the engine paddle.
    """
    form = FORMS.get(path.suffix.lower())
    if form is None:
        raise ParameterError("its suffix is neither .pdmodel nor .json", where=f"--paddle {path}")
    existing(path, "--paddle")
    weights = existing(path.with_suffix(".pdiparams"), "--paddle")
    shape = shape or DYNAMIC
    package = ModelPackage(path.parent, path.stem, "", "segment", {form: path}, weights, (), (), None, shape)
    engine = engines.start(package, parse({}).engine, logging.getLogger("export"))
    network = Network(
        name=path.stem,
        model={"type": "paddle", "file": path.name},
        files={MEMBERS[form]: path.read_bytes(), PARAMS: weights.read_bytes()},
        engines={form: MEMBERS[form]},
        params=PARAMS,
        shape=shape,
        run=_runner(engine, package),
        transforms=_transforms(path.with_name("deploy.yaml"), notify),
        provenance={"sources": {each.name: digest(each) for each in (path, weights)}},
    )
    return _meant(replace(network, probe=runnable(network.run, shape)), options, notify)


def _runner(engine: Engine, package: ModelPackage) -> Callable[[F32], NDArray[Any]]:
    """Return a function that computes the scores or labels of the network, on the engine that started."""
    roles = find_roles(package, engine.outputs)
    name = roles.get("logits") or roles["labels"]

    def run(image: F32) -> NDArray[Any]:
        return engine.run(np.ascontiguousarray(image, np.float32), [name])[name]

    return run


def _meant(network: Network, options: ScoreOptions, notify: Callable[[str], None]) -> Network:
    """Return the network with what its scores mean; a network that gives classes is returned as it is."""
    images = [picture(seed, network.probe).astype(np.float32) for seed in (0, 1)]
    images.append(noise((network.shape[0], 3, *images[0].shape[2:])))
    hw = images[0].shape[2], images[0].shape[3]
    try:
        arrays = tuple(network.run(image.repeat(network.shape[0] or 1, 0)) for image in images[:2])
    except QuadratError as error:
        raise GraphError(f"it does not run on {images[0].shape}: {error.what}", where=network.name) from error
    given = values.Given(arrays, hw, images[0])
    if values.as_classes(given) is not None:
        return network
    found = values.as_scores(given, "of the network", network.name)
    if found.resize or found.channels_last or found.half:
        raise GraphError(
            f"its scores are {arrays[0].dtype} {arrays[0].shape} for an input of {images[0].shape}",
            where=network.name, hint="Export it with --config, or convert it to ONNX and export that",
        )  # fmt: skip
    meaning = determine(found.arrays, options, notify, appended=False)
    return replace(network, segment=meaning.words, added=meaning.added, questions=meaning.questions)


def _transforms(beside: Path, notify: Callable[[str], None]) -> tuple[Mapping[str, Any], ...]:
    """Return the transforms of a deploy.yaml, or PaddleSeg's default."""
    if beside.is_file():
        deploy = labels.read_document(beside, "--paddle")
        listed = deploy.get("Deploy", {}).get("transforms") if isinstance(deploy, dict) else None
        if isinstance(listed, list) and all(isinstance(t, dict) and "type" in t for t in listed):
            notify(f"transforms: those of {beside.name}")
            return tuple(listed)
    notify("no deploy.yaml beside it: pixels from -1 to 1, unless --mean, --std or --range say otherwise")
    return ({"type": "Normalize"},)
