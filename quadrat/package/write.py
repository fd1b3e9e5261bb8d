"""Write a model.tgz: deploy.yaml, meta.json and the archive itself, the same bytes for the same content."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from quadrat import __version__
from quadrat.package.scale import KEY as TRAINED_SIZE
from quadrat.task_kinds import default_task, kind_of

NETWORK_FORMATS = ("pdmodel", "pir", "onnx")
"""Formats of networks; deploy.yaml names the first that the archive holds."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ArchiveSpec:
    """What an archive says about its network.

    `files` are members of the archive by name; `engines` names the member of each format ("onnx", "pdmodel", "pir")
    and `params` the weights of Paddle; `shape` is (N, C, H, W) with None where any length will do; `outputs` names
    the ONNX tensor of each role; `model`, `provenance`, `detect`, `segment`, `classify` and `enhance` go into meta.json
    as they are.
    `trained_size` is the long side of the images of its training in pixels, None if it is not known. `objects` goes
    into meta.json as it is, and the network then measures objects; None for whole frames.
    """

    name: str
    model: Mapping[str, Any]
    files: Mapping[str, bytes]
    engines: Mapping[str, str]
    shape: tuple[int | None, ...]
    input_name: str = "image"
    params: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    transforms: tuple[Mapping[str, Any], ...] = ({"type": "Normalize"},)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    task: str = field(default_factory=default_task)
    detect: Mapping[str, Any] = field(default_factory=dict)
    segment: Mapping[str, Any] = field(default_factory=dict)
    classify: Mapping[str, Any] = field(default_factory=dict)
    enhance: Mapping[str, Any] = field(default_factory=dict)
    trained_size: int | None = None
    objects: Mapping[str, Any] | None = None


def archive_members(
    spec: ArchiveSpec,
    classes: Sequence[Mapping[str, Any]],
    name: str,
    *,
    self_test: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
) -> dict[str, bytes]:
    """Return all members of an archive by name: the network's files, `arrays` as .npy, deploy.yaml and meta.json.

    `classes` and `self_test` go into meta.json as they are; `arrays` are the members that `self_test` names.
    """
    files = {**spec.files, **{member: _npy(array) for member, array in arrays.items()}}
    files["deploy.yaml"] = _deploy(spec)
    files["meta.json"] = to_json({**_meta(spec, classes, name, files), "self-test": dict(self_test)})
    return files


def write_archive(members: Mapping[str, bytes], path: Path) -> str:
    """Write a gzipped tar, whole or not at all, and return its sha256 (hex).

    Members are sorted and have no times and no owners, so that the same content gives the same bytes.
    """
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(members):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(members[name]), 0o644
            tar.addfile(member, io.BytesIO(members[name]))
    replace_file(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; a file that is there already is replaced only in the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
        draft = Path(stream.name)
        try:
            stream.write(data)
            stream.flush()
            draft.chmod(0o644)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


def to_json(value: Any) -> bytes:
    """Return a value as the indented JSON of meta.json."""
    return (json.dumps(value, indent=2) + "\n").encode()


def _deploy(spec: ArchiveSpec) -> bytes:
    """Return deploy.yaml in its original form; it names the Paddle network if there is one."""
    first = next(form for form in NETWORK_FORMATS if form in spec.engines)
    deploy: dict[str, Any] = {"model": spec.engines[first]}
    if spec.params:
        deploy["params"] = spec.params
    deploy["transforms"] = [dict(transform) for transform in spec.transforms]
    return yaml.safe_dump({"Deploy": deploy}).encode()


def _meta(
    spec: ArchiveSpec, classes: Sequence[Mapping[str, Any]], name: str, files: Mapping[str, bytes]
) -> dict[str, Any]:
    versions = {"python": platform.python_version(), "numpy": np.__version__, "quadrat": __version__}
    provenance = dict(spec.provenance)
    provenance["versions"] = {**provenance.get("versions", {}), **versions}
    return {
        "$schema": kind_of(spec.task).model_schema,
        "name": name,
        "model": spec.model,
        "classes": list(classes),
        "shape": list(spec.shape),
        "task": spec.task,
        **({"detect": dict(spec.detect)} if spec.detect else {}),
        **({"segment": dict(spec.segment)} if spec.segment else {}),
        **({"classify": dict(spec.classify)} if spec.classify else {}),
        **({"enhance": dict(spec.enhance)} if spec.enhance else {}),
        **({} if spec.objects is None else {"on": "objects", "objects": dict(spec.objects)}),
        **({TRAINED_SIZE: spec.trained_size} if spec.trained_size else {}),
        "engines": dict(spec.engines),
        "inputs": [{"name": spec.input_name, "dtype": "float32", "shape": list(spec.shape)}],
        "outputs": dict(spec.outputs),
        "sha256": {member: hashlib.sha256(data).hexdigest() for member, data in sorted(files.items())},
        "provenance": provenance,
    }


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
