"""Export an ONNX detector: its outputs stay as they are, and the archive states their layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import families, heads, labels, layout, objects, sizes
from export_model.from_onnx import read
from export_model.network import Network, Shape, digest
from export_model.onnx_detector import Detector, adapt
from export_model.preprocessing import PLAIN, Preprocessing, Transforms, assumed
from quadrat.errors import GraphError, ParameterError
from quadrat.geometry import HW
from quadrat.package.detectors import WITH_BACKGROUND, read_detect
from quadrat.task_kinds import kind_of
from quadrat.tasks.detect import layouts
from quadrat.types import ImageU8, OutputSpec

ODD = (75, 101)
"""(height, width) that is a multiple of no stride."""
TRIED = 3
"""Drawings that a layout is tried on, besides the pictures given."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line; None if not given.

    `output` is the tensor of the predictions, `background` a class index or "none", `words` are other entries of
    `detect` in meta.json, `pictures` photographs (h, w, 3) uint8 RGB to try the network on.
    """

    layout: str | None = None
    output: str | None = None
    background: str | None = None
    classes: Sequence[Mapping[str, Any]] = ()
    shape: Shape | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    words: Mapping[str, Any] = field(default_factory=dict)
    pictures: Sequence[ImageU8] = ()


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
    runner = heads.Runner(detector.data)
    _check_size(options, detector, runner)
    detector = replace(detector, outputs=_probed(runner, detector, _hw(options, detector), where))
    classes, options = _without_background(classes, options, detector.outputs, notify)
    _check_thresholds(options.words, len(classes) or None)
    chosen = layout.determine(_question(name, options, detector, runner, len(classes) or None), where, notify)
    _tell(options, chosen, notify)
    tiles = "1 tile" if detector.shape[0] == 1 else f"{detector.shape[0]} tiles"
    state = (
        "any"
        if detector.shape[0] is None
        else f"{detector.shape[0]}, fixed: the service always runs {tiles} at once"
    )
    notify(f"layout: {chosen.name}; batch: {state}")
    return Network(
        name=name,
        model=model,
        files={"model.onnx": detector.data},
        engines={"onnx": "model.onnx"},
        outputs=chosen.outputs,
        shape=detector.shape,
        input_name=detector.image,
        run=runner.every,
        transforms=chosen.transforms,
        provenance=provenance,
        task="detect",
        detect=chosen.detect,
        pictures=options.pictures,
    ), classes  # fmt: skip


def _question(
    name: str, options: Options, detector: Detector, runner: heads.Runner, classes: int | None
) -> layout.Question:
    """Return what is known of a detector before its layout is determined."""
    hw = _hw(options, detector)
    known = layouts.DetectorSpec(
        name, detector.outputs, _roles(options, detector), classes, batch=detector.shape[0], input_hw=hw
    )
    stated = {
        **({"layout": options.layout} if options.layout else {}),
        **_background(options),
        **options.words,
    }

    def prepare(layout: str) -> tuple[Transforms, tuple[ParameterError, ...]]:
        usual, size = families.usual(layout, known), _size(options, detector)
        try:
            return options.preprocessing.listed(usual, size), ()
        except ParameterError as ask:  # the outputs may show that more is to be asked for
            stand_in = replace(usual, stretch=bool(usual.stretch), normalize=PLAIN)
            return options.preprocessing.listed(stand_in, size), (ask,)

    def run(transforms: Transforms) -> list[layout.Trial]:
        sizes.check_transforms(detector.shape, transforms)
        return [
            layout.Trial(runner.every(image), (image.shape[2], image.shape[3]))
            for image in _inputs(options, transforms, hw, detector.shape[0] or 1)
        ]

    return layout.Question(known, stated, prepare, run)


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


def _without_background(
    classes: list[dict[str, Any]],
    options: Options,
    outputs: Sequence[OutputSpec],
    notify: Callable[[str], None],
) -> tuple[list[dict[str, Any]], Options]:
    """Leave a class that means no object out of the list, and state it in the options.

    It is the one that --background names, or one that is called background if the layout can have one.
    """
    names = [str(each["name"]) for each in classes]
    if options.background in names:
        index = names.index(options.background)
    else:
        called = [i for i, name in enumerate(names) if name.strip("_ ").casefold() in ("background", "bg")]
        may = [options.layout] if options.layout else layouts.fitting(outputs, None)
        if options.background is not None or len(called) != 1 or not set(may) & set(WITH_BACKGROUND):
            return classes, options
        index = called[0]
    notify(f"background: class {index}, {names[index]!r}; it is left out of the classes")
    return classes[:index] + classes[index + 1 :], replace(options, background=str(index))


def _roles(options: Options, detector: Detector) -> dict[str, str]:
    if not options.output:
        return {}
    names = [one.name for one in detector.outputs]
    if options.output not in names:
        raise ParameterError(
            f"there is no such output; it has {', '.join(names)}", where=f"--onnx-output {options.output}"
        )
    return {"predictions": options.output}


def _background(options: Options) -> dict[str, int | None]:
    if options.background is None:
        return {}
    if options.layout is not None and options.layout not in WITH_BACKGROUND:
        raise ParameterError(
            f"the layout {options.layout} has no background class", where=f"--background {options.background}"
        )
    if options.background == "none":
        return {"background": None}
    if not options.background.isdecimal():
        raise ParameterError(
            "it is neither the index of a class nor none", where=f"--background {options.background}"
        )
    return {"background": int(options.background)}


def _check_thresholds(words: Mapping[str, Any], classes: int | None) -> None:
    """Raise ParameterError for thresholds outside 0..1, or of another number than there are classes."""
    given = words.get("threshold", ())
    if not all(0 <= each <= 1 for each in given):
        raise ParameterError("a score in 0..1 is needed", where="--threshold")
    if len(given) > 1 and len(given) != classes:
        raise ParameterError(
            f"{len(given)} thresholds are given, and {classes or 'no'} classes named", where="--threshold"
        )


def _size(options: Options, detector: Detector) -> tuple[int, int] | None:
    """Return the (width, height) that images are brought to, None if it is open."""
    height, width = detector.shape[2:]
    if options.preprocessing.size:
        return options.preprocessing.size
    if height and width:
        return (width, height)
    return (detector.size[0], detector.size[1]) if detector.size else None


def _hw(options: Options, detector: Detector) -> HW:
    """Return the (height, width) at which the network is tried: that of its inputs, or a usual one."""
    listed = options.preprocessing.transforms
    if listed is not None:
        return objects.sides(detector.shape, listed)
    size = _size(options, detector)
    given = size[::-1] if size else objects.OPEN
    height, width = (side or other for side, other in zip(detector.shape[2:], given, strict=True))
    return (height, width)


def _probed(runner: heads.Runner, detector: Detector, hw: HW, where: str) -> tuple[OutputSpec, ...]:
    """Return the outputs with the shapes that they have for an input of (height, width), where they have a batch axis.

    Files state shapes that are open, or those of another size.
    """
    stated = {one.name: one for one in detector.outputs}
    try:
        given = runner.every(np.zeros((detector.shape[0] or 1, 3, *hw), np.float32))
    except Exception as error:  # whatever the runner raises, the network does not run
        first = (str(error).splitlines() or [""])[0]
        raise GraphError(f"it does not run on {hw[1]} x {hw[0]} pixels: {first}", where=where) from error
    batched = len({array.ndim for array in given.values()} - {0, 1, 2}) > 0
    made = []
    for name, array in given.items():
        own = stated[name].shape if name in stated else ()
        lead: tuple[int | None, ...] = (None,) if batched and array.ndim else array.shape[:1]
        fixed = tuple(
            None if len(own) == array.ndim and own[axis] is None and array.ndim < 3 else int(side)
            for axis, side in enumerate(array.shape)
        )
        made.append(OutputSpec(name, array.dtype.name, (*lead, *fixed[1:]) if batched else fixed))
    return tuple(made)


def _inputs(options: Options, transforms: Transforms, hw: HW, batch: int) -> list[NDArray[np.float32]]:
    """Return the network's inputs (N, 3, h, w) for drawings, and for the pictures given."""
    drawings = [objects.drawing(seed, hw) for seed in range(TRIED)]
    return [
        objects.tensor(picture, transforms).repeat(batch, 0) for picture in (*drawings, *options.pictures)
    ]


def _check_size(options: Options, detector: Detector, runner: heads.Runner) -> None:
    """Raise ParameterError if images are not resized, and the network does not accept every size."""
    height, width = detector.shape[2:]
    if options.preprocessing.transforms is not None or _size(options, detector):
        return
    if height or width or not _runs(runner, detector.shape):
        raise ParameterError(
            "the network does not accept images of every size, and its file does not state one", where="--letterbox",
            hint="Give the size at which it was trained: --letterbox 640 640, or --stretch 640 640 for an RT-DETR",
        )  # fmt: skip


def _tell(options: Options, chosen: layout.Candidate, notify: Callable[[str], None]) -> None:
    """Print what was assumed about the images."""
    given = options.preprocessing
    if given.transforms is not None:
        return
    usual = f"as is usual for {chosen.name}"
    order = "BGR" if any(t["type"] == "ToBGR" for t in chosen.transforms) else "RGB"
    if not given.normalized:
        scaled = next((t for t in chosen.transforms if t["type"] == "Normalize"), None)
        notify(assumed(f"{_values(scaled)} in {order} order, {usual}", "--range, --mean, --std and --bgr"))
    elif given.bgr is None:
        notify(assumed(f"channels in {order} order, {usual}", "--bgr or --no-bgr"))
    for transform in chosen.transforms:
        if transform["type"] not in ("Resize", "Letterbox"):
            continue
        where = "centred" if transform.get("center", True) else "in the upper left corner"
        padded = transform["type"] == "Letterbox"
        if not given.size:
            width, height = transform.get("size") or transform["target_size"]
            way = f"a letterbox of {width} x {height} with the image {where}" if padded else (
                f"images stretched to {width} x {height}"
            )  # fmt: skip
            notify(assumed(f"{way}, {usual}", "--letterbox, --stretch and --position"))
        elif padded and given.position is None:
            notify(assumed(f"a letterbox with the image {where}, {usual}", "--position"))


def _values(scaled: Mapping[str, Any] | None) -> str:
    """Return in words what values a Normalize gives pixels; None stands for no Normalize."""
    if scaled is None:
        return "pixels from 0 to 255"
    mean, std = scaled["mean"], scaled["std"]
    if (list(mean), list(std)) == ([0.0], [1.0]):
        return "pixels from 0 to 1"
    listed = [", ".join(f"{value:.4g}" for value in values) for values in (mean, std)]
    return f"pixels from 0 to 1 with mean {listed[0]} and std {listed[1]}"


def _runs(runner: heads.Runner, shape: Shape) -> bool:
    """Return True if a network of dynamic size accepts a size that is a multiple of no stride."""
    try:
        runner.every(np.zeros((shape[0] or 1, 3, *ODD), np.float32))
    except Exception:  # noqa: BLE001 - whatever the runner raises, it does not run
        return False
    return True


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
                network.name, specs, network.outputs, classes, words, network.shape[0],
                (image.shape[2], image.shape[3]),
            )  # fmt: skip
            made.append(layout.reader(known)[0])
        return made[0](given, (image.shape[2], image.shape[3]))

    return run
