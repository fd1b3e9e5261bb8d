"""auto takes no engine whose results differ from the archive's self-test."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from quadrat import engines
from quadrat.engines.agreement import Agreement
from quadrat.errors import EngineUnavailableError
from quadrat.package import open_archive
from quadrat.parameters import EngineSettings
from quadrat.protocols import Engine
from quadrat.task_kinds import kind_of
from quadrat.types import ModelPackage
from tests.moving import RECTANGLES

LOG = logging.getLogger("quadrat.test")
SEAGRASS = RECTANGLES.with_name("seagrass-tiny.tgz")


def disagreeing(names: tuple[str, ...], asked: list[str]) -> Agreement:
    """Make an agreement that these engines do not reach."""

    def differs(_: ModelPackage, engine: Engine, allowed: float) -> str:
        asked.append(engine.name)
        return "9 of 10 objects are elsewhere" if engine.name in names else ""

    package = ModelPackage(
        root=Path(), name="m", digest="", task="segment", engines={}, params=None, transforms=(), classes=(),
        num_classes=2, input_shape=(None, 3, None, None), self_test={"input": "x"},
    )  # fmt: skip
    return Agreement(package, EngineSettings(), differs)


def test_auto_goes_on_where_an_engine_disagrees(tiny: ModelPackage, caplog: pytest.LogCaptureFixture) -> None:
    """The next one is taken, and the log says why."""
    asked: list[str] = []
    with caplog.at_level(logging.INFO):
        engine = engines.start(tiny, EngineSettings(), LOG, agreement=disagreeing(("openvino",), asked))
    engine.close()

    assert ("onnx", ["openvino", "onnx"]) == (engine.name, asked)
    assert "its results are wrong: 9 of 10 objects are elsewhere" in caplog.text


def test_auto_takes_none_where_all_disagree(tiny: ModelPackage) -> None:
    """Wrong numbers are worse than none."""
    with pytest.raises(EngineUnavailableError, match="results are wrong"):
        engines.start(tiny, EngineSettings(), LOG, agreement=disagreeing(("openvino", "onnx"), []))


def test_a_requested_engine_that_disagrees_is_taken_with_a_warning(
    tiny: ModelPackage, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller asked for it."""
    settings = EngineSettings(engine="openvino")
    engines.start(tiny, settings, LOG, agreement=disagreeing(("openvino",), [])).close()

    assert "gives wrong results: 9 of 10 objects are elsewhere. Use --engine auto" in caplog.text


def moved(array: NDArray[Any]) -> NDArray[Any]:
    """Move boxes (N, 7, A) by 41 pixels, and mirror labels."""
    if array.shape[1:2] != (7,):
        return array[..., ::-1]
    other = array.copy()
    other[:, :2] += 41
    return other


@pytest.mark.parametrize("archive", [RECTANGLES, SEAGRASS], ids=["objects", "masks"])
def test_both_tasks_tell_a_right_engine_from_a_wrong_one(archive: Path, tmp_path: Path) -> None:
    """The engine agrees with the archive, and an engine with other outputs does not; the answer is kept."""
    package = open_archive(archive, tmp_path)
    differs = kind_of(package.task).part("differs")
    engine = engines.start(package, EngineSettings(), LOG)

    class Off:
        """The engine with labels that are mirrored, and boxes that are 41 pixels off."""

        name, version, outputs = "off", "1", engine.outputs

        def run(self, batch, wanted):  # type: ignore[no-untyped-def]
            """Run."""
            return {name: moved(array) for name, array in engine.run(batch, wanted).items()}

    assert "" == Agreement(package, EngineSettings(), differs).reason(engine)
    assert "self-test" in Agreement(package, EngineSettings(), differs).reason(Off())  # type: ignore[arg-type]

    def never(*_: object) -> str:
        raise AssertionError("it is known")

    assert "" == Agreement(package, EngineSettings(), never).reason(engine)
    engine.close()


@pytest.mark.parametrize("settings", [{"device": "gpu"}, {"precision": "bf16"}])
def test_only_the_precision_of_the_self_test_is_compared(settings: dict[str, str]) -> None:
    """Other number formats round more, and the user chose them."""
    agreement = disagreeing(("openvino",), [])
    package = agreement._package
    assert "" == Agreement(package, EngineSettings(**settings), lambda *_: "off").reason(None)  # type: ignore[arg-type]
