"""Raw heads of detectors: what a network of each layout gives for objects at known places.

encode_head("yolox", boxes, scores, classes, num_classes=2, hw=(64, 96))    the arrays, without batch axis
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

HEADS = (
    "yolox",
    "ssd",
    "nanodet",
    "nanodet-plus",
    "picodet",
    "yunet",
    "scrfd",
    "fastestdet",
    "centernet",
    "centerface",
)
"""Layouts that have cells or anchors."""
BINS = 8
LEVELS = (8, 16, 32)
NO = -12.0
"""A logit of what is not there."""


def encode_head(
    layout: str, boxes: Any, scores: Any, classes: Any, *, num_classes: int, hw: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Lay objects out: boxes (M, 4) x0, y0, x1, y1 in pixels of an input of `hw`, scores and classes (M,).

    Each object takes the cell of stride 8 (or the layout's own) that its centre lies in; at most one per cell.
    """
    box = np.asarray(boxes, np.float64).reshape(-1, 4)
    rows = list(zip(box, np.asarray(scores, np.float64), np.asarray(classes, np.int64), strict=True))
    return {name: array.astype(np.float32) for name, array in _LAID[layout](rows, num_classes, hw).items()}


def _cell(box: np.ndarray, stride: int, hw: tuple[int, int]) -> tuple[int, int, int]:
    """Column, row and index of the cell that a box's centre lies in."""
    x, y = int((box[0] + box[2]) / 2 // stride), int((box[1] + box[3]) / 2 // stride)
    return x, y, y * -(-hw[1] // stride) + x


def _cells(hw: tuple[int, int], stride: int) -> int:
    return -(-hw[0] // stride) * -(-hw[1] // stride)


def _yolox(rows: list[Any], num_classes: int, hw: tuple[int, int]) -> dict[str, np.ndarray]:
    table = np.zeros((sum(_cells(hw, s) for s in LEVELS), 5 + num_classes))
    for box, score, kind in rows:
        x, y, index = _cell(box, 8, hw)
        centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        table[index, :5] = [centre[0] / 8 - x, centre[1] / 8 - y, *np.log(size / 8), score]
        table[index, 5 + kind] = 1
    return {"output": table}


def _ssd(rows: list[Any], num_classes: int, hw: tuple[int, int]) -> dict[str, np.ndarray]:
    boxes, scores = np.tile([0.4, 0.4, 0.6, 0.6], (1200, 1)), np.zeros((1200, num_classes + 1))
    scores[:, 0] = 1
    for index, (box, score, kind) in enumerate(rows):
        boxes[index] = box / [hw[1], hw[0], hw[1], hw[0]]
        scores[index, 0], scores[index, 1 + kind] = 1 - score, score
    return {"scores": scores, "boxes": boxes}


def _distances(box: np.ndarray, point: np.ndarray, stride: int) -> np.ndarray:
    """The logits (4 * BINS) whose softmax has the distances to the sides as means."""
    far = np.array([point[0] - box[0], point[1] - box[1], box[2] - point[0], box[3] - point[1]]) / stride
    logits = np.full((4, BINS), -40.0)
    for side, distance in enumerate(far):
        low = min(int(distance), BINS - 2)
        share = distance - low
        logits[side, low], logits[side, low + 1] = np.log([max(1 - share, 1e-12), max(share, 1e-12)])
    return logits.reshape(-1)


def _distributed(
    rows: list[Any],
    num_classes: int,
    hw: tuple[int, int],
    strides: tuple[int, ...],
    centre: Callable[..., Any],
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    made = {s: (np.zeros((_cells(hw, s), num_classes)), np.zeros((_cells(hw, s), 4 * BINS))) for s in strides}
    for box, score, kind in rows:
        x, y, index = _cell(box, 8, hw)
        made[8][0][index, kind] = score
        made[8][1][index] = _distances(box, centre(np.array([x, y]), 8), 8)
    return made


def _nanodet(rows: list[Any], num_classes: int, hw: tuple[int, int]) -> dict[str, np.ndarray]:
    made = _distributed(rows, num_classes, hw, LEVELS, lambda cell, s: (cell + 0.5) * s - 0.5)
    scores = {f"cls_pred_stride_{s}": each[0] for s, each in made.items()}
    return scores | {f"dis_pred_stride_{s}": each[1] for s, each in made.items()}


def _picodet(rows: list[Any], num_classes: int, hw: tuple[int, int]) -> dict[str, np.ndarray]:
    made = _distributed(rows, num_classes, hw, (*LEVELS, 64), lambda cell, s: (cell + 0.5) * s)
    scores = {f"save_infer_model/scale_{i}": each[0] for i, each in enumerate(made.values())}
    return scores | {f"save_infer_model/scale_{i + 4}": each[1] for i, each in enumerate(made.values())}


def _nanodet_plus(rows: list[Any], num_classes: int, hw: tuple[int, int]) -> dict[str, np.ndarray]:
    made = _distributed(rows, num_classes, hw, (*LEVELS, 64), lambda cell, s: cell * s)
    return {"output": np.concatenate([np.concatenate(each, axis=1) for each in made.values()])}


def _yunet(rows: list[Any], num_classes: int, hw: tuple[int, int]) -> dict[str, np.ndarray]:
    made: dict[str, np.ndarray] = {}
    for s in LEVELS:
        count = _cells(hw, s)
        made |= {
            f"cls_{s}": np.zeros((count, num_classes)), f"obj_{s}": np.zeros((count, 1)),
            f"bbox_{s}": np.zeros((count, 4)), f"kps_{s}": np.zeros((count, 10)),
        }  # fmt: skip
    for box, score, kind in rows:
        x, y, index = _cell(box, 8, hw)
        centre = (box[:2] + box[2:]) / 2
        made["cls_8"][index, kind], made["obj_8"][index] = score, score
        made["bbox_8"][index] = [centre[0] / 8 - x, centre[1] / 8 - y, *np.log((box[2:] - box[:2]) / 8)]
    return made


def _scrfd(rows: list[Any], _: int, hw: tuple[int, int]) -> dict[str, np.ndarray]:
    made: dict[str, np.ndarray] = {}
    for part, width in (("score", 1), ("bbox", 4), ("kps", 10)):
        made |= {f"{part}_{s}": np.zeros((2 * _cells(hw, s), width)) for s in LEVELS}
    for box, score, _kind in rows:
        x, y, index = _cell(box, 8, hw)
        made["score_8"][2 * index] = score
        made["bbox_8"][2 * index] = [x - box[0] / 8, y - box[1] / 8, box[2] / 8 - x, box[3] / 8 - y]
    return made


def _fastestdet(rows: list[Any], num_classes: int, hw: tuple[int, int]) -> dict[str, np.ndarray]:
    height, width = hw[0] // 16, hw[1] // 16
    made = np.zeros((5 + num_classes, height, width))
    made[1:5] = NO
    for box, score, kind in rows:
        x, y, _ = _cell(box, 16, hw)
        centre, size = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / [hw[1], hw[0]]
        offset = np.arctanh(np.clip(centre / 16 - [x, y], -0.999999, 0.999999))
        made[0, y, x], made[5 + kind, y, x] = score, score
        made[1:5, y, x] = [*offset, *np.log(size / (1 - size))]
    return {"output": made}


def _centernet(rows: list[Any], num_classes: int, hw: tuple[int, int]) -> dict[str, np.ndarray]:
    shape = (hw[0] // 4, hw[1] // 4)
    heat, size, offset = np.full((num_classes, *shape), NO), np.zeros((2, *shape)), np.zeros((2, *shape))
    for box, score, kind in rows:
        x, y, _ = _cell(box, 4, hw)
        heat[kind, y, x] = np.log(score / (1 - score))
        size[:, y, x] = (box[2:] - box[:2]) / 4
        offset[:, y, x] = (box[:2] + box[2:]) / 8 - [x, y]
    return {"hm": heat, "wh": size, "reg": offset}


def _centerface(rows: list[Any], num_classes: int, hw: tuple[int, int]) -> dict[str, np.ndarray]:
    shape = (hw[0] // 4, hw[1] // 4)
    heat, size, offset = np.zeros((num_classes, *shape)), np.zeros((2, *shape)), np.zeros((2, *shape))
    for box, score, kind in rows:
        x, y, _ = _cell(box, 4, hw)
        heat[kind, y, x] = score
        size[:, y, x] = np.log((box[2:] - box[:2]) / 4)[::-1]
        offset[:, y, x] = ((box[:2] + box[2:]) / 8 - [x + 0.5, y + 0.5])[::-1]
    return {"537": heat, "538": size, "539": offset, "540": np.zeros((10, *shape))}


_LAID: Mapping[str, Callable[[list[Any], int, tuple[int, int]], dict[str, np.ndarray]]] = {
    "yolox": _yolox, "ssd": _ssd, "nanodet": _nanodet, "nanodet-plus": _nanodet_plus, "picodet": _picodet,
    "yunet": _yunet, "scrfd": _scrfd, "fastestdet": _fastestdet, "centernet": _centernet, "centerface": _centerface,
}  # fmt: skip
