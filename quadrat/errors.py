"""Every error a user can meet, as one tree.

    QuadratError                   E_INTERNAL        exit 1
      ParameterError               E_PARAMETER       exit 2
      ModelError                   E_MODEL           exit 3   the model archive is at fault
        ArchiveFormatError         E_MODEL_FORMAT             not a whole gzip'd tar (truncated, flipped, trailing bytes)
        ArchiveUnsafeError         E_MODEL_UNSAFE             links, devices, escapes, bombs, code
        ManifestError              E_MODEL_MANIFEST           deploy.yaml or meta.json missing or wrong
        DigestError                E_MODEL_DIGEST             a file differs from the sha256 the archive states
        TransformError             E_MODEL_TRANSFORM          a transform we do not know, or cannot run
        ClassesError               E_MODEL_CLASSES            classes and network outputs do not agree
        GraphError                 E_MODEL_GRAPH              an engine cannot read the network
        LayoutError                E_MODEL_LAYOUT             a detector's outputs are not what its layout says
      EngineError                  E_ENGINE          exit 4   the engine, not the model, is at fault
        EngineUnavailableError     E_ENGINE_MISSING           none of the engines tried can start here
        DeviceError                E_DEVICE                   the device or precision asked for is not here
        EngineRunError             E_ENGINE_RUN               a started engine failed or died on a batch
      InputError                   E_INPUT           exit 5   images, one or all
        NotAnImageError            E_NOT_IMAGE                skipped: not of the kind that the order measures
        ImageFormatError           E_IMAGE_FORMAT             not a picture we read
        ImageTruncatedError        E_IMAGE_TRUNCATED          the file ends early or is damaged
        ImageSizeError             E_IMAGE_SIZE               no pixels, or too many
        TooManyObjectsError        E_TOO_MANY                 more objects than max-detections: only the best are counted
        VideoFormatError           E_VIDEO_FORMAT             no video or sequence we read, or one that changes its size
        VideoTruncatedError        E_VIDEO_TRUNCATED          the video ends early or is damaged: measured in part
        StreamError                E_STREAM                   a stream cannot be reached, or was lost
        SourceError                E_SOURCE                   an artifact cannot be fetched
        NoImagesError              E_NO_IMAGES                nothing to do
        AllFailedError             E_ALL_FAILED               not one image could be measured
        StoppedError               E_STOPPED                  on-error=stop or max-failures ended the order
      DeliveryError                E_DELIVERY        exit 6   a product could not be delivered
        EncoderError               E_ENCODER                  no video can be drawn with this codec: measured without

An error says what happened, where, and what to do, in one line. `code` never changes its meaning.
"""

from __future__ import annotations

from typing import ClassVar, Self


class QuadratError(Exception):
    """Base of all errors meant for a user to read; not raised itself.

    `what` is a sentence without a full stop; `where` names the file, member or parameter;
    `hint` says what to do.
    """

    code: ClassVar[str] = "E_INTERNAL"
    exit_status: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what = " ".join(what.split())
        self.where = " ".join(where.split())
        self.hint = " ".join(hint.split())
        super().__init__(self.what, self.where, self.hint)

    def __str__(self) -> str:
        """Give the whole error as one line, without its code."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. {self.hint}" if self.hint else text

    @property
    def line(self) -> str:
        """The one line that logs and tables show: code, where, what, hint."""
        return f"{self.code} {self}"

    def at(self, where: str, hint: str | None = None) -> Self:
        """Give the same error of another place, and with another hint where one is given."""
        return type(self)(self.what, where=where, hint=self.hint if hint is None else hint)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle across the engine's process border."""
        return (_rebuild, (type(self), self.what, self.where, self.hint))


def _rebuild(kind: type[QuadratError], what: str, where: str, hint: str) -> QuadratError:
    return kind(what, where=where, hint=hint)


class ParameterError(QuadratError):
    """A parameter is missing, out of range, or does not go with another."""

    code = "E_PARAMETER"
    exit_status = 2


class ModelError(QuadratError):
    """The model archive is at fault."""

    code = "E_MODEL"
    exit_status = 3


class ArchiveFormatError(ModelError):
    """The archive is not a whole gzip'd tar."""

    code = "E_MODEL_FORMAT"


class ArchiveUnsafeError(ModelError):
    """The archive holds something that a model has no need of."""

    code = "E_MODEL_UNSAFE"


class ManifestError(ModelError):
    """deploy.yaml or meta.json is missing or wrong."""

    code = "E_MODEL_MANIFEST"


class DigestError(ModelError):
    """A file in the archive differs from the digest that the archive states for it."""

    code = "E_MODEL_DIGEST"


class TransformError(ModelError):
    """The archive asks for a transform that is unknown or cannot run at inference."""

    code = "E_MODEL_TRANSFORM"


class ClassesError(ModelError):
    """The classes of the manifest and the outputs of the network do not agree."""

    code = "E_MODEL_CLASSES"


class GraphError(ModelError):
    """An engine cannot read the network."""

    code = "E_MODEL_GRAPH"


class LayoutError(ModelError):
    """A detector's outputs are not what its layout says, or match no layout."""

    code = "E_MODEL_LAYOUT"


class EngineError(QuadratError):
    """The engine, not the model, is at fault."""

    code = "E_ENGINE"
    exit_status = 4


class EngineUnavailableError(EngineError):
    """None of the engines tried can start here; the reasons are in one line."""

    code = "E_ENGINE_MISSING"


class DeviceError(EngineError):
    """The device or precision asked for is not on this machine."""

    code = "E_DEVICE"


class EngineRunError(EngineError):
    """A started engine failed on a batch, or its process died."""

    code = "E_ENGINE_RUN"


class InputError(QuadratError):
    """One image, or all of them, cannot be measured."""

    code = "E_INPUT"
    exit_status = 5


class NotAnImageError(InputError):
    """The file is not of the kind that this order measures (images, or videos), or is a marker or hidden; it is skipped."""

    code = "E_NOT_IMAGE"


class ImageFormatError(InputError):
    """The bytes are no picture in a format that we read."""

    code = "E_IMAGE_FORMAT"


class ImageTruncatedError(InputError):
    """The picture's file ends early or is damaged."""

    code = "E_IMAGE_TRUNCATED"


class ImageSizeError(InputError):
    """The picture has no pixels, or more than we accept."""

    code = "E_IMAGE_SIZE"


class TooManyObjectsError(InputError):
    """There are more objects than max-detections; only the best are counted."""

    code = "E_TOO_MANY"

    @classmethod
    def capped(cls, count: int, where: str) -> Self:
        """Report that only the best `count` objects of the image or frame `where` are counted."""
        return cls(
            f"there are more objects than max-detections, and only the best {count} are counted",
            where=where,
            hint="Raise --max-detections, or --min-score where they are not real",
        )


class VideoFormatError(InputError):
    """It is no video or sequence that we read, or has no pictures; or its pictures change size, and all are scaled to the first."""

    code = "E_VIDEO_FORMAT"


class VideoTruncatedError(InputError):
    """The video ends early or is damaged; what could be read of it is measured."""

    code = "E_VIDEO_TRUNCATED"


class StreamError(InputError):
    """A stream cannot be reached, or was lost."""

    code = "E_STREAM"


class SourceError(InputError):
    """An artifact cannot be fetched."""

    code = "E_SOURCE"


class NoImagesError(InputError):
    """There is no image to measure."""

    code = "E_NO_IMAGES"


class AllFailedError(InputError):
    """Not one image of the order could be measured."""

    code = "E_ALL_FAILED"


class StoppedError(InputError):
    """The failure policy ended the order early."""

    code = "E_STOPPED"


class DeliveryError(QuadratError):
    """A product could not be delivered."""

    code = "E_DELIVERY"
    exit_status = 6


class EncoderError(DeliveryError):
    """An encoder takes no such video, which is no fault of the disk: it is measured, and none is drawn."""

    code = "E_ENCODER"
