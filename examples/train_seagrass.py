"""Draw, train, evaluate and export examples/models/seagrass-tiny.tgz.

    python examples/train_seagrass.py            # everything: five to fifteen minutes on two cores
    python examples/train_seagrass.py --judge    # only compute the mIoU of existing weights

Needs the project's `[export]` extra, or torch in addition to the run-time. Seeds are fixed, and the drawings
used for evaluation are never trained on; weights may still differ in the last bits between machines.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from draw_quadrats import CLASSES, COLORS, Drawing, draw
from numpy.typing import NDArray
from seagrass_net import build, parameters
from torch.nn import functional

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE.parent / "build" / "seagrass-tiny.pt"
ARCHIVE = HERE / "models" / "seagrass-tiny.tgz"
FIRST_TRAINED, FIRST_JUDGED = 1_000, 9_000
SIZES = ((1024, 1280), (866, 1154), (1200, 1200), (1280, 960))
CROP = 256
BATCH = 8


def drawings_from(first: int, count: int) -> Iterator[Drawing]:
    """Yield `count` drawings at full size; seeds from FIRST_JUDGED on are never used for training."""
    for seed in range(first, first + count):
        yield draw(seed, SIZES[seed % len(SIZES)])


def iou(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the intersection over union per class, from a confusion matrix (true, predicted) of pixel counts."""
    intersection = np.diag(confusion).astype(float)
    return np.asarray(intersection / (confusion.sum(0) + confusion.sum(1) - intersection))


def tensor(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Convert (..., H, W, 3) uint8 RGB to (..., 3, H, W) float32, as the archive's Normalize does."""
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, -3))
    return torch.from_numpy(planes).float().div(127.5).sub(1)


def judge(network: torch.nn.Module, count: int) -> NDArray[np.float64]:
    """Return the IoU per class over `count` unseen drawings."""
    network.eval()
    confusion = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    with torch.inference_mode():
        for drawing in drawings_from(FIRST_JUDGED, count):
            predicted = network(tensor(drawing.pixels)[None]).argmax(1)[0].numpy()
            pairs = drawing.mask.astype(np.int64) * len(CLASSES) + predicted
            confusion += np.bincount(pairs.ravel(), minlength=confusion.size).reshape(confusion.shape)
    return iou(confusion)


def crops(drawings: list[Drawing], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Crop, scale, rotate and tint one batch: (N, 3, CROP, CROP) float32 and (N, CROP, CROP) int64."""
    pictures, masks = [], []
    for _ in range(BATCH):
        drawing = drawings[rng.integers(len(drawings))]
        side = int(CROP / rng.uniform(0.6, 1.2))
        top, left = (int(rng.integers(n - side + 1)) for n in drawing.mask.shape)
        window = np.s_[top : top + side, left : left + side]
        picture = cv2.resize(drawing.pixels[window], (CROP, CROP), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(drawing.mask[window], (CROP, CROP), interpolation=cv2.INTER_NEAREST)
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        picture, mask = np.rot90(picture, turns), np.rot90(mask, turns)
        if mirror:
            picture, mask = picture[:, ::-1], mask[:, ::-1]
        tint = rng.uniform(0.85, 1.15, 3) * rng.uniform(0.8, 1.2)
        pictures.append(np.clip(picture * tint, 0, 255).astype(np.uint8))
        masks.append(mask.astype(np.int64))
    return tensor(np.stack(pictures)), torch.from_numpy(np.stack(masks))


def loss_of(scores: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return cross entropy plus soft Dice loss."""
    shares = scores.softmax(1)
    truth = functional.one_hot(masks, len(CLASSES)).movedim(-1, 1).float()
    intersection = (shares * truth).sum((0, 2, 3))
    dice = (2 * intersection + 1) / (shares.sum((0, 2, 3)) + truth.sum((0, 2, 3)) + 1)
    return functional.cross_entropy(scores, masks) + (1 - dice).mean()


def train(steps: int, count: int) -> torch.nn.Module:
    """Train on crops of `count` drawings; the learning rate rises, then falls to zero."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    drawings = list(drawings_from(FIRST_TRAINED, count))
    network = build()
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    print(f"{parameters(network)} parameters, {len(drawings)} drawings")
    network.train()
    began = time.perf_counter()
    for step in range(1, steps + 1):
        pictures, masks = crops(drawings, rng)
        loss = loss_of(network(pictures), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(
                f"step {step}/{steps} loss {loss.item():.3f} {time.perf_counter() - began:.0f} s", flush=True
            )
    return network


def export(weights: Path, archive: Path) -> None:
    """Create the archive with export_model/export.py, as a user would."""
    classes = [
        f"--class={name}=#{r:02x}{g:02x}{b:02x}" for name, (r, g, b) in zip(CLASSES, COLORS, strict=True)
    ]
    command = [
        sys.executable, str(HERE.parent / "export_model" / "export.py"), "--torch", "seagrass_net:build",
        "--weights", str(weights.resolve()), *classes, "--name", archive.stem, "--save-path", str(archive.resolve()),
    ]  # fmt: skip
    subprocess.run(command, check=True, cwd=HERE)


def main() -> None:
    """Train, evaluate and export."""
    parser = argparse.ArgumentParser(description="Draw, train, evaluate and export the example model.")
    parser.add_argument("--steps", type=int, default=2600, help="training steps")
    parser.add_argument(
        "--drawings",
        type=int,
        default=120,
        help="number to train on; a tenth as many are used for evaluation",
    )
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--judge", action="store_true", help="do not train: evaluate existing weights")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="weights file")
    parser.add_argument("--save-path", type=Path, default=ARCHIVE, help="archive to write")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.judge:
        network = build()
        network.load_state_dict(torch.load(given.weights, weights_only=True))
    else:
        network = train(given.steps, given.drawings)
        given.weights.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), given.weights)
    unseen = max(1, given.drawings // 10)
    per_class = judge(network, unseen)
    words = ", ".join(f"{name} {value:.3f}" for name, value in zip(CLASSES, per_class, strict=True))
    print(f"mIoU {per_class.mean():.3f} ({words}) on {unseen} unseen drawings")
    if not given.judge:
        export(given.weights, given.save_path)


if __name__ == "__main__":
    main()
