"""CUDA filters: when they are used, and, where there is a device, whether they give the CPU's picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from quadrat.steps import cuda, denoise, parse_steps
from tests.steps.photographs import photograph

NAMES = ("median", "bilateral", "nlm", "clahe")


def test_a_stub_is_not_a_device(monkeypatch):
    """The wheel's cv2.cuda exists, has the functions, and no device: only the number of devices decides."""
    assert hasattr(cv2, "cuda")
    monkeypatch.setattr(cuda, "SAME_PICTURE", frozenset(NAMES))
    monkeypatch.setattr(cv2.cuda, "getCudaEnabledDeviceCount", lambda: 0)
    assert not any(map(cuda.enabled, NAMES))
    monkeypatch.setattr(cv2.cuda, "getCudaEnabledDeviceCount", lambda: 1)
    assert all(map(cuda.enabled, NAMES))


def test_a_device_is_not_used_for_a_filter_that_was_not_compared(monkeypatch):
    """A filter whose picture nobody has compared stays off, device or not."""
    monkeypatch.setattr(cv2.cuda, "getCudaEnabledDeviceCount", lambda: 1)
    assert not any(map(cuda.enabled, {*NAMES} - cuda.SAME_PICTURE))


@pytest.mark.parametrize("name", NAMES)
def test_an_enabled_filter_is_what_the_step_calls(name, monkeypatch):
    """A step whose filter is enabled calls that filter, and not OpenCV's for the CPU."""
    calls = []

    def record(pixels, *_arguments):
        calls.append(name)
        return pixels

    monkeypatch.setattr(cuda, "enabled", lambda given: given == name)
    monkeypatch.setattr(cuda, name, record)
    monkeypatch.setattr(denoise, "NLM_LEAST_NOISE", 0)
    pixels = photograph("quadrant.jpg")[:64, :64]
    found = parse_steps(name).apply(pixels)
    assert calls == [name]
    assert np.abs(found.astype(int) - pixels).max() <= 1


@pytest.mark.skipif(not cuda.available(), reason="OpenCV has no CUDA device here")
@pytest.mark.parametrize("name", NAMES)
def test_a_filter_gives_the_picture_of_the_cpu(name, monkeypatch):
    """A name may stand in SAME_PICTURE if this passes."""
    pixels = photograph("quadrant.jpg")
    monkeypatch.setattr(cuda, "SAME_PICTURE", frozenset())
    expected = parse_steps(name).apply(pixels)
    monkeypatch.setattr(cuda, "SAME_PICTURE", frozenset(NAMES))
    assert np.array_equal(parse_steps(name).apply(pixels), expected)
