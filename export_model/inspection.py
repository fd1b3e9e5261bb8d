"""Tell what an ONNX network is, how sure that is, and the command that packs it."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from export_model import counts, export, from_onnx, heads, kinds, labels, prepare, sizes, values
from export_model.network import F32, Network, Shape
from export_model.preprocessing import ASSUMED
from quadrat.errors import GraphError, ParameterError, QuadratError
from quadrat.task_kinds import default_task, kind_of

TRIES = 6
"""How many answers may be added to a command before it is given up."""
MASKS, OBJECTS = "a network that makes masks", "a detector"


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output: its name, dtype, shape with None for open axes, and the range of its values, if known."""

    name: str
    dtype: str
    shape: Shape
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a network is.

    `kind` says it in words, `reason` why, and `sure` is "certain", "likely" or "guess". `task` is that of quadrat,
    empty if there is none. `layout` is a detector's; `size` says which images it takes; `names` are the classes that
    the file states. `notes` are what packing would find and change, `assumed` the options that were guessed
    and what the file does not say. `count` is the number of classes to name, None if it is unknown. `command` packs it; it is empty if quadrat cannot.
    """

    kind: str
    reason: str
    sure: str
    task: str = ""
    layout: str = ""
    channels_last: bool = False
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    size: str = ""
    names: tuple[str, ...] = ()
    count: int | None = None
    notes: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    command: str = ""


def inspect(path: Path) -> Inspection:
    """Run an ONNX network on drawn pictures, and return what it is. Raises ParameterError or GraphError for no network."""
    if path.suffix.lower() in (".tgz", ".gz"):
        raise ParameterError(
            "it is an archive, not a network",
            where=str(path),
            hint="quadrat describe prints what it contains",
        )
    data = from_onnx.read(path)
    model = heads.load(data, str(path))
    prepare.drop_held_inputs(model)
    known = Inspection(
        "a network of unknown kind", "", "guess", inputs=tuple(map(_tensor, model.graph.input)),
        names=labels.from_metadata({p.key: p.value for p in model.metadata_props}),
    )  # fmt: skip
    images = [each for each in known.inputs if len(each.shape) == 4]
    if len(images) != 1:
        return replace(known, reason="it has no single input with four axes, which would be an image")
    (image,) = [each for each in model.graph.input if len(prepare.sides_of(each.type.tensor_type)) == 4]
    last = prepare.comes_last(model, image)
    known = replace(known, channels_last=last)
    shape: Shape = tuple(images[0].shape[axis] for axis in prepare.TO_FIRST) if last else images[0].shape
    known = replace(known, size=_size(shape))
    if len(known.inputs) > 1:
        return _packed(path, known, ("detect",))
    run = heads.Runner(model.SerializeToString())
    given = _outputs(run, shape, last=last)
    if given is None:
        return replace(known, reason="it runs on no picture of a usual size")
    outputs, picture = given
    known = replace(known, outputs=tuple(_ranged(name, array) for name, array in outputs.items()))
    kind = kinds.recognise(outputs, picture)
    if kind is not None:
        named = replace(known, kind=kind.name, reason=kind.reason, sure=kind.sure, task=kind.task)
        return (
            _packed(path, named, ("enhance",))
            if kind.picture
            else _as_labels(path, named)
            if kind.task
            else named
        )
    if shape[1] not in (None, 3):
        return replace(known, reason=f"it takes pictures of {shape[1]} channels")
    return _packed(path, known, _tasks(outputs, (picture.shape[2], picture.shape[3])))


def _tensor(value: Any) -> Tensor:
    from onnx import helper

    tensor = value.type.tensor_type
    return Tensor(
        str(value.name), helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, prepare.sides_of(tensor)
    )


def _ranged(name: str, array: NDArray[Any]) -> Tensor:
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    if not finite.size or array.dtype.kind not in "biuf":
        return Tensor(name, array.dtype.name, array.shape)
    return Tensor(name, array.dtype.name, array.shape, float(finite.min()), float(finite.max()))


def _size(shape: Shape) -> str:
    height, width = shape[2:]
    return f"{width} x {height} pixels only" if height and width else "open"


def _outputs(run: heads.Runner, shape: Shape, *, last: bool) -> tuple[Mapping[str, NDArray[Any]], F32] | None:
    """Return all outputs for a picture, and the picture (N, C, H, W); None if the network runs on none."""
    for hw in (*sizes.SIDES, (48, 192), (256, 128)):
        image = prepare.noise((*shape[:2], shape[2] or hw[0], shape[3] or hw[1]))
        given = image.transpose(prepare.TO_LAST) if last else image
        with contextlib.suppress(Exception):  # whatever the runner raises, it does not run at this size
            return run.every(given.astype(run.dtype)), image
    return None


def _tasks(outputs: Mapping[str, NDArray[Any]], hw: tuple[int, int]) -> tuple[str, ...]:
    """Return the tasks that the outputs may be for, the likelier first."""
    planes = [array for array in outputs.values() if array.ndim == 4 or _is_labels(array, hw)]
    alike = len({array.shape for array in planes}) == 1 and len(planes) == len(outputs)
    return ("segment", "detect") if alike else ("detect", "segment")


def _is_labels(array: NDArray[Any], hw: tuple[int, int]) -> bool:
    return array.ndim == 3 and array.dtype.kind in "iu" and array.shape[1:] == hw


def _packed(path: Path, known: Inspection, tasks: Sequence[str]) -> Inspection:
    """Return what is known, with the first task for which the network can be packed, and its command."""
    fault = ""
    for task in tasks:
        words = ["--onnx", str(path), *([] if task == default_task() else ["--task", task])]
        assumed: list[str] = []
        for _ in range(TRIES):
            notes, network, error = _try(words)
            if network is not None:
                return _found(known, network, words, assumed, notes)
            answer = _answer(error, words)
            if answer is None:
                fault = fault or ("" if error is None else error.what)
                break
            words += answer[0]
            assumed += [answer[1]] if answer[1] else []
    return replace(known, reason=fault)


WITH_CLASSES = ("classify",)
"""Tasks of networks for whole pictures whose outputs are classes."""


def _as_labels(path: Path, known: Inspection) -> Inspection:
    """Return what is known of a classifier or an embedding, with the command that packs it.

    What packing asks for and no guess answers is left to the command.
    """
    if known.task in WITH_CLASSES:
        known = replace(known, count=max(each.shape[-1] or 0 for each in known.outputs))
    packed = _packed(path, known, (known.task,))
    if packed.command:
        return replace(
            known, command=packed.command, assumed=packed.assumed, notes=packed.notes, size=packed.size
        )
    words = ["quadrat", "pack", "--onnx", str(path), "--task", known.task, "--save-path", f"{path.stem}.tgz"]
    return replace(known, command=shlex.join(words), assumed=(f"nothing yet; packing asks: {packed.reason}",))


def _try(words: Sequence[str]) -> tuple[tuple[str, ...], Network | None, QuadratError | None]:
    """Read the network as the exporter does; return its lines, and the network or the error."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            given = export.parser().parse_args(list(words))
            given.quick = True
            network = export.read(given)[0]
    except QuadratError as error:
        return tuple(said.getvalue().splitlines()), None, error
    return tuple(said.getvalue().splitlines()), network, None


ANSWERS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (r"--stretch (\d+) (\d+)", ("--stretch", "{0}", "{1}"), "that images are stretched to the network's size"),
    (r"--onnx-output NAME.*the first, ([^;]+)", ("--onnx-output", "{0}"), "that the scores are in {0}"),
    (r"--multiples pad", ("--multiples", "resize"), ""),
    (r"--multi-label", ("--multi-label",), "that several classes can hold at one pixel"),
    (r"--layout: ([\w-]+)", ("--layout", "{0}"), "the layout {0}"),
    (r"--activation (\w+)", ("--activation", "{0}"), "the activation {0}"),
    (r"--range (\d+) (\d+)", ("--range", "{0}", "{1}"), "pixels from {0} to {1}: take them from its authors' page"),
    (r"--letterbox (\d+) (\d+)", ("--letterbox", "{0}", "{1}"), "the size {0} x {1}"),
)  # fmt: skip
"""What a hint of the exporter may ask for, the words that answer it, and what is assumed by them."""


def _answer(error: QuadratError | None, words: Sequence[str]) -> tuple[list[str], str] | None:
    """Return the words that answer all that an error asks for, and what they assume; None if it asks for nothing known."""
    if error is None:
        return None
    added: list[str] = []
    assumed: list[str] = []
    for pattern, answer, what in ANSWERS:
        found = re.search(pattern, error.hint)
        sized = answer[0] in ("--letterbox", "--multiples") and "--stretch" in (*words, *added)
        if found and answer[0] not in (*words, *added) and not sized:
            added += [part.format(*found.groups()) for part in answer]
            assumed += [what.format(*found.groups())] if what else []
    return (added, "; ".join(assumed)) if added else None


def _found(
    known: Inspection, network: Network, words: Sequence[str], assumed: Sequence[str], notes: tuple[str, ...]
) -> Inspection:
    """Return the inspection of a network that can be packed."""
    task = network.task
    layout = str(network.detect.get("layout", ""))
    kind, reason = (
        (OBJECTS, f"its outputs have the layout {layout}")
        if layout
        else (MASKS, "its output has scores or classes of pixels")
    )
    if network.enhance:
        kind, reason = known.kind, known.reason
    divisors = [str(t["divisor"]) for t in network.transforms if t.get("type") == "ResizeToMultiple"]
    size = f"multiples of {divisors[0]}" if divisors else known.size
    command = shlex.join(["quadrat", "pack", *words, "--save-path", f"{network.name}.tgz"])
    return replace(
        known, kind=kind, reason=reason, sure="guess" if assumed else "likely",
        task=task, layout=layout, size="any size" if size == "open" else size,
        notes=tuple(note for note in notes if not note.startswith(ASSUMED)), count=_count(network, known.outputs),
        assumed=(*assumed, *(note.removeprefix(ASSUMED) for note in notes if note.startswith(ASSUMED))),
        command=command,
    )  # fmt: skip


def _count(network: Network, outputs: Sequence[Tensor]) -> int | None:
    """Return the number of classes to name, by the outputs of a network that can be packed; None if they do not tell it.

    A background without a score of its own needs no name.
    """
    if network.detect:
        shapes = {each.name: [side or 0 for side in each.shape] for each in outputs}
        roles = {role: shapes[tensor] for role, tensor in network.outputs.items() if tensor in shapes}
        return counts.count_classes(network.detect, roles) if len(roles) == len(network.outputs) else None
    shape = sizes.runnable(network.run, network.probe or network.shape)
    with contextlib.suppress(Exception):  # whatever the runner raises, it does not run at this size
        given = np.asarray(network.run(np.zeros([side or 1 for side in shape], np.float32)))
        if given.ndim == 4 and given.dtype.kind == "f":
            single = any(len(each.shape) == 4 and 1 in (each.shape[1], each.shape[3]) for each in outputs)
            return 1 if single else int(given.shape[1])
    return None


def describe(found: Inspection, name: str) -> str:
    """Return an inspection as text, with a line for each fact."""
    lines = [f"{name}: {found.kind} ({found.sure}){': ' + found.reason if found.reason else ''}"]
    for title, tensors in (("input", found.inputs), ("output", found.outputs)):
        lines += [f"  {title:<9}{_shown(each)}" for each in tensors]
    facts = {
        "axes": "channels last" if found.channels_last else "", "sizes": found.size,
        "classes": f"{len(found.names)}: {', '.join(found.names[:10])}{', ...' * (len(found.names) > 10)}"
        if found.names
        else "",
    }  # fmt: skip
    lines += [f"  {title:<9}{fact}" for title, fact in facts.items() if fact]
    lines += [f"  found    {note}" for note in found.notes]
    lines += [f"  assumed  {what}" for what in found.assumed]
    lines.append(f"  pack it  {found.command}" if found.command else f"  {values.NO_TASK}")
    if found.command and not found.names and kind_of(found.task).max_classes:
        unnamed = "the class has no name" if found.count == 1 else (
            f"the {found.count} classes have no names" if found.count else "the classes have no names"
        )  # fmt: skip
        lines.append(f"           {unnamed}: add --classes FILE or --class NAME ...")
    return "\n".join(lines)


def _shown(tensor: Tensor) -> str:
    sides = " x ".join("?" if side is None else str(side) for side in tensor.shape)
    known = "" if tensor.low is None else f", {tensor.low:.3g} to {tensor.high:.3g} for a picture in 0..1"
    return f"{tensor.name}: {tensor.dtype} {sides}{known}"


def parser(prog: str = "inspection.py") -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog=prog, description=__doc__, epilog=f"examples:\n  {prog} reef.onnx\n  {prog} models/*.onnx",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    made.add_argument("networks", type=Path, nargs="+", metavar="FILE.onnx", help="networks to look at")
    return made


def main(arguments: Sequence[str] | None = None, prog: str = "inspection.py") -> int:
    """Print what networks are; return 0, or the exit status of an error."""
    for path in parser(prog).parse_args(arguments).networks:
        try:
            print(describe(inspect(path), path.name))
        except QuadratError as error:
            print(error.line, file=sys.stderr)
            return error.exit_status
        except MemoryError:
            print(GraphError("it needs too much memory", where=str(path)).line, file=sys.stderr)
            return GraphError.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
