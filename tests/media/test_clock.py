"""Presentation times strictly increase, and follow the timestamps where they are plausible."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.media.clock import MAX_STEP_S, Clock

STAMPS = st.one_of(st.none(), st.integers(-(2**62), 2**62))


def times(
    stamps: list[tuple[int | None, int | None]], rate: float = 25, **options: bool
) -> tuple[list[float], Clock]:
    """Return the times of frames with these (pts, dts), in ticks of one frame."""
    clock = Clock(Fraction(1, int(rate)), rate, **options)
    frames: list[Any] = [SimpleNamespace(pts=pts, dts=dts, duration=1) for pts, dts in stamps]
    return [clock.add(frame) for frame in frames], clock


@given(st.lists(st.tuples(STAMPS, STAMPS), max_size=30), st.booleans())
def test_times_increase_by_at_most_a_day(stamps: list[tuple[int | None, int | None]], coded: bool) -> None:
    """Whatever the timestamps are, times start at 0, strictly increase, and have no absurd step."""
    found, clock = times(stamps, coded_order=coded)
    assert found[:1] in ([], [0.0])
    assert all(0 < b - a <= MAX_STEP_S + 1e-3 for a, b in pairwise(found))
    assert not found or 0 < clock.end_s - found[-1] <= MAX_STEP_S


@given(st.lists(st.integers(1, 1000), max_size=30), st.integers(-(10**9), 10**9))
def test_times_that_increase_are_kept(steps: list[int], first: int) -> None:
    """Presentation times that increase are the frame's times from the first one on."""
    stamps = [first]
    for step in steps:
        stamps.append(stamps[-1] + step)
    found, clock = times([(stamp, None) for stamp in stamps])
    assert found == pytest.approx([(stamp - first) / 25 for stamp in stamps])
    assert clock.jumps == 0


@given(st.permutations(range(16)), st.integers(1, 20), st.booleans())
def test_reordered_timestamps_add_nothing(order: list[int], groups: int, coded: bool) -> None:
    """If presentation times are in the order of coding, a video is no longer than its frames and one reordering."""
    pts = [group * 16 + place for group in range(groups) for place in order]
    found, clock = times([(stamp, n) for n, stamp in enumerate(pts)], coded_order=coded)
    assert clock.end_s <= (len(pts) + 33) / 25
    if coded:
        assert found == pytest.approx([n / 25 for n in range(len(pts))])


def test_a_count_that_starts_again() -> None:
    """Two recordings in one file: the second continues one step after the first."""
    stamps = [*range(100), *range(100)]
    found, clock = times([(stamp, stamp) for stamp in stamps])
    assert found == pytest.approx([n / 25 for n in range(200)])
    assert clock.end_s == pytest.approx(8)


def test_a_counter_that_wraps() -> None:
    """A jump of 2^32 ticks of ten seconds is left out and counted, and the times after it continue."""
    clock = Clock(Fraction(10), 0.1)
    frames: list[Any] = [
        SimpleNamespace(pts=p, dts=None, duration=2**32) for p in (0, 1, 2**32 + 2, 2**32 + 3)
    ]
    assert [clock.add(frame) for frame in frames] == [0, 10, 20, 30]
    assert (clock.jumps, clock.end_s) == (1, 40)


def test_no_timestamps_at_all() -> None:
    """Without timestamps, frames follow each other at the rate, and no mean rate is made up."""
    found, clock = times([(None, None)] * 4, rate=10)
    assert found == pytest.approx([0, 0.1, 0.2, 0.3])
    assert clock.mean_rate(4) is None
