"""What executors are given can go to another process."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from quadrat.errors import ManifestError, QuadratError
from quadrat.executors import EXECUTORS, open_executor
from quadrat.executors.work import Work
from quadrat.parameters import PARAMETERS
from tests.archives import build, contents
from tests.moving import LOG, RECTANGLES
from tests.networks import brightness_archive
from tests.values import settings_of


def work(*archives: Path, moving: bool = False, **settings: object) -> Work:
    """Make the work of an order."""
    urns = tuple(f"urn:{archive.name}" for archive in archives)
    return Work(archives, urns, "urn:order", settings_of(**settings), moving=moving)


def test_work_can_be_pickled() -> None:
    """Models by path, settings by value."""
    given = work(RECTANGLES, moving=True, batch_size=3)

    assert given == pickle.loads(pickle.dumps(given))


@pytest.mark.parametrize(
    ("moving", "idle", "expected"), [(True, 0.0, True), (True, 1.0, False), (False, 0.0, False)]
)
def test_only_a_stream_of_frames_is_set_up_for_throughput(moving: bool, idle: float, expected: bool) -> None:
    """With idle-seconds a frame waits for the answer to the one before."""
    assert expected is work(RECTANGLES, moving=moving, idle_seconds=idle).throughput


def test_the_parameter_and_the_executors_agree() -> None:
    """Every choice of the parameter is an executor, and the other way round."""
    (parameter,) = [each for each in PARAMETERS if each.name == "executor"]

    assert set(parameter.choices) == set(EXECUTORS)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_executor_gives_the_facts_of_its_models(tmp_path: Path, executor: str) -> None:
    """Names, labels and provenance are those of the models, wherever they are loaded."""
    given = work(RECTANGLES, brightness_archive(tmp_path / "m.tgz"), executor=executor)
    with open_executor(given, LOG) as opened:
        facts = opened.facts

    assert ["rectangles", "tiny"] == [each.label for each in facts]
    assert ["urn:rectangles.tgz", "urn:m.tgz"] == [each.provenance.model for each in facts]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_executor_raises_what_loading_raises(tmp_path: Path, executor: str) -> None:
    """The error of a bad archive is the same one."""
    bad = build(tmp_path / "bad.tgz", contents(files={"deploy.yaml": b"- no"}))
    with pytest.raises(QuadratError) as caught, open_executor(work(bad, executor=executor), LOG):
        pass

    assert type(caught.value) is ManifestError
