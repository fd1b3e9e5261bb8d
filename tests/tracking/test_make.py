"""Trackers are found by name."""

from __future__ import annotations

import pytest

from quadrat import tracking
from quadrat.errors import ParameterError
from quadrat.parameters import PARAMETERS, TrackingSettings
from tests.tracking.scenes import tracker


@pytest.mark.parametrize("name", tracking.TRACKERS)
def test_each_name_makes_its_tracker(name):
    """The class has the name of the tracker and lives in the module of that name."""
    made = type(tracker(name))
    assert made.__name__.lower() == name
    assert made.__module__ == f"quadrat.tracking.{name}"


@pytest.mark.parametrize("name", tracking.TRACKERS)
def test_each_call_makes_a_new_tracker(name):
    """Each source has a tracker of its own."""
    assert tracker(name) is not tracker(name)


def test_none_makes_no_tracker():
    """With tracker=none nothing is tracked."""
    assert tracking.make(TrackingSettings(tracker="none"), 0.25) is None


def test_an_unknown_tracker_is_an_error_that_lists_the_known_ones():
    """The error names the parameter and every choice."""
    with pytest.raises(ParameterError) as caught:
        tracking.make(TrackingSettings(tracker="magic"), 0.25)
    assert (caught.value.where, caught.value.what) == ("tracker", "unknown tracker 'magic'")
    assert caught.value.hint == "Choose one of: none, sort, bytetrack, ocsort, deepsort"


def test_the_parameter_offers_every_tracker():
    """The choices of the parameter are none and all trackers."""
    (choices,) = (p.choices for p in PARAMETERS if p.name == "tracker")
    assert set(choices) == {"none", *tracking.TRACKERS}


def test_only_deepsort_needs_embeddings():
    """The pipeline computes embeddings only for trackers that use them."""
    assert [name for name in tracking.TRACKERS if tracker(name).needs_embeddings] == ["deepsort"]
