"""Bring pictures to a size in multiples, for networks that take no other."""

from __future__ import annotations

import math

from quadrat.geometry import HW
from quadrat.transforms.pad import Pad
from quadrat.transforms.params import Params
from quadrat.transforms.resize import Resize

MAX_DIVISOR = 4096


def resize_to_multiple(params: Params) -> Resize:
    """Read ResizeToMultiple(divisor): scale each side to the nearest multiple of `divisor`, at least one."""
    divisor = params.integer("divisor", low=1, high=MAX_DIVISOR)

    def nearest(hw: HW) -> HW:
        height, width = (max(divisor, math.floor(side / divisor + 0.5) * divisor) for side in hw)
        return height, width

    return Resize("ResizeToMultiple", nearest)


def pad_to_multiple(params: Params) -> Pad:
    """Read PadToMultiple(divisor, value=127.5): pad below and to the right to the next multiple of `divisor`."""
    divisor = params.integer("divisor", low=1, high=MAX_DIVISOR)
    value = params.number("value", 127.5, low=-1e6, high=1e6)

    def following(hw: HW) -> HW:
        height, width = (math.ceil(side / divisor) * divisor for side in hw)
        return height, width

    return Pad("PadToMultiple", following, value)
