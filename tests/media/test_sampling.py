"""Properties of the selection of frames."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from quadrat.media.sampling import Sampling, is_due
from quadrat.parameters import FrameSettings

SECONDS = st.floats(0.01, 20)
STEPS = st.lists(st.floats(0.001, 5), min_size=1, max_size=200)


def taken(times: list[float], settings: FrameSettings) -> list[int]:
    """Return the indices of the selected frames."""
    sampling = Sampling(settings)
    return [n for n, time_s in enumerate(times) if sampling.selects(n, time_s)]


def summed(steps: list[float]) -> list[float]:
    """Return times starting at 0, from the steps between them."""
    times = [0.0]
    for step in steps:
        times.append(times[-1] + step)
    return times


@given(STEPS, st.integers(1, 50))
def test_each_nth_is_by_count(steps: list[float], n: int) -> None:
    """With a frame step, frames 0, n, 2n, ... are selected, whatever their times."""
    times = summed(steps)
    assert taken(times, FrameSettings(frame_step=n)) == list(range(0, len(times), n))


@given(STEPS, SECONDS)
def test_one_in_so_many_seconds(steps: list[float], seconds: float) -> None:
    """With seconds, exactly the first frame of each slot is selected, so that no drift accumulates."""
    times = summed(steps)
    slots = [math.floor((t + 1e-6) / seconds) for t in times]
    first = [slots.index(slot) for slot in sorted(set(slots))]
    assert taken(times, FrameSettings(frame_seconds=seconds)) == first
    chosen = [times[n] for n in first]
    assert all(b // seconds > a // seconds or b - a > seconds / 2 for a, b in pairwise(chosen))


@given(st.integers(1, 120), st.integers(1, 60), st.integers(1, 400))
def test_a_constant_rate_gives_a_constant_number(rate: int, seconds: int, count: int) -> None:
    """At an integer frame rate, one frame every N seconds is every (rate x N)-th frame."""
    times = [n / rate for n in range(count)]
    assert taken(times, FrameSettings(frame_seconds=float(seconds))) == list(range(0, count, rate * seconds))


def test_a_long_film_does_not_drift() -> None:
    """At 30000/1001 frames/s, the frame selected after a day is still the first one of its second."""
    day = [n * 1001 / 30000 for n in range(86_000 * 30, 86_400 * 30)]
    chosen = [day[n] for n in taken(day, FrameSettings(frame_seconds=1.0))][1:]
    assert all(0 <= t - math.floor(t + 1e-6) + 1e-6 < 1001 / 30000 + 2e-6 for t in chosen)
    assert [math.floor(t + 1e-6) for t in chosen] == list(
        range(math.floor(chosen[0]), math.floor(chosen[-1]) + 1)
    )


def test_a_time_counts_a_microsecond_early() -> None:
    """A frame is due from one microsecond before the given time on."""
    assert [is_due(time_s, 1.0) for time_s in (0.999, 1 - 5e-7, 1.0, 2.0)] == [False, True, True, True]
