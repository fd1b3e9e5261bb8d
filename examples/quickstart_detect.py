"""Detect objects in the example scenes and track them through a video, from Python; save annotated pictures.

python examples/quickstart_detect.py [OUT_FOLDER]
"""

import sys
from pathlib import Path

from predictor import Failure, Objects, Predictor

HERE = Path(__file__).resolve().parent
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "DATA/quickstart-detect")

OUT.mkdir(parents=True, exist_ok=True)
with Predictor(HERE / "models" / "rectangles.tgz", settings={"tile-size": 640}) as predictor:
    for found in predictor.predict(HERE / "scenes", on_error="skip"):
        if isinstance(found, Failure):
            print(found.error)
        elif isinstance(found, Objects):
            print(found.name, found.count)
            found.annotated().save(OUT / f"{Path(found.name).stem}.annotated.jpg")

with Predictor(HERE / "models" / "rectangles.tgz", settings={"tracker": "ocsort"}) as predictor:
    seen: set[int] = set()
    for frame in predictor.video(HERE / "videos" / "reef-1.mp4"):
        if isinstance(frame, Objects) and frame.detections.tracks is not None:
            seen.update(track for track in frame.detections.tracks.tolist() if track >= 0)
    print(f"reef-1.mp4: {len(seen)} tracks")
print(f"Pictures are in {OUT}")
