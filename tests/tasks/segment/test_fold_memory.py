"""A mosaic of twice the size takes no more memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MEASURE = """
import ctypes, json, sys
from pathlib import Path
import numpy as np
from quadrat.geometry import Geometry
from quadrat.media import images, scratch
from quadrat.render.pictures import draw_pictures
from quadrat.report.cover import measure, mean_confidence
from quadrat.types import Blob, FrameKey, ModelPackage, OutputSpec, Part
from tests.tasks.folding import make_task, predict
from tests.values import settings_of

images.MAX_SOURCE_PIXELS = scratch.LARGE_PIXELS = 1_000_000

def anonymous():
    ctypes.CDLL(None).malloc_trim(0)  # what is freed and not yet given back is the C library's affair
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) / 1024

def parts(task, frame, peaks):
    start = Geometry.identity(frame.source_hw)
    for window in task.start(frame).windows:
        grey = frame.pixels[window.top:window.bottom, window.left:window.right, 0].astype(np.float32)
        peaks.append(anonymous())
        yield Part({"s": np.stack([100 - grey, grey, 0 * grey])}, start.cropped(window), window)

settings = settings_of(tile_size=512, tile_overlap=128)
package = ModelPackage(Path(), "m", "", "segment", {}, None, (), (), 3, ())
task = make_task(package, [OutputSpec("s", "float32", (None, 3, None, None))], settings)
base = anonymous()
peaks = [base]
frame = images.decode(Blob(Path(sys.argv[1])), FrameKey("u"), -1, mosaic=True)
peaks.append(anonymous())
mask = predict(task, frame, parts(task, frame, peaks))
covers = measure(package, mask, 0.0)
mean_confidence(mask)
peaks.append(anonymous())
for picture in draw_pictures(frame, mask, covers, ("pseudo", "labels", "confidence")):
    peaks.append(anonymous())
print(json.dumps({"grown": max(peaks) - base, "covers": [c.cover for c in covers]}))
"""


def strip_of_grey(path: Path, height: int, width: int) -> None:
    """Write a grey TIFF in one strip, with alternating bands of 100 rows of 0 and of 200."""
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 134), (277, 1), (278, height),
            (279, height * width), (284, 1)]  # fmt: skip
    head = b"II*\0\x08\0\0\0" + len(tags).to_bytes(2, "little")
    entries = b"".join(
        tag.to_bytes(2, "little") + b"\x04\0\x01\0\0\0" + value.to_bytes(4, "little") for tag, value in tags
    )
    with path.open("wb") as file:
        file.write((head + entries).ljust(134, b"\0"))
        for top in range(0, height, 100):
            file.write(bytes([200 * (top // 100 % 2)]) * (100 * width))


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux reports memory by kind")
def test_memory_is_flat(tmp_path: Path) -> None:
    """12 and 24 million pixels both take under 30 MB, and the same; in memory, the second would take 144 MB."""
    grown = []
    for height in (4000, 8000):
        strip_of_grey(tmp_path / "m.tif", height, 3000)
        argv = [sys.executable, "-c", MEASURE, str(tmp_path / "m.tif")]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["covers"] == [0.5, 0.5, 0.0]
        grown.append(found["grown"])
    assert max(grown) < 30
    assert abs(grown[1] - grown[0]) < 5, grown
