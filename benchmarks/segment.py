"""Compare segmentation with the original service: whole processes, interleaved, ratios with their spread.

    python -m benchmarks.segment --original DIR --original-python PY --light light.tgz
    python -m benchmarks.segment --smoke        only quadrat, few images, as a smoke test

--original is a checkout of ivcap-paddle-paddle-seg, --original-python a Python with paddle 2.6.2, paddleseg 2.8.0 and
ivcap-sdk-service 0.6.0. --light is an archive of a small network (PP-LiteSeg; random weights suffice for timing).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.photos import make_photos
from benchmarks.process import Command, Run, interleave, run, spread

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
TINY = ROOT / "examples" / "models" / "seagrass-tiny.tgz"
B0 = SHARED / "models" / "seagrass-segformer-b0.paddle2.tgz"

TARGETS = {
    "SegFormer-B0": {("original", "fp32"): 1.5, ("original", "bf16"): 2.0, ("oneDNN off", "fp32"): 10.0},
    "PP-LiteSeg": {("original", "fp32"): 1.8, ("original", "bf16"): 3.0, ("oneDNN off", "fp32"): 7.0},
}
"""Target speed-ups by (peer, precision); "oneDNN off" has a target for the default precision only."""


def ours(model: Path, images: Path, precision: str) -> Command:
    """Return the command that runs quadrat on a folder."""
    argv = [
        sys.executable, str(ROOT / "infer_service.py"), "--model", str(model), "--images", str(images),
        "--precision", precision, "--ivcap:in-dir", ".", "--ivcap:out-dir", "OUT",
    ]  # fmt: skip
    return Command(f"quadrat {precision}", argv, ROOT, {})


def original(options: argparse.Namespace, model: Path, images: Path, *, mkldnn: bool) -> Command:
    """Return the command that runs the original service on the folder, with oneDNN at its default or disabled."""
    wrapper = [] if mkldnn else [str(ROOT / "benchmarks" / "without_mkldnn.py")]
    argv = [
        options.original_python, *wrapper, "infer_service.py", "--model", str(model), "--images", str(images),
        "--ivcap:in-dir", ".", "--ivcap:out-dir", "OUT",
    ]  # fmt: skip
    return Command("original" if mkldnn else "oneDNN off", argv, Path(options.original), {})


def has_bf16() -> bool:
    """Return True if OpenVINO supports bf16 on this CPU."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def compare(name: str, model: Path, images: Path, count: int, options: argparse.Namespace) -> None:
    """Print one network's table, with ratios of original over quadrat by round."""
    precisions = ["fp32", "bf16"] if has_bf16() else ["fp32"]
    commands = [ours(model, images, precision) for precision in precisions]
    if options.original:
        commands += [original(options, model, images, mkldnn=mkldnn) for mkldnn in (True, False)]
    print(f"\n{name}, {count} images")
    runs = interleave(commands, count, options.rounds)
    print(
        f"\n| {name} | wall s | CPU s | peak MB | speed-up over original | over oneDNN off | memory share |"
    )
    print("|---|---|---|---|---|---|---|")
    for command in commands:
        mine = runs[command.name]
        cells = [
            spread([r.wall_s for r in mine]),
            spread([r.cpu_s for r in mine]),
            spread([r.peak_mb for r in mine], ".0f"),
        ]
        cells += [_ratios(name, command.name, runs.get(p), mine, p) for p in ("original", "oneDNN off")]
        share = [m.peak_mb / p.peak_mb for m, p in zip(mine, runs.get("original", []), strict=False)]
        cells.append(spread(share) if share else "")
        print(f"| {command.name} | " + " | ".join(cells) + " |", flush=True)


def _ratios(name: str, mine: str, peers: Sequence[Run] | None, runs: Sequence[Run], peer: str) -> str:
    if not peers or mine == peer:
        return ""
    ratios = [p.wall_s / m.wall_s for p, m in zip(peers, runs, strict=True)]
    target = TARGETS.get(name, {}).get((peer, mine.removeprefix("quadrat ")))
    return spread(ratios) + (f" (target: {target:g})" if target else "")


def overhead(model: Path, images: Path, rounds: int) -> None:
    """Print the time of the whole pipeline over that of the bare engine."""
    argv = [sys.executable, "-m", "benchmarks.overhead", str(model), str(images), "--rounds", str(rounds)]
    found = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    times = json.loads(found)
    ratios = [p / e for p, e in zip(times["path"], times["engine"], strict=True)]
    print(
        f"\nWhole pipeline over bare engine, {times['images']} images: {spread(ratios, '.3f')} (target: at most 1.10)"
    )


def peak_memory(model: Path, photos: Sequence[Path], counts: tuple[int, int]) -> None:
    """Print the peak memory for few and for many images."""
    peaks = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(count):
                os.link(photos[number % len(photos)], Path(folder) / f"photo-{number:03d}.jpg")
            peaks.append(run(ours(model, Path(folder), "fp32"), count).peak_mb)
    print(
        f"\nPeak memory: {peaks[0]:.0f} MB for {counts[0]} images, {peaks[1]:.0f} MB for {counts[1]}: "
        f"{peaks[1] / peaks[0]:.3f} (target: within 10 %)"
    )


def start_time(model: Path, photo: Path, rounds: int) -> None:
    """Print the time of a one-image order with a warm cache, minus one inference, and the import time."""
    with tempfile.TemporaryDirectory() as folder:
        os.link(photo, Path(folder) / "photo.jpg")
        command = ours(model, Path(folder), "fp32")
        walls = [run(command, 1).wall_s for _ in range(rounds + 1)][1:]
        argv = [sys.executable, "-m", "benchmarks.overhead", str(model), folder, "--rounds", str(rounds)]
        found = subprocess.run(
            argv, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]
    bare = median(json.loads(found)["engine"])
    starts = [wall - bare for wall in walls]
    print(f"\nOne-image order minus one inference ({bare:.2f} s): {spread(starts)} s (target: at most 2)")
    imports = []
    for _ in range(rounds):
        code = "import time; t = time.perf_counter(); import predictor; print(time.perf_counter() - t)"
        imports.append(
            float(
                subprocess.run(
                    [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
                ).stdout
            )
        )
    print(f"import predictor: {spread(imports, '.3f')} s (target: under 0.5)")


def main() -> None:
    """Run the comparison, or its smoke test."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--original", help="checkout of the original service")
    parser.add_argument("--original-python", help="Python that runs it")
    parser.add_argument("--model", type=Path, default=B0, help="the SegFormer-B0 archive")
    parser.add_argument("--light", type=Path, help="archive of a small network")
    parser.add_argument("--photos", type=Path, default=SHARED / "photos", help="folder of real photographs")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-images", type=int, nargs=2, default=(20, 200))
    parser.add_argument(
        "--smoke", action="store_true", help="only quadrat, two images, the small example model"
    )
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, bf16: {has_bf16()}"
    )
    if options.smoke:
        options.images, options.rounds, options.memory_images = 2, 1, (2, 4)
        options.model, options.light = TINY, None
        if not options.photos.is_dir():
            options.photos = ROOT / "examples" / "images"
    with tempfile.TemporaryDirectory(prefix="quadrat-photos-") as folder:
        originals = sorted(p for p in options.photos.rglob("*") if p.suffix.lower() == ".jpg")
        photos = make_photos(originals, Path(folder), options.images)
        name = "seagrass-tiny" if options.smoke else "SegFormer-B0"
        compare(name, options.model, Path(folder), options.images, options)
        if options.light:
            compare("PP-LiteSeg", options.light, Path(folder), options.images, options)
        overhead(options.model, Path(folder), options.rounds)
        start_time(options.model, photos[0], options.rounds)
        peak_memory(options.light or options.model, photos, tuple(options.memory_images))


if __name__ == "__main__":
    main()
