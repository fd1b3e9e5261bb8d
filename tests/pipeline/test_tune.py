"""Values for auto: the fastest that changes nothing, within a budget, and remembered for the same work only."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quadrat.engines.host import HostedEngine
from quadrat.errors import DeviceError, EngineMemoryError, EngineRunError, QuadratError
from quadrat.parameters import EngineSettings
from quadrat.pipeline import tune
from quadrat.pipeline.models import LoadedModel
from quadrat.pipeline.tune import SIZES, Tuner
from quadrat.pipeline.tuned import Choices, Tuned
from quadrat.records import Tuning
from tests.moving import load
from tests.networks import brightness_archive
from tests.values import settings_of

CORES = 8
COST = st.floats(0.01, 0.2)


class Scripted:
    """An engine with a clock of its own: a run takes `cost(size, threads)` seconds of it, a load `load_s`.

    Batches in `other` give other values than their inputs alone, those of `most` or more need too much memory.
    """

    name, version, device, precision = "scripted", "1", "cpu", "fp32"
    at_once = 1
    outputs = ()

    def __init__(
        self,
        cost: Callable[[int, int], float],
        *,
        other: Sequence[int] = (),
        most: int = 1000,
        load_s: float = 0.0,
    ) -> None:
        self.cost, self.other, self.most, self.load_s = cost, other, most, load_s
        self.now, self.threads = 0.0, CORES
        self.runs: list[int] = []
        self.loads: list[int] = []
        self.refused: tuple[int, ...] = ()

    def clock(self) -> float:
        """Return the seconds so far."""
        return self.now

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Give the mean of each input, which is another one in some batches."""
        size = len(batch)
        self.runs.append(size)
        self.now += self.cost(size, self.threads)
        if size >= self.most:
            raise EngineMemoryError("too large", where=self.name)
        wrong = np.float32(1e-6 * (size in self.other))
        return {"labels": batch.mean(axis=(1, 2, 3)) + wrong}

    def set_threads(self, count: int) -> None:
        """Load again."""
        self.now += self.load_s
        self.loads.append(count)
        if count in self.refused:
            raise EngineRunError("it does not start", where=self.name)
        self.threads = count

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    """A real model, whose engine the tests replace."""
    with load(brightness_archive(tmp_path_factory.mktemp("m") / "m.tgz")) as model:
        yield model


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with CORES cores."""
    monkeypatch.setattr(tune, "usable_cores", lambda: CORES)
    monkeypatch.setattr(tune, "thread_count", lambda asked: min(asked, CORES))


def tuner(model: LoadedModel, engine: Any, choices: Choices | None = None, **values: object) -> Tuner:
    """Give a tuner of the model with another engine, on three inputs."""
    settings = settings_of(**{"batch_size": "auto", **values})
    ready = replace(model, engine=engine, settings=settings, tuned=Tuned())
    tensors = [np.full((3, 4, 4), 0.1 * n, np.float32) for n in range(3)]
    clock = engine.clock if isinstance(engine, Scripted) else tune.perf_counter
    return Tuner(ready, tensors, choices or Choices(None), clock)


def rates(tuning: Tuning) -> dict[int, float]:
    """Give the rates that were found, by size."""
    return {each.batch_size: each.rate for each in tuning.trials if each.rate}


@given(st.lists(COST, min_size=len(SIZES), max_size=len(SIZES)), st.sets(st.sampled_from(SIZES[1:])))
def test_the_choice_is_about_the_fastest_and_changes_nothing(
    loaded: LoadedModel, costs: list[float], other: set[int]
) -> None:
    """Of all sizes that were tried and give equal outputs, none is more than 3 % faster.

    The search ends only when two in a row are slower.
    """
    engine = Scripted(lambda size, _: costs[SIZES.index(size)] if size in SIZES else 0.0, other=tuple(other))
    tuning = tuner(loaded, engine, tuning_seconds=3600).tune()
    assert tuning.batch_size not in other
    found = rates(tuning)
    assert found[tuning.batch_size] >= tune.AS_GOOD * max(found.values())
    assert not other & set(found)
    tried = [each.batch_size for each in tuning.trials]
    assert tried == list(SIZES[: len(tried)])
    if len(tried) < len(SIZES):
        best = max(found.values())
        assert all(found[size] < tune.SLOWER * best for size in tried[-2:])


@given(st.integers(0, 6), st.integers(0, 3), st.floats(0.0, 1.0))
def test_of_one_peak_the_search_finds_it(loaded: LoadedModel, size: int, threads: int, steep: float) -> None:
    """Over sizes and threads together: at most 10 % from the best of all pairs."""

    def cost(batch: int, count: int) -> float:
        away = abs(np.log2(batch) - size) * (0.2 + steep) + abs(np.log2(count) - threads) * 0.3
        return float(batch * 0.01 * 2**away)

    engine = Scripted(cost, load_s=0.1)
    tuning = tuner(loaded, engine, tuning_seconds=3600, cpu_threads="auto").tune()
    best = min(cost(batch, count) / batch for batch in SIZES for count in (1, 2, 4, 8))
    assert cost(tuning.batch_size, tuning.cpu_threads) / tuning.batch_size <= 1.1 * best
    assert engine.threads == tuning.cpu_threads


def test_the_smaller_of_two_that_are_as_good(loaded: LoadedModel) -> None:
    """It needs less memory."""
    tuning = tuner(loaded, Scripted(lambda size, _: size * 0.01 * (0.99 if size > 4 else 1))).tune()
    assert tuning.batch_size == 1


@pytest.mark.parametrize("most", [1, 2, 8, 64])
def test_lack_of_memory_ends_the_search(loaded: LoadedModel, most: int) -> None:
    """The size that fails is in the table, larger ones are not tried, and a smaller one is chosen."""
    engine = Scripted(lambda size, _: 0.01, most=most)
    tuning = tuner(loaded, engine).tune()
    assert tuning.batch_size == max(1, most // 2)
    assert max(engine.runs) == most
    if most > 1:
        assert [each.batch_size for each in tuning.trials if each.outcome == "no memory"] == [most]


def test_memory_is_foreseen(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that would probably take more than half of the free memory, or more than memory-limit, is not run."""
    engine = Scripted(lambda size, _: 0.01)
    held = {0: 0}
    monkeypatch.setattr(tune, "free_memory", lambda: 1000)
    monkeypatch.setattr(tune, "COPIES", 0)
    monkeypatch.setattr(tune, "HELD_BYTES", 100)
    monkeypatch.setattr(tune, "resident", lambda _pid=None: held[0])
    run = engine.run

    def growing(batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        held[0] = max(held[0], 60 * len(batch))
        return run(batch, outputs)

    monkeypatch.setattr(engine, "run", growing)
    tuning = tuner(loaded, engine).tune()
    assert max(engine.runs) == 8
    assert tuning.trials[-1].outcome == "no memory"
    assert tuning.batch_size == 8
    assert not engine.loads


def test_memory_of_what_was_not_chosen_is_given_back(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that holds much for larger batches is loaded again."""
    engine = Scripted(lambda size, _: 0.01 * size)
    monkeypatch.setattr(tune, "free_memory", lambda: 10**6)
    monkeypatch.setattr(tune, "HELD_BYTES", 100)
    monkeypatch.setattr(tune, "resident", lambda _pid=None: 50 * max(engine.runs, default=0))
    tuning = tuner(loaded, engine).tune()
    assert (tuning.batch_size, tuning.loads) == (1, 1)
    assert engine.loads == [CORES]


@pytest.mark.parametrize("fatal", [EngineRunError, DeviceError])
@pytest.mark.parametrize("left", range(6))
def test_a_network_that_does_not_load_again_ends_no_order(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch, fatal: type[QuadratError], left: int
) -> None:
    """However late it fails: nothing is raised, and the next run says what is wrong."""
    engine = Scripted(lambda size, threads: 0.01 * size / threads + 0.001 * threads)
    monkeypatch.setattr(tune, "HELD_BYTES", 0)
    monkeypatch.setattr(tune, "free_memory", lambda: 10**6)
    monkeypatch.setattr(tune, "resident", lambda _pid=None: 50 * max(engine.runs, default=0))
    load = engine.set_threads

    def set_threads(count: int) -> None:
        if len(engine.loads) >= left:
            raise fatal("it does not start", where="scripted")
        load(count)

    monkeypatch.setattr(engine, "set_threads", set_threads)
    tuning = tuner(loaded, engine, cpu_threads="auto").tune()
    assert tuning.batch_size >= 1


@pytest.mark.parametrize("budget", [1.0, 5.0, 30.0])
def test_the_time_is_bounded(loaded: LoadedModel, budget: float) -> None:
    """Trying takes at most the budget and the first size, and what was left out for it is said."""
    engine = Scripted(lambda size, count: 0.2 * size / count**0.1, load_s=0.5)
    tuning = tuner(loaded, engine, tuning_seconds=budget, cpu_threads="auto").tune()
    assert engine.now <= budget + 2
    assert tuning.seconds == pytest.approx(engine.now, abs=0.01)
    if budget < 30:
        assert "no time" in [each.outcome for each in tuning.trials]


def test_a_batch_fits_into_the_time_of_one_image(loaded: LoadedModel) -> None:
    """With source-seconds, a batch shares the time of a single input, so that large ones would be killed."""
    engine = Scripted(lambda size, _: 0.1 * size**0.9)
    tuning = tuner(loaded, engine, source_seconds=1.0).tune()
    assert max(engine.runs) == 4
    assert tuning.batch_size == 4


def test_threads_are_tried_around_the_usual_number(loaded: LoadedModel) -> None:
    """Each is one load; one that fails ends its direction, and the network stays usable."""
    engine = Scripted(lambda size, count: 0.01 * count)
    engine.refused = (2,)
    tuning = tuner(loaded, engine, batch_size=1, cpu_threads="auto").tune()
    assert [(each.cpu_threads, each.outcome) for each in tuning.trials] == [
        (2, "failed"),
        (4, "ok"),
        (8, "ok"),
    ]
    assert (tuning.batch_size, tuning.cpu_threads, engine.threads) == (1, 4, 4)
    assert engine.loads == [4, 2, 8, 4]


def test_a_given_number_is_kept(loaded: LoadedModel) -> None:
    """Only what is auto is tried; outputs are compared with those of the given batch size."""
    engine = Scripted(lambda size, count: 0.01, other=(4,))
    tuning = tuner(loaded, engine, batch_size=4, cpu_threads="auto").tune()
    assert {each.batch_size for each in tuning.trials} == {4}
    assert {each.outcome for each in tuning.trials} == {"ok"}
    engine = Scripted(lambda size, count: 0.01)
    tuner(loaded, engine, cpu_threads=4).tune()
    assert not engine.loads


def test_a_network_that_fails_leaves_the_usual_values(loaded: LoadedModel) -> None:
    """The run of the order raises the error again."""
    tuning = tuner(loaded, Scripted(lambda size, count: 0.01, most=1), cpu_threads="auto").tune()
    assert (tuning.batch_size, tuning.cpu_threads) == (1, CORES)


@pytest.fixture
def choices(tmp_path: Path) -> Choices:
    """An empty folder of choices."""
    return Choices(tmp_path / "tuned")


def cheap(size: int, count: int) -> float:
    """Cost most for small batches."""
    return 0.01 * size**0.5


def test_a_choice_is_remembered_for_the_same_work_only(loaded: LoadedModel, choices: Choices) -> None:
    """The same archive, machine, settings and shape; anything else is tried anew."""
    first = tuner(loaded, Scripted(cheap), choices).tune()
    engine = Scripted(cheap)
    again = tuner(loaded, engine, choices).tune()
    assert again == replace(first, remembered=True)
    assert engine.runs == [1, 1, 1, first.batch_size]
    assert not tuner(loaded, Scripted(cheap), choices, tuning_seconds=19.0).tune().remembered
    other = Scripted(cheap)
    other.version = "2"
    assert not tuner(loaded, other, choices).tune().remembered


@pytest.mark.parametrize("how", ["other", "most"])
def test_a_stale_choice_is_not_used(loaded: LoadedModel, choices: Choices, how: str) -> None:
    """If the remembered values now give other outputs, or fail, they are tried again."""
    first = tuner(loaded, Scripted(cheap), choices).tune()
    stale: dict[str, Any] = {"other": (first.batch_size,)} if how == "other" else {"most": first.batch_size}
    again = tuner(loaded, Scripted(cheap, **stale), choices).tune()
    assert not again.remembered
    assert again.batch_size != first.batch_size


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"batch_size": 64,\n  "cpu_threads"', '"batch_size": 65,\n  "cpu_threads"'),
        lambda text: text.replace('"archive"', '"Archive"'),
        lambda _: "[]",
        lambda _: "\xff",
    ],
)
def test_a_damaged_choice_is_not_used(
    loaded: LoadedModel, tmp_path: Path, choices: Choices, damage: Callable[[str], str]
) -> None:
    """It is tried again and written again."""
    first = tuner(loaded, Scripted(cheap), choices).tune()
    (path,) = (tmp_path / "tuned").iterdir()
    whole = path.read_text("utf-8")
    assert damage(whole) != whole
    path.write_text(damage(whole), "utf-8")
    again = tuner(loaded, Scripted(cheap), choices).tune()
    assert not again.remembered
    assert again.batch_size == first.batch_size
    assert json.loads(path.read_text("utf-8"))["tuning"]["batch_size"] == first.batch_size


def test_a_folder_that_cannot_be_written_is_no_error(loaded: LoadedModel, tmp_path: Path) -> None:
    """Nothing is remembered."""
    (tmp_path / "file").touch()
    assert not tuner(loaded, Scripted(cheap), Choices(tmp_path / "file" / "tuned")).tune().remembered


def test_a_child_that_is_killed_ends_the_search(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its network is started again, and threads with which it does not start are not chosen."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    engine = HostedEngine(
        "tests.engines.faulty:greedy", loaded.package, EngineSettings(cpu_threads=CORES), logging.getLogger()
    )
    try:
        tuning = tuner(loaded, engine, tuning_seconds=60).tune()
        outcomes = {each.batch_size: each.outcome for each in tuning.trials}
        assert outcomes == {1: "ok", 2: "ok", 4: "no memory"}
        with pytest.raises(EngineRunError, match="not with 3 threads"):
            engine.set_threads(3)
        engine.set_threads(2)
        assert len(engine.run(np.zeros((2, 3, 4, 4), np.float32), ["labels"])["labels"]) == 2
    finally:
        engine.close()
