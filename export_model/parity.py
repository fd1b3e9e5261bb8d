"""Parity of engines: the self-test of each task, an engine's answer to it, and when two answers agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export_model import export_hints, objects, selftest
from export_model.network import F32
from quadrat.errors import ManifestError
from quadrat.package.detectors import read_detect
from quadrat.package.enhance import read_enhance
from quadrat.package.labels import read_labels
from quadrat.package.masks import read_masks
from quadrat.parameters import TileSettings
from quadrat.protocols import Engine
from quadrat.tasks.classify.reader import ScoreReader
from quadrat.tasks.detect import layouts
from quadrat.tasks.embed.task import VECTOR, unit, vector_output
from quadrat.tasks.enhance.network import make_network
from quadrat.tasks.enhance.picture import read_picture, to_levels
from quadrat.tasks.enhance.selftest import LEVELS
from quadrat.tasks.segment.roles import find_roles
from quadrat.types import ModelPackage

CONFIDENCE = 1e-3
"""Largest difference in confidence between two engines that agree."""
COSINE = 1e-4
"""By how much the cosine of the vectors of two engines that agree is below 1."""
AGREES = "agrees"
NOTHING = "nothing to compare"
"""Verdicts on two answers that agree: with content, and without."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The output of one engine for one network.

    For masks: `labels` (1, h, w) integer, or (1, K, h, w) with several classes per pixel, and `confidence` (1, h, w)
    or None; for a detector: `objects`; for a classifier: `probabilities` (K,); for an embedding: `vector` (D,) of length 1;
    for a network that makes pictures: `picture` (H, W, K) in RGB order.
    """

    who: str
    labels: NDArray[np.integer] | None = None
    confidence: NDArray[np.float32] | None = None
    objects: objects.CanonicalObjects | None = None
    probabilities: NDArray[np.float32] | None = None
    vector: NDArray[np.float32] | None = None
    picture: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SelfTest:
    """The input (N, C, h, w) float32, the expected answer, and the share that may differ."""

    image: F32
    expected: Answer
    tolerance: float


@dataclass(frozen=True, slots=True)
class ParityRow:
    """One comparison: its figures, in the order of `Parity.header`, and the verdict."""

    who: str
    figures: tuple[str, ...]
    verdict: str

    @property
    def failed(self) -> bool:
        """True if this row alone fails the archive."""
        return self.verdict.startswith("FAILS")

    @property
    def agrees(self) -> bool:
        """True if two answers with content agree."""
        return self.verdict == AGREES


class Parity(Protocol):
    """How the engines are compared for one task; `header` names the figures of its rows."""

    header: tuple[str, ...]

    def test(self) -> SelfTest:
        """Read the self-test of the archive; ManifestError if it has none."""

    def ask(self, engine: Engine, image: F32, who: str) -> Answer:
        """Run the input once and return the answer."""

    def compare(self, answer: Answer, other: Answer, allowed: float, who: str) -> ParityRow:
        """Compare an answer with another one, or with the expected one."""

    def summary(self, test: SelfTest, allowed: float) -> str:
        """Describe what is compared and how much may differ."""


def of(package: ModelPackage) -> Parity:
    """Return the comparison for the archive's task; ManifestError if the task has none."""
    if package.task not in PARITIES:
        raise ManifestError(f"the task {package.task!r} has no self-test", where=package.name)
    return PARITIES[package.task](package)


def _stated(package: ModelPackage, *members: str) -> tuple[dict[str, NDArray[Any]], float]:
    """Read the arrays of the self-test and its tolerance."""
    stated: Mapping[str, Any] | None = package.self_test
    if not stated or not {"input", *members} <= set(stated):
        raise ManifestError("it has no self-test", where=package.name, hint="Export it again with export.py")
    try:
        arrays = {key: np.load(package.root / stated[key], allow_pickle=False) for key in ("input", *members)}
        return arrays, float(stated.get("tolerance", 0.0))
    except (OSError, ValueError, TypeError) as error:
        raise ManifestError(f"its self-test cannot be read: {error}", where=package.name) from error


def _batch(package: ModelPackage, image: NDArray[Any]) -> F32:
    """Repeat the input for a network with a fixed batch."""
    whole: F32 = image.astype(np.float32).repeat(package.input_shape[0] or 1, 0)
    return whole


class Masks:
    """Compares labels pixel by pixel, and confidence if there is one."""

    header: tuple[str, ...] = ("differing pixels", "confidence")

    def __init__(self, package: ModelPackage) -> None:
        self._package = package

    def test(self) -> SelfTest:
        """Read the input and its labels (1, h, w)."""
        arrays, tolerance = _stated(self._package, "labels")
        image, labels = arrays["input"], arrays["labels"]
        per_pixel = (1, *image.shape[2:]), (1, labels.shape[1] if labels.ndim == 4 else 0, *image.shape[2:])
        if image.ndim != 4 or not np.issubdtype(labels.dtype, np.integer) or labels.shape not in per_pixel:
            raise ManifestError(
                f"its self-test is {image.shape} with labels {labels.shape}", where=self._package.name
            )
        return SelfTest(_batch(self._package, image), Answer("the self-test", labels=labels), tolerance)

    def ask(self, engine: Engine, image: F32, who: str) -> Answer:
        """Return labels and confidence; without labels, what the archive makes of the scores."""
        roles = find_roles(self._package, engine.outputs)
        words = read_masks(self._package.meta)
        if words.activation not in (None, "softmax") and "logits" in roles:
            scores = engine.run(image, [roles["logits"]])[roles["logits"]]
            return Answer(who, selftest.by_words(scores[:1], words, self._package.num_classes)[0])
        given = engine.run(image, list(dict.fromkeys(roles.values())))
        labels = given[roles["labels"]] if "labels" in roles else given[roles["logits"]].argmax(1)
        confidence = given[roles["confidence"]][:1] if "confidence" in roles else None
        return Answer(who, labels.reshape(len(image), *image.shape[2:])[:1], confidence)

    def compare(self, answer: Answer, other: Answer, allowed: float, who: str) -> ParityRow:
        """Count the pixels with different labels."""
        one, two = _labels(answer), _labels(other)
        if one.shape != two.shape:
            return ParityRow(who, ("all", "-"), "FAILS")
        off = int((one != two).sum())
        gap: float | None = None
        if answer.confidence is not None and other.confidence is not None:
            gap = float(np.abs(answer.confidence - other.confidence).max())
        good = off <= allowed * two.size and (gap is None or gap <= CONFIDENCE)
        return ParityRow(who, (str(off), "-" if gap is None else f"{gap:.1e}"), AGREES if good else "FAILS")

    def summary(self, test: SelfTest, allowed: float) -> str:
        """State the number of pixels."""
        size = _labels(test.expected).size
        most = f"at most {allowed:.4%} of them" if allowed else "none"
        return f"{size} pixels: {most} may differ, and confidence by at most {CONFIDENCE:g}"


def _labels(answer: Answer) -> NDArray[np.int64]:
    return (np.zeros(0) if answer.labels is None else answer.labels).astype(np.int64)


class Boxes:
    """Compares the best objects by place, score and class."""

    header: tuple[str, ...] = ("missing objects", "boxes (px)", "scores")

    def __init__(self, package: ModelPackage) -> None:
        self._package = package

    def test(self) -> SelfTest:
        """Read the input and its best objects; ClassesError if one has a class that is not listed."""
        arrays, tolerance = _stated(self._package, "boxes", "scores", "classes")
        image, boxes = arrays["input"], arrays["boxes"]
        count = len(boxes) if boxes.ndim else 0
        if (
            image.ndim != 4
            or boxes.shape != (count, 4)
            or not (arrays["scores"].shape == arrays["classes"].shape == (count,))
        ):
            raise ManifestError(
                f"its self-test is {image.shape} with boxes {boxes.shape}", where=self._package.name
            )
        expected = objects.CanonicalObjects(boxes, arrays["scores"], arrays["classes"])
        words = read_detect(self._package.meta)
        export_hints.check_classes(expected.classes, self._package.num_classes, words, self._package.name)
        return SelfTest(_batch(self._package, image), Answer("the self-test", objects=expected), tolerance)

    def ask(self, engine: Engine, image: F32, who: str) -> Answer:
        """Read the outputs according to the layout that the archive states."""
        package = self._package
        read, layout = objects.reader(
            layouts.DetectorSpec(
                package.name, tuple(engine.outputs), package.outputs, package.num_classes,
                read_detect(package.meta), package.input_shape[0], (image.shape[2], image.shape[3]),
            )
        )  # fmt: skip
        given = engine.run(image, layout.wanted)
        return Answer(who, objects=read(given, (image.shape[2], image.shape[3])))

    def compare(self, answer: Answer, other: Answer, allowed: float, who: str) -> ParityRow:
        """Look for the best objects of each side on the other."""
        none = objects.CanonicalObjects(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
        )
        found = objects.compare(answer.objects or none, other.objects or none)
        good = found.missing <= allowed * found.of
        verdict = (AGREES if good else "FAILS") if found.of else NOTHING
        figures = (f"{found.missing} of {found.of}", f"{found.pixels:.1e}", f"{found.scores:.1e}")
        return ParityRow(who, figures, verdict)

    def summary(self, test: SelfTest, allowed: float) -> str:
        """State the number of objects and how closely they must match."""
        count = 0 if test.expected.objects is None else len(test.expected.objects.best().scores)
        if not count:
            return "the self-test holds no objects"
        things = "1 object" if count == 1 else f"{count} objects"
        most = f"at most {allowed:.4%} of them" if allowed else "none"
        return (
            f"{things}: {most} may be missing, and the others must match "
            f"within {objects.PIXELS:g} px and {objects.SCORES:g} of the score"
        )


class Probabilities:
    """Compares the probabilities of a classifier's classes, at a temperature of 1."""

    header: tuple[str, ...] = ("best class", "probabilities")

    def __init__(self, package: ModelPackage) -> None:
        self._package = package

    def test(self) -> SelfTest:
        """Read the input and its probabilities (K,)."""
        arrays, tolerance = _stated(self._package, "probabilities")
        image, expected = arrays["input"], arrays["probabilities"]
        if image.ndim != 4 or expected.ndim != 1 or not expected.size or expected.dtype.kind != "f":
            raise ManifestError(
                f"its self-test is {image.shape} with probabilities {expected.shape}",
                where=self._package.name,
            )
        return SelfTest(
            _batch(self._package, image), Answer("the self-test", probabilities=expected), tolerance
        )

    def ask(self, engine: Engine, image: F32, who: str) -> Answer:
        """Return the probabilities of the first picture."""
        reader = ScoreReader.of(
            self._package, engine.outputs, read_labels(self._package.meta), features=False
        )
        given = {name: array[0] for name, array in engine.run(image, reader.wanted).items()}
        return Answer(who, probabilities=reader.read(given, calibrated=False))

    def compare(self, answer: Answer, other: Answer, allowed: float, who: str) -> ParityRow:
        """Compare each probability."""
        one, two = _shares(answer), _shares(other)
        if one.shape != two.shape:
            return ParityRow(who, ("-", "all"), "FAILS")
        off = float(np.abs(one - two).max())
        best = "same" if one.argmax() == two.argmax() else "other"
        return ParityRow(who, (best, f"{off:.1e}"), AGREES if off <= allowed else "FAILS")

    def summary(self, test: SelfTest, allowed: float) -> str:
        """State the number of classes and how closely they must match."""
        return f"{_shares(test.expected).size} classes: their probabilities may differ by {allowed:g}"


def _shares(answer: Answer) -> NDArray[np.float64]:
    return (np.zeros(0) if answer.probabilities is None else answer.probabilities).astype(np.float64)


class Vectors:
    """Compares the direction of vectors."""

    header: tuple[str, ...] = ("1 - cosine",)

    def __init__(self, package: ModelPackage) -> None:
        self._package = package

    def test(self) -> SelfTest:
        """Read the input and its vector (D,)."""
        arrays, tolerance = _stated(self._package, VECTOR)
        if arrays["input"].ndim != 4 or arrays[VECTOR].ndim != 1:
            raise ManifestError("its self-test holds no vector", where=self._package.name)
        expected = Answer("the self-test", vector=unit(arrays[VECTOR], self._package.name))
        return SelfTest(_batch(self._package, arrays["input"]), expected, tolerance)

    def ask(self, engine: Engine, image: F32, who: str) -> Answer:
        """Return the vector of the input."""
        output = vector_output(self._package, engine.outputs)
        return Answer(who, vector=unit(engine.run(image, [output])[output][0], self._package.name))

    def compare(self, answer: Answer, other: Answer, allowed: float, who: str) -> ParityRow:
        """Compute by how much the cosine is below 1."""
        one, two = answer.vector, other.vector
        if one is None or two is None or one.shape != two.shape:
            return ParityRow(who, ("-",), "FAILS")
        off = max(0.0, 1 - float(np.dot(one.astype(np.float64), two)))
        return ParityRow(who, (f"{off:.1e}",), AGREES if off <= max(allowed, COSINE) else "FAILS")

    def summary(self, test: SelfTest, allowed: float) -> str:
        """State the length of the vector."""
        count = 0 if test.expected.vector is None else len(test.expected.vector)
        return f"a vector of {count} values: the cosine is at least {1 - max(allowed, COSINE):g}"


class Pictures:
    """Compares the values of pictures, 0..255."""

    header: tuple[str, ...] = ("differing values", "largest")

    def __init__(self, package: ModelPackage) -> None:
        self._package = package
        self._words = read_enhance(package.meta)

    def test(self) -> SelfTest:
        """Read the input and its picture (H, W, K) uint8."""
        arrays, tolerance = _stated(self._package, "picture")
        if arrays["input"].ndim != 4 or arrays["picture"].ndim != 3:
            raise ManifestError("its self-test holds no picture", where=self._package.name)
        expected = Answer("the self-test", picture=arrays["picture"])
        return SelfTest(_batch(self._package, arrays["input"]), expected, tolerance)

    def ask(self, engine: Engine, image: F32, who: str) -> Answer:
        """Return the picture of the input."""
        task = make_network(self._package, engine.outputs, TileSettings())
        given = engine.run(image, task.wanted)[task.wanted[0]][0]
        planes = read_picture(given, (image.shape[2], image.shape[3]), self._words)
        return Answer(who, picture=to_levels(planes, self._words))

    def compare(self, answer: Answer, other: Answer, allowed: float, who: str) -> ParityRow:
        """Count the values that differ by more than engines round."""
        one, two = answer.picture, other.picture
        if one is None or two is None or one.shape != two.shape:
            return ParityRow(who, ("all", "-"), "FAILS")
        gap = np.abs(one.astype(np.int16) - two.astype(np.int16))
        off = int((gap > LEVELS).sum())
        return ParityRow(who, (str(off), str(gap.max())), AGREES if off <= allowed * gap.size else "FAILS")

    def summary(self, test: SelfTest, allowed: float) -> str:
        """State the number of values."""
        size = 0 if test.expected.picture is None else test.expected.picture.size
        most = f"at most {allowed:.4%} of them" if allowed else "none"
        return f"{size} values of a picture: {most} may differ by more than {LEVELS} of 255"


PARITIES: Mapping[str, Callable[[ModelPackage], Parity]] = {
    "segment": Masks,
    "detect": Boxes,
    "classify": Probabilities,
    "embed": Vectors,
    "enhance": Pictures,
}
"""How engines are compared, by task."""
