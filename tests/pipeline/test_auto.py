"""batch-size=auto in the stage of the network: it changes no value, keeps the order, and is chosen once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quadrat.errors import EngineMemoryError
from quadrat.pipeline import auto, tune
from quadrat.pipeline.batches import Batches
from quadrat.pipeline.chain import Stage
from quadrat.pipeline.events import PartResult, PreparedPart
from quadrat.pipeline.models import LoadedModel
from quadrat.pipeline.tuned import Tuned
from quadrat.records import Trial, Tuning
from quadrat.types import Flush, Part
from tests.moving import load
from tests.networks import brightness_archive
from tests.pipeline.test_batches import black, index_of, numbered, side_by_side
from tests.values import settings_of


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    """The brightness network, loaded once."""
    with load(brightness_archive(tmp_path_factory.mktemp("m") / "m.tgz")) as loaded:
        yield loaded


class Rounding:
    """An engine whose batches of some sizes give other values than their inputs alone; 5 need too much memory."""

    name, version, device, precision = "rounding", "1", "cpu", "fp32"

    def __init__(self, other: Sequence[int]) -> None:
        self.other = other
        self.sizes: list[int] = []

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Give each input's first value, and in some batches a little more."""
        self.sizes.append(len(batch))
        if len(batch) >= 5:
            raise EngineMemoryError("too large", where=self.name)
        return dict.fromkeys(outputs, batch[:, 0, 0, 0] + np.float32(1e-3 * (len(batch) in self.other)))


@given(
    st.lists(st.sampled_from("iiiiiiwbf"), max_size=40),
    st.sets(st.sampled_from([2, 3, 4])),
    st.integers(1, 3),
)
def test_auto_gives_what_inputs_give_alone(
    tiny: LoadedModel, kinds: list[str], other: set[int], at_once: int
) -> None:
    """Whatever comes, in whatever shapes, however batches fill: all items in order, and the values of single inputs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUADRAT_CACHE_DIR", str(tiny.package.root / "own"))
        patch.setattr(tune, "RUN_S", 0.0)
        ready = replace(tiny, settings=settings_of(batch_size="auto"), tuned=Tuned())
        items = [sent(kind, number) for number, kind in enumerate(kinds)]
        came = list(Batches(side_by_side(ready, at_once, Rounding(tuple(other))))(iter(items)))
    assert len(came) == len(items)
    for item, given_item in zip(came, items, strict=True):
        if isinstance(given_item, PreparedPart):
            assert isinstance(item, PartResult)
            assert isinstance(item.outcome, Part)
            assert all(value == given_item.sample.tensor[0, 0, 0] for value in item.outcome.arrays.values())
        else:
            assert item is given_item


def sent(kind: str, number: int) -> Any:
    """Make an input of the usual (i) or another (w) width, a black frame (b) or a Flush (f)."""
    if kind == "f":
        return Flush()
    if kind == "b":
        return black(number)
    one = numbered(number)
    if kind == "w":
        wide = np.full((3, 8, 16), number, np.float32)
        return replace(one, sample=replace(one.sample, tensor=wide))
    return one


def test_auto_uses_the_size_that_it_chose(
    tiny: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs wait until values are tried on the first four; then batches have the chosen size, and queues room for them."""
    monkeypatch.setenv("QUADRAT_CACHE_DIR", str(tmp_path))
    chosen = Tuning("tiny", (3, 8, 8), 3, 1, (Trial(1, 3, "ok", 1, 0.1, 30.0),), 1.5)
    monkeypatch.setattr(auto.Tuner, "tune", lambda _self: chosen)
    engine = Rounding(())
    ready = replace(side_by_side(tiny, 1, engine), settings=settings_of(batch_size="auto"), tuned=Tuned())
    batches, before = Batches(ready), Stage("prepare", iter, 1)
    batches.before = (before,)
    came = list(batches(numbered(n) for n in range(12)))
    assert [index_of(each) for each in came] == list(range(12))
    assert engine.sizes == [3, 3, 3, 3]
    assert batches.tuning == chosen
    assert batches.warm_up_s == 1.5
    assert before.ahead == 3
    again = Batches(ready)  # of a second run with the same loaded network
    list(again(numbered(n) for n in range(6)))
    assert again.tuning == replace(chosen, model="tiny")
    assert again.warm_up_s == 0.0


def test_an_order_that_is_too_small_tries_nothing(tiny: LoadedModel) -> None:
    """With fewer than four inputs nothing is gained."""
    engine = Rounding(())
    ready = replace(side_by_side(tiny, 1, engine), settings=settings_of(batch_size="auto"), tuned=Tuned())
    batches = Batches(ready)
    list(batches(numbered(n) for n in range(3)))
    assert engine.sizes == [1, 1, 1]
    assert batches.tuning is None


def test_an_error_comes_after_the_items_before_it(tiny: LoadedModel) -> None:
    """Also while the first inputs are collected."""
    ready = replace(
        side_by_side(tiny, 1, Rounding(())), settings=settings_of(batch_size="auto"), tuned=Tuned()
    )

    def items() -> Iterator[Any]:
        yield numbered(0)
        raise RuntimeError("lost")

    came = []
    with pytest.raises(RuntimeError, match="lost"):
        came.extend(iter(Batches(ready)(items())))
    assert [index_of(each) for each in came] in ([], [0])


class Mixing(Rounding):
    """An engine whose outputs depend on the whole batch, as those of a network exported in training mode."""

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Give the mean of the batch for each input."""
        self.sizes.append(len(batch))
        mean = batch[:, 0, 0, 0].mean(dtype=np.float64)
        return dict.fromkeys(outputs, np.full(len(batch), mean, np.float32))


@pytest.mark.parametrize("alike", [0, 2, 3, 4, 9, 12])
def test_equal_inputs_prove_nothing(
    tiny: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alike: int
) -> None:
    """A network that mixes its inputs gives equal ones what it gives them alone, and others something else."""
    monkeypatch.setenv("QUADRAT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tune, "RUN_S", 0.0)
    ready = replace(side_by_side(tiny, 1, Mixing(())), settings=settings_of(batch_size="auto"), tuned=Tuned())
    values = [0.0] * alike + [float(n) for n in range(20)]
    items = [
        replace(one, sample=replace(one.sample, tensor=np.full((3, 8, 8), value, np.float32)))
        for one, value in ((numbered(n), value) for n, value in enumerate(values))
    ]
    came = list(Batches(ready)(iter(items)))
    assert [float(next(iter(each.outcome.arrays.values()))) for each in came] == values


def test_what_another_stage_compared_proves_nothing(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its inputs may have been equal: variants of one network share the choice, and compare their own batches."""
    chosen = Tuning("tiny", (3, 8, 8), 3, 1, (Trial(1, 3, "ok", 1, 0.1, 30.0),), 1.5)
    monkeypatch.setattr(auto.Tuner, "tune", lambda _self: chosen)
    ready = replace(side_by_side(tiny, 1, Mixing(())), settings=settings_of(batch_size="auto"), tuned=Tuned())
    black_first = [numbered(n) for n in range(8)]
    for one in black_first:
        one.sample.tensor[:] = 0
    list(Batches(ready)(iter(black_first)))
    came = list(Batches(ready)(numbered(n) for n in range(20)))
    assert [float(next(iter(each.outcome.arrays.values()))) for each in came] == list(range(20))
