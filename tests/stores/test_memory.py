"""Pictures in memory as sources of an order."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.errors import ParameterError
from quadrat.stores.memory import Pictures


def test_a_picture_is_what_it_was_when_it_was_added() -> None:
    """A camera writes its next picture over the one before: each is kept as it came."""
    buffer, held = np.zeros((4, 6, 3), np.uint8), Pictures()
    sources = []
    for value in (10, 20, 30):
        buffer[:] = value
        sources.append(held.add(buffer))

    assert ["array 0", "array 1", "array 2"] == [source.name for source in sources]
    assert 3 == len({source.urn for source in sources})
    for value, source in zip((10, 20, 30), sources, strict=True):
        with held.pull(source) as blob:
            np.testing.assert_array_equal(np.full((4, 6, 3), value), blob.content)


def test_a_picture_is_forgotten_once_it_was_pulled() -> None:
    """Memory does not grow with the pictures of an order."""
    held = Pictures()
    source = held.add(np.zeros((4, 6, 3), np.uint8))
    with held.pull(source) as blob:
        assert isinstance(blob.content, np.ndarray)
    with held.pull(source) as blob:
        assert not isinstance(blob.content, np.ndarray)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 6, 3), np.float32),
        np.zeros((4, 6, 4), np.uint8),
        np.zeros((3, 4, 6), np.uint8),
        np.zeros((1, 4, 6, 3), np.uint8),
        np.zeros((0, 6, 3), np.uint8),
        np.zeros((4, 0), np.uint8),
        np.zeros(6, np.uint8),
    ],
    ids=lambda picture: f"{picture.dtype}-{picture.shape}",
)
def test_an_array_that_is_no_picture_is_refused(picture: np.ndarray) -> None:
    """The error names its type and shape, and what a picture is."""
    with pytest.raises(ParameterError, match="height, width") as caught:
        Pictures().add(picture)
    assert f"an array of {picture.dtype} with the shape {picture.shape}" == caught.value.what


def test_a_grey_picture_is_one() -> None:
    """Two axes are height and width."""
    held = Pictures()
    with held.pull(held.add(np.full((4, 6), 7, np.uint8))) as blob:
        np.testing.assert_array_equal(np.full((4, 6), 7), blob.content)
