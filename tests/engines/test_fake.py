from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from quadrat.engines import start
from quadrat.errors import EngineRunError
from quadrat.parameters import EngineSettings
from quadrat.protocols import Engine
from quadrat.types import ModelPackage
from tests.engines.conftest import ROLES


@pytest.fixture
def fake(tiny: ModelPackage, log: logging.Logger) -> Engine:
    """The fake engine with all three outputs."""
    return start(tiny, EngineSettings(engine="fake"), log)


def test_labels_are_the_argmax_of_logits_and_confidence_their_softmax(
    fake: Engine, noise: NDArray[np.float32]
) -> None:
    """The three outputs are consistent, as in a real network."""
    arrays = fake.run(noise, list(ROLES))
    np.testing.assert_array_equal(arrays["labels"], arrays["logits"].argmax(axis=1))
    shares = np.exp(arrays["logits"])
    np.testing.assert_allclose(
        arrays["confidence"], (shares / shares.sum(axis=1, keepdims=True)).max(axis=1), rtol=1e-6
    )


@pytest.mark.parametrize(("value", "label"), [(-9.0, 0), (0.0, 1), (9.0, 2)])
def test_brighter_pixels_get_higher_classes(fake: Engine, value: float, label: int) -> None:
    """Dark, middle and bright fields are the three classes."""
    field = np.full((1, 3, 4, 5), value, np.float32)
    assert (fake.run(field, ["labels"])["labels"] == label).all()


def test_only_the_asked_outputs_come_back_and_specs_tell_their_form(
    fake: Engine, noise: NDArray[np.float32]
) -> None:
    """Names, dtypes and axes are as declared."""
    for asked in (["labels"], ["logits", "labels"], list(ROLES)):
        arrays = fake.run(noise, asked)
        assert sorted(arrays) == sorted(asked)
    arrays = fake.run(noise, list(ROLES))
    for spec in fake.outputs:
        array = arrays[spec.name]
        assert array.dtype.name == spec.dtype
        assert fits(array.shape, spec.shape)


def fits(shape: Sequence[int], declared: Sequence[int | None]) -> bool:
    """Return True if a shape matches the declared one."""
    return len(shape) == len(declared) and all(
        own in (None, size) for own, size in zip(declared, shape, strict=True)
    )


def test_the_same_batch_gives_the_same_bytes(fake: Engine, noise: NDArray[np.float32]) -> None:
    """The engine is deterministic, and a batch of two equals two batches of one."""
    both = fake.run(noise, ["logits"])["logits"]
    singly = [fake.run(noise[i : i + 1], ["logits"])["logits"] for i in range(2)]
    assert both.tobytes() == np.concatenate(singly).tobytes()


def test_an_unknown_output_and_a_closed_engine_are_errors(fake: Engine, noise: NDArray[np.float32]) -> None:
    """Both raise EngineRunError with the name."""
    with pytest.raises(EngineRunError, match="no output 'boxes'"):
        fake.run(noise, ["boxes"])
    fake.close()
    fake.close()
    with pytest.raises(EngineRunError, match="closed"):
        fake.run(noise, ["labels"])
