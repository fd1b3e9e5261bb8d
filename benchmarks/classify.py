"""Compare classification with transformers' own pipeline: the same weights and photographs, processes in turn.

    python -m benchmarks.classify --peer PY           three networks, five rounds
    python -m benchmarks.classify --peer PY --quick   one round of few photographs

PY is a Python with the extra `export` (torch and transformers, without torchvision): it makes networks with random weights,
packs them with export_model, and runs the pipeline, one photograph at a time as is its default, and in batches of 8.
quadrat runs in this Python. Both read the same JPEG files, and give the probabilities of all classes. A rate is photographs
per second after loading. Memory is the peak of the process; quadrat runs its network in that process too (`executor=local`).
Rates mean nothing beside other load: torch's threads wait for each other by spinning.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PHOTOS = ROOT.parent / "shared" / "data" / "photos"
NETWORKS = ("mobilenet-v2", "convnext-atto", "vit-tiny")
CLASSES = 20
PEERS = {"pipeline": 1, "pipeline, batches of 8": 8}
"""The runs of transformers, with their batch size."""
CLOSE = 1e-5
CONTRAST = 2.0
"""Standard deviation of the logits of a picture."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One process: photographs per second after loading, peak memory in MB, and the probabilities by photograph."""

    rate: float
    peak_mb: float
    found: dict[str, dict[str, float]]


def make_networks(folder: Path) -> None:
    """Save networks of usual architectures with random weights; called in the peer."""
    import torch
    import transformers as tf

    torch.manual_seed(0)
    named = {index: f"species {index}" for index in range(CLASSES)}
    said: dict[str, Any] = {"id2label": named, "label2id": {name: index for index, name in named.items()}}
    made = {
        "mobilenet-v2": (
            tf.MobileNetV2ForImageClassification(tf.MobileNetV2Config(**said)),
            tf.MobileNetV2ImageProcessorPil(),
        ),
        "convnext-atto": (
            tf.ConvNextForImageClassification(
                tf.ConvNextConfig(hidden_sizes=[40, 80, 160, 320], depths=[2, 2, 6, 2], **said)
            ),
            tf.ConvNextImageProcessorPil(size={"shortest_edge": 224}),
        ),
        "vit-tiny": (
            tf.ViTForImageClassification(
                tf.ViTConfig(
                    hidden_size=192,
                    num_hidden_layers=12,
                    num_attention_heads=3,
                    intermediate_size=768,
                    **said,
                )
            ),
            tf.ViTImageProcessorPil(),
        ),
    }
    for name, (network, processor) in made.items():
        network.eval()
        with torch.no_grad():  # probabilities that differ as those of a trained network do
            spread = network(torch.rand(4, 3, 224, 224)).logits.std(dim=1).mean()
            network.classifier.weight *= CONTRAST / spread
            network.classifier.bias *= CONTRAST / spread
        network.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)


def theirs(model: Path, photos: Sequence[Path], batch: int) -> tuple[float, dict[str, dict[str, float]]]:
    """Run transformers' pipeline; return its seconds and probabilities. Called in the peer."""
    from transformers import pipeline

    run = pipeline("image-classification", str(model), device="cpu", top_k=CLASSES)
    run(str(photos[0]))
    begin = time.perf_counter()
    given = run([str(path) for path in photos], batch_size=batch)
    spent = time.perf_counter() - begin
    return spent, {
        path.name: {each["label"]: each["score"] for each in one}
        for path, one in zip(photos, given, strict=True)
    }


def ours(archive: Path, photos: Sequence[Path], batch: int) -> tuple[float, dict[str, dict[str, float]]]:
    """Run quadrat; return its seconds and probabilities."""
    from predictor import Predictor

    alone = {"executor": "local"}  # memory is that of the largest process, so that there must be one only
    with Predictor(archive, batch_size=batch, cpu_threads=os.cpu_count() or 1, settings=alone) as predictor:
        list(predictor.predict([photos[0]]))
        begin = time.perf_counter()
        found = [each.scores for each in predictor.predict(photos)]
        spent = time.perf_counter() - begin
    return spent, {path.name: one for path, one in zip(photos, found, strict=True)}


def child(words: Sequence[str]) -> None:
    """Do one job of the benchmark in a process of its own: make, theirs or ours."""
    job, place, *rest = words
    if job == "make":
        make_networks(Path(place))
        return
    folder, batch, out = Path(rest[0]), int(rest[1]), Path(rest[2])
    photos = sorted(folder.glob("*.jpg"))
    seconds, found = (theirs if job == "theirs" else ours)(Path(place), photos, batch)
    out.write_text(json.dumps({"rate": len(photos) / seconds, "found": found}))


def ran(python: str, words: Sequence[str], out: Path) -> Ran:
    """Run a job in a fresh process and measure it; RuntimeError if it fails."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile() as log:
        argv = [python, str(Path(__file__).resolve()), "--child", *words, str(out)]
        process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise RuntimeError(f"{words[0]}: {log.read()[-2000:].decode(errors='replace')}")
    given = json.loads(out.read_text())
    return Ran(given["rate"], usage.ru_maxrss / 1024, given["found"])


def compared(one: Ran, other: Ran) -> tuple[int, float]:
    """Return the number of photographs with another best label, and the largest difference of a probability."""
    others, worst = 0, 0.0
    for name, mine in one.found.items():
        given = other.found[name]
        others += max(mine, key=mine.__getitem__) != max(given, key=given.__getitem__)
        worst = max(worst, *(abs(mine[label] - given[label]) for label in given))
    return others, worst


def compare(name: str, options: argparse.Namespace, folder: Path, rounds: int) -> bool:
    """Print the rows of one network; return False if labels or probabilities differ."""
    from benchmarks.process import spread

    archive, photos, out = folder / f"{name}.tgz", folder / "photos", folder / "out.json"
    runs: dict[str, list[Ran]] = {"quadrat": [], **{peer: [] for peer in PEERS}}
    for turn in range(rounds + 1):
        done = {"quadrat": ran(sys.executable, ["ours", str(archive), str(photos), "1"], out)}
        for peer, batch in PEERS.items():
            done[peer] = ran(options.peer, ["theirs", str(folder / name), str(photos), str(batch)], out)
        if turn or not rounds:  # the first round warms up
            for key, one in done.items():
                runs[key].append(one)
    good = True
    mine = runs["quadrat"]
    print(
        f"| {name} | quadrat | {spread([r.rate for r in mine], '.1f')} | {spread([r.peak_mb for r in mine], '.0f')} | | | |"
    )
    for peer in PEERS:
        pairs = list(zip(mine, runs[peer], strict=True))
        others, worst = compared(*pairs[0])
        good &= others == 0 and worst <= CLOSE
        faster = spread([one.rate / two.rate for one, two in pairs])
        smaller = spread([one.peak_mb / two.peak_mb for one, two in pairs])
        rates, peaks = ([getattr(two, key) for _, two in pairs] for key in ("rate", "peak_mb"))
        print(
            f"| {name} | {peer} | {spread(rates, '.1f')} | {spread(peaks, '.0f')} | **{faster}** | **{smaller}** "
            f"| {others}, {worst:.1e} |",
            flush=True,
        )
    return good


def main() -> int:
    """Run the benchmark; return 1 if a label or a probability differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", metavar="PYTHON", help="Python with torch and transformers")
    parser.add_argument("--images", type=Path, default=PHOTOS, help="photographs to cut others from")
    parser.add_argument("--count", type=int, default=48, help="number of photographs")
    parser.add_argument("--side", type=int, default=1600, help="long side of the photographs in pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--network", action="append", choices=NETWORKS, help="only this one")
    parser.add_argument("--quick", action="store_true", help="one round of 8 photographs")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child)
        return 0
    if not given.peer:
        parser.error("--peer PYTHON is needed")
    from PIL import Image

    from benchmarks.photos import make_photos

    count, rounds = (8, 0) if given.quick else (given.count, given.rounds)
    originals = sorted(given.images.glob("*.[jJ][pP][gG]"))
    good = True
    with tempfile.TemporaryDirectory(prefix="quadrat-bench-") as made:
        folder = Path(made)
        for path in make_photos(originals, folder / "photos", count):
            with Image.open(path) as image:
                image.thumbnail((given.side, given.side))
                image.save(path, quality=90)
        this = str(Path(__file__).resolve())
        subprocess.run([given.peer, this, "--child", "make", made], check=True, cwd=ROOT, capture_output=True)
        print(
            "| network | program | photographs/s | peak MB | quadrat's rate over it | quadrat's memory over it | other labels, largest difference |"
        )
        print("|---|---|---|---|---|---|---|")
        for name in given.network or NETWORKS:
            export = [
                given.peer,
                str(ROOT / "export_model" / "export.py"),
                "--transformers",
                str(folder / name),
            ]
            subprocess.run(
                [*export, "--save-path", str(folder / f"{name}.tgz")], check=True, capture_output=True
            )
            good &= compare(name, given, folder, rounds)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
