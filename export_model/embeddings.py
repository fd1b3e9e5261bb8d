"""Export an ONNX network that gives a vector for each picture, such as one that recognises individuals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export_model import heads, onnx_detector, selftest
from export_model.from_onnx import read
from export_model.network import Network, Shape, digest
from export_model.preprocessing import Preprocessing, Usual, assumed
from quadrat.errors import GraphError, ModelError, ParameterError, VectorError
from quadrat.tasks.embed.task import VECTOR, unit

USUAL = Usual(
    stretch=None,
    normalize=None,
    ask="Embeddings differ in it: take it from where the network was published, such as "
    "--stretch 128 256 --bgr --range 0 255",
)
TOLERANCE = 0.0
"""By how much the cosine to the vector of the self-test may be below 1, beside what engines may differ."""
INPUT, MEMBER = "selftest-input.npy", "selftest-vector.npy"


def load(
    path: Path,
    output: str | None,
    shape: Shape | None,
    given: Preprocessing,
    notify: Callable[[str], None] = print,
) -> Network:
    """Read `path`; `output` names the vector if the graph has several outputs, `shape` fixes dynamic axes.

    Raises ParameterError for what is open or wrong, GraphError for a graph that gives no vector.
    """
    data = read(path)
    import onnx

    adapted = onnx_detector.adapt(data, str(path), shape)
    for note in adapted.notes:
        notify(note)
    runner = heads.Runner(adapted.data)
    names = [spec.name for spec in adapted.outputs]
    name = _chosen(names, output)
    height, width = adapted.shape[2:]
    size = (width, height) if width is not None and height is not None else None
    transforms = given.listed(USUAL, size)
    if size is None and given.transforms is None and given.size is None:
        raise ParameterError(
            "the network takes any size, and the size of its training is not known",
            where="--letterbox, --stretch",
            hint="Give --stretch WIDTH HEIGHT or --letterbox WIDTH HEIGHT",
        )
    if given.bgr is None and given.transforms is None:
        notify(assumed("channels in RGB order", "--bgr or --no-bgr"))
    network = Network(
        name=path.stem,
        model={"type": "onnx", "file": path.name},
        files={"model.onnx": adapted.data},
        engines={"onnx": "model.onnx"},
        outputs={VECTOR: name},
        shape=adapted.shape,
        input_name=adapted.image,
        run=lambda image: runner(image, name),
        transforms=transforms,
        provenance={"sources": {path.name: digest(path)}, "versions": {"onnx": onnx.__version__}},
        task="embed",
        probe=_probe(adapted.shape, given),
    )
    notify(f"embedding: a vector of {_length(network)} values from {name}, compared by cosine")
    return network


def _chosen(names: Sequence[str], output: str | None) -> str:
    """Return the output that holds the vector."""
    if output is not None and output not in names:
        raise ParameterError(
            f"there is no such output; it has {', '.join(names)}", where=f"--onnx-output {output}"
        )
    if output is None and len(names) != 1:
        raise ParameterError(
            f"it has several outputs: {', '.join(names)}",
            where="--onnx-output",
            hint="Name the one that holds the vector",
        )
    return output or names[0]


def _probe(shape: Shape, given: Preprocessing) -> Shape:
    """Return a shape at which the network is used."""
    width, height = given.size or (None, None)
    return (shape[0], shape[1], shape[2] or height, shape[3] or width)


def _length(network: Network) -> int:
    """Return the length of the vector, after a check that it is one. Raises GraphError."""
    image = selftest.picture(0, network.probe).astype(np.float32).repeat(network.shape[0] or 1, 0)
    try:
        return len(unit(np.asarray(network.run(image))[0], network.name))
    except (ModelError, VectorError) as error:
        raise GraphError(error.what, where=network.name, hint=error.hint) from error


def self_test(
    network: Network, _classes: Sequence[Mapping[str, Any]], _warn: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Any], int | None]:
    """Make the self-test: its arrays by member, its entry in meta.json, and None for the number of classes."""
    image = selftest.picture(0, network.probe)
    given = network.run(image.astype(np.float32).repeat(network.shape[0] or 1, 0))
    vector = unit(np.asarray(given)[0], network.name)
    stated = {"input": INPUT, VECTOR: MEMBER, "tolerance": TOLERANCE}
    return {INPUT: image, MEMBER: vector}, stated, None
