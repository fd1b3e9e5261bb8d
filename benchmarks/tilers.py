"""Detect objects by tiles with quadrat, SAHI and supervision, all with the same network.

detect.py runs it as a separate process, in the peers' Python (with this checkout on PYTHONPATH) or, without peers, in
its own. It prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import process_time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import SCENES, count_hits, draw
from quadrat.engines.onnx import library
from quadrat.predictions import Detections
from quadrat.tasks.detect.merge import METHODS, TileDetections, merge_tiles
from quadrat.tasks.detect.nms import nms
from quadrat.transforms.tiles import plan

TILE, OVERLAP, LEAST_SCORE = 640, 128, 0.25
Method = Callable[[NDArray[np.uint8]], Detections]


class BenchmarkDetector:
    """The network with the steps that all methods share: letterbox, batching, decoding, and NMS of each input.

    `seconds` is the CPU time spent here, to be subtracted from a method's total. With `blur`, boxes are as
    inexact as a trained network's: each side has a normal error of `blur` times the box's length (at least one
    pixel), scores vary, and each box is missed with probability `blur`. The errors depend only on the box and
    the picture it is found in, so that all methods get the same errors for the same tile.
    """

    def __init__(self, path: Path, blur: float) -> None:
        self.blur = blur
        runtime = library()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.seconds = 0.0

    def find(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Detect the objects of each image, in pixels of that image."""
        begin = process_time()
        batch, scales = np.empty((len(images), 3, TILE, TILE), np.float32), []
        for slot, image in zip(batch, images, strict=True):
            scale = min(1.0, TILE / max(image.shape[:2]))
            height, width = (round(side * scale) for side in image.shape[:2])
            fitted = image
            if scale < 1:
                fitted = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
            slot[:] = 114 / 255
            slot[:, :height, :width] = fitted.transpose(2, 0, 1)
            slot[:, :height, :width] /= 255
            scales.append(scale)
        (planes,) = self.session.run(None, {"images": batch})
        found = [self._decode(p.T, s, i) for p, s, i in zip(planes, scales, images, strict=True)]
        self.seconds += process_time() - begin
        return found

    def _decode(self, rows: NDArray[np.float32], scale: float, image: NDArray[np.uint8]) -> Detections:
        scores = rows[:, 4:].max(axis=1)
        rows, scores = rows[scores >= LEAST_SCORE], scores[scores >= LEAST_SCORE]
        classes = rows[:, 4:].argmax(axis=1).astype(np.int32)
        half = rows[:, 2:4] / 2
        boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1) / np.float32(scale)
        kept = nms(boxes, scores, classes, 0.7, 3000)
        found = Detections(boxes[kept], scores[kept], classes[kept])
        return self._add_errors(found, image, scale) if self.blur else found

    def _add_errors(self, found: Detections, image: NDArray[np.uint8], scale: float) -> Detections:
        corner = [int(v) for v in image[:4, :4, 0].ravel()]
        boxes, scores = found.boxes.copy(), found.scores.copy()
        kept = np.ones(len(boxes), bool)
        for index, box in enumerate(found.boxes):
            rng = np.random.default_rng([*corner, *(int(v) for v in box)])
            error = np.maximum(self.blur * np.tile(box[2:] - box[:2], 2), 1 / scale)
            boxes[index] += np.clip(rng.normal(size=4), -2, 2) * error
            scores[index] *= rng.uniform(0.6, 1.0)
            kept[index] = rng.uniform() >= self.blur
        boxes = np.clip(boxes, 0, np.tile(image.shape[1::-1], 2)).astype(np.float32)
        return Detections(boxes, scores, found.classes)[kept]


def ours(
    network: BenchmarkDetector, method: str, batch: int, whole: bool, pixels: NDArray[np.uint8]
) -> Detections:
    """Detect with tiles planned and merged by quadrat."""
    hw = (pixels.shape[0], pixels.shape[1])
    windows = plan(hw, TILE, OVERLAP)
    images = [pixels[w.top : w.bottom, w.left : w.right] for w in windows]
    given: list[Detections] = []
    for start in range(0, len(images), batch):
        given += network.find(images[start : start + batch])
    found = [
        TileDetections(
            Detections(d.boxes + np.float32([w.left, w.top] * 2), d.scores, d.classes),
            (w.left, w.top, w.right, w.bottom),
        )
        for d, w in zip(given, windows, strict=True)
    ]
    if whole:
        found.append(TileDetections(network.find([pixels])[0], None))
    return merge_tiles(found, hw, method)


def _sahi_model(network: BenchmarkDetector) -> Any:
    """Wrap the network as a SAHI user would."""
    from sahi.models.base import DetectionModel
    from sahi.prediction import ObjectPrediction
    from sahi.utils.compatibility import fix_full_shape_list, fix_shift_amount_list

    class Wrapped(DetectionModel):
        """The network as a SAHI model that supports batches."""

        def load_model(self) -> None:
            """Use the loaded network."""
            self.model = network

        def perform_inference(self, image: NDArray[np.uint8]) -> None:
            """Detect the objects of one image."""
            self._original_predictions = network.find([image])

        def perform_batch_inference(self, images: list[NDArray[np.uint8]]) -> None:
            """Detect the objects of all images in one batch."""
            self._original_predictions = network.find(images)

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list: Any = None, full_shape_list: Any = None
        ) -> None:
            shifts = fix_shift_amount_list(shift_amount_list or [[0, 0]])
            (shape, *_) = fix_full_shape_list(full_shape_list) or [None]
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=box, category_id=kind, category_name=str(kind), score=score,
                        shift_amount=shift, full_shape=shape,
                    )
                    for box, score, kind in zip(d.boxes.tolist(), d.scores.tolist(), d.classes.tolist(), strict=True)
                ]
                for d, shift in zip(self._original_predictions, shifts, strict=True)
            ]  # fmt: skip

    return Wrapped(confidence_threshold=LEAST_SCORE)


def sahi_methods(network: BenchmarkDetector) -> dict[str, Method]:
    """Return SAHI's methods, with the network as its DetectionModel."""
    from sahi.predict import get_sliced_prediction

    model = _sahi_model(network)

    def sliced(kind: str, metric: str, batch: int, whole: bool, pixels: NDArray[np.uint8]) -> Detections:
        result = get_sliced_prediction(
            pixels, model, TILE, TILE, OVERLAP / TILE, OVERLAP / TILE, perform_standard_pred=whole,
            postprocess_type=kind, postprocess_match_metric=metric, batch_size=batch, verbose=0,
        )  # fmt: skip
        rows = [(*p.bbox.to_xyxy(), p.score.value, p.category.id) for p in result.object_prediction_list]
        table = np.array(rows, np.float32).reshape(-1, 6)
        return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int32))

    return {
        "SAHI GREEDYNMM/IOS, whole (default)": partial(sliced, "GREEDYNMM", "IOS", 1, True),
        "SAHI the same, batch 8": partial(sliced, "GREEDYNMM", "IOS", 8, True),
        "SAHI GREEDYNMM/IOS": partial(sliced, "GREEDYNMM", "IOS", 1, False),
        "SAHI GREEDYNMM/IOS, batch 8": partial(sliced, "GREEDYNMM", "IOS", 8, False),
        "SAHI NMM/IOS, batch 8": partial(sliced, "NMM", "IOS", 8, False),
        "SAHI NMS/IOU, batch 8": partial(sliced, "NMS", "IOU", 8, False),
    }


def supervision_methods(network: BenchmarkDetector) -> dict[str, Method]:
    """Return supervision's methods, with the network as its callback."""
    import supervision

    def callback(images: Any) -> Any:
        several = isinstance(images, list)
        found = [
            supervision.Detections(xyxy=d.boxes, confidence=d.scores, class_id=d.classes)
            for d in network.find(images if several else [images])
        ]
        return found if several else found[0]

    def sliced(kind: str, metric: str, batch: int, pixels: NDArray[np.uint8]) -> Detections:
        slicer = supervision.InferenceSlicer(
            callback, TILE, OVERLAP, overlap_filter=kind, overlap_metric=metric, batch_size=batch
        )
        found = slicer(pixels)
        return Detections(found.xyxy, found.confidence, found.class_id)

    return {
        "supervision NMS/IOU (default)": partial(sliced, "non_max_suppression", "IOU", 1),
        "supervision NMS/IOU, batch 8": partial(sliced, "non_max_suppression", "IOU", 8),
        "supervision NMS/IOS, batch 8": partial(sliced, "non_max_suppression", "IOS", 8),
        "supervision NMM/IOS, batch 8": partial(sliced, "non_max_merge", "IOS", 8),
    }


def methods(network: BenchmarkDetector) -> dict[str, Method]:
    """Return all methods that this Python can run, quadrat's first."""
    every: dict[str, Method] = {
        f"quadrat {kind}{', whole' * whole}": partial(ours, network, kind, 8, whole)
        for kind in METHODS
        for whole in (False, True)
    }
    if find_spec("sahi"):
        every |= sahi_methods(network)
    if find_spec("supervision"):
        every |= supervision_methods(network)
    return every


def measure(path: Path, names: Sequence[str], seed: int, rounds: int, blur: float) -> dict[str, Any]:
    """Run all methods on each scene, interleaved; the warm-up round provides the boxes, which are the same in all rounds."""
    network = BenchmarkDetector(path, blur)
    every = methods(network)
    report: dict[str, Any] = {}
    for name in names:
        scene = draw(name, seed)
        table: dict[str, Any] = {}
        for turn in range(rounds + 1):
            for label, method in every.items():
                network.seconds, begin = 0.0, process_time()
                found = method(scene.pixels)
                other = process_time() - begin - network.seconds
                if not turn:
                    met = [count_hits(scene, *_columns(found), least) for least in (0.5, 0.9)]
                    table[label] = {"found": len(found), "hits": met, "other_ms": [], "network_ms": []}
                else:
                    table[label]["other_ms"].append(other * 1e3)
                    table[label]["network_ms"].append(network.seconds * 1e3)
        report[name] = {"objects": len(scene.boxes), "methods": table}
    return report


def _columns(found: Detections) -> tuple[Any, Any, Any]:
    return found.boxes.astype(np.float64), found.scores.astype(np.float64), found.classes.astype(np.int64)


def main() -> None:
    """Measure the scenes and print the report as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--blur", type=float, default=0.0)
    parser.add_argument("--scenes", nargs="+", default=list(SCENES), choices=list(SCENES))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(json.dumps(measure(options.network, options.scenes, options.seed, options.rounds, options.blur)))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
