"""The records of finished sources, from which tables, aspects and totals are made. They have no pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import QuadratError
from quadrat.facts import PictureFacts, SampleDepth
from quadrat.geometry import HW
from quadrat.types import Reading, Source


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Facts about an image, without its pixels.

    `source_hw` and `working_hw` are the (height, width) of the upright image as stored and as read; `digest` is the
    sha256 (hex) of its bytes; `exif` holds the tags kept, by name; `skipped` is the reason if it was not measured.
    `picture` holds the facts about its pixels, and `flags` the flags that they give; `duplicate_of` is the name of
    the image that it duplicates, which is known only in the tables; `depth` are the bits of its 16-bit samples, if not
    all are used.
    """

    source_hw: HW
    working_hw: HW
    digest: str
    exif: Mapping[str, str]
    skipped: str = ""
    picture: PictureFacts | None = None
    flags: tuple[str, ...] = ()
    duplicate_of: str = ""
    depth: SampleDepth | None = None


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What one model contributes to the record of a source.

    `size` is the (height, width) of its result for an image; `product` names the main product; `summary` is the
    task's own value (covers, counts of classes, ...); `columns` holds its predictions frame by frame, without
    pixels; `text` summarises them for the log; `side` is the long side, in pixels, at which the network saw an image,
    or of the whole image if it was measured in tiles.
    """

    model: str
    task: str
    measured: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[QuadratError, ...] = ()
    size: HW = (0, 0)
    product: str = ""
    summary: Any = None
    columns: Any = None
    text: str = ""
    side: int = 0


@dataclass(frozen=True, slots=True)
class Label:
    """A class that a model found in a picture, a frame or an object: its `id` (URN) and `name`.

    `score` is in 0..1; `cover` is the share of the pixels in 0..1. Either may be None.
    """

    model: str
    id: str
    name: str
    score: float | None = None
    cover: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What features files and indexes hold of a picture, a frame or an object.

    `box` is x0, y0, x1, y1 of an object in pixels of the upright source, None for a whole picture or frame; `track`
    is -1 without a track. `vectors` (D,) float32 of length 1 are by the name of the model that gave them; `model` is the
    model that found the object, empty for a picture; `thumb` is a small JPEG, empty if none is wanted.
    """

    box: tuple[float, float, float, float] | None = None
    track: int = -1
    labels: tuple[Label, ...] = ()
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    model: str = ""
    thumb: bytes = b""


Status = Literal["ok", "flagged", "partial", "failed", "skipped", "not-reached"]


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """Everything that a finished source contributes to tables, aspects, totals and progress.

    It has no pixels and can be pickled. `faults` are all errors in order of importance; the row of the source has
    the code of the first. `image` is set for an image, `reading` for a video, sequence or stream, and neither for a
    source that was not read. An image that was measured and has flags is `flagged` in the tables, and `ok` before:
    whether it is a duplicate depends on others. `reason` explains a status that has no error. `products` names the delivered products.
    `entries` are columns of `Entry`, frame by frame; None if there are none.
    """

    source: Source
    status: Status
    faults: tuple[QuadratError, ...] = ()
    reason: str = ""
    image: ImageFacts | None = None
    reading: Reading | None = None
    models: tuple[ModelRecord, ...] = ()
    products: tuple[str, ...] = ()
    entries: Any = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One number of threads and one batch size that were tried for a network.

    `outcome` is "ok", or the reason why the values cannot be chosen: "other values", "no memory", "no time" or "failed".
    `runs` is the number of timed runs; `seconds` are those of the fastest run, and `rate` the inputs per second that
    it amounts to, with all runs that the engine does at once. `memory` are the bytes that the process of the network
    took beyond what it held before. They are None if they were not measured.
    """

    cpu_threads: int
    batch_size: int
    outcome: str
    runs: int = 0
    seconds: float | None = None
    rate: float | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was chosen for a network with batch-size=auto or cpu-threads=auto, and what was tried.

    `shape` is that of the inputs, (C, H, W); `seconds` are what trying took, 0 if the choice was `remembered`;
    `found` is the time of the trials, in UTC; `loads` counts how often the network was read again.
    """

    model: str
    shape: tuple[int, ...]
    batch_size: int
    cpu_threads: int
    trials: tuple[Trial, ...]
    seconds: float
    loads: int = 0
    found: str = ""
    remembered: bool = False
