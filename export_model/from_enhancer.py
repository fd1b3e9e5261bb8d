"""Export a network that makes pictures: everything that an archive states about it is proven by running it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import from_onnx, heads, prepare, reach, sizes
from export_model.enhancer_options import Options, options_of
from export_model.network import DYNAMIC, Network, Shape, digest, existing, need
from export_model.preprocessing import assumed
from export_model.questions import Question, ask
from quadrat.errors import GraphError, ParameterError
from quadrat.package.enhance import MAX_SCALE, RANGES, EnhanceWords, read_enhance, to_meta, transforms_of
from quadrat.tasks.enhance.picture import read_picture, to_levels

LIKE = 0.15
"""Largest mean difference between a picture and its input, in 0..1, for a network that only enlarges."""
OUTSIDE = 0.25
"""How far values may lie outside the range, as a share of it: networks overshoot at edges."""
WITHIN = 0.9
"""Least share of the values that lie within."""
SELF_TEST = (48, 64)
"""(height, width) of the self-test's input, if the network takes any size."""
CONTRAST = 0.02
"""Least standard deviation of the picture of a picture, in 0..1."""


def read(
    given: argparse.Namespace, _classes: Sequence[Mapping[str, Any]]
) -> tuple[Network, list[dict[str, Any]]]:
    """Read the network that the options name; it has no classes. Raises ParameterError, ModelError and GraphError."""
    options = options_of(given)
    if given.torch is not None:
        return _from_torch(given.torch, given.weights, options, print), []
    path: Path = given.onnx
    data = from_onnx.read(path)
    import onnx

    return complete(
        data, str(path), options, print, name=path.stem, model={"type": "onnx", "file": path.name},
        provenance={"sources": {path.name: digest(path)}, "versions": {"onnx": onnx.__version__}},
    ), []  # fmt: skip


def complete(
    data: bytes,
    where: str,
    options: Options,
    notify: Callable[[str], None],
    *,
    name: str,
    model: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Network:
    """Determine what the archive states about an ONNX network, and return the network.

    `notify` is called with a line for everything that was found, changed or assumed. Raises GraphError for a network
    that makes no pictures or others than stated, ParameterError for what is open.
    """
    graph = heads.load(data, where)
    prepare.drop_held_inputs(graph)
    if len(graph.graph.input) != 1 or len(graph.graph.input[0].type.tensor_type.shape.dim) != 4:
        raise GraphError("one input is needed, a picture with four axes", where=where)
    image = prepare.image_first(graph, graph.graph.input[0], where, options.shape, channels=(3, 1))
    heads.with_shape(graph, image.shape)
    done: bytes = graph.SerializeToString(deterministic=True)
    heads.load(done, where)
    if image.notes:
        prepare.prove(data, done, image, where)
    for note in image.notes:
        notify(note)
    runner = heads.Runner(done)
    order = _order(image.shape[1], options.bgr, notify)
    output, words = _pictures(runner, image.shape, EnhanceWords(order=order), options, where)

    def run(batch: NDArray[np.float32]) -> NDArray[Any]:
        return runner(batch, output)

    words = _ranges(reach.Subject(run, image.shape, words), options, where, notify)
    words = _sizes(reach.Subject(run, image.shape, words), options, where)
    if not options.quick:
        words = reach.find_reach(reach.Subject(run, image.shape, words))
    _tell(words, image.shape, options, notify)
    return Network(
        name=name, model=model, files={"model.onnx": done}, engines={"onnx": "model.onnx"},
        outputs={"picture": output}, shape=image.shape, input_name=image.name, run=runner.every,
        transforms=transforms_of(words, image.shape), provenance=provenance, task="enhance", enhance=to_meta(words),
    )  # fmt: skip


def self_test(
    network: Network, _classes: Sequence[Mapping[str, Any]], _warn: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Any], int | None]:
    """Make the self-test: its arrays by member, its entry in meta.json, and no number of classes.

    The input has steps of 1/64 of the range, which float16 holds exactly; the picture is in levels of 0..255.
    """
    words = read_enhance({"enhance": network.enhance})
    step = words.multiple
    hw = [
        side or max(words.least, -(-size // step) * step)
        for side, size in zip(network.shape[2:], SELF_TEST, strict=True)
    ]
    low, high = words.range
    plain = np.rint(prepare.noise((1, words.channels, *hw), 7) * 64) / 64
    image = (plain * (high - low) + low).astype(np.float16)
    given = network.run(image.astype(np.float32).repeat(network.shape[0] or 1, 0))[network.outputs["picture"]]
    levels = to_levels(read_picture(given[0], (hw[0], hw[1]), words), words)
    members = {"input": "selftest-input.npy", "picture": "selftest-picture.npy"}
    arrays = {members["input"]: image, members["picture"]: np.ascontiguousarray(levels)}
    return arrays, {**members, "tolerance": 0.0}, None


def _from_torch(
    factory: str, weights: Path | None, options: Options, notify: Callable[[str], None]
) -> Network:
    """Call a factory ("package.module:name"), load weights into what it makes, trace it, and complete that."""
    need("--torch", "torch", "onnx")
    import torch

    from export_model.from_torch import load_weights, make, trace

    network = make(factory)
    sources = {}
    if weights is None:
        notify("no --weights: the network keeps the weights from the factory")
    else:
        load_weights(network, existing(weights, "--weights"))
        sources[weights.name] = digest(weights)
    network.eval()
    shape: Shape = options.shape or DYNAMIC
    example = torch.from_numpy(prepare.noise(shape)).repeat(1 if shape[0] else 2, 1, 1, 1)
    data = trace(network, example, ["picture"], shape, notify, own_sizes=True)
    made = complete(
        data, factory, options, notify, name=factory.rpartition(":")[2],
        model={"type": factory, "parameters": sum(p.numel() for p in network.parameters())},
        provenance={"sources": sources, "versions": {"torch": torch.__version__}},
    )  # fmt: skip
    _same(network, made)
    return made


def _same(network: Any, made: Network) -> None:
    """Raise GraphError if the traced network makes another picture than the module, at another size than it was traced at."""
    import torch

    words = made.enhance
    step = int(words["multiple"])
    hw = [side or -(-96 // step) * step + step for side in made.shape[2:]]
    low, high = words["range"]
    image = prepare.noise((made.shape[0] or 1, made.shape[1], *hw), 5) * np.float32(high - low) + np.float32(
        low
    )
    with torch.inference_mode():
        wanted = np.asarray(network(torch.from_numpy(image)).numpy())
    if prepare.gap(wanted, made.run(image)[made.outputs["picture"]]) > prepare.SAME_HALF:
        raise GraphError(
            "the traced network makes another picture than the module", where="--torch",
            hint="Fix its size with --input-shape, or compute sizes from tensors in the network",
        )  # fmt: skip


def _order(channels: int | None, bgr: bool | None, notify: Callable[[str], None]) -> str:
    if channels == 1:
        if bgr is not None:
            raise ParameterError("the network takes one channel, the luma Y", where="--bgr")
        notify("channels: one, the luma Y of JPEG; the chroma is scaled by bicubic interpolation")
        return "Y"
    if bgr is None:
        notify(assumed("channels in RGB order", "--bgr or --no-bgr"))
    return "BGR" if bgr else "RGB"


def _pictures(
    runner: heads.Runner, shape: Shape, words: EnhanceWords, options: Options, where: str
) -> tuple[str, EnhanceWords]:
    """Return the output that holds the picture, and what is known with its layout and scale."""
    runs = sizes.runnable(runner.every, shape)
    image = prepare.noise(runs)
    try:
        given = runner.every(image)
    except Exception as error:  # whatever the runner raises, the graph does not run
        raise GraphError(
            "it runs on no picture of a usual size", where=where, hint="Give --input-shape"
        ) from error
    if options.output is not None and options.output not in given:
        raise ParameterError(
            f"there is no such output; it has {', '.join(given)}", where=f"--onnx-output {options.output}"
        )
    tried = {options.output: given[options.output]} if options.output else given
    read: dict[str, EnhanceWords] = {}
    fault = GraphError("it has no output", where=where)
    for name, array in tried.items():
        try:
            read[name] = _as_picture(array, image, words, where)
        except GraphError as error:
            fault = error
    if not read:
        raise fault
    if len(read) > 1:
        names = ", ".join(read)
        ask(
            [
                Question(
                    f"it has several pictures as outputs: {names}",
                    "--onnx-output NAME for the one to deliver",
                )
            ],
            where,
        )
    ((name, found),) = read.items()
    if options.scale not in (None, found.scale):
        raise GraphError(
            f"its pictures are {found.scale} times as large as the input, not {options.scale} times",
            where="--scale",
        )
    return name, found


def _as_picture(
    array: NDArray[Any], image: NDArray[np.float32], words: EnhanceWords, where: str
) -> EnhanceWords:
    """Return what is known with the layout and scale of an output (N, ...) for an input (N, C, h, w). Raises GraphError."""
    count, channels, height, width = image.shape
    shape = tuple(array.shape)
    what = f"for a picture of {channels} x {height} x {width} it gives the shape {shape}"
    hint = "An enhancement network gives a picture with the channels of its input"
    if array.ndim != 4 or shape[0] != count or array.dtype.kind != "f":
        raise GraphError(f"{what}, which is no picture", where=where, hint=hint)
    layouts = {"NCHW": (shape[1], shape[2:]), "NHWC": (shape[3], shape[1:3])}
    fits = {name: hw for name, (own, hw) in layouts.items() if own == channels}
    if not fits:
        raise GraphError(
            f"{what}, which has not {channels} channel{'s' * (channels > 1)}", where=where, hint=hint
        )
    for name, (tall, broad) in fits.items():
        scale = tall // height
        if 1 <= scale <= MAX_SCALE and (tall, broad) == (scale * height, scale * width):
            return replace(words, layout=name, scale=scale)
    tall, broad = next(iter(fits.values()))
    raise GraphError(
        f"{what}: {broad / width:.4g} times the width and {tall / height:.4g} times the height, not the same whole number "
        f"from 1 to {MAX_SCALE}", where=where,
    )  # fmt: skip


def _ranges(
    subject: reach.Subject, options: Options, where: str, notify: Callable[[str], None]
) -> EnhanceWords:
    """Return what is known with the ranges of input and output: those given, or the first usual ones.

    A run must give a picture like its input with them; for most networks, several ranges do. Raises GraphError.
    """
    given = [options.pixel_range] if options.pixel_range else list(RANGES)
    faults: list[str] = []
    for one in given:
        words = replace(subject.words, range=one, output_range=options.output_range or one)
        fault = _fault(reach.Subject(subject.run, subject.shape, words))
        if not fault:
            break
        faults.append(f"with pixels from {one[0]} to {one[1]} {fault}")
    else:
        raise GraphError(
            f"its pictures do not look like pictures: {'; '.join(faults)}", where=where,
            hint="Give the values that it was trained with: --range 0 1, --range -1 1 or --range 0 255, and --output-range "
            "if those of its output differ",
        )  # fmt: skip
    if options.pixel_range is None:
        low, high = words.range
        notify(assumed(f"pixels from {low} to {high}", "--range and --output-range"))
    return words


def _fault(subject: reach.Subject) -> str:
    """Return why the picture that the network makes of a picture cannot be one, or ""."""
    words = subject.words
    height, width = sizes.runnable(subject.run, subject.shape)[2:]
    image = subject.noise((height or prepare.SIDE, width or prepare.SIDE), 1)
    (low, high), (dark, bright) = words.range, words.output_range
    values = (subject.picture(image) - dark) / (bright - dark)
    if not np.isfinite(values).all():
        return "it gives NaN or infinity"
    least, most = (values.min() * (bright - dark) + dark, values.max() * (bright - dark) + dark)
    within = float(((values >= -OUTSIDE) & (values <= 1 + OUTSIDE)).mean())
    if within < WITHIN or values.std() < CONTRAST:
        return f"they have values from {least:.3g} to {most:.3g}, not {dark} to {bright}"
    scale, source = words.scale, (image[0] - low) / (high - low)
    channels, tall, broad = values.shape
    small = values.reshape(channels, tall // scale, scale, broad // scale, scale).mean((2, 4))
    off = float(np.abs(small - source).mean())
    if scale > 1 and off > LIKE:
        return f"they differ from the input by {off:.0%} on average"
    return ""


def _sizes(subject: reach.Subject, options: Options, where: str) -> EnhanceWords:
    """Return what is known with the multiples and the least side that the network takes."""
    if all(subject.shape[2:]):
        return subject.words
    multiple = options.multiple or reach.find_multiple(subject)
    if multiple is None:
        raise GraphError(
            "it takes no sizes in multiples of a usual number",
            where=where,
            hint="Fix its size with --input-shape",
        )
    words = replace(subject.words, multiple=multiple, grid=multiple)
    subject = replace(subject, words=words)
    odd = [
        subject.fixed(multiple * times) for times in (max(1, 64 // multiple) | 1, (64 // multiple + 2) | 1)
    ]
    if options.multiple and not all(subject.runs(hw) for hw in odd):
        raise GraphError(
            f"it does not run on {odd[0][1]} x {odd[0][0]} pixels",
            where="--multiple-of",
            hint="Leave it out: it is found",
        )
    return replace(words, least=reach.find_least(subject))


def _tell(words: EnhanceWords, shape: Shape, options: Options, notify: Callable[[str], None]) -> None:
    """Print what was found about sizes and tiles."""
    height, width = shape[2:]
    size = f"{width} x {height} pixels only" if height and width else (
        f"multiples of {words.multiple}" if words.multiple > 1 else "any"
    )  # fmt: skip
    least = f", at least {words.least}" if words.least > words.multiple else ""
    larger = "as large as the input" if words.scale == 1 else f"{words.scale} times as large"
    notify(f"pictures: {larger}, {words.layout}; sizes: {size}{least}")
    if options.quick:
        return
    if words.reach is None:
        notify("tiles: the network sees its whole input, so neighbouring tiles fade into each other")
    else:
        notify(
            f"tiles: a pixel is seen {words.reach} pixels away, so tiles give the picture of the whole exactly"
        )
