from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.media.timeline import Timeline

NEAR = st.floats(0, 30)
FRAMES = st.lists(
    st.tuples(st.none() | st.floats(-1e5, 1e5), NEAR, st.floats(0, 1), st.booleans()), min_size=1, max_size=30
)


@given(FRAMES)
def test_times_grow_whatever_the_stream_says(frames: list[tuple[float | None, float, float, bool]]) -> None:
    """With any presentation times and reconnections, times start at 0 and never go back."""
    timeline = Timeline()
    arrival, before = 1000.0, -1.0
    for pts_s, later, duration_s, connects in frames:
        if connects:
            timeline.connected()
        arrival += later
        time_s = timeline.add(pts_s, arrival, duration_s)
        assert time_s >= 0.0 if before < 0 else time_s > before
        assert timeline.end_s > time_s
        before = time_s


@given(
    st.floats(-1e5, 1e5), st.lists(st.tuples(st.floats(0.001, 5), st.floats(0, 5)), min_size=1, max_size=20)
)
def test_within_a_connection_presentation_times_rule(first: float, steps: list[tuple[float, float]]) -> None:
    """Intervals follow presentation times, however unevenly frames arrive."""
    timeline = Timeline()
    arrival = pts_s = 0.0
    assert 0.0 == timeline.add(first, arrival)
    for step, later in steps:
        pts_s += step
        arrival += later
        assert timeline.add(first + pts_s, arrival) == pytest.approx(pts_s, abs=1e-6)


def test_a_new_connection_begins_when_it_arrives() -> None:
    """A gap has its wall-clock duration, whatever the stream's presentation times."""
    timeline = Timeline()
    assert [0.0, 0.04] == [timeline.add(n / 25, 50.0, 0.04) for n in range(2)]
    timeline.connected()
    assert [30.0, 30.04] == [pytest.approx(timeline.add(n / 25, 80.0, 0.04)) for n in range(2)]


def test_a_count_that_begins_anew_is_no_pause() -> None:
    """After a jump forward or back, times continue from the arrival time."""
    timeline = Timeline()
    places = [(95443.6, 0.0), (95443.7, 0.1), (0.0, 0.2), (0.1, 0.3), (90000.0, 0.4)]
    assert [pytest.approx(arrival) for _, arrival in places] == [
        timeline.add(pts, at, 0.04) for pts, at in places
    ]


def test_the_rate_seen() -> None:
    """Without a stated rate, the rate is computed from the frames, if there are several."""
    timeline = Timeline()
    timeline.add(0.0, 0.0)
    assert timeline.mean_rate(1) is None
    for n in range(1, 11):
        timeline.add(n / 10, n / 10)
    assert pytest.approx(10.0) == timeline.mean_rate(11)


def test_a_presentation_time_that_stands_still_starts_a_new_count() -> None:
    """Two frames with the same presentation time have their arrival times."""
    timeline = Timeline()
    assert [0.0, 1.0] == [timeline.add(7.0, arrival) for arrival in (10.0, 11.0)]


def test_an_absurd_duration_is_ignored() -> None:
    """A frame that states to last for centuries lengthens no stream and moves no later frame."""
    timeline = Timeline()
    assert timeline.add(0.0, 100.0, 42_949_672_940.0) == 0.0
    assert timeline.end_s < 1
    assert timeline.add(None, 100.5, 0.0) == pytest.approx(0.5)
