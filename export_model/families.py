"""How the images of each family of detectors are prepared in training, by the layout of its outputs."""

from __future__ import annotations

from export_model.preprocessing import BYTES, IMAGENET, Usual
from quadrat.tasks.detect.layouts.base import DetectorSpec
from quadrat.tasks.detect.layouts.cells import find_grid

_NANODET = (
    (103.53 / 255, 116.28 / 255, 123.675 / 255),
    (57.375 / 255, 57.12 / 255, 58.395 / 255),
)
_CENTERNET = ((0.408, 0.447, 0.470), (0.289, 0.274, 0.278))
_ASK = (
    "Networks of this layout are trained in different ways: take the values from its own page, as --range 0 255, or "
    "--mean 0.485 0.456 0.406 --std 0.229 0.224 0.225, or --range 0 255 --mean 127 --std 128"
)
FAMILIES: dict[str, Usual] = {
    "yolox": Usual(centred=False, bgr=True, normalize=BYTES),
    "rtdetr": Usual(stretch=True),
    "rtdetr-ultralytics": Usual(stretch=True),
    "rfdetr": Usual(stretch=True, normalize=IMAGENET),
    "paddledet": Usual(
        stretch=True, normalize=None,
        ask="Networks of PaddleDetection are trained either with or without ImageNet's values: give those of "
        "NormalizeImage in its infer_cfg.yml, or --range 0 1 if its norm_type is none",
    ),
    "ssd": Usual(stretch=None, normalize=None, ask=_ASK),
    "nanodet": Usual(pad=0, bgr=True, normalize=_NANODET),
    "nanodet-plus": Usual(pad=0, bgr=True, normalize=_NANODET),
    "picodet": Usual(stretch=True, normalize=IMAGENET),
    "yunet": Usual(centred=False, pad=0, bgr=True, normalize=BYTES),
    "scrfd": Usual(centred=False, pad=0, normalize=((0.5,), (128 / 255,))),
    "fastestdet": Usual(stretch=True, bgr=True),
    "centernet": Usual(pad=0, bgr=True, normalize=_CENTERNET),
    "centerface": Usual(stretch=True, normalize=BYTES),
    "mmdet": Usual(stretch=None, normalize=None, ask=_ASK),
}  # fmt: skip
"""Usual preparation by layout; the other layouts have the YOLOs', a grey letterbox and pixels from 0 to 1."""


DECODED = Usual(
    stretch=None, normalize=None,
    ask="It has one row for each cell: a YOLOX exported with --decode_in_inference takes --letterbox W H --position "
    "upper-left --bgr --range 0 255, a YOLOv6 takes --letterbox W H --range 0 1",
)  # fmt: skip
"""For the layout of YOLOv5 with a single row for each cell of the grids, which YOLOv5 does not have."""


def usual(layout: str, network: DetectorSpec) -> Usual:
    """Return how the images of a network's family are usually prepared."""
    rows = [one.shape[1] for one in network.outputs if len(one.shape) == 3]
    if layout == "yolov5" and any(find_grid(each, network.fixed_hw, (1,)) for each in rows):
        return DECODED
    return FAMILIES.get(layout, Usual())
