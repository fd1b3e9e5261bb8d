"""Outputs are equal only if every bit is."""

from __future__ import annotations

import numpy as np

from quadrat.pipeline.outputs import equal


def test_outputs_are_compared_bit_for_bit() -> None:
    """NaN equals itself, and a last bit, a type or a shape makes a difference."""
    one = {"a": np.array([np.nan, 1.0], np.float32)}
    assert equal(one, {"a": one["a"].copy()})
    assert not equal(one, {"a": np.nextafter(one["a"], 2, dtype=np.float32)})
    assert not equal(one, {"a": one["a"].astype(np.float64)})
    assert not equal(one, {"a": one["a"][None]})
    assert not equal(one, {"b": one["a"]})
