"""Export a torch detector as ONNX, with its outputs as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import from_detector, objects
from export_model.from_torch import load_weights, make, trace
from export_model.network import DYNAMIC, F32, Network, Shape, digest, existing, need
from quadrat.errors import GraphError, ModelError, ParameterError

NAMES = {
    "rtdetr": ("labels", "boxes", "scores"),
    "rfdetr": ("dets", "labels"),
    "boxes": ("boxes", "labels", "scores"),
}
"""Names of the tensors of a tuple, in order; a dictionary has names itself. Other layouts have one tensor."""


def load(
    factory: str, weights: Path | None, options: from_detector.Options, notify: Callable[[str], None]
) -> tuple[Network, list[dict[str, Any]]]:
    """Call `factory` ("package.module:name"), load `weights` into what it makes, and export that.

    The module returns a tensor, a tuple in the order of NAMES, or a dictionary of tensors. Raises ParameterError, ModelError,
    GraphError, LayoutError, ClassesError.
    """
    need("--torch", "torch", "onnx")
    import torch

    if options.layout is None:
        raise ParameterError("it cannot be guessed for a torch module", where="--layout", hint="Choose one")
    network = make(factory)
    sources = {}
    if weights is None:
        notify("no --weights: the network keeps the weights from the factory")
    else:
        load_weights(network, existing(weights, "--weights"))
        sources[weights.name] = digest(weights)
    wrapped, names = _flat(network.eval(), options.layout)
    data = _export(wrapped, names, options, notify)
    made, classes = from_detector.complete(
        data, factory, options, notify,
        name=factory.rpartition(":")[2],
        model={"type": factory, "parameters": sum(p.numel() for p in network.parameters())},
        provenance={"sources": sources, "versions": {"torch": torch.__version__}},
    )  # fmt: skip
    return _same(made, len(classes) or None, wrapped, names, notify), classes


def _same(
    traced: Network, classes: int | None, wrapped: Any, names: Sequence[str], notify: Callable[[str], None]
) -> Network:
    """Return the network with the module itself as `run`; GraphError if the traced network finds other objects."""
    import torch

    def run(image: F32) -> dict[str, NDArray[Any]]:
        with torch.inference_mode():
            given = wrapped(torch.from_numpy(image))
        return {name: np.asarray(one.numpy()) for name, one in zip(names, given, strict=True)}

    own = replace(traced, run=run)
    hw = objects.sides(traced.shape, traced.transforms)
    image = objects.tensor(objects.drawing(objects.TRIES, hw), traced.transforms)
    found = [from_detector.find_objects(network, classes)(image) for network in (own, traced)]
    difference = objects.compare(*found)
    if not difference.of:
        notify("the module and the traced network are not compared: neither finds an object in the drawing")
    if difference.missing:
        raise GraphError(
            f"the traced network finds other objects than the module in a picture of {hw[1]} x {hw[0]}",
            where="--torch", hint="Fix its size with --input-shape, or compute sizes from tensors in the network",
        )  # fmt: skip
    return own


def _flat(network: Any, layout: str) -> tuple[Any, list[str]]:
    """Wrap a network so that it returns a tuple of tensors; return it, and their names, which its first call sets."""
    import torch

    names: list[str] = []

    class Flat(torch.nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Any) -> Any:
            given = self.network(image)
            if isinstance(given, torch.Tensor):
                given = {"output0": given}
            if isinstance(given, list | tuple):
                known = NAMES.get(layout, ("output0",))
                if len(given) < len(known):
                    raise ModelError(
                        f"it returns {len(given)} tensors, but {layout} has {known}", where="--torch"
                    )
                given = dict(zip(known, given, strict=False))
            if not isinstance(given, Mapping) or not all(isinstance(t, torch.Tensor) for t in given.values()):
                raise ModelError("the network returns no tensors", where="--torch")
            names[:] = [str(key) for key in given]
            return tuple(given.values())

    return Flat().eval(), names


def _export(
    network: Any, names: Sequence[str], options: from_detector.Options, notify: Callable[[str], None]
) -> bytes:
    """Trace to ONNX at the size of the images; batch and size stay dynamic unless --input-shape fixes them."""
    import torch

    shape: Shape = options.shape or DYNAMIC
    width, height = options.preprocessing.size or objects.OPEN[::-1]
    example = torch.zeros(
        (shape[0] or 2, 3, shape[2] or height, shape[3] or width), dtype=torch.float32
    ) + torch.from_numpy(np.linspace(0, 1, 3, dtype=np.float32)).reshape(1, 3, 1, 1)
    return trace(network, example, names, shape, notify, own_sizes=True)
