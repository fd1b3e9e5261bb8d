"""Scores of independent classes become masks by thresholds, never by a softmax."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from quadrat.errors import ClassesError, EngineRunError, ManifestError, ParameterError
from quadrat.package.masks import MaskWords
from quadrat.predictions import UNKNOWN
from quadrat.tasks.segment import independent
from quadrat.tasks.segment.reader import OutputReader
from quadrat.tasks.segment.scores import decide
from quadrat.types import OutputSpec
from tests.archives import build, contents
from tests.service.run import Service
from tests.tasks.folding import make_task, predict
from tests.tasks.segment.masks import SCORES, frame, package, part, parts, picture
from tests.values import settings_of

SHARES = hnp.arrays(np.float32, (3, 4, 5), elements=st.floats(0, 1, width=32))
LIMITS = st.tuples(*[st.floats(0.05, 0.95)] * 3)


def reader(words: MaskWords, classes: int | None = 3) -> OutputReader:
    """Make a reader of scores."""
    return OutputReader("tiny", classes, {"logits": "scores"}, words)


def stating(**words: Any) -> Any:
    """Make a package whose meta.json states these words."""
    stated = {key.replace("_", "-"): value for key, value in words.items()}
    return replace(package(outputs={"logits": "scores"}), meta={"segment": stated})


@given(SHARES, LIMITS)
def test_each_class_has_a_mask_of_its_own(scores: np.ndarray, limits: tuple[float, ...]) -> None:
    """A pixel belongs to every class that is over its threshold, whatever the other classes are."""
    found = reader(MaskWords("none", None, limits, multi_label=True)).decide(scores)
    over = scores > np.array(limits, np.float32)[:, None, None]

    assert found.members is not None
    np.testing.assert_array_equal(over.transpose(1, 2, 0), found.members > 0)
    np.testing.assert_array_equal(found.labels == UNKNOWN, ~over.any(0))
    best = np.where(over, scores, -1).argmax(0)
    np.testing.assert_array_equal(best[over.any(0)], found.labels[over.any(0)])


@given(SHARES, LIMITS)
def test_a_background_takes_what_is_over_no_threshold(scores: np.ndarray, limits: tuple[float, ...]) -> None:
    """The background needs no channel; wherever it stands in the list, the other classes keep their order."""
    over = scores > np.array(limits, np.float32)[:, None, None]
    best = np.where(over, scores, -1).argmax(0)
    for background in range(4):
        found = reader(MaskWords("none", background, limits), 4).decide(scores)
        order = np.array([index for index in range(4) if index != background])
        np.testing.assert_array_equal(np.where(over.any(0), order[best], background), found.labels)
        assert found.members is None
        assert found.confidence is not None
        assert ((found.confidence >= 0) & (found.confidence <= 1)).all()


@given(SHARES)
def test_a_sigmoid_of_logits_is_the_same(scores: np.ndarray) -> None:
    """Logits with the activation sigmoid give the masks of their probabilities."""
    shares = np.clip(scores, 0.02, 0.98)
    words = MaskWords("none", None, (0.3,), multi_label=True)
    known = reader(words).decide(shares).members
    logits = np.log(shares) - np.log1p(-shares)
    found = reader(replace(words, activation="sigmoid")).decide(logits).members
    assert known is not None
    assert found is not None
    clear = np.abs(shares - 0.3).transpose(1, 2, 0) > 1e-4
    np.testing.assert_allclose(known[clear], found[clear], atol=1e-2)


def test_a_background_with_a_channel_of_its_own() -> None:
    """Its channel counts only where no other class is over its threshold."""
    scores = np.array([[[0.9, 0.9]], [[0.4, 0.2]], [[0.1, 0.3]]], np.float32)
    found = reader(MaskWords("none", 0, (0.35,)), 3).decide(scores)
    assert found.labels.tolist() == [[1, 0]]
    np.testing.assert_allclose(found.confidence, [[0.4, 0.9]], atol=1e-3)


def test_an_archive_that_states_nothing_gets_no_silent_softmax() -> None:
    """Scores in 0..1 that do not sum to 1 are independent: without a statement they are refused, tiles included."""
    shares = np.array([[[0.9, 0.2]], [[0.8, 0.1]]], np.float32)
    with pytest.raises(ManifestError, match="do not sum to 1"):
        decide(shares)
    bare = package(None, outputs={"logits": "scores"})

    def sigmoids(pixels: np.ndarray) -> dict[str, np.ndarray]:
        return {"scores": pixels.astype(np.float32).transpose(2, 0, 1) / 255}

    for settings in (settings_of(), settings_of(tile_size=64, tile_overlap=16)):
        task = make_task(bare, [SCORES], settings)
        photo = picture((96, 96))
        with pytest.raises(ManifestError, match="do not sum to 1"):
            predict(task, photo, parts(photo, task.start(photo).windows, sigmoids))


def test_tiles_give_the_masks_of_the_whole() -> None:
    """A network that looks at single pixels gives the same masks in tiles."""
    stated = stating(activation="none", multi_label=True, threshold=[0.2, 0.5, 0.7])

    def sigmoids(pixels: np.ndarray) -> dict[str, np.ndarray]:
        return {"scores": pixels.astype(np.float32).transpose(2, 0, 1) / 255}

    photo = picture((150, 130))
    whole = make_task(stated, [SCORES], settings_of())
    tiled = make_task(stated, [SCORES], settings_of(tile_size=64, tile_overlap=16))
    one = predict(whole, photo, parts(photo, whole.start(photo).windows, sigmoids))
    two = predict(tiled, photo, parts(photo, tiled.start(photo).windows, sigmoids))
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_array_equal(one.members, two.members)
    assert one.members.shape == (150, 130, 3)
    assert one.members.dtype == np.float16


def test_what_thresholds_need() -> None:
    """Classes alone have no scores; several classes per pixel have thresholds instead of min-confidence."""
    stated = stating(activation="none", multi_label=True)
    labels = OutputSpec("labels", "uint8", (None, None, None))
    with pytest.raises(ManifestError, match="gives classes only"):
        make_task(replace(stated, outputs={"labels": "labels"}), [labels], settings_of())
    with pytest.raises(ParameterError, match="own threshold"):
        make_task(stated, [SCORES], settings_of(min_confidence=0.5))
    many = replace(stated, meta={"segment": {**stated.meta["segment"], "threshold": [0.5] * 5}})
    with pytest.raises(ClassesError, match="5 thresholds"):
        make_task(many, [SCORES], settings_of())


@pytest.mark.parametrize("value", [np.nan, 1.2, -0.1])
def test_what_is_no_probability_is_refused(value: float) -> None:
    """A network that gives logits although the archive states probabilities is an error, and so is NaN."""
    scores = np.full((2, 2, 2), 0.5, np.float32)
    scores[1, 0, 0] = value
    with pytest.raises(EngineRunError):
        independent.as_probabilities(scores, "none")


def test_a_softmax_with_a_background_by_threshold() -> None:
    """With the activation softmax too, a class below its threshold gives way to the background."""
    scores = np.log(np.array([[[0.2, 0.3]], [[0.45, 0.6]], [[0.35, 0.1]]], np.float32))
    found = reader(MaskWords("softmax", 0, (0.5,)), 3).decide(scores)
    assert found.labels.tolist() == [[0, 1]]


@pytest.mark.parametrize("wrong", [0.5, np.nan, np.inf, 1e30])
def test_labels_are_whole_numbers_of_classes(wrong: float) -> None:
    """A float output of labels is never truncated: fractions, NaN and numbers beyond the classes are refused."""
    f = frame(2, 2)
    plane = np.array([[0, 1], [2, wrong]], np.float32)
    whole = OutputReader("tiny", 3, {"labels": "labels"})
    with pytest.raises((EngineRunError, ClassesError)):
        whole.read(part(f, labels=plane))
    plane[1, 1] = 2
    assert whole.read(part(f, labels=plane)).labels.tolist() == [[0, 1], [2, 2]]


@pytest.mark.parametrize("plane", [np.zeros((1, 0, 2), np.int64), np.array([["a", "b"]], dtype=object)])
def test_outputs_that_are_no_numbers(plane: np.ndarray) -> None:
    """An empty output, or one of texts, is the model's fault and not ours."""
    with pytest.raises(EngineRunError):
        OutputReader("tiny", 3, {"labels": "labels"}).read(part(frame(1, 2), labels=plane))
    with pytest.raises(EngineRunError):
        reader(MaskWords()).read(part(frame(1, 2), scores=plane))


def test_an_order_refuses_sigmoids_that_are_not_stated(service: Service, tmp_path: Path) -> None:
    """An archive packed by hand from such a network ends the order with what to state, not with covers."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        net (float[n, 3, h, w] x) => (float[n, 3, h, w] y) { y = Sigmoid (x) }
    """)
    body = contents(network=("model.onnx", model.SerializeToString()), params=None, classes=list("abc"))
    body["meta.json"] = b'{"name": "hand", "classes": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}'
    build(tmp_path / "hand.tgz", body)
    Image.fromarray(picture((64, 96)).pixels).save(tmp_path / "p.png")
    words = ["--model", tmp_path / "hand.tgz", "--image", tmp_path / "p.png", "--executor", "local"]
    ran = service.run(*words, in_dir=tmp_path)
    assert ran.status == 3
    assert "E_MODEL_MANIFEST" in ran.said
    assert "do not sum to 1" in ran.said


def test_a_flat_picture_does_not_tell_logits_from_probabilities():
    """The logits of a white picture, 0.5 and 0.75 everywhere, do not end an order; those of a photograph may."""
    flat = np.full((2, 8, 8), [[[0.5]], [[0.75]]], np.float32)
    labels, _ = decide(flat)
    assert (labels == 1).all()

    varied = flat.copy()
    varied[0, :4] = 0.9
    with pytest.raises(ManifestError, match="independent classes"):
        decide(varied)
