"""What a network's outputs mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat import tasks
from quadrat.errors import (
    ClassesError,
    GraphError,
    ManifestError,
    ParameterError,
    QuadratError,
)
from quadrat.geometry import Geometry
from quadrat.parameters import Settings
from quadrat.tasks.segment.task import make
from quadrat.types import UNKNOWN, ClassInfo, Frame, FrameKey, ModelPackage, OutputSpec, Part
from tests.tasks.folding import predict
from tests.values import settings_of

LABELS = OutputSpec("argmax_0", "int64", (None, None, None))
SCORES = OutputSpec("scores", "float32", (None, 3, None, None))
THREE = (
    OutputSpec("labels", "uint8", (None, None, None)),
    OutputSpec("confidence", "float32", (None, None, None)),
    OutputSpec("logits", "float32", (None, 3, None, None)),
)
STATED = {"labels": "labels", "confidence": "confidence", "logits": "logits"}


def package(
    classes: int | None = 3, outputs: dict[str, str] | None = None, task: str = "segment"
) -> ModelPackage:
    """Make a package of so many classes that states these outputs."""
    infos = tuple(ClassInfo(i, f"urn:{i}", f"c{i}", (i, i, i)) for i in range(classes or 0))
    return ModelPackage(
        Path(), "tiny", "", task, {}, None, (), infos, classes, (None, 3, None, None), outputs or {}
    )


def frame(h: int = 4, w: int = 6, source: tuple[int, int] | None = None) -> Frame:
    """Make a black frame of a working size, shrunk from a source size."""
    return Frame(FrameKey("urn:x"), source or (h, w), np.zeros((h, w, 3), np.uint8))


def part(of: Frame, **arrays: Any) -> Part:
    """Make the only part of a frame whose tensor has its working size."""
    return Part(arrays, Geometry.identity(of.source_hw).resized(of.pixels.shape[:2]))


def test_one_channel_is_no_choice() -> None:
    """A binary head with one channel is refused, never taken for a picture of class 0."""
    one = OutputSpec("scores", "float32", (None, 1, None, None))
    with pytest.raises(ClassesError, match="one channel"):
        make(package(None), [one], settings_of())


def test_a_mask_of_another_size_than_the_input_is_refused() -> None:
    """A network that answers at a quarter of its input's size would give a wrong cover if it were stretched."""
    f = frame(8, 12)
    with pytest.raises(GraphError, match="3 x 2 pixels for an input of 12 x 8"):
        predict(make(package(), [LABELS], settings_of()), f, [part(f, argmax_0=np.zeros((2, 3), np.int64))])


def test_an_original_argmax_archive_gives_labels_and_no_confidence() -> None:
    """Integers (N, H, W) are classes, and nothing is invented beside them."""
    task = make(package(), [LABELS], settings_of())
    f = frame()
    got = predict(task, f, [part(f, argmax_0=np.full((4, 6), 2, np.int64))])

    assert ("argmax_0",) == task.wanted
    assert (2, None) == (int(got.labels.max()), got.confidence)
    assert np.uint8 == got.labels.dtype


def test_an_archive_without_argmax_is_decided_here() -> None:
    """Floats (N, K, H, W) are scores: class and confidence come from them (the original's IndexError)."""
    task = make(package(), [SCORES], settings_of())
    f = frame()
    scores = np.zeros((3, 4, 6), np.float32)
    scores[1] = 5
    got = predict(task, f, [part(f, scores=scores)])

    assert got.confidence is not None
    assert (1, True) == (int(got.labels.min()), bool((got.confidence > 0.98).all()))


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (settings_of(), ("labels", "confidence")),
        (settings_of(with_argmax=True), ("logits",)),
        (settings_of(min_confidence=0.5), ("labels", "confidence")),
    ],
)
def test_only_what_is_needed_is_asked_for(settings: Settings, wanted: tuple[str, ...]) -> None:
    """The engine is asked for the least outputs that answer the settings."""
    assert wanted == make(package(outputs=STATED), THREE, settings).wanted


def test_labels_and_logits_agree() -> None:
    """with-argmax gives the same mask as the network's own labels."""
    f = frame()
    logits = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    own = make(package(outputs=STATED), THREE, settings_of())
    forced = make(package(outputs=STATED), THREE, settings_of(with_argmax=True))
    confidence = np.ones((4, 6), np.float32)
    labels = logits.argmax(0).astype(np.uint8)

    np.testing.assert_array_equal(
        predict(own, f, [part(f, labels=labels, confidence=confidence)]).labels,
        predict(forced, f, [part(f, logits=logits)]).labels,
    )


def test_the_floor_makes_unknown() -> None:
    """Pixels under min-confidence are unknown, and only they."""
    f = frame(1, 2)
    task = make(package(outputs=STATED), THREE, settings_of(min_confidence=0.5))
    got = predict(
        task, f, [part(f, labels=np.array([[1, 2]], np.uint8), confidence=np.array([[0.4, 0.5]], np.float32))]
    )

    assert [[UNKNOWN, 2]] == got.labels.tolist()


@pytest.mark.parametrize(("size", "shape"), [("working", (4, 6)), ("source", (8, 12))])
def test_result_size(size: str, shape: tuple[int, int]) -> None:
    """Working is the size after max-img-size, source the image's own."""
    f = frame(source=(8, 12))
    task = make(package(), [LABELS], settings_of(result_size=size))

    assert shape == predict(task, f, [part(f, argmax_0=np.zeros((4, 6), np.int32))]).labels.shape


@pytest.mark.parametrize(
    ("pack", "outputs", "settings", "error", "says"),
    [
        (package(2), [SCORES], settings_of(), ClassesError, "2 classes, but the network gives 3 channels"),
        (package(), [LABELS], settings_of(with_argmax=True), ParameterError, "with-argmax"),
        (package(), [LABELS], settings_of(min_confidence=0.5), ParameterError, "min-confidence"),
        (package(), [LABELS], settings_of(outputs=("confidence",)), ParameterError, "no confidence"),
        (package(), [], settings_of(), ManifestError, "no outputs"),
        (package(), [OutputSpec("o", "float32", (None, 5))], settings_of(), ManifestError, "2 axes"),
        (package(task="dance"), [LABELS], settings_of(), ManifestError, "dance"),
    ],
)
def test_what_does_not_go_together_is_refused(
    pack: ModelPackage, outputs: list[OutputSpec], settings: Settings, error: type[QuadratError], says: str
) -> None:
    """A model that cannot answer the settings, or contradicts itself, is refused before any image."""
    with pytest.raises(error, match=says):
        tasks.make(pack, outputs, settings)


@pytest.mark.parametrize(("classes", "label"), [(3, 3), (3, -1), (None, 255)])
def test_a_label_that_no_class_has_stops_the_order(classes: int | None, label: int) -> None:
    """Class ids never wrap or vanish (the original cast 256 to 0)."""
    f = frame()
    task = make(package(classes), [LABELS], settings_of())

    with pytest.raises(ClassesError, match=f"class {label}"):
        predict(task, f, [part(f, argmax_0=np.full((4, 6), label, np.int64))])
