"""Which output of a segmentation network holds labels, confidence or scores, and which outputs to request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quadrat.errors import ClassesError, ManifestError
from quadrat.package.masks import MaskWords
from quadrat.predictions import UNKNOWN
from quadrat.types import ModelPackage, OutputSpec

ROLES = ("labels", "confidence", "logits")
"""Roles that an archive may assign to outputs; `logits` are scores of either kind, logits or probabilities."""


def find_roles(package: ModelPackage, outputs: Sequence[OutputSpec]) -> dict[str, str]:
    """Map the roles in ROLES to tensor names of the loaded network.

    Uses the names in the archive if the network has them. Otherwise, as in an original archive, the first
    output decides by dtype and rank: integers (N, H, W) or (N, 1, H, W) are labels, floats (N, K, H, W) are
    logits. Raises ManifestError if neither identifies an output.
    """
    names = {o.name for o in outputs}
    stated = {role: name for role, name in package.outputs.items() if role in ROLES and name in names}
    if "labels" in stated or "logits" in stated:
        return stated
    if not outputs:
        raise ManifestError("the network has no outputs", where=package.name)
    first = outputs[0]
    integer = first.dtype.startswith(("int", "uint", "bool"))
    if integer and len(first.shape) in (3, 4):
        return {"labels": first.name}
    if not integer and len(first.shape) == 4:
        return {"logits": first.name}
    raise ManifestError(
        f"the first output is {first.dtype} with {len(first.shape)} axes; "
        "expected integer labels (N, H, W) or float scores (N, K, H, W)",
        where=package.name,
    )


def choose_outputs(roles: Mapping[str, str], *, with_argmax: bool, tiled: bool) -> tuple[str, ...]:
    """Return the names of the fewest outputs that give a mask and, if possible, its confidence.

    Scores alone are chosen if the archive has no labels, if `with_argmax` asks for them, or if tiles are to be
    blended.
    """
    if "labels" not in roles or with_argmax or (tiled and "logits" in roles):
        return (roles["logits"],)
    if "confidence" in roles:
        return (roles["labels"], roles["confidence"])
    return (roles["labels"], roles["logits"]) if "logits" in roles else (roles["labels"],)


def check_channels(
    package: ModelPackage, roles: Mapping[str, str], outputs: Sequence[OutputSpec], words: MaskWords
) -> None:
    """Raise ClassesError unless the scores have one channel per class, two at least and UNKNOWN at most.

    A background by threshold needs no channel, and with it one channel is enough.
    """
    name = roles.get("logits")
    channels = next((o.shape[1] for o in outputs if o.name == name and len(o.shape) == 4), None)
    if channels is None:
        return
    if channels < 2 and not words.by_threshold:
        raise ClassesError(
            "the network gives one channel, but a mask needs one per class",
            where=package.name,
            hint="Export the model with export_model, which turns one channel into two classes",
        )
    allowed = {channels, channels + 1} if words.background is not None else {channels}
    if package.num_classes is not None and package.num_classes not in allowed:
        raise ClassesError(
            f"meta.json lists {package.num_classes} classes, but the network gives {channels} channels",
            where=package.name,
            hint="Export the model again with one class per channel",
        )
    if len(words.threshold) > 1 and len(words.threshold) not in (channels, channels - 1):
        raise ClassesError(
            f"meta.json states {len(words.threshold)} thresholds, but the network gives {channels} channels",
            where=package.name,
        )
    if channels > UNKNOWN:
        raise ClassesError(
            f"the network gives {channels} channels, but a mask holds at most {UNKNOWN} classes",
            where=package.name,
        )
