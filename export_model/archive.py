"""Write model.tgz, the same bytes for the same content, and the metadata beside it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from export_model import ARTIFACT, from_detector, metadata_path, objects, selftest
from export_model.network import F32, Network
from quadrat import __version__
from quadrat.errors import ClassesError, ModelError

SCHEMAS = {
    "segment": "urn:ibenthos:schema:paddle.seg.model.1",
    "detect": "urn:ibenthos:schema:quadrat.detect.model.1",
}
INPUT, LABELS = "selftest-input.npy", "selftest-labels.npy"
MAX_CLASSES = 255
TOLERANCE = 0.0
"""Share of self-test pixels that an engine may label otherwise, or of objects that it may miss."""


def assemble(
    network: Network, classes: Sequence[Mapping[str, Any]], name: str, say: Callable[[str], None]
) -> tuple[dict[str, bytes], int | None]:
    """Make all members of the archive, by name, and count the network's classes (None: its outputs do not tell).

    `say` is told where the self-test proves little.
    Raises ClassesError where the number of classes is not that of the network's scores, ModelError
    where its answer to the self-test is of no use.
    """
    if network.task == "detect":
        proof, test, channels = _objects(network, classes, say)
    else:
        proof, test, channels = _labels(network, classes)
    files = {**network.files, **proof}
    files["deploy.yaml"] = _deploy(network)
    files["meta.json"] = _json(_meta(network, classes, name, files) | {"self-test": test})
    return files, channels


def _labels(
    network: Network, classes: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, bytes], dict[str, Any], int | None]:
    """Make the self-test of masks: its files, what meta.json says of it, and the scores' channels."""
    batched = network.shape[0] or 1
    image, labels = selftest.choose(_single(network, batched), network.shape)
    given = network.run(image.astype(np.float32).repeat(batched, 0))
    if labels.shape != (1, *image.shape[2:]):
        raise ModelError(
            f"labels are {labels.shape[1:]} for an input of {image.shape[2:]}", where=network.name
        )
    channels = given.shape[1] if np.issubdtype(given.dtype, np.floating) else None
    if channels is not None and channels > MAX_CLASSES:
        raise ClassesError(f"{channels} classes are too many for masks of 8 bits", where=network.name)
    if classes and channels is not None and len(classes) != channels:
        raise ClassesError(
            f"{len(classes)} classes are named, the network has {channels}", where=network.name
        )
    proof = {INPUT: _npy(image), LABELS: _npy(labels)}
    return proof, {"input": INPUT, "labels": LABELS, "tolerance": TOLERANCE}, channels


def _objects(
    network: Network, classes: Sequence[Mapping[str, Any]], say: Callable[[str], None]
) -> tuple[dict[str, bytes], dict[str, Any], int | None]:
    """Make the self-test of a detector: its files, what meta.json says of it, and the number of classes."""
    find = from_detector.find_objects(network, len(classes) or None)
    image, found = objects.choose(find, objects.sides(network.shape, network.transforms), network.transforms)
    if not len(found.scores):
        say(
            "the self-test holds no object: the network finds none in its drawings, so it proves only that the "
            "network runs. Compare what it finds in pictures of yours with what it found where it was trained"
        )
    given = network.run(image.astype(np.float32).repeat(network.shape[0] or 1, 0))
    arrays = {"boxes": found.boxes, "scores": found.scores, "classes": found.classes}
    members = {key: f"selftest-{key}.npy" for key in arrays}
    proof = {INPUT: _npy(image)} | {members[key]: _npy(array) for key, array in arrays.items()}
    stated = {"input": INPUT, **members, "tolerance": TOLERANCE}
    return proof, stated, from_detector.count_classes(network, given)


def write(files: Mapping[str, bytes], path: Path) -> str:
    """Write a gzip'd tar, whole or not at all: sorted members, no times, no owners; return its sha256."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(files[name]), 0o644
            tar.addfile(member, io.BytesIO(files[name]))
    replace(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def write_metadata(files: Mapping[str, bytes], archive: Path) -> Path:
    """Write meta.json beside the archive, with a placeholder for the artifact's URN; return its path."""
    meta = json.loads(files["meta.json"])
    path = metadata_path(archive)
    replace(path, _json({**meta, "artifact": ARTIFACT}))
    return path


def replace(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever finds half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
        half = Path(stream.name)
        try:
            stream.write(data)
            stream.flush()
            half.chmod(0o644)
            half.replace(path)
        except OSError:
            half.unlink(missing_ok=True)
            raise


def _single(network: Network, batched: int) -> Any:
    """Run one image through a network that may insist on a larger batch."""

    def run(image: F32) -> Any:
        return network.run(image.repeat(batched, 0))[:1]

    return run


def _deploy(network: Network) -> bytes:
    """deploy.yaml in the original form; the Paddle network is named where there is one."""
    formats = [f for f in ("pdmodel", "pir", "onnx") if f in network.engines]
    deploy: dict[str, Any] = {"model": network.engines[formats[0]]}
    if network.params:
        deploy["params"] = network.params
    deploy["transforms"] = [dict(t) for t in network.transforms]
    return yaml.safe_dump({"Deploy": deploy}).encode()


def _meta(
    network: Network, classes: Sequence[Mapping[str, Any]], name: str, files: Mapping[str, bytes]
) -> dict[str, Any]:
    versions = {"python": platform.python_version(), "numpy": np.__version__, "quadrat": __version__}
    provenance = dict(network.provenance)
    provenance["versions"] = {**provenance.get("versions", {}), **versions}
    return {
        "$schema": SCHEMAS[network.task],
        "name": name,
        "model": network.model,
        "classes": list(classes),
        "shape": list(network.shape),
        "task": network.task,
        **({"detect": dict(network.detect)} if network.detect else {}),
        "engines": dict(network.engines),
        "inputs": [{"name": network.input_name, "dtype": "float32", "shape": list(network.shape)}],
        "outputs": dict(network.outputs),
        "sha256": {member: hashlib.sha256(data).hexdigest() for member, data in sorted(files.items())},
        "provenance": provenance,
    }


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
