"""Export a PaddleSeg config and its weights as a Paddle network, and as ONNX if the converter can."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model.from_onnx import Graph, agrees, complete
from export_model.network import DYNAMIC, F32, Network, Shape, digest, existing, need
from export_model.selftest import choose
from quadrat.errors import GraphError, ModelError, ParameterError, QuadratError

PARAMS = "model.pdiparams"
CONVERT_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a Paddle export.

    `onnx_python` is the interpreter that has paddle2onnx; None exports no ONNX.
    """

    without_argmax: bool = False
    with_softmax: bool = False
    shape: Shape | None = None
    onnx_python: str | None = sys.executable


def load(config: Path, weights: Path | None, options: Options, notify: Callable[[str], None]) -> Network:
    """Build the network of a PaddleSeg config, load its weights and save it; `notify` receives lines for the user.

    Raises ParameterError (config), ModelError (weights that do not fit).
    """
    existing(config, "--config")
    if weights is not None:
        existing(weights, "--model")
    versions = _versions()
    settings = _read(config)
    network = _build(settings, keep_pretrained=weights is None)
    if weights is None:
        notify("no --model: the archive contains the initial weights of the config")
    else:
        _load_weights(network, weights)
    network.eval()
    shape = options.shape or DYNAMIC
    files, engines = _save(network, options, shape)

    run = _runner(network)
    outputs: Mapping[str, str] = {}
    graph = _onnx(network, options, shape, run, notify)
    if graph is not None:
        files["model.onnx"], engines["onnx"], outputs = graph.data, "model.onnx", graph.roles
    sources = [config] if weights is None else [config, weights]
    return Network(
        name=config.stem,
        model=settings["model"],
        files=files,
        engines=engines,
        params=PARAMS,
        outputs=outputs,
        shape=shape,
        run=run,
        transforms=_transforms(settings),
        provenance={
            "sources": {p.name: digest(p) for p in sources},
            "versions": versions,
        },
    )


def _versions() -> dict[str, str]:
    """Import the libraries of this route and return their versions; ParameterError if they are not installed."""
    os.environ["PADDLESEG_EXPORT_STAGE"] = "True"  # some networks then omit parts for training
    need("--config", "paddle", "paddleseg", hint="Run make setup-paddle2, or make setup-export for paddle 3")
    import paddle
    import paddleseg

    return {"paddle": paddle.__version__, "paddleseg": paddleseg.__version__}


def _runner(network: Any) -> Callable[[F32], NDArray[Any]]:
    import paddle

    from export_model.paddle_ending import first

    def run(image: F32) -> NDArray[Any]:
        with paddle.no_grad():
            return np.asarray(first(network(paddle.to_tensor(image))).numpy())

    return run


def _read(config: Path) -> dict[str, Any]:
    """Parse the YAML and its `_base_` files; parts for training may be missing."""
    from paddleseg.cvlibs import Config
    from paddleseg.cvlibs.config_checker import ConfigChecker

    try:
        settings: dict[str, Any] = Config(str(config), checker=ConfigChecker([])).dic
    except Exception as error:  # paddleseg uses assertions and passes on errors of YAML
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ParameterError(f"it cannot be read: {first}", where=f"--config {config}") from error
    if not isinstance(settings.get("model"), dict) or "type" not in settings["model"]:
        raise ParameterError("it has no model with a type", where=f"--config {config}")
    return settings


def _build(settings: Mapping[str, Any], *, keep_pretrained: bool) -> Any:
    from paddleseg.cvlibs import SegBuilder, manager

    model = copy.deepcopy(dict(settings["model"]))
    data = settings.get("train_dataset") or settings.get("val_dataset") or {}
    if "num_classes" not in model:
        known = manager.DATASETS.components_dict.get(data.get("type"))
        model["num_classes"] = data.get("num_classes") or getattr(known, "NUM_CLASSES", None)
    if not model["num_classes"]:
        raise ParameterError("neither its model nor its data set states num_classes", where="--config")
    if not keep_pretrained:
        _drop_pretrained(model)  # it would be downloaded and overwritten
    parts = [manager.MODELS, manager.BACKBONES]
    try:
        return SegBuilder(None, parts).build_component(model)
    except Exception as error:  # networks raise anything
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ParameterError(
            f"the model cannot be built: {(lines or ['?'])[-1]}", where="--config"
        ) from error


def _drop_pretrained(model: dict[str, Any]) -> None:
    model.pop("pretrained", None)
    for value in model.values():
        if isinstance(value, dict):
            _drop_pretrained(value)


def _load_weights(network: Any, path: Path) -> None:
    """Load all parameters; paddle itself only warns about those that do not fit."""
    import paddle

    try:
        state = paddle.load(str(path))
        given = {name: tuple(value.shape) for name, value in state.items()}
    except Exception as error:  # unpickling raises anything
        raise ModelError("this is not a .pdparams file", where=f"--model {path}") from error
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    wrong = sorted(name for name, shape in own.items() if given.get(name) != shape)
    if wrong:
        raise ModelError(
            f"it does not fit the config: {len(wrong)} of {len(own)} parameters are missing or of another shape, "
            f"the first {wrong[0]}",
            where=f"--model {path}",
        )
    network.set_state_dict(state)


def _save(network: Any, options: Options, shape: Shape) -> tuple[dict[str, bytes], dict[str, str]]:
    """Save with the chosen ending; return the files by member, and the member of the format that paddle wrote."""
    from export_model.paddle_ending import Ending

    ending = Ending(network, softmax=options.with_softmax, argmax=not options.without_argmax)
    with tempfile.TemporaryDirectory(prefix="quadrat-export-") as folder:
        network_file, params = _jit_save(ending, shape, Path(folder))
        form = "pdmodel" if network_file.suffix == ".pdmodel" else "pir"
        files = {network_file.name: network_file.read_bytes(), PARAMS: params.read_bytes()}
        return files, {form: network_file.name}


def _jit_save(layer: Any, shape: Shape, folder: Path) -> tuple[Path, Path]:
    """Trace and save; return the files of the network (.pdmodel with paddle 2, .json with paddle 3) and the weights."""
    import paddle

    spec = paddle.static.InputSpec(shape=list(shape), dtype="float32", name="image")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from paddle's own tracing
        paddle.jit.save(
            paddle.jit.to_static(layer, input_spec=[spec], full_graph=True), str(folder / "model")
        )
    found = [folder / name for name in ("model.pdmodel", "model.json") if (folder / name).is_file()]
    return found[0], folder / PARAMS


def _onnx(
    network: Any,
    options: Options,
    shape: Shape,
    run: Callable[[F32], NDArray[Any]],
    notify: Callable[[str], None],
) -> Graph | None:
    """Convert the scores to ONNX and append the three outputs; return None, and notify why, if that fails."""
    from export_model.paddle_ending import Ending

    if options.onnx_python is None:
        return None
    with tempfile.TemporaryDirectory(prefix="quadrat-export-") as folder:
        network_file, params = _jit_save(Ending(network, softmax=False, argmax=False), shape, Path(folder))
        out = Path(folder) / "scores.onnx"
        reason = _convert(options.onnx_python, network_file, params, out)
        if reason is None:
            try:
                graph = complete(out.read_bytes(), "paddle2onnx", shape=shape)
                image, labels = choose(lambda one: run(one.repeat(shape[0] or 1, 0))[:1], shape)
                if graph.meaning is None or graph.meaning.separate or graph.meaning.questions:
                    raise GraphError("its output is not scores of classes that exclude each other")
                off = agrees(graph, image.astype(np.float32), labels)
            except (ImportError, QuadratError) as error:
                reason = str(error)
            else:
                if off == 0:
                    return graph
                reason = f"its labels differ from Paddle's in {off} of {labels.size} pixels"
    notify(f"no ONNX in the archive: {reason}")
    return None


def _convert(python: str, network_file: Path, params: Path, out: Path) -> str | None:
    """Run the converter in a separate process; return why it failed, or None."""
    script = Path(__file__).with_name("paddle_to_onnx.py")
    command = [python, str(script), str(network_file), str(params), str(out)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=CONVERT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{python} did not run: {error}"
    if done.returncode == 0 and out.is_file():
        return None
    lines = [line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
    telling = [t for t in lines if ("rror" in t or "only support" in t) and "FatalError" not in t]
    telling = telling or lines or ["no message"]
    died = f"died of signal {-done.returncode}" if done.returncode < 0 else f"ended with {done.returncode}"
    return f"paddle2onnx {died}: {telling[-1][:300]}"


def _transforms(settings: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the config's export transforms, or the Normalize of its validation, or the default Normalize."""
    exported = (settings.get("export") or {}).get("transforms")
    if exported:
        return tuple(exported)
    validated = (settings.get("val_dataset") or {}).get("transforms") or []
    norms = tuple(t for t in validated if isinstance(t, dict) and t.get("type") == "Normalize")
    return norms or ({"type": "Normalize"},)
