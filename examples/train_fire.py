"""Draw, train, export, calibrate and judge examples/models/fire-tiny.tgz.

    python examples/train_fire.py            # everything: a few minutes on two cores
    python examples/train_fire.py --judge    # only judge the archive

Needs the project's `[export]` extra, or torch in addition to the run-time. Training, validation and test draw from seeds of
their own. The validation drawings give the temperature, and the threshold that finds at least 98 % of the fires: a missed
fire costs more than a false alarm.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from draw_fires import CLASSES, draw, write
from fire_net import SIZE, build
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from predictor import Predictor

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE.parent / "build" / "fire-tiny.pt"
ARCHIVE = HERE / "models" / "fire-tiny.tgz"
FIRST_TRAINED, FIRST_VALIDATED, FIRST_JUDGED = 10_000, 20_000, 60_000
BATCH = 64
RECALL = 0.98


def drawings(first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pictures (N, 3, h, w) uint8, resized as the archive does, and truth (N,) float32."""
    scenes = [draw(seed) for seed in range(first, first + count)]
    resized = [Image.fromarray(scene.pixels).resize(SIZE, Image.Resampling.BILINEAR) for scene in scenes]
    pictures = torch.from_numpy(np.stack([np.asarray(each) for each in resized])).permute(0, 3, 1, 2)
    return pictures.contiguous(), torch.tensor([float(scene.fire) for scene in scenes])


def train(count: int, epochs: int) -> torch.nn.Module:
    """Train on `count` drawings, mirrored and brightened at random; the learning rate rises, then falls to zero."""
    torch.manual_seed(0)
    pictures, truth = drawings(FIRST_TRAINED, count)
    network = build()
    steps = max(1, count // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=epochs * steps)
    print(f"{sum(each.numel() for each in network.parameters())} parameters, {count} drawings")
    network.train()
    began = time.perf_counter()
    for epoch in range(1, epochs + 1):
        for batch in torch.randperm(count).split(BATCH)[:steps]:
            images = pictures[batch].float() / 255 * (0.8 + 0.4 * torch.rand(len(batch), 1, 1, 1))
            images = images.flip(3) if torch.rand(1) < 0.5 else images
            loss = functional.binary_cross_entropy_with_logits(
                network(images.clamp(0, 1))[:, 0], truth[batch]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(
            f"epoch {epoch}/{epochs} loss {loss.item():.3f} {time.perf_counter() - began:.0f} s", flush=True
        )
    return network


def export(weights: Path, archive: Path, validated: int) -> None:
    """Create the archive with export_model/export.py, and calibrate it on drawings with export_model/calibrate.py."""
    scripts = HERE.parent / "export_model"
    with tempfile.TemporaryDirectory(prefix="quadrat-fires-") as folder:
        raw, images = Path(folder) / archive.name, Path(folder) / "validation"
        named = [word for name in CLASSES for word in ("--class", name)]
        command = [
            sys.executable, str(scripts / "export.py"), "--task", "classify", "--torch", "fire_net:build",
            "--weights", str(weights.resolve()), *named, "--stretch", *map(str, SIZE), "--range", "0", "1",
            "--name", archive.stem, "--save-path", str(raw),
        ]  # fmt: skip
        subprocess.run(command, check=True, cwd=HERE)
        write(images, range(FIRST_VALIDATED, FIRST_VALIDATED + validated))
        command = [
            sys.executable, str(scripts / "calibrate.py"), str(raw), str(images), "--class", CLASSES[1],
            "--recall", str(RECALL), "--save-path", str(archive.resolve()),
            "--plot", str(archive.resolve().with_name(f"{archive.stem}-reliability.png")),
        ]  # fmt: skip
        subprocess.run(command, check=True)


def judge(archive: Path, count: int) -> NDArray[np.int64]:
    """Return the confusion matrix (true, labelled) of an archive on `count` unseen drawings."""
    scenes = [draw(seed) for seed in range(FIRST_JUDGED, FIRST_JUDGED + count)]
    confusion = np.zeros((2, 2), np.int64)
    with Predictor(archive) as predictor:
        for scene, found in zip(scenes, predictor.predict(each.pixels for each in scenes), strict=True):
            confusion[int(scene.fire), int(CLASSES[1] in found.labels)] += 1
    return confusion


def main() -> None:
    """Train, export, calibrate and judge."""
    parser = argparse.ArgumentParser(description="Draw, train, calibrate and judge the example classifier.")
    parser.add_argument("--drawings", type=int, default=10_000, help="number to train on")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--validated", type=int, default=1000, help="number to calibrate on")
    parser.add_argument("--judged", type=int, default=1000, help="number to judge on")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--judge", action="store_true", help="do not train: judge the archive")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="weights file")
    parser.add_argument("--save-path", type=Path, default=ARCHIVE, help="archive to write")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if not given.judge:
        network = train(given.drawings, given.epochs)
        given.weights.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), given.weights)
        export(given.weights, given.save_path, given.validated)
    confusion = judge(given.save_path, given.judged)
    (quiet, alarms), (missed, found) = confusion.tolist()
    print(
        f"on {confusion.sum()} unseen drawings: accuracy {np.trace(confusion) / confusion.sum():.3f}, precision "
        f"{found / max(1, found + alarms):.3f}, recall {found / max(1, found + missed):.3f}"
    )
    print(
        f"of {missed + found} fires {found} found and {missed} missed; of {quiet + alarms} others {alarms} false alarms"
    )


if __name__ == "__main__":
    main()
