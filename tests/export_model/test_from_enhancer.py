"""Networks that make pictures: all that an archive states is found or checked by running, and faults are one line."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from export_model.export import main
from export_model.reach import Subject, find_reach
from quadrat.job import run_order
from quadrat.package.enhance import EnhanceWords, read_enhance
from quadrat.parameters import parse
from quadrat.stores.folder import FolderStore
from tests.enhancers import DEPTH, enlarger, runner
from tests.tasks.enhance.test_orders import LOG


def pack(tmp_path: Path, network: bytes, *words: str) -> tuple[int, Path]:
    """Pack a network; the exit status and the archive."""
    source, archive = tmp_path / "net.onnx", tmp_path / "net.tgz"
    source.write_bytes(network)
    return main(["--onnx", str(source), "--task", "enhance", *words, "--save-path", str(archive)]), archive


def meta_of(archive: Path) -> dict:
    """Read meta.json."""
    with tarfile.open(archive) as tar:
        return json.load(tar.extractfile("meta.json"))


@pytest.mark.parametrize(
    ("network", "words", "expected"),
    [
        (enlarger(2), "", EnhanceWords(scale=2, reach=DEPTH)),
        (enlarger(4, depth=2), "--bgr --range 0 255", EnhanceWords("BGR", (0, 255), (0, 255), scale=4, reach=2)),
        (enlarger(1, last=True), "--range -1 1", EnhanceWords("RGB", (-1, 1), (-1, 1), "NHWC", reach=DEPTH)),
        (enlarger(3, channels=1), "", EnhanceWords("Y", scale=3, reach=DEPTH)),
        (enlarger(2, hw=(64, 48)), "", EnhanceWords(scale=2, reach=DEPTH)),
        (enlarger(2, norm=True), "", EnhanceWords(scale=2)),
        (enlarger(2, stride=4), "", EnhanceWords(scale=2, multiple=4, least=4, reach=4 * DEPTH + 3, grid=4)),
        (enlarger(2, stride=4), "--multiple-of 8", EnhanceWords(scale=2, multiple=8, least=8, reach=4 * DEPTH + 3, grid=8)),
    ],
    ids=["plain", "bgr 0..255", "channels last", "luma", "fixed", "norm", "strides", "stated multiple"],
)  # fmt: skip
def test_what_the_archive_states_is_found(tmp_path, network, words, expected):
    """Order, range, layout, scale, multiples, reach and grid are those with which the network was made."""
    status, archive = pack(tmp_path, network, *words.split())
    assert status == 0
    assert read_enhance(meta_of(archive)) == expected


@settings(max_examples=15)
@given(st.integers(1, 6), st.integers(0, 100), st.sampled_from([1, 2, 4]))
def test_the_reach_of_random_networks_is_their_depth(depth, seed, stride):
    """A 3x3 convolution reaches one pixel farther, or one cell; weights do not matter."""
    network = enlarger(2, depth=depth, seed=seed, stride=stride)
    words = EnhanceWords(scale=2, multiple=stride, grid=stride)
    found = find_reach(Subject(runner(network), (None, 3, None, None), words))
    assert found.reach == depth * stride + stride - 1
    assert found.grid == stride


def ending(nodes: list, held: list = [], given=("n", 3, "h", "w"), out=("n", "c", "a", "b")) -> bytes:  # noqa: B006 - not changed
    """Make a network of nodes from x to y."""
    graph = helper.make_graph(
        nodes, "ending", [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(given))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(out))], held,
    )  # fmt: skip
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()


def resized(down: float, across: float) -> bytes:
    """Make a network that scales by these factors."""
    scales = numpy_helper.from_array(np.array([1, 1, down, across], np.float32), "scales")
    return ending([helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear")], [scales])


def times(factor: float) -> bytes:
    """Make a network that multiplies."""
    held = numpy_helper.from_array(np.float32(factor), "f")
    return ending([helper.make_node("Mul", ["x", "f"], ["y"])], [held])


@pytest.mark.parametrize(
    ("network", "words", "said"),
    [
        (enlarger(2), "--scale 4", "E_MODEL_GRAPH --scale: its pictures are 2 times as large as the input, not 4 times"),
        (enlarger(2, channels=4), "", "the input has 4 channels, not 3 or 1"),
        (enlarger(2, channels=3, out=1), "", "which has not 3 channels"),
        (resized(1.5, 1.5), "", "1.5 times the width and 1.5 times the height"),
        (resized(2, 3), "", "3 times the width and 2 times the height"),
        (resized(0.5, 0.5), "", "0.5 times the width"),
        (ending([helper.make_node("GlobalAveragePool", ["x"], ["y"])]), "", "0.0"),
        (ending([helper.make_node("Flatten", ["x"], ["y"])], out=("n", "k")), "", "which is no picture"),
        (times(255), "--range 0 1", "do not look like pictures: with pixels from 0 to 1 they have values from"),
        (times(0.001), "--range 0 255", "do not look like pictures"),
        (times(float("nan")), "", "it gives NaN or infinity"),
        (enlarger(2), "--range 0 2", "0 to 2 is not a range"),
        (enlarger(2), "--mean 0.5 --std 0.5", "--mean: it has no effect on a network that makes pictures"),
        (enlarger(2), "--class sand", "--class: it has no effect"),
        (enlarger(2), "--letterbox 64 64", "--letterbox: it has no effect"),
        (enlarger(2), "--scale 0", "--scale: a whole number from 1 to 16 is needed"),
        (enlarger(2, channels=1), "--bgr", "--bgr: the network takes one channel"),
        (enlarger(2, stride=4), "--multiple-of 3", "--multiple-of: it does not run on"),
        (enlarger(2, hw=(64, 48)), "--input-shape 1 3 128 128", "the graph's input is fixed to"),
        (enlarger(2), "--input-shape 1 4 64 64", "C is 3 or 1"),
        (enlarger(2), "--onnx-output z", "there is no such output; it has y"),
        (b"nothing", "", "not a valid ONNX model"),
    ],
)  # fmt: skip
def test_a_wrong_network_or_option_is_one_clear_line(tmp_path, capsys, network, words, said):
    """No archive is written, and no error of ONNX Runtime is seen."""
    status, archive = pack(tmp_path, network, *words.split())
    line = capsys.readouterr().err
    assert status in (2, 3)
    assert said in line
    assert line.count("\n") == 1
    assert "Traceback" not in line
    assert not archive.exists()


def test_several_pictures_are_asked_about(tmp_path, capsys):
    """The user says which one to deliver."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])], "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"]) for name in "yz"],
    )  # fmt: skip
    network = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()
    assert pack(tmp_path, network)[0] == 2
    assert "several pictures as outputs: y, z. Give --onnx-output NAME" in capsys.readouterr().err
    status, archive = pack(tmp_path, network, "--onnx-output", "y")
    assert status == 0
    assert meta_of(archive)["outputs"] == {"picture": "y"}


def test_options_of_pictures_go_with_that_task_only(tmp_path, capsys):
    """They would silently do nothing."""
    (tmp_path / "net.onnx").write_bytes(enlarger(2))
    assert (
        main(["--onnx", str(tmp_path / "net.onnx"), "--scale", "2", "--save-path", str(tmp_path / "m.tgz")])
        == 2
    )
    assert "--scale: it only goes with --task enhance" in capsys.readouterr().err


def test_the_super_resolution_network_of_the_onnx_zoo(tmp_path, shared):
    """From its file to a picture three times as large that agrees with ONNX Runtime in every tile's inner pixels."""
    source, archive = shared / "networks" / "supres_y.onnx", tmp_path / "supres.tgz"
    assert (
        main(["--onnx", str(source), "--task", "enhance", "--scale", "3", "--save-path", str(archive)]) == 0
    )
    words = read_enhance(meta_of(archive))
    assert (words.order, words.scale, words.reach) == ("Y", 3, 5)
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    Image.open(shared / "pictures" / "chelsea.png").convert("RGB").crop((0, 0, 301, 225)).save(
        images / "cat.png"
    )
    outcome = run_order(
        parse({"executor": "local", "engine": "onnx"}), FolderStore(archive, images, out), LOG
    )
    assert outcome.exit_status == 0
    made = Image.open(out / "enhanced" / "cat.enhanced.png")
    assert made.size == (903, 675)
    import onnxruntime

    pixels = np.asarray(Image.open(images / "cat.png"), np.float32)[:224, :224] / 255
    luma = (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[None, None]
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    expected = session.run(None, {session.get_inputs()[0].name: luma})[0][0, 0] * 255
    inner = np.s_[: (224 - 6) * 3, : (224 - 6) * 3]
    found = np.asarray(made, np.float32)[:672, :672] @ np.array([0.299, 0.587, 0.114], np.float32)
    gap = np.abs(found[inner] - expected.clip(0, 255)[inner])
    assert np.median(gap) < 1  # colours outside RGB are clipped, which changes their luma
    assert np.quantile(gap, 0.99) < 3
