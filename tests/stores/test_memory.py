"""Pictures in memory as sources of an order."""

from __future__ import annotations

import numpy as np

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
