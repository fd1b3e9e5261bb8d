"""The public Python API: a loaded model archive that measures images.

    from predictor import Predictor

    with Predictor("model.tgz") as predictor:
        for measured in predictor.predict(["reef/", "IMG_0001.jpg"]):
            print(measured.name, measured.cover)

It runs the very path that the service runs, so its numbers are the service's numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from quadrat.artifacts.folder import pull_file
from quadrat.artifacts.listing import list_images
from quadrat.errors import NotAnImageError, QuadratError
from quadrat.settings import parse
from quadrat.types import ClassInfo, Cover, Failure, Item, Result, Segmentation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from quadrat.pipeline.loaded import LoadedModel
    from quadrat.types import ImageU8

__all__ = ["Failure", "Measurement", "Predictor", "QuadratError"]


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """One measured image.

    `labels` (H, W) uint8 class indices, 255 where the confidence is under the floor; `confidence`
    (H, W) float16 in 0..1 or None; `pixels` (h, w, 3) uint8 RGB, the upright picture at working
    size; `covers` one entry per class, summing to 1.
    """

    name: str
    segmentation: Segmentation
    pixels: ImageU8
    source_hw: tuple[int, int]
    covers: Sequence[Cover]

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The mask, (H, W) uint8."""
        return self.segmentation.labels

    @property
    def confidence(self) -> NDArray[np.float16] | None:
        """The probability of each pixel's class, (H, W) float16, or None."""
        return self.segmentation.confidence

    @property
    def cover(self) -> dict[str, float]:
        """Share of the picture by class name, in 0..1; the names of two equal classes are told apart by index."""
        names = [c.name for c in self.covers]
        return {c.name if names.count(c.name) == 1 else f"{c.name} {c.index}": c.cover for c in self.covers}

    def overlay(self) -> Image:
        """Draw the picture with its classes tinted and a legend of percentages."""
        from PIL import Image

        from quadrat.render.overlay import draw_overlay

        return Image.fromarray(draw_overlay(self.pixels, self.labels, self.covers))

    def pseudo(self) -> Image:
        """Give the mask as the palette picture that the service delivers."""
        from io import BytesIO

        from PIL import Image

        from quadrat.media.encode import palette_png
        from quadrat.render.palette import palette

        return Image.open(BytesIO(palette_png(self.labels, palette(self.covers))))


class Predictor(AbstractContextManager["Predictor"]):
    """A model archive, opened: use it as a context, or close it.

    The settings mean what the service's parameters of the same names mean. Raises ModelError for a
    fault of the archive, EngineError for one of the machine, ParameterError for a wrong setting.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        engine: str = "auto",
        device: str = "cpu",
        precision: str = "fp32",
        cpu_threads: int = 10,
        batch_size: int = 1,
        max_img_size: int = 1_000_000,
        result_size: str = "working",
        min_confidence: float = 0.0,
        log: logging.Logger | None = None,
    ) -> None:
        from quadrat.pipeline.loaded import load_model

        self._settings = parse(
            {
                "engine": engine,
                "device": device,
                "precision": precision,
                "cpu_threads": cpu_threads,
                "batch_size": batch_size,
                "max_img_size": max_img_size,
                "result_size": result_size,
                "min_confidence": min_confidence,
            }
        )
        self._stack = ExitStack()
        logger = log or logging.getLogger("quadrat")
        self._model: LoadedModel = self._stack.enter_context(load_model(Path(model), self._settings, logger))

    @property
    def classes(self) -> Sequence[ClassInfo]:
        """The classes that the archive lists, in index order."""
        return self._model.package.classes

    def predict(
        self, images: str | Path | Iterable[str | Path], *, on_error: str = "stop"
    ) -> Iterator[Measurement | Failure]:
        """Measure files, and folders with their sub-folders, one after the other, as they are asked for.

        With `on_error` "stop" the first image that cannot be measured raises its error; with "skip" it
        is yielded as a Failure. Files in folders that are no images are passed over.
        """
        stop = parse({"on-error": on_error}).on_error == "stop"
        return self._predict([images] if isinstance(images, (str, Path)) else images, stop=stop)

    def _predict(self, paths: Iterable[str | Path], *, stop: bool) -> Iterator[Measurement | Failure]:
        from quadrat.pipeline.predict import Prediction

        for item in Prediction(self._model, _list(paths), pull_file):
            if isinstance(item, Result):
                yield self._measure(item)
            elif isinstance(item.error, NotAnImageError):
                continue
            elif stop:
                raise item.error
            else:
                yield item

    def close(self) -> None:
        """Free the network and the unpacked archive."""
        self._stack.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _measure(self, result: Result) -> Measurement:
        from quadrat.report.cover import measure

        segmentation = result.predictions["segment"]
        covers = measure(self._model.package, segmentation, self._settings.min_confidence)
        frame = result.frame
        return Measurement(result.source.name, segmentation, frame.pixels, frame.source_hw, covers)


def _list(paths: Iterable[str | Path]) -> Iterator[Item]:
    for path in paths:
        yield from list_images(Path(path))
