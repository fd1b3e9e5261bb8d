"""Read the manifest of an archive, deploy.yaml and meta.json, in its original or extended form."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from quadrat.errors import DigestError, ManifestError
from quadrat.package.classes import is_int, read_classes, text
from quadrat.package.objects import read_objects
from quadrat.package.onnx_scan import check_graph
from quadrat.package.scale import trained_size
from quadrat.stores.strict import (
    MAX_JSON,
    MAX_YAML,
    StrictError,
    is_mapping,
    parse_json,
    parse_yaml,
    read_text,
)
from quadrat.task_kinds import default_task, kind_of
from quadrat.types import ModelPackage, TransformSpec

FORMATS = {"pdmodel": ".pdmodel", "pir": ".json", "onnx": ".onnx"}
"""Formats of networks that engines read, with their suffixes."""

_MANIFEST = {"deploy.yaml", "meta.json"}
_MAX_LENGTH = 2**31 - 1
_ANY_SHAPE = (None, 3, None, None)
_HEX = re.compile(r"[0-9a-fA-F]{64}")


def read_package(root: Path, *, name: str, digest: str) -> ModelPackage:
    """Read the manifest in `root`; `name` is used if it states none, `digest` is the sha256 of the archive.

    Types of transforms are not checked here. Raises ManifestError, ClassesError, DigestError, and
    GraphError for an ONNX file that refers to something outside.
    """
    for file, hint in _HINTS.items():
        if not _has(root, file):
            raise ManifestError(f"the archive has no {file}", where=file, hint=hint)
    meta = _document(root / "meta.json", MAX_JSON, parse_json)
    deploy = _section(
        _document(root / "deploy.yaml", MAX_YAML, parse_yaml).get("Deploy"), "deploy.yaml: Deploy"
    )
    _check_digests(root, meta)
    engines = _engines(root, meta, deploy)
    if "onnx" in engines:
        check_graph(engines["onnx"])
    classes, num_classes = read_classes(meta)
    self_test = meta.get("self-test")
    task = text(meta.get("task", default_task()), "meta.json: task")
    kind = kind_of(task, "meta.json")
    if check := kind.part("read_meta"):
        check(meta)
    if read_objects(meta) is not None and not kind.object_cells:
        raise ManifestError(
            f"a model of the task {task} cannot measure the objects of a detector",
            where="meta.json: on", hint='Leave "on" out: the model then measures whole frames',
        )  # fmt: skip
    package = ModelPackage(
        root=root,
        name=text(meta.get("name") or name, "meta.json: name"),
        digest=digest,
        task=task,
        engines=engines,
        params=_params(root, deploy, engines),
        transforms=_transforms(deploy),
        classes=classes,
        num_classes=num_classes,
        input_shape=_shape(meta, deploy),
        outputs=_outputs(meta),
        self_test=None if self_test is None else _self_test(root, self_test),
        meta=meta,
    )
    trained_size(package)
    return package


_HINTS = {
    "deploy.yaml": "Pack the files themselves (or the one folder that holds them): tar czf model.tgz -C FOLDER .",
    "meta.json": 'Add one; the minimum is {"name": "my-model", "classes": [{"name": "sand"}, {"name": "seagrass"}]}',
}


def _document(path: Path, limit: int, parse: Callable[[str], Any]) -> dict[str, Any]:
    """Read a file of the manifest that contains a mapping; ManifestError if it does not."""
    try:
        value = parse(read_text(path, limit))
    except StrictError as error:
        raise _wrong(path, error.what) from error
    if not is_mapping(value):
        raise _wrong(path, "it does not hold names with values")
    document: dict[str, Any] = value
    return document


def _wrong(path: Path, what: str) -> ManifestError:
    return ManifestError(what, where=path.name, hint="Correct the file, or export the model again")


def _section(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    what = "it is missing" if value is None else "it does not hold names with values"
    raise ManifestError(what, where=where)


def _file(root: Path, value: Any, where: str, *suffixes: str) -> Path:
    """Return the file that `value` names: a plain name with one of the suffixes, in the archive."""
    name = text(value, where)
    if Path(name).name != name or "\\" in name or name == "..":
        raise ManifestError(f"{name!r} is not the plain name of a file in the archive", where=where)
    if name.casefold() in _MANIFEST:
        raise ManifestError(f"{name!r} is the manifest itself", where=where)
    if not name.lower().endswith(suffixes):
        raise ManifestError(f"{name!r} does not end with {' or '.join(suffixes)}", where=where)
    if not _has(root, name):
        raise ManifestError(f"the archive has no file {name!r}", where=where, hint="Export the model again")
    return root / name


def _has(root: Path, name: str) -> bool:
    """Return True if `root` contains a file with exactly this name; the name itself is never used as a path."""
    return any(path.name == name and path.is_file() for path in root.iterdir())


def _engines(root: Path, meta: Mapping[str, Any], deploy: Mapping[str, Any]) -> dict[str, Path]:
    """Return the network files by format: those of meta.json, and the one that deploy.yaml names.

    Unknown formats belong to a later version and are ignored.
    """
    stated = _section(meta.get("engines", {}), "meta.json: engines")
    engines = {
        kind: _file(root, stated[kind], f"meta.json: engines.{kind}", suffix)
        for kind, suffix in FORMATS.items()
        if kind in stated
    }
    network = _file(root, _renamed(root, deploy.get("model")), "deploy.yaml: model", *FORMATS.values())
    kind = next(kind for kind, suffix in FORMATS.items() if network.name.lower().endswith(suffix))
    return {kind: network} | engines


def _renamed(root: Path, name: Any) -> Any:
    """Return the name of the PIR file if a .pdmodel is named but missing.

    Paddle 3 writes model.json, while exporters made for Paddle 2 still name model.pdmodel.
    """
    if isinstance(name, str) and name.endswith(".pdmodel"):
        pir = name.removesuffix(".pdmodel") + ".json"
        if not _has(root, name) and _has(root, pir):
            return pir
    return name


def _params(root: Path, deploy: Mapping[str, Any], engines: Mapping[str, Path]) -> Path | None:
    if deploy.get("params") is None and not {"pdmodel", "pir"} & set(engines):
        return None
    return _file(root, deploy.get("params"), "deploy.yaml: params", ".pdiparams")


def _transforms(deploy: Mapping[str, Any]) -> tuple[TransformSpec, ...]:
    listed = deploy.get("transforms")
    where = "deploy.yaml: transforms"
    if not isinstance(listed, list):
        raise ManifestError("it is not a list", where=where, hint="The usual one is [{type: Normalize}]")
    specs = []
    for index, entry in enumerate(listed):
        item = _section(entry, f"{where}[{index}]")
        kind = text(item.get("type"), f"{where}[{index}].type")
        specs.append(TransformSpec(kind, {key: value for key, value in item.items() if key != "type"}))
    return tuple(specs)


def _shape(meta: Mapping[str, Any], deploy: Mapping[str, Any]) -> tuple[int | None, ...]:
    """Return (N, C, H, W) from the first place that states it; -1 and null mean any length."""
    inputs = meta.get("inputs")
    if inputs is not None and not (isinstance(inputs, list) and len(inputs) == 1):
        raise ManifestError(
            "it is not a list of one object: a network has exactly one input, the image",
            where="meta.json: inputs",
        )
    first = _section(inputs[0], "meta.json: inputs[0]").get("shape") if inputs else None
    places = {
        "meta.json: inputs[0].shape": first,
        "meta.json: shape": meta.get("shape"),
        "deploy.yaml: input_shape": deploy.get("input_shape"),
    }
    for where, value in places.items():
        if value is None:
            continue
        if not isinstance(value, list) or len(value) != 4 or not all(map(_is_length, value)):
            raise ManifestError("it is not four lengths (batch, channels, height, width)", where=where)
        return tuple(None if length in (None, -1) else length for length in value)
    return _ANY_SHAPE


def _is_length(value: Any) -> bool:
    return value is None or (is_int(value) and (value == -1 or 0 < value <= _MAX_LENGTH))


def _outputs(meta: Mapping[str, Any]) -> dict[str, str]:
    stated = _section(meta.get("outputs", {}), "meta.json: outputs")
    return {role: text(tensor, f"meta.json: outputs.{role}") for role, tensor in stated.items()}


def _self_test(root: Path, value: Any) -> dict[str, Any]:
    """Return a self-test, after checking that every text in it names an array file of the archive."""
    test = _section(value, "meta.json: self-test")
    for key, entry in test.items():
        if isinstance(entry, str):
            _file(root, entry, f"meta.json: self-test.{key}", ".npy")
    return test


def _check_digests(root: Path, meta: Mapping[str, Any]) -> None:
    """Compare the digests in meta.json's `sha256` with the unpacked files."""
    for name, stated in _section(meta.get("sha256", {}), "meta.json: sha256").items():
        if not isinstance(stated, str) or not _HEX.fullmatch(stated):
            raise ManifestError(f"the digest of {name!r} is not 64 hex digits", where="meta.json: sha256")
        if not _has(root, name):
            raise DigestError(f"sha256 is stated for {name!r}, which is missing", where="meta.json: sha256")
        with (root / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != stated.lower():
            raise DigestError(
                f"{name!r} is not the file that was packed: its sha256 is {found[:12]}..., not {stated[:12].lower()}...",
                where="meta.json: sha256", hint="Get the archive again from where it was made",
            )  # fmt: skip
