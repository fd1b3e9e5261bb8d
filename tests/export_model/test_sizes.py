from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from export_model.network import Network
from export_model.sizes import check
from quadrat.errors import TransformError

NETWORK = Network(name="net", model={}, files={}, engines={}, shape=(1, 3, 96, 128), run=np.asarray)
RESIZE, PAD = {"type": "Resize", "target_size": [128, 96]}, {"type": "Padding", "target_size": [128, 96]}
PLAIN = {"type": "Normalize"}
LONG = {"type": "ResizeByLong", "long_size": 96}


@pytest.mark.parametrize(
    ("transforms", "shape"),
    [
        ([PLAIN], (None, 3, None, None)),
        ([{"type": "no such"}], (None, 3, None, None)),
        ([RESIZE, PLAIN], (1, 3, 96, 128)),
        ([RESIZE, PLAIN], (1, 3, 96, None)),
        ([LONG, PAD, PLAIN], (1, 3, 96, 128)),
    ],
)
def test_what_fits(transforms, shape):
    """A free size takes anything; a fixed one what the transforms bring every photograph to."""
    check(replace(NETWORK, transforms=tuple(transforms), shape=shape))


@pytest.mark.parametrize(
    ("transforms", "said"),
    [
        ([PLAIN], "640 x 480: reaches it as 640 x 480"),
        ([{"type": "Resize", "target_size": [96, 128]}, PLAIN], "640 x 480: reaches it as 96 x 128"),
        ([PAD, PLAIN], "do not fit the model's Padding"),
        ([LONG, PLAIN], "reaches it as 96 x 72"),
        ([{**RESIZE, "keep_ratio": True}, PLAIN], "reaches it as"),
    ],
)
def test_what_does_not_fit(transforms, said):
    """A photograph that would arrive at another size is named, and the transforms that mend it do mend it."""
    with pytest.raises(TransformError) as caught:
        check(replace(NETWORK, transforms=tuple(transforms)))
    assert said in caught.value.line
    assert "128 x 96 pixels (width x height)" in caught.value.line
    mended = json.loads(caught.value.hint.partition(": ")[2])
    assert mended == [RESIZE, PLAIN]
    check(replace(NETWORK, transforms=tuple(mended)))


@pytest.mark.parametrize("shape", [(None, 3, 64, None), (None, 3, None, 64)])
def test_one_fixed_side_is_enough(shape):
    """A fixed height or width alone is held to as well, and the hint keeps it."""
    with pytest.raises(TransformError) as caught:
        check(replace(NETWORK, shape=shape))
    mended = json.loads(caught.value.hint.partition(": ")[2])
    check(replace(NETWORK, shape=shape, transforms=tuple(mended)))
