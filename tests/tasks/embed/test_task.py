"""Embeddings: unit vectors, and values that have no direction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from quadrat.errors import LayoutError, ManifestError, VectorError
from quadrat.geometry import Geometry
from quadrat.parameters import Settings
from quadrat.tasks.embed.task import unit
from quadrat.types import Frame, FrameKey, ModelPackage, OutputSpec, Part
from tests.tasks.folding import interleave, make_task

HW = (4, 6)
PACKAGE = ModelPackage(Path(), "m", "", "embed", {}, None, (), (), None, (None, 3, None, None))
OUTPUT = OutputSpec("v", "float32", (None, 8))


def frame(index: int) -> Frame:
    """Make a frame of a video."""
    return Frame(FrameKey("s", index), HW, np.zeros((*HW, 3), np.uint8))


@pytest.mark.parametrize("shape", [(8,), (8, 1, 1), (1, 1, 8), (1, 8)])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_a_vector_has_length_one_and_the_direction_of_its_output(shape, scale):
    """Whatever its length and shape, also where the square of a value is no float32."""
    values = np.random.default_rng(1).normal(size=8)

    vector = unit((values * scale).astype(np.float32).reshape(shape))

    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert np.dot(vector, values / np.linalg.norm(values)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 7])
def test_a_value_that_is_no_number_fails_the_row(bad, place):
    """Wherever it is."""
    values = np.ones(8, np.float32)
    values[place] = bad
    with pytest.raises(VectorError) as raised:
        unit(values)
    assert raised.value.code == "E_VECTOR"


def test_a_vector_of_zeros_fails_the_row():
    """It has no direction."""
    with pytest.raises(VectorError):
        unit(np.zeros(8, np.float32))


@pytest.mark.parametrize("shape", [(), (0,), (2, 4), (8, 2, 2)])
def test_an_output_that_is_no_vector_is_a_fault_of_the_model(shape):
    """A map of features is not pooled silently."""
    if shape == ():
        shape = (0,)
    with pytest.raises(LayoutError):
        unit(np.ones(shape, np.float32))


def test_frames_in_any_order_keep_their_vectors():
    """Folds of several frames may be open at once."""
    task = make_task(PACKAGE, [OUTPUT], Settings())
    values = np.random.default_rng(2).normal(size=(5, 8)).astype(np.float32)
    parts = [[Part({"v": each}, Geometry.identity(HW))] for each in values]

    found = interleave(task, [frame(index) for index in range(5)], parts, Random(3))

    assert [each.vector.tolist() for each in found] == [unit(each).tolist() for each in values]


def test_vectors_of_one_run_have_one_length():
    """Another one, as of a network that keeps the picture's size, fails its frame only."""
    task = make_task(PACKAGE, [OUTPUT], Settings())
    for number, (length, fails) in enumerate([(8, False), (6, True), (8, False)]):
        fold = task.start(frame(number))
        part = Part({"v": np.ones(length, np.float32)}, Geometry.identity(HW))
        if fails:
            with pytest.raises(LayoutError, match="6 values, and that of the first picture 8"):
                fold.add(0, part)
        else:
            fold.add(0, part)
            assert len(fold.finish().vector) == 8


def test_the_output_is_the_stated_one_or_the_only_one():
    """Two outputs and no word about them are refused."""
    two = [OUTPUT, OutputSpec("other", "float32", (None, 2))]

    assert make_task(PACKAGE, [OUTPUT], Settings()).wanted == ("v",)
    assert make_task(replace(PACKAGE, outputs={"vector": "other"}), two, Settings()).wanted == ("other",)
    with pytest.raises(ManifestError, match="several outputs"):
        make_task(PACKAGE, two, Settings())
    with pytest.raises(ManifestError, match="no output 'x'"):
        make_task(replace(PACKAGE, outputs={"vector": "x"}), two, Settings())
