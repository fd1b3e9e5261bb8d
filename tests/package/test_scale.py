"""The scale at which a network was trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from quadrat.errors import ManifestError
from quadrat.package.scale import trained_size
from quadrat.types import TransformSpec
from tests.tasks.segment.masks import package

PLAIN = package()


def listed(kind: str, **params: Any) -> Any:
    """Make a package with one transform before Normalize."""
    return replace(PLAIN, transforms=(TransformSpec(kind, params), TransformSpec("Normalize")))


def test_what_is_stated_comes_first() -> None:
    """The stated size wins over the transforms, these over the input's fixed size; else nothing is known."""
    assert trained_size(PLAIN) is None
    assert trained_size(replace(PLAIN, input_shape=(1, 3, 96, 128))) == 128
    assert trained_size(replace(PLAIN, input_shape=(1, 3, None, 128))) is None
    resized = listed("Resize", target_size=[512, 256])
    assert trained_size(replace(resized, input_shape=(1, 3, 96, 128))) == 512
    assert trained_size(replace(resized, meta={"trained-size": 1024})) == 1024
    assert trained_size(listed("Letterbox", size=[640, 480])) == 640
    assert trained_size(listed("ResizeByLong", long_size=900)) == 900
    assert trained_size(listed("PadToMultiple", divisor=32)) is None


@pytest.mark.parametrize("value", [0, -1, 1.5, "640", True, [640]])
def test_no_number_of_pixels(value: Any) -> None:
    """Another value is refused by the name of its key."""
    with pytest.raises(ManifestError, match="trained-size"):
        trained_size(replace(PLAIN, meta={"trained-size": value}))
