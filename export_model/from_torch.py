"""Export a torch module as ONNX, with the outputs `labels`, `confidence` and `logits`."""

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

from export_model.from_onnx import Graph, complete, meant
from export_model.heads import TINY, Runner
from export_model.network import DYNAMIC, F32, Network, Shape, digest, existing, need
from export_model.scores import UNSTATED, ScoreOptions
from export_model.selftest import picture
from quadrat.errors import GraphError, ModelError, ParameterError

OPSET = 17
CLOSE = 1e-3


def load(
    factory: str,
    weights: Path | None,
    shape: Shape | None,
    notify: Callable[[str], None],
    options: ScoreOptions = UNSTATED,
) -> Network:
    """Call `factory` ("package.module:name"), load `weights` into what it makes, and export that.

    `notify` receives lines for the user, and `options` state what the scores mean. The factory is the user's own code, which may be in the current folder;
    weights are only read as tensors. Raises ParameterError, ModelError (weights that do not fit) or GraphError.
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
    network.eval()
    wrapped = _scores_only(network)
    shape = shape or DYNAMIC
    graph = complete(_export(wrapped, shape, notify), factory, shape=shape, options=options)
    for note in graph.notes:
        notify(note)

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
        **meant(graph),
    )


def make(factory: str) -> Any:
    """Call a factory, "package.module:name", and return its module; ParameterError if it does not return one."""
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
        raise ParameterError(
            f"it returned a {type(made).__name__}, not a torch module", where=f"--torch {factory}"
        )
    return made


def load_weights(network: Any, path: Path) -> None:
    """Load safetensors or a state_dict, without running code; every parameter must fit."""
    import torch

    if path.suffix == ".safetensors":
        need("--weights", "safetensors")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # type: ignore[import-not-found,unused-ignore]  # only in the export environments

            state: Any = load_file(str(path))
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns about a pickle and then refuses it
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and safetensors errors share no base
        raise ModelError(
            "these are not plain tensors", where=f"--weights {path}",
            hint="Save them with torch.save(network.state_dict(), path) or as safetensors",
        ) from error  # fmt: skip
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[1:3]) or str(error)
        raise ModelError(f"they do not fit the network: {reason[:300]}", where=f"--weights {path}") from error


def _scores_only(network: Any) -> Any:
    """Wrap a network so that it returns only its scores, from any of the usual containers."""
    import torch

    class Scores(torch.nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
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
                raise ModelError("the network returns no scores (N, classes, H, W)", where="--torch")
            return given

    return Scores().eval()


def _export(network: Any, shape: Shape, notify: Callable[[str], None]) -> bytes:
    """Trace to ONNX, with a dynamic axis for every None in `shape`; pass warnings of the tracer to `notify`."""
    import torch

    example = torch.from_numpy(picture(0, shape).astype(np.float32))
    return trace(network, example.repeat(shape[0] or 1, 1, 1, 1), ["scores"], shape, notify)


def trace(
    network: Any,
    example: Any,
    names: Sequence[str],
    shape: Shape,
    notify: Callable[[str], None],
    *,
    own_sizes: bool = False,
) -> bytes:
    """Trace a torch module to ONNX on `example`. Outputs have the image's dynamic axes; with `own_sizes` only the batch.

    `names` of the outputs are read after a first run, which may set them. Raises GraphError.
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
    pass_on([w for w in heard if issubclass(w.category, torch.jit.TracerWarning)], notify)
    return buffer.getvalue()


def pass_on(heard: Sequence[warnings.WarningMessage], notify: Callable[[str], None]) -> None:
    """Report the tracer's warnings in one line; torch repeats the same warning for each place in the code."""
    places = list(dict.fromkeys(f"{Path(w.filename).name}:{w.lineno}" for w in heard))
    if places:
        first = str(heard[0].message).split(". ")[0]
        notify(f"torch's TracerWarning at {', '.join(places)}: {' '.join(first.split())}")


def _check_sizes(graph: Graph, run: Any) -> None:
    """Run another size and batch than the traced one; GraphError if the graph's scores differ."""
    batch, _, height, width = graph.shape
    other = (batch, 3, height or 160, width or 224)
    images = np.concatenate([picture(seed, other) for seed in range(batch or 2)]).astype(np.float32)
    try:
        given, wanted = Runner(graph.data)(images, "logits"), _like(graph, run)(images)
    except Exception as error:  # whatever the runner raises, the graph does not run
        raise _tied(graph) from error
    if given.shape != wanted.shape or not np.allclose(given, wanted, atol=CLOSE * (1 + np.abs(wanted).max())):
        raise _tied(graph)


def _tied(graph: Graph) -> GraphError:
    return GraphError(
        f"the traced network works at one size only, although its input is {graph.shape}", where="--torch",
        hint="Fix it with --input-shape, or compute sizes from tensors in the network",
    )  # fmt: skip


def _like(graph: Graph, run: Any) -> Any:
    """Return a function that converts the module's own output to `logits`, as the graph's heads do."""
    import torch
    from torch.nn import functional

    def scores(image: F32) -> NDArray[Any]:
        given = torch.from_numpy(run(image))
        separate = graph.meaning is not None and graph.meaning.separate
        if not separate and given.shape[1] == 1:
            given = torch.cat([1 - given if graph.shares else torch.zeros_like(given), given], 1)
        if graph.shares and not separate:
            given = given.clamp_min(TINY).log()
        if given.shape[2:] != image.shape[2:]:
            given = functional.interpolate(given, image.shape[2:], mode="bilinear", align_corners=False)
        return np.asarray(given.numpy())

    return scores
