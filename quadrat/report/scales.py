"""Whether the images of an order were measured at one scale, and at the scale that the model was trained at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quadrat.parameters.steps import NONE
from quadrat.records import SourceRecord
from quadrat.report.base import ModelFacts

FACTOR = 1.5
"""Long sides that differ by more than this factor are different scales."""


@dataclass(slots=True)
class _Sides:
    """The images of one model: how many, how many away from the trained scale, and the extreme long sides with names."""

    images: int = 0
    away: int = 0
    least: tuple[int, str] = (0, "")
    most: tuple[int, str] = (0, "")


class Scales:
    """Folds the long sides at which networks saw images; add records in any order.

    Photographs of one survey show about the same area, so the long side in pixels states their scale.
    """

    def __init__(self, models: Sequence[ModelFacts]) -> None:
        self._models = models
        self._sides = {model.name: _Sides() for model in models}
        self._trained = {model.name: model.trained_side for model in models}

    def add(self, record: SourceRecord) -> None:
        """Add an image; ignore other sources, images that were not measured, and those that are flagged as small."""
        if record.image is None or "small" in record.image.flags:
            return
        for part in record.models:
            if not (part.measured and part.side):
                continue
            seen, this = self._sides[part.model], (part.side, record.source.name)
            seen.images += 1
            seen.least = this if seen.images == 1 else min(seen.least, this)
            seen.most = max(seen.most, this)
            trained = self._trained[part.model]
            seen.away += trained is not None and not trained / FACTOR <= part.side <= trained * FACTOR

    def warnings(self) -> list[str]:
        """Return a sentence for each fault, with the names of the models that have it unless all do.

        All variants of a model see the same scales.
        """
        shown = [model for model in self._models if model.variant in ("", NONE)]
        found: dict[str, list[str]] = {}
        for model in shown:
            for text in _texts(self._sides[model.name], self._trained[model.name]):
                found.setdefault(text, []).append(model.plain_name)
        return [
            f"{', '.join(names)}: {text}" if len(names) < len(shown) else text
            for text, names in found.items()
        ]


def _texts(seen: _Sides, trained: int | None) -> Iterator[str]:
    (least, small), (most, large) = seen.least, seen.most
    if most > FACTOR * least:
        yield (
            f"images were measured at different scales, with long sides from {least} pixels ({small}) to {most} ({large}): "
            f"their results cannot be compared; --max-img-size {trained or least}px shrinks the larger ones to one scale"
        )
    if seen.away and trained is not None:
        hint = f"; --max-img-size {trained}px measures at that scale" if most > FACTOR * trained else ""
        yield (
            f"the model was trained at a long side of {trained} pixels, but {seen.away} of {seen.images} images were "
            f"measured at another scale, with long sides from {least} to {most}{hint}"
        )
