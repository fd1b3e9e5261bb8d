"""Predictions -> annotated frames of videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from quadrat.pipeline.events import MeasuredFrame
from quadrat.pipeline.joined import JOINED, JoinedPicture, is_drawn
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.types import ClassInfo, ImageU8, Result


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedFrame:
    """A measured frame of a video, with a picture (H, W, 3) uint8 RGB at the source's size by model name."""

    measured: MeasuredFrame
    pictures: Mapping[str, ImageU8]


class Annotator:
    """The stage that draws predictions into the frames of videos."""

    def __init__(self, models: Pass, drawn: tuple[str, ...]) -> None:
        self._classes = {name: _classes(models[name]) for name in drawn}
        self._style = models.settings.pictures
        self._joined = JoinedPicture(models) if is_drawn(models, moving=True) else None
        self._beside = self._style.overlay_style == "beside"
        self._overlaid = {name for name in drawn if "overlay" in models.kind_of(name).all_pictures}
        self._scales = {name: getattr(models[name].task, "scale", 1) for name in drawn}
        self._draw: dict[str, Callable[..., ImageU8]] = {
            name: models.kind_of(name).part("annotate") for name in drawn
        }

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield an AnnotatedFrame for every frame of a video, and everything else unchanged."""
        for item in items:
            moving = isinstance(item, MeasuredFrame) and item.result.frame.time_s is not None
            yield AnnotatedFrame(item, self._pictures(item.result)) if moving else item

    def _pictures(self, result: Result) -> dict[str, ImageU8]:
        """Draw at the size that the model measured, then enlarge: a third of the time of drawing at full size.

        A picture has the size of the source, or a multiple of it if the task enlarges pictures.
        """
        from quadrat.media.scale import scaled
        from quadrat.render.overlay import beside

        (height, width), made = result.frame.source_hw, {}
        for name in self._draw:
            picture = self._picture(name, result)
            if self._beside and name in self._overlaid:
                made[name] = scaled(beside(result.view(name).pixels, picture), (height, 2 * width))
            else:
                scale = self._scales[name]
                made[name] = scaled(picture, (scale * height, scale * width))
        if self._joined is not None:
            made[JOINED] = scaled(self._all(result, self._joined), (height, width))
        return made

    @staticmethod
    def _all(result: Result, joined: JoinedPicture) -> ImageU8:
        from quadrat.render.boxes import draw_note

        if result.frame.skipped:
            return draw_note(result.frame.pixels, f"not measured: {result.frame.skipped}")
        return joined.draw(result)

    def _picture(self, name: str, result: Result) -> ImageU8:
        from quadrat.render.boxes import draw_note

        frame = result.view(name)
        if result.frame.skipped or name not in result.predictions:
            return draw_note(frame.pixels, f"not measured: {result.frame.skipped or 'failed'}")
        return self._draw[name](frame, result.predictions[name], self._classes[name], self._style)


def _classes(model: LoadedModel) -> tuple[ClassInfo, ...]:
    return model.package.classes if model.about is None else model.about.parts
