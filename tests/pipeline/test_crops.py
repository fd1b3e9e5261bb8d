"""The objects of a frame are cut out one by one, and each costs only its own result."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat.errors import InputError
from quadrat.parameters import Settings
from quadrat.pipeline.crops import CropStage, JoinStage
from quadrat.pipeline.events import MeasuredFrame, OpenCrop, PartResult, PreparedPart
from quadrat.pipeline.models import LoadedModel, load_models
from quadrat.pipeline.state import SourceState
from quadrat.predictions import Detections
from quadrat.types import Frame, FrameKey, Part, Result, Source
from tests.classifiers import color_archive
from tests.moving import LOG, RECTANGLES

COUNT = 40


@pytest.fixture
def model(tmp_path: Path) -> Iterator[LoadedModel]:
    """A classifier whose crops are the whole frame, whatever the box."""
    archive = color_archive(tmp_path / "m.tgz", on="objects", objects={"padding": 10})
    with load_models([RECTANGLES, archive], Settings(), LOG) as models:
        yield models["colors"]


def measured(hw: tuple[int, int] = (300, 400)) -> MeasuredFrame:
    """Make a frame with COUNT large objects."""
    source = Source("a", "a.png")
    pixels = np.random.default_rng(0).integers(0, 256, (*hw, 3), dtype=np.uint8)
    box = np.array([[100, 100, 300, 200]], np.float32).repeat(COUNT, 0)
    found = Detections(box, np.ones(COUNT, np.float32), np.zeros(COUNT, np.int32))
    state = SourceState.of(source, ("rectangles", "colors"))
    return MeasuredFrame(state, Result(source, Frame(FrameKey("a"), hw, pixels), {"rectangles": found}))


def ran(model: LoadedModel, part: PreparedPart) -> PartResult:
    """Run the network on a part."""
    arrays = model.engine.run(part.sample.tensor[None], model.task.wanted)
    return PartResult(
        part.frame, part.model, part.number, Part({name: each[0] for name, each in arrays.items()}, part.sample.geometry)
    )  # fmt: skip


def test_memory_does_not_grow_with_the_objects_of_a_frame(model: LoadedModel) -> None:
    """Crops of a crowd overlap: all of them at once may take many times the memory of the frame."""
    assert model.about is not None
    most = 0

    def results(parts: Iterator[Any]) -> Iterator[Any]:
        nonlocal most
        for part in parts:
            yield ran(model, part)
            most = max(most, sum(isinstance(each, OpenCrop) for each in gc.get_objects()))

    stage = CropStage(model, model.about)(iter([measured()]))
    (done,) = JoinStage(model, model.about, last=True)(results(stage))

    details = done.result.predictions["rectangles"].details["colors"]
    assert len(details) == COUNT
    assert all(each is not None for each in details)
    assert most <= 3


def test_an_object_that_cannot_be_planned_costs_only_itself(model: LoadedModel) -> None:
    """The others have their results, and the first error is that of the first row that failed."""
    assert model.about is not None
    count = 0

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(model.task, name)

        def start(self, frame: Frame) -> Any:
            nonlocal count
            count += 1
            if count % 3 == 0:
                raise InputError(f"number {count}")
            return model.task.start(frame)

    failing: Any = Failing()
    own = replace(model, task=failing)
    stage = CropStage(own, model.about)(iter([measured()]))
    parts = (part if isinstance(part, PartResult) else ran(model, part) for part in stage)
    (done,) = JoinStage(own, model.about, last=True)(parts)

    found = done.result.predictions["rectangles"]
    failed = [row for row in range(COUNT) if (row + 1) % 3 == 0]
    assert [row for row, each in enumerate(found.details["colors"]) if each is None] == failed
    assert [row for row, each in enumerate(found.reasons["colors"]) if each == "failed"] == failed
    assert "number 3" in done.result.faults["colors"].line
