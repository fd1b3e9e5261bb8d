"""Run by the peers' Python: an easy film through a tracker of ours and a library's, both answers as JSON.

python -m tests.tracking.agree SEED
"""

from __future__ import annotations

import json
import sys

from benchmarks.motion import Scenario, film
from benchmarks.track import ROWS

EASY = Scenario("easy", 8, frames=80)
PEERS = {
    "sort": "trackers SORT, as ours",
    "bytetrack": "trackers ByteTrack, as ours",
    "ocsort": "trackers OC-SORT, as ours",
    "deepsort": "deep-sort-realtime, as ours",
}


def main(seed: int) -> None:
    """Print, by our tracker's name, the tracks of every row by us and by the library."""
    shots = film(EASY, seed)
    answers = {}
    for name, peer in PEERS.items():
        ours, theirs = ROWS[f"quadrat {name}"](), ROWS[peer]()
        answers[name] = [[int(n) for shot in shots for n in follow(shot)] for follow in (ours, theirs)]
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main(int(sys.argv[1]))
