"""Read the `segment` entry of meta.json: what the scores of a segmentation network mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quadrat.errors import ManifestError
from quadrat.package.classes import is_int

ACTIVATIONS = ("softmax", "sigmoid", "none")
"""What turns the scores of the network into probabilities."""
THRESHOLD = 0.5
"""The threshold of a class if the archive states none."""

_WHERE = "meta.json: segment"
_KEYS = ("activation", "background", "threshold", "multi-label")


@dataclass(frozen=True, slots=True)
class MaskWords:
    """What an archive states about the scores of its network.

    `activation` turns scores into probabilities: "softmax", "sigmoid", or "none" if they are probabilities already;
    it is None if the archive states nothing. `background` is the class of the pixels at which no other class is over
    its threshold; None if there is none. `threshold` has one number for all classes, or one for each class with
    scores, in their order; it is empty if none is stated. With `multi_label` a pixel belongs to every class that is
    over its threshold.
    """

    activation: str | None = None
    background: int | None = None
    threshold: tuple[float, ...] = ()
    multi_label: bool = False

    @property
    def by_threshold(self) -> bool:
        """True if thresholds decide, rather than the best score alone."""
        return self.multi_label or self.background is not None

    def scored(self, num_classes: int | None, channels: int) -> tuple[int, ...]:
        """Return the class of each channel of the scores: a background may have no channel."""
        without = self.background is not None and num_classes in (None, channels + 1)
        return tuple(index for index in range(channels + without) if not without or index != self.background)

    def thresholds(self, channels: int) -> tuple[float, ...]:
        """Return the threshold of each channel."""
        stated = self.threshold or (THRESHOLD,)
        return stated * channels if len(stated) == 1 else stated


def read_masks(meta: Mapping[str, Any]) -> MaskWords:
    """Read the `segment` entry of meta.json. Raises ManifestError."""
    words = meta.get("segment")
    if words is None:
        return MaskWords()
    if not isinstance(words, dict):
        raise ManifestError(
            "it does not hold names with values", where=_WHERE, hint='Write {"activation": "softmax"}'
        )
    for key in words:
        if key not in _KEYS:
            raise _wrong(f"{str(key)[:60]!r} is not one of its keys", "", f"The keys are {', '.join(_KEYS)}")
    activation, multi = words.get("activation"), words.get("multi-label", False)
    if activation not in ACTIVATIONS:
        what = "it is missing" if activation is None else f"{str(activation)[:60]!r} is not known"
        raise _wrong(what, ".activation", f"Write one of {', '.join(ACTIVATIONS)}")
    if not isinstance(multi, bool):
        raise _wrong("it is neither true nor false", ".multi-label")
    background = words.get("background")
    if background is not None and not (is_int(background) and 0 <= background < 255):
        raise _wrong("it is neither null nor the index of a class", ".background")
    made = MaskWords(activation, background, _threshold(words.get("threshold")), multi)
    _check(made, meta)
    return made


def _threshold(stated: Any) -> tuple[float, ...]:
    if stated is None:
        return ()
    numbers = stated if isinstance(stated, list) else [stated]
    good = all(isinstance(n, int | float) and not isinstance(n, bool) and 0 < n < 1 for n in numbers)
    if not numbers or not good:
        raise _wrong("it is not a number between 0 and 1, nor a list with one for each class", ".threshold")
    return tuple(float(n) for n in numbers)


def _check(words: MaskWords, meta: Mapping[str, Any]) -> None:
    """Raise ManifestError for entries that contradict each other or the list of classes."""
    if words.multi_label and (words.activation == "softmax" or words.background is not None):
        raise _wrong(
            "several classes can hold at once, so there is neither a softmax nor a background",
            ".multi-label", "Leave background out, and state the activation sigmoid or none",
        )  # fmt: skip
    if words.threshold and not words.by_threshold:
        raise _wrong(
            "it has no effect without a background or multi-label", ".threshold",
            "State the class of pixels that are over no threshold as background",
        )  # fmt: skip
    listed = meta.get("classes")
    count = len(listed) if isinstance(listed, list) and listed else None
    if count is None:
        return
    if words.background is not None and words.background >= count:
        raise _wrong(f"there are {count} classes (0 to {count - 1})", ".background")
    scored = (count, count - 1) if words.background is not None else (count,)
    if len(words.threshold) > 1 and len(words.threshold) not in scored:
        raise _wrong(f"it lists {len(words.threshold)} numbers for {count} classes", ".threshold")


def _wrong(what: str, key: str, hint: str = "") -> ManifestError:
    return ManifestError(what, where=_WHERE + key, hint=hint)
