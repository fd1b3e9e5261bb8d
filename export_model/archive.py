"""Assemble model.tgz from an exported network: its self-test, its manifest, and the metadata beside it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from export_model import (
    ARTIFACT,
    counts,
    embeddings,
    from_detector,
    from_enhancer,
    label_parity,
    metadata_path,
    objects,
    selftest,
)
from export_model.network import F32, Network
from quadrat.errors import ClassesError, ModelError
from quadrat.package.manifest import read_package
from quadrat.package.masks import read_masks
from quadrat.package.write import archive_members, replace_file, to_json
from quadrat.task_kinds import kind_of
from quadrat.transforms import build

INPUT, LABELS, PROBABILITIES = "selftest-input.npy", "selftest-labels.npy", "selftest-probabilities.npy"
MAX_CLASSES = 255
TOLERANCE = 0.0
"""Share of the self-test's pixels that an engine may label differently, or of its objects that it may miss."""


def assemble(
    network: Network, classes: Sequence[Mapping[str, Any]], name: str, warn: Callable[[str], None]
) -> tuple[dict[str, bytes], int | None]:
    """Return the members of the archive by name, and the network's number of classes (None if it is not known).

    `warn` is called with a sentence if the self-test shows little. Raises ClassesError if the number of classes
    differs from that of the network's scores, ModelError if the network's answer to the self-test cannot be used.
    """
    make = SELF_TESTS[network.task]
    arrays, test, channels = make(network, classes, warn)
    if channels is not None and not classes:
        network = replace(network, model={"num_classes": channels, **network.model})
    return archive_members(network, classes, name, self_test=test, arrays=arrays), channels


def _labels(
    network: Network, classes: Sequence[Mapping[str, Any]], _warn: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Any], int | None]:
    """Make the self-test of masks: its arrays by member, its entry in meta.json, and the number of channels."""
    batched = network.shape[0] or 1
    words = read_masks({"segment": dict(network.segment) or None})
    count = len(classes) or None
    image, labels = selftest.choose(_single(network, batched), network.probe or network.shape, words, count)
    given = network.run(image.astype(np.float32).repeat(batched, 0))
    if labels.shape[-2:] != image.shape[2:]:
        raise ModelError(
            f"labels are {labels.shape[1:]} for an input of {image.shape[2:]}", where=network.name
        )
    channels = given.shape[1] if np.issubdtype(given.dtype, np.floating) else None
    if channels is None:
        return (
            {INPUT: image, LABELS: labels},
            {"input": INPUT, "labels": LABELS, "tolerance": TOLERANCE},
            None,
        )
    if channels > MAX_CLASSES:
        raise ClassesError(f"{channels} classes are too many for masks of 8 bits", where=network.name)
    if words.background is not None and count in (None, channels + 1):
        channels += 1
    if classes and len(classes) != channels:
        raise ClassesError(
            f"{len(classes)} classes are named, the network has {channels}", where=network.name
        )
    return (
        {INPUT: image, LABELS: labels},
        {"input": INPUT, "labels": LABELS, "tolerance": TOLERANCE},
        channels,
    )


def _objects(
    network: Network, classes: Sequence[Mapping[str, Any]], warn: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Any], int | None]:
    """Make the self-test of a detector: its arrays by member, its entry in meta.json, and the number of classes."""
    find = from_detector.find_objects(network, len(classes) or None)
    hw = objects.sides(network.shape, network.transforms)
    image, found = objects.choose(find, hw, network.transforms, network.pictures)
    if not len(found.scores):
        warn(
            "the self-test holds no objects: the network finds none in the drawings, so the test only shows that "
            "the network runs. Give a photograph with --picture, and compare its results with those of the original"
        )
    given = network.run(image.astype(np.float32).repeat(network.shape[0] or 1, 0))
    found_arrays = {"boxes": found.boxes, "scores": found.scores, "classes": found.classes}
    members = {key: f"selftest-{key}.npy" for key in found_arrays}
    arrays = {INPUT: image} | {members[key]: array for key, array in found_arrays.items()}
    stated = {"input": INPUT, **members, "tolerance": TOLERANCE}
    shapes = {role: given[tensor].shape for role, tensor in network.outputs.items()}
    return arrays, stated, counts.count_classes(network.detect, shapes)


def _shares(
    network: Network, _classes: Sequence[Mapping[str, Any]], warn: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Any], int | None]:
    """Make the self-test of a classifier: its arrays by member, its entry in meta.json, and the number of classes."""
    image, probabilities = label_parity.choose(network)
    if probabilities.std() < label_parity.SHARES:
        warn("the self-test shows little: the network gives every class of the drawings the same probability")
    arrays = {INPUT: image, PROBABILITIES: probabilities}
    stated = {"input": INPUT, "probabilities": PROBABILITIES, "tolerance": label_parity.SHARES}
    return arrays, stated, len(probabilities)


def check_readable(members: Mapping[str, bytes]) -> None:
    """Read the archive's members as an order will, so that what it would refuse is refused now. Raises ModelError."""
    with tempfile.TemporaryDirectory(prefix="quadrat-export-") as folder:
        for name, body in members.items():
            (Path(folder) / name).write_bytes(body)
        build(read_package(Path(folder), name="model", digest="").transforms)


def count_words(task: str, classes: Sequence[Mapping[str, Any]], channels: int | None) -> str:
    """Say how many classes an archive has; `channels` is the network's own number, None if it is not known."""
    if classes or not kind_of(task).max_classes:
        return str(len(classes) or "none")
    return f"{channels or 'unknown number'}, unnamed"


def write_metadata(members: Mapping[str, bytes], archive: Path) -> Path:
    """Write meta.json beside the archive, with a placeholder for the URN of the artifact, and return its path."""
    meta = json.loads(members["meta.json"])
    path = metadata_path(archive)
    replace_file(path, to_json({**meta, "artifact": ARTIFACT}))
    return path


def _single(network: Network, batched: int) -> Any:
    """Return a function that runs one image through a network that may require a larger batch."""

    def run(image: F32) -> Any:
        return network.run(image.repeat(batched, 0))[:1]

    return run


SELF_TESTS = {
    "segment": _labels, "detect": _objects, "classify": _shares, "embed": embeddings.self_test,
    "enhance": from_enhancer.self_test,
}  # fmt: skip
"""How the self-test of an archive is made, by task."""
