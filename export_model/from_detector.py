"""Export an ONNX detector: its outputs stay as they are, and the archive states their layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import export_hints, heads, labels, objects
from export_model.from_onnx import read
from export_model.network import Network, Shape, digest
from export_model.onnx_detector import Detector, adapt
from quadrat.errors import GraphError, LayoutError, ParameterError
from quadrat.geometry import HW
from quadrat.package.detectors import LAYOUTS, WITH_BACKGROUND, read_detect
from quadrat.task_kinds import kind_of
from quadrat.tasks.detect import layouts
from quadrat.types import OutputSpec

ROLES = {
    "rfdetr": ("boxes", "logits"),
    "rtdetr": ("boxes", "scores", "labels"),
    "boxes": ("boxes", "scores", "labels"),
}
"""Roles of a layout's outputs, in the order of its reader; other layouts have one, `predictions`."""
STRETCHED = ("rtdetr", "rtdetr-ultralytics", "rfdetr", "paddledet")
"""Layouts of families that are trained on images resized without keeping the aspect ratio."""
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
PLAIN = {"mean": [0.0], "std": [1.0]}
"""Pixels from 0 to 1, as most detectors expect them."""
ODD = (75, 101)
"""(height, width) that is a multiple of no stride."""
CHANNELS_BEFORE = {"yolov5": 5, "yolov8": 4, "rtdetr-ultralytics": 4}
CLASS_AXIS = {"yolov5": 2, "yolov8": 1, "rtdetr-ultralytics": 2, "rfdetr": 2}


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line; None if not given.

    `output` is the tensor of the predictions, `background` a class index or "none", `letterbox` and `stretch`
    (width, height), `normalize` mean and std, `transforms` the complete list.
    """

    layout: str | None = None
    output: str | None = None
    background: str | None = None
    classes: Sequence[Mapping[str, Any]] = ()
    shape: Shape | None = None
    letterbox: tuple[int, int] | None = None
    stretch: tuple[int, int] | None = None
    normalize: Mapping[str, Sequence[float]] | None = None
    transforms: tuple[Mapping[str, Any], ...] | None = None


def load(path: Path, options: Options, notify: Callable[[str], None]) -> tuple[Network, list[dict[str, Any]]]:
    """Read `path` and return the network with its classes: those of `options`, or those that the file states.

    `notify` is called with a line for everything that was found or changed. Raises ParameterError, GraphError, LayoutError, ClassesError.
    """
    data = read(path)
    import onnx

    provenance = {"sources": {path.name: digest(path)}, "versions": {"onnx": onnx.__version__}}
    model = {"type": "onnx", "file": path.name}
    return complete(data, str(path), options, notify, name=path.stem, model=model, provenance=provenance)


def complete(
    data: bytes,
    where: str,
    options: Options,
    notify: Callable[[str], None],
    *,
    name: str,
    model: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> tuple[Network, list[dict[str, Any]]]:
    """Adapt the graph, determine its layout, classes and transforms, and return the network."""
    detector = adapt(data, where, options.shape)
    for note in detector.notes:
        notify(note)
    classes = _classes(options, detector, notify)
    layout = _layout(options, detector, len(classes) or None, where, notify)
    detect = {"layout": layout, **_background(options, layout)}
    roles = _roles(options, detector)
    known = layouts.DetectorSpec(
        name,
        detector.outputs,
        roles,
        len(classes) or None,
        read_detect({"detect": detect}),
        detector.shape[0],
    )
    _, chosen = _reader(known)
    runner = heads.Runner(detector.data)
    transforms = _transforms(options, detector, layout, runner, notify)
    state = (
        "any"
        if detector.shape[0] is None
        else f"{detector.shape[0]}, fixed: the service always runs {detector.shape[0]} tiles at once"
    )
    notify(f"layout: {layout}; batch: {state}")
    return Network(
        name=name,
        model=model,
        files={"model.onnx": detector.data},
        engines={"onnx": "model.onnx"},
        outputs=dict(zip(ROLES.get(layout, ("predictions",)), chosen.wanted, strict=True)),
        shape=detector.shape,
        input_name=detector.image,
        run=runner.every,
        transforms=transforms,
        provenance=provenance,
        task="detect",
        detect=detect,
    ), classes  # fmt: skip


def _classes(options: Options, detector: Detector, notify: Callable[[str], None]) -> list[dict[str, Any]]:
    if options.classes:
        return [dict(entry) for entry in options.classes]
    if detector.names:
        notify(f"classes: {len(detector.names)}, from the metadata of the file")
    for name in labels.repeated(detector.names):
        notify(
            f"warning: the file names several classes {name!r}, which tables cannot distinguish; use --class"
        )
    return [labels.entry(each, urn=kind_of("detect").class_urn) for each in detector.names]


def _roles(options: Options, detector: Detector) -> dict[str, str]:
    if not options.output:
        return {}
    names = [one.name for one in detector.outputs]
    if options.output not in names:
        raise ParameterError(
            f"there is no such output; it has {', '.join(names)}", where=f"--onnx-output {options.output}"
        )
    return {"predictions": options.output}


def _layout(
    options: Options, detector: Detector, classes: int | None, where: str, notify: Callable[[str], None]
) -> str:
    if options.layout:
        return options.layout
    try:
        layout, reason = layouts.guess(detector.outputs, classes)
    except LayoutError as error:
        raise LayoutError(error.what, where=where, hint=f"Give --layout: {', '.join(LAYOUTS)}") from error
    notify(f"no --layout: guessed {layout}, because {reason}")
    return layout


def _background(options: Options, layout: str) -> dict[str, int | None]:
    if options.background is None:
        return {}
    if layout not in WITH_BACKGROUND:
        raise ParameterError(
            f"the layout {layout} has no background class", where=f"--background {options.background}"
        )
    if options.background == "none":
        return {"background": None}
    if not options.background.isdecimal():
        raise ParameterError(
            "it is neither the index of a class nor none", where=f"--background {options.background}"
        )
    return {"background": int(options.background)}


def _transforms(
    options: Options, detector: Detector, layout: str, runner: heads.Runner, notify: Callable[[str], None]
) -> tuple[Mapping[str, Any], ...]:
    """Return the given transforms, or else those with which the layout's family is trained."""
    if options.transforms is not None:
        return options.transforms
    values = options.normalize
    if values is None and layout == "paddledet":
        raise ParameterError(
            "networks of PaddleDetection are trained either with or without ImageNet's mean and standard deviation", where="--mean, --std",
            hint="Give those of NormalizeImage in its infer_cfg.yml, or --mean 0 --std 1 if its norm_type is none",
        )  # fmt: skip
    if values is None:
        values = IMAGENET if layout == "rfdetr" else PLAIN
        notify(f"no --mean: {'that of ImageNet' if values is IMAGENET else 'pixels from 0 to 1'}")
    normalize = {"type": "Normalize", **values}
    if options.letterbox:
        return ({"type": "Letterbox", "size": list(options.letterbox)}, normalize)
    if options.stretch:
        return ({"type": "Resize", "target_size": list(options.stretch)}, normalize)
    height, width = detector.shape[2:]
    size = (width, height) if height and width else detector.size
    if not size and (height or width or not _runs(runner, detector.shape)):
        raise ParameterError(
            "the network does not accept images of every size, and its file does not state one", where="--letterbox",
            hint="Give the size at which it was trained: --letterbox 640 640, or --stretch 640 640 for an RT-DETR",
        )  # fmt: skip
    if not size:
        return (normalize,)
    way, key = ("Resize", "target_size") if layout in STRETCHED else ("Letterbox", "size")
    notify(f"no --letterbox or --stretch: {way} to {size[0]} x {size[1]}, as usual for its family")
    return ({"type": way, key: list(size)}, normalize)


def _runs(runner: heads.Runner, shape: Shape) -> bool:
    """Return True if a network of dynamic size accepts a size that is a multiple of no stride."""
    try:
        runner.every(np.zeros((shape[0] or 1, 3, *ODD), np.float32))
    except Exception:  # noqa: BLE001 - whatever the runner raises, it does not run
        return False
    return True


def _reader(known: layouts.DetectorSpec) -> tuple[objects.Reading, layouts.Layout]:
    """Return the function that reads the objects; hints of errors, here and at each call, name options."""
    with export_hints.by_options(known):
        read, layout = objects.reader(known)

    def read_listed(arrays: Mapping[str, NDArray[Any]], hw: HW) -> objects.CanonicalObjects:
        with export_hints.by_options(known):
            found = read(arrays, hw)
        export_hints.check_classes(found.classes, known.num_classes, known.words, "--class")
        return found

    return read_listed, layout


def find_objects(
    network: Network, classes: int | None
) -> Callable[[NDArray[np.float32]], objects.CanonicalObjects]:
    """Return a function that runs one input (1, 3, h, w) and reads the objects; it raises errors of the layout."""
    batched = network.shape[0] or 1
    made: list[objects.Reading] = []

    def run(image: NDArray[np.float32]) -> objects.CanonicalObjects:
        try:
            given: Mapping[str, NDArray[Any]] = network.run(image.repeat(batched, 0))
        except Exception as error:  # whatever the runner raises, the graph does not run
            first = (str(error).splitlines() or [""])[0]
            raise GraphError(f"it does not run on {image.shape}: {first}", where=network.name) from error
        if not made:
            specs = tuple(OutputSpec(n, a.dtype.name, (None, *a.shape[1:])) for n, a in given.items())
            words = read_detect({"detect": dict(network.detect)})
            known = layouts.DetectorSpec(
                network.name, specs, network.outputs, classes, words, network.shape[0]
            )
            made.append(_reader(known)[0])
        return made[0](given, (image.shape[2], image.shape[3]))

    return run


def count_classes(network: Network, given: Mapping[str, NDArray[Any]]) -> int | None:
    """Return the number of classes from the shape of the outputs, or None if the layout does not determine it."""
    layout = str(network.detect["layout"])
    if layout not in CLASS_AXIS:
        return None
    array = given[network.outputs["logits" if layout == "rfdetr" else "predictions"]]
    return int(array.shape[CLASS_AXIS[layout]]) - CHANNELS_BEFORE.get(layout, 0)
