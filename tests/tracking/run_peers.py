"""Track an easy scenario with quadrat's trackers and with those of libraries; print both answers as JSON.

Runs under the peers' Python: python -m tests.tracking.run_peers SEED
"""

from __future__ import annotations

import json
import sys

from benchmarks.motion import Scenario, simulate
from benchmarks.track import ROWS

EASY = Scenario("easy", 8, frames=80)
PEERS = {
    "sort": "trackers SORT, as ours",
    "bytetrack": "trackers ByteTrack, clear as ours",
    "ocsort": "trackers OC-SORT, as ours",
    "deepsort": "deep-sort-realtime, as ours",
}


def main(seed: int) -> None:
    """Print the track numbers of every row, by name of quadrat's tracker: quadrat's and the library's."""
    frames = simulate(EASY, seed)
    answers = {}
    for name, peer in PEERS.items():
        trackers = ROWS[f"quadrat {name}"](), ROWS[peer]()
        answers[name] = [[int(number) for frame in frames for number in track(frame)] for track in trackers]
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main(int(sys.argv[1]))
