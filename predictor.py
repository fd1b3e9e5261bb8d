"""The public Python API: a loaded model archive that measures images and videos.

    from predictor import Predictor

    with Predictor("model.tgz") as predictor:
        for measured in predictor.predict(["reef/", "IMG_0001.jpg"]):
            print(measured.name, measured.cover)

    with Predictor("detector.tgz", settings={"tile-size": 640}) as predictor:
        for found in predictor.video("dive.mp4"):
            print(found.time_s, found.count, found.detections.tracks)

It runs the same code as the service, so its numbers are the service's numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from quadrat.errors import NotAnImageError, ParameterError, QuadratError
from quadrat.media.kinds import PICTURE_HINT, VIDEO_HINT
from quadrat.parameters import NAMES_OF_FILES, find, parse
from quadrat.predictions import Classification, Detections, Embedding, Segmentation
from quadrat.stores.addresses import public
from quadrat.stores.folder import pull_file
from quadrat.stores.instances import Instances, is_list
from quadrat.stores.listing import file_source, list_images
from quadrat.stores.memory import Pictures
from quadrat.types import ClassInfo, Cover, Failure, Result, SourceClosed, StoreItem

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from quadrat.pipeline.models import Pass
    from quadrat.pipeline.read import Pull
    from quadrat.types import ImageU8, ModelPackage

    Given = str | Path | ImageU8

__all__ = ["Failure", "Features", "Labels", "Measurement", "Objects", "Predictor", "QuadratError"]

IMAGES = "Give paths of files and folders, or arrays of (height, width, 3) uint8 RGB; for an image of Pillow, give its file"
ONE_VIDEO = "Give the path of a video, or of a folder of images"
HINTS = {
    VIDEO_HINT: "Videos go by predictor.video(path)",
    PICTURE_HINT: "Pictures go by predictor.predict(path)",
}
"""Hints of the service, and what they are for callers of this module."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """One measured image, or frame of a video.

    `labels` (H, W) uint8 class indices, 255 for a confidence below min-confidence; `confidence`
    (H, W) float16 in 0..1 or None; `pixels` (h, w, 3) uint8 RGB, the upright picture at working
    size; `covers` one entry per class, summing to 1 unless pixels can have several classes; `frame` and `time_s` its number and second in a video.
    """

    name: str
    segmentation: Segmentation = field(repr=False)
    pixels: ImageU8 = field(repr=False)
    source_hw: tuple[int, int]
    covers: Sequence[Cover]
    frame: int = 0
    time_s: float | None = None

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The mask, (H, W) uint8."""
        return self.segmentation.labels

    @property
    def confidence(self) -> NDArray[np.float16] | None:
        """The probability of each pixel's class, (H, W) float16, or None."""
        return self.segmentation.confidence

    @property
    def masks(self) -> NDArray[np.bool_] | None:
        """The mask of each class, (H, W, K) bool, if pixels can have several classes; otherwise None."""
        members = self.segmentation.members
        return None if members is None else members > 0

    @property
    def cover(self) -> dict[str, float]:
        """Fraction of the picture by class name, in 0..1; classes of the same name also have their index."""
        names = [c.name for c in self.covers]
        return {c.name if names.count(c.name) == 1 else f"{c.name} {c.index}": c.cover for c in self.covers}

    def overlay(self, style: str = "tint", opacity: float | None = None) -> Image:
        """Draw the picture with its classes and a legend of percentages.

        `style` and `opacity` are the parameters overlay-style and overlay-opacity of the service. Raises
        ParameterError for a value that they do not have.
        """
        from PIL import Image

        from quadrat.render.overlay import draw_overlay

        settings = parse({"overlay-style": style, "overlay-opacity": opacity})
        overlap = self.segmentation.members is not None
        return Image.fromarray(
            draw_overlay(self.pixels, self.labels, self._drawn(), settings.pictures, overlap=overlap)
        )

    def pseudo(self) -> Image:
        """Give the mask as the palette picture that the service delivers."""
        from io import BytesIO

        from PIL import Image

        from quadrat.media.encode import palette_png
        from quadrat.render.palette import palette

        return Image.open(BytesIO(palette_png(self.labels, palette(self._drawn()))))

    def _drawn(self) -> Sequence[Cover]:
        """Return the covers to draw: those of the classes, and of the pixels without one."""
        from quadrat.report.cover import no_class

        return (
            self.covers if self.segmentation.members is None else [*self.covers, no_class(self.segmentation)]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """The objects of one image, or frame of a video.

    `detections` has boxes (N, 4) x0, y0, x1, y1 in pixels of the upright source, scores, classes and, in
    a video, tracks; `pixels` (h, w, 3) uint8 RGB, the upright picture at working size; `classes` the meaning of
    the class indices; `frame` and `time_s` its number and second in a video; `skipped` is the reason if a frame of
    a video was not measured, else "".
    """

    name: str
    detections: Detections
    pixels: ImageU8 = field(repr=False)
    source_hw: tuple[int, int]
    classes: Sequence[ClassInfo]
    frame: int = 0
    time_s: float | None = None
    skipped: str = ""

    @property
    def count(self) -> dict[str, int]:
        """Number of objects by class name; classes without objects are left out."""
        names = {info.index: info.name for info in self.classes}
        found = [names.get(int(index), f"class {index}") for index in self.detections.classes]
        return {name: found.count(name) for name in dict.fromkeys(found)}

    def annotated(self, labels: str = "auto") -> Image:
        """Draw the picture with its objects; `labels` is the service's parameter box-labels."""
        from PIL import Image

        from quadrat.render.boxes import draw_boxes

        chosen = parse({"box-labels": labels}).pictures.box_labels
        return Image.fromarray(
            draw_boxes(self.pixels, self.detections, self.classes, self.source_hw, labels=chosen)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The labels of one image, or frame of a video.

    `labels` gives the probability of each label by name: none if the classifier is unsure; `scores` those of all
    classes; `found` has all of it, with the features if they were asked for; the other fields are those of Objects.
    """

    name: str
    found: Classification
    pixels: ImageU8 = field(repr=False)
    source_hw: tuple[int, int]
    classes: Sequence[ClassInfo]
    frame: int = 0
    time_s: float | None = None

    @property
    def labels(self) -> dict[str, float]:
        """Probability by name of a class, or of a name above classes."""
        return {label.name: label.probability for label in self.found.labels}

    @property
    def scores(self) -> dict[str, float]:
        """Probability of each class by name."""
        names = {info.index: info.name for info in self.classes}
        return {names.get(n, f"class {n}"): score for n, score in enumerate(self.found.scores.tolist())}

    def labelled(self) -> Image:
        """Draw the picture with its labels and the most probable classes below it."""
        from PIL import Image

        from quadrat.render.labelled import draw_labels

        return Image.fromarray(draw_labels(self.pixels, self.found))


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The vector (D,) float32 of length 1 of one image, or frame of a video; the other fields are those of Objects."""

    name: str
    vector: NDArray[np.float32]
    pixels: ImageU8 = field(repr=False)
    source_hw: tuple[int, int]
    frame: int = 0
    time_s: float | None = None


class Predictor(AbstractContextManager["Predictor"]):
    """A loaded model archive. Use it as a context manager, or close it.

    The arguments are the service's parameters of the same names; `settings` takes all others by name, such as
    {"tile-size": 640, "tracker": "deepsort"}. Raises ModelError for a fault of the archive, EngineError for one of
    the machine, ParameterError for a wrong setting.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        engine: str = "auto",
        device: str = "cpu",
        precision: str = "fp32",
        cpu_threads: int | str = 10,
        batch_size: int | str = 1,
        max_img_size: int | str | None = None,
        result_size: str = "working",
        min_confidence: float = 0.0,
        settings: Mapping[str, object] | None = None,
        log: logging.Logger | None = None,
    ) -> None:
        from quadrat.pipeline.models import load_models

        _only_settings(settings or {})
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
                **(settings or {}),
            }
        )
        self._stack = ExitStack()
        logger = log or logging.getLogger("quadrat")
        self._models: Pass = self._stack.enter_context(
            load_models(
                [Path(model)], self._settings, logger, isolated=self._settings.order.executor == "isolated"
            )
        )

        if not all(model.kind.measures for model in self._models.values()):
            self.close()
            raise ParameterError(
                "it makes pictures and measures nothing", where="model", hint="Use quadrat run"
            )

    @property
    def _package(self) -> ModelPackage:
        (model,) = self._models.values()
        return model.package

    @property
    def classes(self) -> Sequence[ClassInfo]:
        """The classes that the archive lists, in index order."""
        return self._package.classes

    def predict(
        self, images: Given | Iterable[Given], *, on_error: str = "stop"
    ) -> Iterator[Measurement | Objects | Labels | Features | Failure]:
        """Measure files, folders with their sub-folders, lists of instances (JSON) and arrays, one at a time, as the results are consumed.

        An array is an upright picture (h, w, 3) uint8 RGB, or (h, w) uint8; its name is its number, as in "array 0".
        A segmentation model gives a Measurement for each, a detector Objects, a classifier Labels, an embedding Features. With `on_error` "stop", the first image
        that cannot be measured raises its error; with "skip", it is yielded as a Failure. Files in folders that are
        not images are ignored.
        """
        stop = parse({"on-error": on_error}).order.on_error == "stop"
        held = Pictures()
        items = (item for given in _several(images) for item in _items(given, held))
        return self._run(items, held.pull, stop=stop, moving=False)

    def video(self, path: str | Path) -> Iterator[Measurement | Objects | Labels | Features]:
        """Measure a video, or a folder of images as a sequence, one frame at a time, as the results are consumed.

        The `tracker` setting decides how objects are followed. Raises the error of a video that cannot be read. If
        only a part can be read, raises its error after the last frame.
        """
        place = _place(path)
        source = replace(file_source(place, place.name), media="sequence" if place.is_dir() else "video")
        for item in self._run(iter([source]), pull_file, stop=True, moving=True):
            if not isinstance(item, Failure):
                yield item

    def _run(
        self, items: Iterator[StoreItem], pull: Pull, *, stop: bool, moving: bool
    ) -> Iterator[Measurement | Objects | Labels | Features | Failure]:
        from quadrat.pipeline.run import Run

        for item in Run(self._models, items, pull, moving=moving):
            if isinstance(item, Result):
                yield self._measure(item)
            elif isinstance(item, SourceClosed):
                if item.faults:
                    raise item.faults[0]
            elif isinstance(item, Failure) and not isinstance(item.error, NotAnImageError):
                if stop:
                    raise _with_local_hint(item.error)
                yield replace(item, error=_with_local_hint(item.error))

    def close(self) -> None:
        """Release the network and the unpacked archive."""
        self._stack.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _measure(self, result: Result) -> Measurement | Objects | Labels | Features:
        """Turn a result into a public value; a skipped frame has no objects."""
        from quadrat.report.cover import measure

        frame, name = result.frame, result.source.name
        found = next(iter(result.predictions.values()), Detections.none())
        shown, place = (frame.pixels, frame.source_hw), (frame.key.index, frame.time_s)
        if isinstance(found, Segmentation):
            covers = measure(self._package, found, self._settings.masks.min_confidence)
            return Measurement(name, found, *shown, covers, *place)
        if isinstance(found, Classification):
            return Labels(name, found, *shown, self.classes, *place)
        if isinstance(found, Embedding):
            return Features(name, found.vector, *shown, *place)
        return Objects(name, found, *shown, self.classes, *place, frame.skipped)


def _only_settings(given: Mapping[str, object]) -> None:
    """Raise ParameterError for a parameter that names files, which has no effect here."""
    for name in given:
        if find(name).field in NAMES_OF_FILES:
            hint = "Give the archive to Predictor, and images and videos to its methods"
            raise ParameterError("it names a file, which is not a setting", where=name, hint=hint)
        if name == "compare":
            raise ParameterError("it needs an order", where=name, hint="Use one Predictor for each variant")


def _several(given: object) -> Iterable[object]:
    """Give one thing or several as several. An array is one picture; with four axes it is several."""
    if isinstance(given, np.ndarray) and given.dtype.kind not in "USO":
        return given if given.ndim == 4 else [given]
    return given if isinstance(given, Iterable) and not isinstance(given, str) else [given]


def _items(given: object, held: Pictures) -> Iterator[StoreItem]:
    """Give the picture of an array, or all pictures of a path."""
    if isinstance(given, np.ndarray):
        yield held.add(given)
    else:
        place = _place(given, IMAGES)
        yield from Instances(place) if is_list(place) else list_images(place)


def _with_local_hint(error: QuadratError) -> QuadratError:
    """Give an error whose hint names calls of this module, not parameters of the service."""
    hint = HINTS.get(error.hint)
    return error if hint is None else error.at(error.where, hint)


def _place(given: object, hint: str = ONE_VIDEO) -> Path:
    """Check that something is a path; ParameterError for an address, and with the `hint` for anything else."""
    if isinstance(given, str) and "://" in given:
        raise ParameterError(
            "it is an address, not a file or folder",
            where=public(given),
            hint="Live streams are measured by the command: quadrat run MODEL ADDRESS",
        )
    if not isinstance(given, (str, PathLike)):
        raise ParameterError(
            f"it is a {type(given).__name__}, not a path",
            where="images",
            hint=hint,
        )
    return Path(given)
