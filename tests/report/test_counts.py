"""Counts of a class add up over sources."""

from __future__ import annotations

import pickle
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.report.counts import ClassCount
from tests.report.things import CLASSES

COUNT = st.builds(
    ClassCount,
    st.just(CLASSES[0]),
    st.integers(0, 1000),
    st.floats(0, 1),
    st.none() | st.integers(0, 50),
    st.integers(0, 30),
    st.none() | st.integers(0, 99),
    st.none() | st.floats(0, 9),
)


@given(st.lists(COUNT, min_size=2, max_size=6))
def test_a_sum_is_that_of_all_sources(counts: list[ClassCount]) -> None:
    """Objects and tracks are added, the mean is weighted by objects, the most at once is the largest of all."""
    total = reduce(ClassCount.plus, counts)
    objects = sum(one.objects for one in counts)
    scores = sum(one.mean_score * one.objects for one in counts)

    assert total.objects == objects
    assert total.mean_score * objects == pytest.approx(scores)
    assert total.most == max(one.most for one in counts)
    followed = [one.tracks for one in counts if one.tracks is not None]
    assert total.tracks == (sum(followed) if followed else None)


@given(COUNT, COUNT)
def test_the_order_of_sources_does_not_matter(one: ClassCount, other: ClassCount) -> None:
    """Sources finish in any order."""
    first, second = one.plus(other), other.plus(one)

    assert (first.objects, first.tracks, first.most) == (second.objects, second.tracks, second.most)
    assert first.mean_score == pytest.approx(second.mean_score)


def test_a_sum_names_no_frame() -> None:
    """The frame with the most is one of one source."""
    one = ClassCount(CLASSES[0], 3, 0.5, 1, 2, 7, 0.28)
    total = one.plus(one)

    assert (total.info, total.most_frame, total.most_s) == (CLASSES[0], None, None)
    assert pickle.loads(pickle.dumps(one)) == one
