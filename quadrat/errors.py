"""All errors that a user can see, as one tree.

    QuadratError                   E_INTERNAL        exit 1
      ParameterError               E_PARAMETER       exit 2
        QueryError                 E_INDEX_QUERY              what is looked for in an index has a mistake
      ModelError                   E_MODEL           exit 3   the model archive is at fault
        ArchiveFormatError         E_MODEL_FORMAT             not a complete gzipped tar (truncated, corrupted, trailing bytes)
        ArchiveUnsafeError         E_MODEL_UNSAFE             links, devices, escapes, bombs, code
        ManifestError              E_MODEL_MANIFEST           deploy.yaml or meta.json missing or wrong
        DigestError                E_MODEL_DIGEST             a file does not match the sha256 in the archive
        TransformError             E_MODEL_TRANSFORM          a transform is unknown or cannot run
        ClassesError               E_MODEL_CLASSES            classes and network outputs disagree
        GraphError                 E_MODEL_GRAPH              an engine cannot read the network
        LayoutError                E_MODEL_LAYOUT             a detector's outputs do not match its layout
        HierarchyError             E_MODEL_HIERARCHY          a classifier's names make no tree
        CascadeError               E_MODEL_SEVERAL            models that cannot be used together
      EngineError                  E_ENGINE          exit 4   the engine, not the model, is at fault
        EngineUnavailableError     E_ENGINE_MISSING           no engine can start on this machine
        DeviceError                E_DEVICE                   the requested device or precision is not available
        EngineRunError             E_ENGINE_RUN               a running engine failed or crashed on a batch
          EngineTimeoutError       E_ENGINE_TIMEOUT           reading or running a network takes too long
          EngineMemoryError        E_ENGINE_MEMORY            a network needs more memory than it may take
      InputError                   E_INPUT           exit 5   a source, or all of them
        NotAnImageError            E_NOT_IMAGE                skipped: not the kind of file that the order measures
        ImageFormatError           E_IMAGE_FORMAT             not a supported picture format
        ImageTruncatedError        E_IMAGE_TRUNCATED          the file ends early or is damaged
        ImageSizeError             E_IMAGE_SIZE               no pixels, or too many
        TooManyObjectsError        E_TOO_MANY                 more objects than max-detections: only the best-scoring are counted
        UnmeasuredObjectError      E_OBJECT                   a model could not measure some of the objects: they have no finer result
        VectorError                E_VECTOR                   a vector without a direction: NaN, infinity or zeros
        IndexFileError             E_INDEX                    an index is damaged, was changed, or does not fit
        VideoFormatError           E_VIDEO_FORMAT             not a supported video or sequence, or its frames change size
        VideoTruncatedError        E_VIDEO_TRUNCATED          the video ends early or is damaged: partly measured
        StreamError                E_STREAM                   a stream cannot be reached or was lost
        SourceError                E_SOURCE                   an artifact cannot be fetched
          InstanceError              E_INSTANCE                 one instance of a list (JSON lines) is wrong
          UnavailableError           E_UNAVAILABLE              the platform does not return it at the moment: it stays in its queue
        NoImagesError              E_NO_IMAGES                no image to measure
        AllFailedError             E_ALL_FAILED               no image could be measured
        StoppedError               E_STOPPED                  on-error=stop or max-failures ended the order
      DeliveryError                E_DELIVERY        exit 6   a product could not be delivered
        ResultsError               E_RESULTS                  the folder of results is in use, or holds results of another order
        EncoderError               E_ENCODER                  the codec cannot encode the annotated video: measured without it

An error states what happened, where, and what to do, in one line. A `code` never changes its meaning.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import ClassVar, Self

_JOINERS = "\u200c\u200d"
"""Characters without a picture of their own that words of some scripts need."""


def printable(text: str) -> str:
    r"""Return a text for people with its control characters escaped, such as `\n`, `\x1b` or `\u202e`.

    A file's name can hold characters that start a new line, colour a terminal or reverse the text after them, so
    that one line of a log looks like another. Letters of every script stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    kept = letter in _JOINERS or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return letter if kept else letter.encode("unicode_escape", "surrogatepass").decode()


class QuadratError(Exception):
    """Base class of all errors shown to users; never raised itself.

    `what` is a sentence without a full stop, `where` names the file, archive member or parameter, and
    `hint` says what to do.
    """

    code: ClassVar[str] = "E_INTERNAL"
    exit_status: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what = printable(" ".join(what.split()))
        self.where = printable(" ".join(where.split()))
        self.hint = printable(" ".join(hint.split()))
        super().__init__(self.what, self.where, self.hint)

    def __str__(self) -> str:
        """Return the error as one line, without its code."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. {self.hint}" if self.hint else text

    @property
    def line(self) -> str:
        """The line that logs and tables show: code, where, what, hint."""
        return f"{self.code} {self}"

    def line_after(self, name: str) -> str:
        """Return the line for a text that begins with `name`, which the line then does not repeat."""
        return self.at("").line if self.where == printable(" ".join(name.split())) else self.line

    def at(self, where: str, hint: str | None = None) -> Self:
        """Return this error with another `where`, and with another `hint` if one is given."""
        return type(self)(self.what, where=where, hint=self.hint if hint is None else hint)

    def __reduce__(self) -> tuple[object, ...]:
        """Support pickling, so that errors can cross process boundaries."""
        return (_rebuild, (type(self), self.what, self.where, self.hint))


def _rebuild(kind: type[QuadratError], what: str, where: str, hint: str) -> QuadratError:
    return kind(what, where=where, hint=hint)


def distinct(errors: Iterable[QuadratError]) -> tuple[QuadratError, ...]:
    """Give errors in their order, each once: two with the same line are one."""
    found: dict[str, QuadratError] = {}
    for error in errors:
        found.setdefault(error.line, error)
    return tuple(found.values())


class ParameterError(QuadratError):
    """A parameter is missing, out of range, or conflicts with another."""

    code = "E_PARAMETER"
    exit_status = 2


class QueryError(ParameterError):
    """What is looked for in an index has a mistake, such as a column that there is not."""

    code = "E_INDEX_QUERY"


class ModelError(QuadratError):
    """The model archive is at fault."""

    code = "E_MODEL"
    exit_status = 3


class ArchiveFormatError(ModelError):
    """The archive is not a complete gzipped tar."""

    code = "E_MODEL_FORMAT"


class ArchiveUnsafeError(ModelError):
    """The archive contains something that a model does not need: a link, a device, code."""

    code = "E_MODEL_UNSAFE"


class ManifestError(ModelError):
    """deploy.yaml or meta.json is missing or wrong."""

    code = "E_MODEL_MANIFEST"


class DigestError(ModelError):
    """A file does not match the sha256 that the archive states for it."""

    code = "E_MODEL_DIGEST"


class TransformError(ModelError):
    """The archive asks for a transform that is unknown or cannot run at inference."""

    code = "E_MODEL_TRANSFORM"


class ClassesError(ModelError):
    """The manifest's classes and the network's outputs disagree."""

    code = "E_MODEL_CLASSES"


class GraphError(ModelError):
    """An engine cannot read the network."""

    code = "E_MODEL_GRAPH"


class LayoutError(ModelError):
    """A detector's outputs do not match its layout, or any layout."""

    code = "E_MODEL_LAYOUT"


class HierarchyError(ModelError):
    """The parents of a classifier's names make no tree: a loop, two parents, or one that is unknown."""

    code = "E_MODEL_HIERARCHY"


class CascadeError(ModelError):
    """Models that cannot be used together: a model of objects without one detector, or two models of one name."""

    code = "E_MODEL_SEVERAL"


class EngineError(QuadratError):
    """The engine, not the model, is at fault."""

    code = "E_ENGINE"
    exit_status = 4


class EngineUnavailableError(EngineError):
    """No engine can start on this machine; the message lists the reason for each."""

    code = "E_ENGINE_MISSING"


class DeviceError(EngineError):
    """The requested device or precision is not available on this machine."""

    code = "E_DEVICE"


class EngineRunError(EngineError):
    """A running engine failed on a batch, or its process died."""

    code = "E_ENGINE_RUN"


class EngineTimeoutError(EngineRunError):
    """Reading or running a network took longer than load-seconds or source-seconds."""

    code = "E_ENGINE_TIMEOUT"


class EngineMemoryError(EngineRunError):
    """A network needs more memory than memory-limit, or than there is."""

    code = "E_ENGINE_MEMORY"


class InputError(QuadratError):
    """One image, or all of them, cannot be measured."""

    code = "E_INPUT"
    exit_status = 5


class NotAnImageError(InputError):
    """The file is skipped: not the kind that this order measures (images, or videos), a marker, or hidden."""

    code = "E_NOT_IMAGE"


class ImageFormatError(InputError):
    """The bytes are not a picture in a supported format."""

    code = "E_IMAGE_FORMAT"


class ImageTruncatedError(InputError):
    """The picture file ends early or is damaged."""

    code = "E_IMAGE_TRUNCATED"


class ImageSizeError(InputError):
    """The picture has no pixels, or more than the limit."""

    code = "E_IMAGE_SIZE"


class VectorError(InputError):
    """A network gives a vector without a direction: NaN, infinity, or only zeros. It is never stored."""

    code = "E_VECTOR"


class TooManyObjectsError(InputError):
    """There are more objects than max-detections; only the best-scoring ones are counted."""

    code = "E_TOO_MANY"

    @classmethod
    def capped(cls, count: int, where: str) -> Self:
        """Report that only the best `count` objects of the image or frame `where` are counted."""
        return cls(
            f"there are more objects than max-detections, and only the best {count} are counted",
            where=where,
            hint="Raise --max-detections, or --min-score where they are not real",
        )


class UnmeasuredObjectError(InputError):
    """A model that is about objects could not measure some of them; these objects have no finer result."""

    code = "E_OBJECT"


class VideoFormatError(InputError):
    """Not a supported video or sequence, without frames, or with frames that change size (scaled to the first)."""

    code = "E_VIDEO_FORMAT"


class VideoTruncatedError(InputError):
    """The video ends early or is damaged; the readable part is measured."""

    code = "E_VIDEO_TRUNCATED"


class StreamError(InputError):
    """A stream cannot be reached or was lost."""

    code = "E_STREAM"


class SourceError(InputError):
    """An artifact cannot be fetched."""

    code = "E_SOURCE"


class InstanceError(SourceError):
    """One instance of a list in JSON is wrong; the others are measured."""

    code = "E_INSTANCE"


class UnavailableError(SourceError):
    """The platform does not return an artifact at the moment; a later order may get it."""

    code = "E_UNAVAILABLE"


class IndexFileError(InputError):
    """An index is damaged, was changed by another program, or does not fit what is asked of it."""

    code = "E_INDEX"


class NoImagesError(InputError):
    """There is no image to measure."""

    code = "E_NO_IMAGES"


class AllFailedError(InputError):
    """No image of the order could be measured."""

    code = "E_ALL_FAILED"


class StoppedError(InputError):
    """The failure policy ended the order early."""

    code = "E_STOPPED"


class DeliveryError(QuadratError):
    """A product could not be delivered."""

    code = "E_DELIVERY"
    exit_status = 6


class ResultsError(DeliveryError):
    """The folder of results is in use, or holds results that the order would mix with its own."""

    code = "E_RESULTS"


class EncoderError(DeliveryError):
    """The codec cannot encode the video (the disk is not at fault); the source is measured without it."""

    code = "E_ENCODER"
