"""What a finished source contributes to the tables, aspects and totals of an order: no pixels, all of it picklable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from quadrat.errors import QuadratError
from quadrat.geometry import HW
from quadrat.types import Reading, Source


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of a picture beside its pixels.

    `source_hw` and `working_hw` are (height, width) of the upright picture as it is stored and as it was read;
    `digest` is the sha256 (hex) of its bytes; `exif` the tags kept, by name.
    """

    source_hw: HW
    working_hw: HW
    digest: str
    exif: Mapping[str, str]
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What one model contributes to the record of a source.

    `size` is the (height, width) of its result for a picture; `product` names the main product; `summary` is the
    task's own value (covers, counts of classes, ...); `columns` holds its predictions frame by frame, without
    pixels; `text` says in a few words what was found.
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


Status = Literal["ok", "partial", "failed", "skipped", "not-reached"]


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """Everything that a finished source contributes to tables, aspects, totals and progress.

    It has no pixels and can be pickled. `faults` are all errors in order of importance: the first gives the code
    of the source's row. `image` is set for a picture, `reading` for a video, sequence or stream; neither for a
    source that was not read. `reason` explains a status that is not an error. `products` names what was delivered.
    """

    source: Source
    status: Status
    faults: tuple[QuadratError, ...] = ()
    reason: str = ""
    image: ImageFacts | None = None
    reading: Reading | None = None
    models: tuple[ModelRecord, ...] = ()
    products: tuple[str, ...] = ()
