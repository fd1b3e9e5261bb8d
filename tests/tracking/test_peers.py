"""Compare quadrat's trackers with those of libraries, which run in their own environment (`make setup-peers`)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TWINS = {
    "sort": "trackers SORT, as ours",
    "bytetrack": "trackers ByteTrack, clear as ours",
    "ocsort": "trackers OC-SORT, as ours",
    "deepsort": "deep-sort-realtime, as ours",
}
MARGIN = 1.5
"""Points that one seed may lose: over the seeds, HOTA and IDF1 of one scenario have standard deviations of 1 to 2."""
pytestmark = pytest.mark.needs_peers


def peers(*words: str) -> str:
    """Run a module with the peers' Python and return its output."""
    done = subprocess.run(
        [os.environ["QUADRAT_PEERS_PYTHON"], "-m", *words],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=[0, 3])
def answers(request) -> dict[str, Any]:
    """The tracks of every row of an easy scenario, by quadrat and by the libraries."""
    return json.loads(peers("tests.tracking.run_peers", str(request.param)))


@pytest.fixture(scope="module")
def figures(tmp_path_factory) -> dict[str, Any]:
    """HOTA, IDF1 and switches on two scenarios, for a seed that is neither used for tuning nor published."""
    path = tmp_path_factory.mktemp("track") / "figures.json"
    peers(
        "benchmarks.track",
        "--seeds",
        "51",
        "--scenarios",
        "crowd",
        "low rate",
        "--no-speed",
        "--json",
        str(path),
    )
    return json.loads(path.read_text())["quality"]


@pytest.mark.parametrize("name", TWINS)
def test_an_easy_scenario_is_tracked_alike(answers, name):
    """Where nothing is ambiguous, the numbers of both correspond one to one."""
    ours, theirs = (np.array(rows) for rows in answers[name])
    both = (ours >= 0) & (theirs >= 0)
    pairs = set(zip(ours[both].tolist(), theirs[both].tolist(), strict=True))
    assert both.mean() > 0.85  # after every miss, the OC-SORT of `trackers` leaves out a track's number
    assert len(pairs) <= len({ours for ours, _ in pairs}) + 1
    assert len({ours for ours, _ in pairs}) <= len({theirs for _, theirs in pairs})


def test_sort_is_sort(answers):
    """On the easy scenario, quadrat's SORT and the library's assign every row to the same track."""
    ours, theirs = (np.array(rows) for rows in answers["sort"])
    assert np.array_equal(ours >= 0, theirs >= 0)
    seen = ours >= 0
    assert len(set(zip(ours[seen].tolist(), theirs[seen].tolist(), strict=True))) == len(
        set(ours[seen].tolist())
    )


@pytest.mark.parametrize(("name", "twin"), TWINS.items())
@pytest.mark.parametrize("measure", ["HOTA", "IDF1"])
def test_quadrat_is_as_good_as_the_library(figures, name, twin, measure):
    """On hard scenarios, no tracker is worse than its namesake by more than the spread between seeds."""
    for scenario, found in figures.items():
        ours, theirs = (mean(one[measure] for one in found[who]) for who in (f"quadrat {name}", twin))
        assert ours >= theirs - MARGIN, scenario
