"""Draw the README's picture: an example image beside what the service makes of it.

python tools/readme_picture.py [FILE]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from predictor import Measurement, Predictor

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 560

target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "example.jpg"
with Predictor(ROOT / "examples" / "models" / "seagrass-tiny.tgz") as predictor:
    (measured,) = predictor.predict(ROOT / "examples" / "images" / "site-a" / "quadrat-02.jpg")
    if not isinstance(measured, Measurement):
        raise measured.error
    after = measured.overlay()
before = Image.new("RGB", after.size, "white")
before.paste(Image.fromarray(measured.pixels))
both = Image.fromarray(np.concatenate([np.asarray(before), np.asarray(after)], axis=1))
both = both.resize((2 * WIDTH, round(both.height * 2 * WIDTH / both.width)), Image.Resampling.LANCZOS)
both.save(target, quality=85)
