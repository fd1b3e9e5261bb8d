"""A torch module -> ONNX with three outputs."""

from __future__ import annotations

import importlib
import io
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model.from_onnx import Graph, complete
from export_model.heads import TINY, Runner
from export_model.network import DYNAMIC, F32, Network, Shape, digest, existing, need
from export_model.selftest import picture
from quadrat.errors import GraphError, ModelError, ParameterError

OPSET = 17
CLOSE = 1e-3


def load(factory: str, weights: Path | None, shape: Shape | None, say: Callable[[str], None]) -> Network:
    """Call `factory` ("package.module:name"), load `weights` into what it makes, and export that.

    `say` is told what to know. The factory is the user's own code, found from the current folder as well; weights are only
    ever read as tensors. Raises ParameterError, ModelError (weights that do not fit) or GraphError.
    """
    need("--torch", "torch", "onnx")
    import torch

    network = make(factory)
    sources = {}
    if weights is None:
        say("no --weights: the network is as the factory makes it")
    else:
        load_weights(network, existing(weights, "--weights"))
        sources[weights.name] = digest(weights)
    network.eval()
    wrapped = _scores_only(network)
    shape = shape or DYNAMIC
    graph = complete(_export(wrapped, shape, say), factory, shape=shape)

    def run(image: F32) -> NDArray[Any]:
        with torch.inference_mode():
            return np.asarray(wrapped(torch.from_numpy(image)).numpy())

    _check_sizes(graph, run)
    return Network(
        name=factory.rpartition(":")[2],
        model={"type": factory, "parameters": sum(p.numel() for p in network.parameters())},
        files={"model.onnx": graph.data},
        engines={"onnx": "model.onnx"},
        outputs=graph.roles,
        shape=graph.shape,
        run=_like(graph, run),
        provenance={"sources": sources, "versions": {"torch": torch.__version__}},
    )


def make(factory: str) -> Any:
    """Call a factory, "package.module:name", and give its module; ParameterError where it makes none."""
    import torch

    module, colon, name = factory.partition(":")
    if not colon or not name:
        raise ParameterError("the form is package.module:factory", where=f"--torch {factory}")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        made = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError, TypeError) as error:
        raise ParameterError(
            f"{type(error).__name__}: {error}", where=f"--torch {factory}",
            hint="It must be importable and take no arguments",
        ) from error  # fmt: skip
    if not isinstance(made, torch.nn.Module):
        raise ParameterError(f"it made a {type(made).__name__}, no torch module", where=f"--torch {factory}")
    return made


def load_weights(network: Any, path: Path) -> None:
    """Read safetensors or a state_dict, never code, and fill the network with it, all or nothing."""
    import torch

    if path.suffix == ".safetensors":
        need("--weights", "safetensors")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # type: ignore[import-not-found,unused-ignore]  # only in the export environments

            state: Any = load_file(str(path))
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns of a pickle, and then refuses it
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and safetensors errors share no base
        raise ModelError(
            "these are no plain tensors", where=f"--weights {path}",
            hint="Save them with torch.save(network.state_dict(), path) or as safetensors",
        ) from error  # fmt: skip
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        said = "; ".join(line.strip() for line in str(error).splitlines()[1:3]) or str(error)
        raise ModelError(f"they do not fit the network: {said[:300]}", where=f"--weights {path}") from error


def _scores_only(network: Any) -> Any:
    """Wrap a network so that it returns its scores, whichever of the usual containers they come in."""
    import torch

    class Scores(torch.nn.Module):  # type: ignore[misc]  # torch is not there where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Any) -> Any:
            given = self.network(image)
            if isinstance(given, Mapping):
                given = next((given[k] for k in ("out", "logits") if k in given), None)
            if isinstance(given, (list, tuple)):
                given = given[0]
            if not isinstance(given, torch.Tensor) or given.ndim != 4:
                raise ModelError("the network gives no scores (N, classes, H, W)", where="--torch")
            return given

    return Scores().eval()


def _export(network: Any, shape: Shape, say: Callable[[str], None]) -> bytes:
    """Trace to ONNX, with every axis that `shape` leaves open dynamic; `say` what the tracer warns of."""
    import torch

    example = torch.from_numpy(picture(0, shape).astype(np.float32))
    return trace(network, example.repeat(shape[0] or 1, 1, 1, 1), ["scores"], shape, say)


def trace(
    network: Any,
    example: Any,
    names: Sequence[str],
    shape: Shape,
    say: Callable[[str], None],
    *,
    own_sizes: bool = False,
) -> bytes:
    """Trace a torch module to ONNX on `example`; outputs have the image's open axes, with `own_sizes` the batch only.

    `names` of the outputs are read after a first run, which may fill them. Raises GraphError.
    """
    import torch

    axes = {i: n for i, n in enumerate(("batch", "channels", "height", "width")) if shape[i] is None}
    given = {i: n for i, n in axes.items() if i == 0 or not own_sizes}
    buffer = io.BytesIO()
    with warnings.catch_warnings(record=True) as heard, torch.inference_mode():
        warnings.simplefilter("always")
        try:
            network(example)
            torch.onnx.export(
                network, (example,), buffer, input_names=["image"], output_names=list(names),
                dynamic_axes={"image": axes, **(dict.fromkeys(names, given) if given else {})} if axes else None,
                opset_version=OPSET, dynamo=False,
            )  # fmt: skip
        except ModelError:
            raise
        except Exception as error:  # the tracer and the network raise anything
            first = (str(error).splitlines() or [""])[0]
            raise GraphError(
                f"it cannot be traced: {type(error).__name__}: {first}", where="--torch"
            ) from error
    pass_on([w for w in heard if issubclass(w.category, torch.jit.TracerWarning)], say)
    return buffer.getvalue()


def pass_on(heard: Sequence[warnings.WarningMessage], say: Callable[[str], None]) -> None:
    """Put the tracer's warnings into one line; torch says the same thing once for each place in the code."""
    places = list(dict.fromkeys(f"{Path(w.filename).name}:{w.lineno}" for w in heard))
    if places:
        first = str(heard[0].message).split(". ")[0]
        say(f"torch's TracerWarning at {', '.join(places)}: {' '.join(first.split())}")


def _check_sizes(graph: Graph, run: Any) -> None:
    """Run another size and batch than the one traced; GraphError where the graph gives other scores."""
    batch, _, height, width = graph.shape
    other = (batch, 3, height or 160, width or 224)
    images = np.concatenate([picture(seed, other) for seed in range(batch or 2)]).astype(np.float32)
    try:
        given, wanted = Runner(graph.data)(images, "logits"), _like(graph, run)(images)
    except Exception as error:  # whatever the runner says, the graph does not run
        raise _tied(graph) from error
    if given.shape != wanted.shape or not np.allclose(given, wanted, atol=CLOSE * (1 + np.abs(wanted).max())):
        raise _tied(graph)


def _tied(graph: Graph) -> GraphError:
    return GraphError(
        f"the traced network fits one size only, though its input is {graph.shape}", where="--torch",
        hint="Fix it with --input-shape, or compute sizes from tensors in the network",
    )  # fmt: skip


def _like(graph: Graph, run: Any) -> Any:
    """Bring what the module itself gives to the form of `logits`, as the graph's heads do."""
    import torch
    from torch.nn import functional

    def scores(image: F32) -> NDArray[Any]:
        given = torch.from_numpy(run(image))
        if given.shape[1] == 1:
            given = torch.cat([1 - given if graph.shares else torch.zeros_like(given), given], 1)
        if graph.shares:
            given = given.clamp_min(TINY).log()
        if given.shape[2:] != image.shape[2:]:
            given = functional.interpolate(given, image.shape[2:], mode="bilinear", align_corners=False)
        return np.asarray(given.numpy())

    return scores
