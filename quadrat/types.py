"""The values that pass through the pipeline. Arrays are NumPy arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import QuadratError, distinct
from quadrat.facts import PictureFacts, SampleDepth
from quadrat.geometry import HW, Geometry, Window

Media = Literal["image", "video", "sequence", "stream"]
"""An image file, a video file, a folder of images in order of name, or the address of a live stream."""
ImageU8 = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB, upright."""


@dataclass(frozen=True, slots=True)
class Source:
    """An image, video, sequence or stream to measure, without its content.

    `urn` identifies it in metadata; `name` is its name for people (a path below the given folder, or the URN);
    `token` is what the store needs to acknowledge it, or the address of a stream; `stem` is the beginning of its
    products' names, allotted when the source is listed.
    """

    urn: str
    name: str
    media: Media = "image"
    token: str = ""
    stem: str = ""


@dataclass(frozen=True, eq=False)
class Blob:
    """The content of a source: bytes, a file or folder, or an upright image.

    `content` is encoded bytes, a path, or an image (h, w, 3) uint8 RGB or (h, w) uint8 grey. A path is valid while
    the context of the store's `pull` is open. `known_digest` is the digest if it is already known, else empty.
    """

    content: bytes | Path | NDArray[np.uint8]
    known_digest: str = ""

    @cached_property
    def digest(self) -> str:
        """The sha256 (hex) of the content, computed at the first use: of the bytes, or of the file's bytes.

        For an image it is the sha256 of its dtype and shape as text, "|u1 (h, w, 3)" and a line feed, and its
        pixels row by row. A folder has no digest. Raises OSError if the file cannot be read.
        """
        if self.known_digest:
            return self.known_digest
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()
        if isinstance(self.content, Path):
            with self.content.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        head = f"{self.content.dtype.str} {self.content.shape}\n".encode()
        return hashlib.sha256(head + self.content.tobytes()).hexdigest()

    def loaded(self) -> Blob:
        """Return the blob with a file's bytes in memory, and with its digest if that has been computed.

        Raises OSError if the file cannot be read.
        """
        if not isinstance(self.content, Path):
            return self
        return Blob(self.content.read_bytes(), self.__dict__.get("digest", self.known_digest))


@dataclass(frozen=True, slots=True, order=True)
class FrameKey:
    """The identity of a frame: the source's URN and the frame's index in it (0 for an image)."""

    source: str
    index: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Original:
    """What the file of an image holds beside its pixels, for a picture that is to be stored alike.

    `kind` is its format; `bits` the bits of a sample; `exif` its EXIF and `profile` its RGB colour profile, as stored;
    `alpha` (H, W) uint8 its alpha channel, upright, at source size, None if it is opaque; `tags` the tags of a TIFF
    that are kept; `lost` what it has and cannot be kept.
    """

    kind: str
    bits: int = 8
    exif: bytes = b""
    profile: bytes = b""
    alpha: NDArray[np.uint8] | None = None
    tags: Mapping[int, Any] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded image.

    `pixels` (h, w, 3) uint8 RGB, upright, at working size; `source_hw` (height, width) of the upright source before
    any scaling; `time_s` presentation time in seconds, None for an image; `digest` sha256 (hex) of the image's
    content, see `Blob`; `exif` the tags kept, by name; `skipped` the reason if the frame is not measured ("black",
    "idle", "failed", or flags), else empty; `file` the file name of a sequence's image; `facts` the facts about an
    image, None for a frame of a video; `depth` the bits of 16-bit samples, if not all are used; `original` what its file holds beside the pixels, if
    something is to be stored alike. The pixels of a mosaic may be a memory map of a file.
    """

    key: FrameKey
    source_hw: HW
    pixels: ImageU8
    digest: str = ""
    time_s: float | None = None
    exif: Mapping[str, str] = field(default_factory=dict)
    skipped: str = ""
    file: str = ""
    facts: PictureFacts | None = None
    depth: SampleDepth | None = None
    original: Original | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One network input: `tensor` (C, h, w) float32 and where it lies in the frame.

    `window` is the tile, in pixels of the frame at working size; None for the whole frame.
    """

    tensor: NDArray[np.float32]
    geometry: Geometry
    window: Window | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The network's outputs for one sample: `arrays` by output name, without the batch axis."""

    arrays: Mapping[str, NDArray[Any]]
    geometry: Geometry
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """One class of a model: its `index` in the label plane, `id` (URN), `name` and `color` (r, g, b)."""

    index: int
    id: str
    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Cover:
    """The cover of one class: its number of `pixels`, and `cover`, their share of all pixels in 0..1."""

    index: int
    id: str
    name: str
    color: tuple[int, int, int]
    pixels: int
    cover: float
    confidence: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The predictions for one frame, by model name; empty if the frame was skipped.

    `frame` is the frame as it was read. A model that measures it at another size has an entry in `views`. `faults`
    holds, by model name, the error of a model that gave no prediction.
    """

    source: Source
    frame: Frame
    predictions: Mapping[str, Any]
    views: Mapping[str, Frame] = field(default_factory=dict)
    faults: Mapping[str, QuadratError] = field(default_factory=dict)

    def view(self, model: str) -> Frame:
        """Return the frame at the size at which a model measured it."""
        return self.views.get(model, self.frame)


@dataclass(frozen=True, slots=True)
class Gap:
    """An interval in which a source gave no frames, in seconds since its start, and the reason."""

    start_s: float
    end_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a video, sequence or stream.

    `hw` (height, width) of its upright frames; `rate` frames per second, None if it is unknown; `declared_frames`
    and `declared_s` number of frames and length in seconds as the file states them, None if it does not; `read`
    frames decoded, `taken` frames sampled, `dropped` frames replaced by later ones, `damaged` frames that could not
    be decoded; `seconds` from the start of the first frame to the end of the last; `error` the reason if it was
    read only in part; `digest` sha256 (hex) of a file's bytes; `pixel_aspect` width:height of its stored pixels, if
    they are not square: `hw` is then the size at which players show it; `warnings` what makes its measurement doubtful.
    """

    hw: HW
    rate: float | None = None
    declared_frames: int | None = None
    declared_s: float | None = None
    read: int = 0
    taken: int = 0
    dropped: int = 0
    damaged: int = 0
    seconds: float = 0.0
    rotation: int = 0
    codec: str = ""
    digest: str = ""
    gaps: tuple[Gap, ...] = ()
    error: QuadratError | None = None
    pixel_aspect: str = "1:1"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SourceOpened:
    """A video, sequence or stream is open, and its frames follow; `reading` is what is known about it so far."""

    source: Source
    reading: Reading


@dataclass(frozen=True, slots=True)
class Closing:
    """How a video, sequence or stream ended for one model.

    `measured` counts its measured frames, `skipped` the others by reason; `faults` are all errors in order of
    importance; `video` is the annotated video, if one was drawn.
    """

    measured: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[QuadratError, ...] = ()
    video: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SourceClosed:
    """The end of a video, sequence or stream, with a Closing for each model by its name.

    `joined` has the annotated video of all models together, if there is one.
    """

    source: Source
    reading: Reading
    closings: Mapping[str, Closing]
    joined: Closing = field(default_factory=Closing)

    @property
    def faults(self) -> tuple[QuadratError, ...]:
        """All errors of all models, each once, in order of importance."""
        every = (*self.closings.values(), self.joined)
        return distinct(fault for closing in every for fault in closing.faults)


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """A source that gave no result; it passes through the same queues as results.

    `stage` names the stage that failed. A NotAnImageError means that the source is skipped. `others` are further errors,
    those of other models for instance, in order of importance.
    """

    source: Source
    stage: str
    error: QuadratError
    others: tuple[QuadratError, ...] = ()


class Flush:
    """A sign that the next item may be long in coming, so that stages run incomplete batches now."""


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """A file to deliver: `body` under `name`, with its MIME type and metadata (an aspect with `$schema`).

    If the body is a path, the code that made the product deletes the file.
    """

    name: str
    mime: str
    body: bytes | Path
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """An output of a loaded network: name, NumPy dtype name, and shape with None for dynamic sizes."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class TransformSpec:
    """One entry of deploy.yaml's `transforms`: its type and parameters, as written."""

    type: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """What a model.tgz says, unpacked into `root`.

    `engines` names each network file by format: "pdmodel" | "pir" | "onnx"; `params` is the
    Paddle weights file; `classes` is in index order and empty if the archive lists none; `num_classes` is None if
    it is unknown; `outputs` maps a role ("labels", "confidence", "logits") to a tensor name, and is empty for an
    original archive, whose only output is recognised by its shape; `input_shape` is (N, C, H, W) with None for
    dynamic sizes; `digest` is the archive's sha256.
    """

    root: Path
    name: str
    digest: str
    task: str
    engines: Mapping[str, Path]
    params: Path | None
    transforms: tuple[TransformSpec, ...]
    classes: tuple[ClassInfo, ...]
    num_classes: int | None
    input_shape: tuple[int | None, ...]
    outputs: Mapping[str, str] = field(default_factory=dict)
    self_test: Mapping[str, Any] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a product was made with; part of every aspect.

    `enhance` names the steps that changed the pictures before they were measured, in order; "none" if nothing did.
    `detector_digest` is that of the archive whose objects the model measured; empty for a model of whole frames.
    `appearance` states what a tracker compared beside motion: "colours", or the name and digest of the model that gave
    vectors; None if it compared nothing.
    """

    order: str
    model: str
    model_digest: str
    result_digest: str
    service_version: str
    engine: str
    engine_version: str
    precision: str
    device: str
    enhance: str = "none"
    detector_digest: str = ""
    appearance: str | None = None


StoreItem = Source | Failure | Flush
