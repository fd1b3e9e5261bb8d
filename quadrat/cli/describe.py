"""`quadrat describe MODEL`: what a model archive contains, without running it."""

from __future__ import annotations

import json
import sys
import tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from quadrat.cli.words import strict
from quadrat.errors import ParameterError, printable
from quadrat.package.objects import ON, ObjectWords, read_objects
from quadrat.stores.paths import exists
from quadrat.task_kinds import kind_of
from quadrat.types import ModelPackage

EXAMPLES = """\
examples:
  quadrat describe model.tgz
  quadrat describe model.tgz --json
"""
WIDTH = 13


def parser() -> ArgumentParser:
    """Return the parser of the command."""
    made = ArgumentParser(
        prog="quadrat describe",
        description="Print what a model archive contains: its task, classes, input and networks.",
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    made.add_argument("model", metavar="MODEL", type=Path, help="model archive, model.tgz")
    made.add_argument("--json", action="store_true", help="print JSON")
    return strict(made)


def main(words: Sequence[str]) -> int:
    """Print the description of an archive. Raises ParameterError or ModelError for one that cannot be read."""
    given = parser().parse_args(words)
    if not exists(given.model, "MODEL"):
        raise ParameterError("there is no such file", where=str(given.model))
    from quadrat.package import open_archive

    with tempfile.TemporaryDirectory(prefix="quadrat-describe-") as folder:
        content = describe(open_archive(given.model, Path(folder)), given.model)
    text = json.dumps(content, indent=2) if given.json else "\n".join(lines(content))
    sys.stdout.write(text + "\n")
    return 0


def describe(package: ModelPackage, path: Path) -> dict[str, Any]:
    """Return the facts of an unpacked archive as plain values."""
    kind = kind_of(package.task)
    about = read_objects(package.meta)
    return {
        "name": package.name,
        "archive": path.name,
        "bytes": path.stat().st_size,
        "sha256": package.digest,
        "task": package.task,
        "on": ON[0] if about is None else ON[1],
        "objects": None if about is None else _words_of(about),
        "pictures": list(kind.all_pictures),
        "classes": [
            {
                "index": each.index,
                "name": each.name,
                "id": each.id,
                "color": "#{:02x}{:02x}{:02x}".format(*each.color),
            }
            for each in package.classes
        ],
        "class-count": package.num_classes,
        "networks": {name: file.name for name, file in package.engines.items()},
        "input-shape": list(package.input_shape),
        "outputs": dict(package.outputs),
        "states": dict(package.meta.get(package.task) or {}),
        "transforms": [{"type": each.type, **each.params} for each in package.transforms],
        "self-test": package.self_test is not None,
    }


def lines(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the description for people: one line for each fact, and the classes below each other."""
    size = content["bytes"]
    yield from _line("model", f"{content['name']} ({content['archive']}, {_size(size)})")
    yield from _line("sha256", content["sha256"])
    pictures = f"; pictures: {', '.join(content['pictures'])}" if content["pictures"] else ""
    yield from _line("task", f"{content['task']}{pictures}")
    if content["objects"]:
        yield from _line("on", _on(content["objects"]))
    yield from _line("networks", ", ".join(f"{file} ({name})" for name, file in content["networks"].items()))
    sides = ["any" if side is None else str(side) for side in content["input-shape"]]
    yield from _line("input", " x ".join(sides) or "not stated")
    yield from _line("outputs", ", ".join(f"{role}: {name}" for role, name in content["outputs"].items()))
    yield from _line("states", ", ".join(f"{key}: {value}" for key, value in content["states"].items()))
    for number, transform in enumerate(content["transforms"]):
        values = ", ".join(f"{name}={value}" for name, value in transform.items() if name != "type")
        yield from _line("" if number else "transforms", f"{transform['type']}({values})")
    yield from _line("self-test", "yes; quadrat verify runs it" if content["self-test"] else "no")
    classes = content["classes"]
    if not classes and kind_of(content["task"]).max_classes:
        yield from _line("classes", f"{content['class-count'] or 'unknown number'}, unnamed")
    for number, each in enumerate(classes):
        yield from _line("" if number else "classes", f"{each['index']:>3}  {each['color']}  {each['name']}")


def _words_of(about: ObjectWords) -> dict[str, Any]:
    return {"padding": about.padding, "min-size": about.min_size, "classes": list(about.classes)}


def _on(objects: Mapping[str, Any]) -> str:
    """Say which objects of a detector a model measures."""
    classes = f"of class {', '.join(objects['classes'])}" if objects["classes"] else "of all classes"
    return (
        f"objects of a detector, {classes}, with a padding of {objects['padding']:g} of the box, "
        f"from {objects['min-size']:g} pixels; quadrat run detector.tgz,THIS.tgz PHOTOS..."
    )


def _line(name: str, text: str) -> Iterator[str]:
    if text:
        yield printable(f"{name:<{WIDTH}}{text}")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
