"""The built-in task of enhancement: its frames have no parts, and its prediction is the frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quadrat.errors import ManifestError, QuadratError
from quadrat.geometry import Geometry
from quadrat.parameters import PictureSettings, TileSettings
from quadrat.tasks.enhance.task import built_in, make
from quadrat.types import Frame, FrameKey, Part


def test_the_prediction_is_the_frame() -> None:
    """There is nothing to wait for, and no part can be added."""
    task = make(built_in(), (), TileSettings(), PictureSettings())
    frame = Frame(FrameKey("urn:a"), (2, 3), np.arange(18, dtype=np.uint8).reshape(2, 3, 3))
    fold = task.start(frame)

    assert fold.windows == ()
    assert fold.finish().pixels is frame.pixels
    with pytest.raises(QuadratError, match="part 0 does not exist"):
        fold.add(0, Part({}, Geometry.identity((2, 3))))


def test_its_package_stands_for_the_version() -> None:
    """Two are equal, and their digest is that of an archive in form."""
    assert built_in() == built_in()
    assert len(bytes.fromhex(built_in().digest)) == 32
    with pytest.raises(ManifestError):
        make(replace(built_in(), engines={"onnx": Path("m.onnx")}), (), TileSettings(), PictureSettings())
