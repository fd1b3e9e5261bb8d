"""Networks that end as PaddleDetection's do, from paddle through paddle2onnx to the boxes that paddle itself gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from export_model.export import main
from tests.export_model.conftest import run_script
from tests.export_model.test_from_detector import find

pytestmark = pytest.mark.needs_export

NETWORKS = """
import json, sys, warnings
import numpy as np, paddle
from paddle import nn

warnings.simplefilter("ignore")
folder, height, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def bright(image):
    # box (N, 1, 4) in pixels of the tensor around what is bright, and whether there is any (N, 1)
    mask = (image.max(axis=1) > 0.7).astype("float32")
    sides = []
    for line, length in ((mask.max(axis=1), paddle.shape(image)[3]), (mask.max(axis=2), paddle.shape(image)[2])):
        sides.append(line.argmax(axis=1).astype("float32"))
        sides.append(length.astype("float32") - paddle.flip(line, [1]).argmax(axis=1).astype("float32"))
    x0, x1, y0, y1 = sides
    return paddle.stack([x0, y0, x1, y1], axis=-1).unsqueeze(1), mask.max(axis=[1, 2]).unsqueeze(-1)


class RTDETR(nn.Layer):
    # queries in shares of the photograph's sides, which are im_shape / scale_factor
    def forward(self, im_shape, image, scale_factor):
        box, there = bright(image)
        size = paddle.concat([paddle.shape(image)[3:4], paddle.shape(image)[2:3]] * 2).astype("float32")
        height, width = paddle.floor(im_shape / scale_factor + 0.5).unbind(1)
        box = box / size * paddle.stack([width, height, width, height], axis=-1).unsqueeze(1)
        there = there.unsqueeze(1)
        rows = paddle.concat([paddle.ones_like(there), there * 0.9, box], axis=-1)
        count = paddle.full([1], 1, "int32").tile([paddle.shape(image)[0]])
        return rows.reshape([-1, 6]), count


class PPYOLOE(nn.Layer):
    # anchors divided by scale_factor, then the NMS; the third box is too weak, the second is the first again
    def forward(self, image, scale_factor):
        box, there = bright(image)
        down, across = paddle.split(scale_factor, 2, axis=-1)
        scale = paddle.concat([across, down, across, down], axis=-1).reshape([-1, 1, 4])
        boxes = paddle.concat([box, box + 0.5, box * 0.5], axis=1) / scale
        scores = paddle.concat([there * 0.9, there * 0.8, there * 0.005], axis=1).unsqueeze(1)
        rows, _, count = paddle._C_ops.multiclass_nms3(
            boxes, paddle.concat([scores * 0, scores], axis=1), None, 0.01, 1000, 300, 0.6, True, 1.0, -1
        )
        return rows, count


picture = np.load(f"{folder}/tensor.npy")
scale = paddle.to_tensor([[64 / height, 96 / width]], "float32")
size = paddle.to_tensor([[64.0, 96.0]])
said = {}
for name, net in (("RTDETR", RTDETR()), ("PPYOLOE", PPYOLOE())):
    net.eval()
    given = [size] * (name == "RTDETR") + [paddle.to_tensor(picture), scale]
    said[name] = net(*given)[0].numpy().tolist()
    names = ["im_shape", "image", "scale_factor"][-len(given):]
    specs = [paddle.static.InputSpec([None, *one.shape[1:]], "float32", n) for n, one in zip(names, given)]
    paddle.jit.save(paddle.jit.to_static(net, input_spec=specs, full_graph=True), f"{folder}/{name}")
json.dump(said, open(f"{folder}/said.json", "w"))
"""
HEIGHT, WIDTH = 160, 300


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A green box in the dark, whose sides are whole pixels of the tensor (64 x 96), too."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[40:120, 75:225, 1] = 255
    return pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, picture: np.ndarray) -> Path:
    """Both networks as paddle saves them, and what paddle finds in the picture, in its own pixels."""
    made = tmp_path_factory.mktemp("paddledetection")
    (made / "networks.py").write_text(NETWORKS)
    small = np.zeros((1, 3, 64, 96), np.float32)
    small[:, 1, 16:48, 24:72] = 1
    np.save(made / "tensor.npy", small)
    command = [sys.executable, "networks.py", str(made), str(HEIGHT), str(WIDTH)]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize(("name", "inputs"), [("RTDETR", 2), ("PPYOLOE", 1)])
def test_the_boxes_are_paddles_own(*, folder, picture, tmp_path, capsys, name, inputs):
    """The inputs besides the image are folded in, and boxes come out where paddle has them, on both engines."""
    paths = (folder / f"{name}{end}" for end in (".json", ".pdiparams", ".onnx"))
    done = run_script("paddle_to_onnx.py", *paths)
    assert done.returncode == 0, done.stderr
    archive = tmp_path / "model.tgz"
    words = ["--task", "detect", "--onnx", folder / f"{name}.onnx", "--class", "fish", "--class", "crab"]
    words += ["--mean", "0", "--std", "1"]
    assert main([str(word) for word in [*words, "--save-path", archive]]) == 0
    said = capsys.readouterr().out
    assert "guessed paddledet" in said
    assert said.count("is computed as") == inputs
    assert "'target_size': [96, 64]" in said

    own = np.array([row for row in json.loads((folder / "said.json").read_text())[name] if row[1] >= 0.25])
    assert len(own) == 1
    for engine in ("openvino", "onnx"):
        found = find(archive, tmp_path, engine, picture)
        assert found.classes.tolist() == own[:, 0].tolist() == [1]
        assert np.allclose(found.scores, own[:, 1])
        assert np.allclose(found.boxes, own[:, 2:], atol=0.01)
        assert np.allclose(found.boxes, [[75, 40, 225, 120]], atol=4)
