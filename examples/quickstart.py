"""Measure the example images from Python and save an overlay of each.

python examples/quickstart.py [OUT_FOLDER]
"""

import sys
from pathlib import Path

from predictor import Failure, Measurement, Predictor

HERE = Path(__file__).resolve().parent
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "DATA/quickstart")

OUT.mkdir(parents=True, exist_ok=True)
with Predictor(HERE / "models" / "seagrass-tiny.tgz") as predictor:
    for measured in predictor.predict(HERE / "images", on_error="skip"):
        if isinstance(measured, Failure):
            print(measured.error)
        elif isinstance(measured, Measurement):
            print(measured.name, {name: f"{share:.1%}" for name, share in measured.cover.items()})
            measured.overlay().save(OUT / f"{measured.name.replace('/', '-')}.overlay.jpg")
print(f"Pictures are in {OUT}")
