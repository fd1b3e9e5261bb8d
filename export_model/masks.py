"""Complete a network that makes masks: its transforms, its classes, and the questions that are still open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import labels, sizes
from export_model.network import F32, Network
from export_model.preprocessing import Preprocessing, Usual, assumed
from export_model.questions import ask

USUAL = Usual(stretch=True, normalize=((0.5,), (0.5,)))
"""As PaddleSeg trains: pixels from -1 to 1."""
Classes = Sequence[Mapping[str, Any]]


def complete(
    network: Network,
    classes: Classes,
    given: Preprocessing,
    multiples: str | None,
    notify: Callable[[str], None],
) -> tuple[Network, list[dict[str, Any]]]:
    """Return the network with its transforms, and its classes: those given, or those that its file states.

    `multiples` is "pad", "resize" or None. Raises ParameterError with everything that the network leaves open.
    """
    network = _transformed(network, given, notify)
    divisor = sizes.find_divisor(_runner(network), network.shape)
    if multiples and divisor > 1:
        first = sizes.multiples(multiples, divisor)
        network = replace(network, transforms=(first, *network.transforms))
        notify(f"sizes: multiples of {divisor}, by {first['type']}")
    size = sizes.question(network, divisor)
    ask([*network.questions, *([size] if size else [])], network.name)
    return network, _classes(network, classes, notify)


def _transformed(network: Network, given: Preprocessing, notify: Callable[[str], None]) -> Network:
    """Return the network with the transforms of the command line, or those of its config."""
    if given.transforms is not None:
        return replace(network, transforms=given.transforms)
    stated = [each for each in network.transforms if each.get("type") == "Normalize"]
    usual = USUAL
    if not given.normalized and network.params is None:
        order = "BGR" if given.bgr else "RGB"
        notify(
            assumed(f"pixels from -1 to 1 in {order} order, as PaddleSeg trains", "--range, --mean and --std")
        )
    if stated and not given.normalized and not given.bgr and given.size is None:
        return network
    if stated and not given.normalized:
        mean, std = (tuple(stated[0].get(key, (0.5,))) for key in ("mean", "std"))
        usual = replace(USUAL, normalize=(mean, std))
    return replace(network, transforms=given.listed(usual, None))


def _runner(network: Network) -> Callable[[F32], NDArray[Any]]:
    def run(image: F32) -> NDArray[Any]:
        return np.asarray(network.run(image))

    return run


def _classes(network: Network, classes: Classes, notify: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the classes, with a background that is not listed as the first."""
    made = [dict(each) for each in classes]
    if not made and network.names:
        notify(f"classes: {len(network.names)}, from the metadata of the file")
        made = [labels.entry(name) for name in network.names]
    if network.added and made:
        made.insert(0, labels.entry(labels.clean(network.added, "--background")))
    labels.check_names(made, "--class, --background")
    return made
