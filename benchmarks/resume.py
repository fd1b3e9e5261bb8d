"""Kill orders at random moments, repeat them, and compare the results with those of an undisturbed order.

    .venv/bin/python -m benchmarks.resume --kills 50

Each trial starts the service as a process of its own, kills it with its children at a random moment, up to three
times, and then lets it finish. All files but the ledger's own must be equal byte for byte; in run.json, the duration
and the times of the stages are left out. Prints one JSON object, and exits with 1 if a trial differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from quadrat.report.run_record import TIMES
from quadrat.stores.entries import FOLDER

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "examples" / "models" / "rectangles.tgz"
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
MOST_KILLS = 3


def draw_images(folder: Path, count: int) -> None:
    """Write pictures with rectangles into three folders, and one that is damaged."""
    chance = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"site-{number % 3}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((600, 800, 3), 114, np.uint8)
        x, y = chance.integers(0, 500, 2)
        pixels[y : y + 90, x : x + 200] = (20, 60, 220)
        Image.fromarray(pixels).save(path)
    (folder / "site-0" / "torn.png").write_bytes(path.read_bytes()[:400])


def start(images: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start an order, with a process group of its own; its log is a file beside the folder of results."""
    out.mkdir(exist_ok=True)
    log = out.with_suffix(".log").open("wb")
    words = [
        "--model",
        str(MODEL),
        "--images",
        str(images),
        "--ivcap:in-dir",
        ".",
        "--ivcap:out-dir",
        str(out),
    ]
    return subprocess.Popen(
        [sys.executable, str(ROOT / "infer_service.py"), *words],
        cwd=ROOT,
        env=os.environ | {"IVCAP_CACHE_DIR": ""},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def contents(out: Path) -> dict[str, bytes]:
    """Return all files of a folder of results by path, without the ledger's own and without times."""
    found = {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and FOLDER not in path.relative_to(out).parts
    }
    run = json.loads(found["run.json"])
    found["run.json"] = json.dumps({key: value for key, value in run.items() if key not in TIMES}).encode()
    return found


def trial(images: Path, out: Path, whole_s: float, chance: random.Random) -> tuple[dict[str, bytes], int]:
    """Kill an order up to three times and let it finish; return its files and the number of kills that hit it."""
    shutil.rmtree(out, ignore_errors=True)
    hits = 0
    for _ in range(chance.randint(1, MOST_KILLS)):
        process = start(images, out)
        try:
            process.wait(chance.uniform(0.2, 1.1) * whole_s)
        except subprocess.TimeoutExpired:
            hits += 1
            number = chance.choice(SIGNALS)
            os.killpg(process.pid, number) if number == signal.SIGKILL else process.send_signal(number)
        process.wait()
    finish(images, out)
    return contents(out), hits


def finish(images: Path, out: Path) -> None:
    """Run an order to its end; SystemExit with its log if it fails."""
    if start(images, out).wait():
        sys.exit(out.with_suffix(".log").read_text())


def main() -> int:
    """Run the trials, print their figures, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help="kills in all [50]")
    parser.add_argument("--images", type=int, default=24, help="pictures of the order [24]")
    parser.add_argument("--seed", type=int, default=8)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="quadrat-resume-") as made:
        images, out = Path(made, "images"), Path(made, "out")
        draw_images(images, options.images)
        begin = perf_counter()
        finish(images, out)
        whole_s = perf_counter() - begin
        undisturbed, hits, trials = contents(out), 0, 0
        different: list[list[str]] = []
        while hits < options.kills:
            made_now, kills = trial(images, out, whole_s, chance)
            hits, trials = hits + kills, trials + 1
            names = {*undisturbed, *made_now}
            unequal = sorted(name for name in names if undisturbed.get(name) != made_now.get(name))
            different += [unequal] if unequal else []
    figures = {
        "kills": hits, "orders": trials, "files": len(undisturbed), "seconds": round(whole_s, 1),
        "different": different,
    }  # fmt: skip
    print(json.dumps(figures))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
