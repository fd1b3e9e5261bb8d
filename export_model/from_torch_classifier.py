"""Export a torch module that classifies pictures as ONNX, with its scores and features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import classifier
from export_model.classifier import Notify, Options
from export_model.from_torch import load_weights, make, trace
from export_model.network import F32, Network, Shape, digest, existing, need
from export_model.prepare import noise
from export_model.sizes import reached
from quadrat.errors import ModelError, ParameterError

OUTPUT, FEATURES = "scores", "features"
KEYS = ("logits", "out", "scores", "probabilities")
"""Keys of a dictionary that a module may return its scores under."""


def load(
    factory: str, weights: Path | None, options: Options, notify: Notify
) -> tuple[Network, list[dict[str, Any]]]:
    """Call `factory` ("package.module:name"), load `weights` into what it makes, and export that.

    The module returns scores (N, K), a tuple that begins with them, or a dictionary that may hold `features`
    (N, D), too. Raises ParameterError, ModelError, GraphError, ClassesError.
    """
    need("--torch", "torch", "onnx")
    import torch

    network = make(factory)
    sources = {}
    if weights is None:
        notify("no --weights: the network keeps the weights from the factory")
    else:
        load_weights(network, existing(weights, "--weights"))
        sources[weights.name] = digest(weights)
    return export(
        network, options, notify, where=factory,
        name=factory.rpartition(":")[2],
        model={"type": factory, "parameters": sum(p.numel() for p in network.parameters())},
        provenance={"sources": sources, "versions": {"torch": torch.__version__}},
    )  # fmt: skip


def export(
    network: Any, options: Options, notify: Notify, *, where: str, **said: Any
) -> tuple[Network, list[dict[str, Any]]]:
    """Trace a module, complete its graph, and compare both; `said` are further fields of the Network."""
    wrapped, names = _flat(network.eval())
    data = trace(wrapped, _example(options), names, _shape(options, where), notify, own_sizes=True)
    if FEATURES in names and options.choice.features is None:
        options = replace(options, choice=replace(options.choice, features=FEATURES))
    options = replace(options, choice=replace(options.choice, output=OUTPUT))
    made, classes = classifier.complete(data, where, options, notify, **said)
    classifier.check_same(made, _scores(wrapped), where)
    return made, classes


def _shape(options: Options, where: str) -> Shape:
    """Return the shape to trace at: that of the options, or an open batch with the size of the pictures."""
    given = options.preprocessing
    if options.shape and all(options.shape[2:]):
        return options.shape
    size = given.size or (reached(given.transforms or ()) or (None, None))[::-1]
    if size is None or None in size:
        raise ParameterError(
            "the size of its pictures is not known", where=where,
            hint="Give --crop W H, --stretch W H or --letterbox W H as in its training",
        )  # fmt: skip
    batch = options.shape[0] if options.shape else None
    return (batch, 3, size[1], size[0])


def _example(options: Options) -> Any:
    import torch

    shape = _shape(options, "--torch")
    return torch.from_numpy(noise((shape[0] or 2, *shape[1:])))


def _scores(wrapped: Any) -> Callable[[F32], NDArray[Any]]:
    """Return a function that gives the scores of the module for (N, C, H, W)."""
    import torch

    def run(image: F32) -> NDArray[Any]:
        with torch.inference_mode():
            return np.asarray(wrapped(torch.from_numpy(image))[0].numpy())

    return run


def _flat(network: Any) -> tuple[Any, list[str]]:
    """Wrap a network so that it returns a tuple of its scores and, if it has them, its features; names of both."""
    import torch

    names: list[str] = []

    class Flat(torch.nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Any) -> tuple[Any, ...]:
            given = self.network(image)
            features = None
            if isinstance(given, Mapping):
                features = given.get(FEATURES)
                given = next((given[key] for key in KEYS if key in given), None)
            if isinstance(given, (list, tuple)):
                given = given[0]
            if not isinstance(given, torch.Tensor) or given.ndim not in (2, 4):
                raise ModelError("the network returns no scores (N, classes)", where="--torch")
            found = {OUTPUT: given} | ({FEATURES: features} if features is not None else {})
            names[:] = list(found)
            return tuple(found.values())

    return Flat().eval(), names
