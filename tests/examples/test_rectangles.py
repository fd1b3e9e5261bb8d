from __future__ import annotations

import logging

import av
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import draw_scenes, rectangles_net
from examples.draw_scenes import VIDEOS, scene, sequence
from examples.rectangles_net import COLORS, LEAST, build, score
from export_model.verify import main as verify
from quadrat.engines import start
from quadrat.geometry import Geometry
from quadrat.package import open_archive
from quadrat.parameters import parse
from quadrat.types import Frame, FrameKey, Part
from tests.examples.conftest import EXAMPLES_FOLDER
from tests.tasks.folding import make_task, predict

ARCHIVE = EXAMPLES_FOLDER / "models" / "rectangles.tgz"
ENGINES = ("openvino", "onnx")


class Finder:
    """The shipped archive on one engine, by way of the task."""

    def __init__(self, package, name: str) -> None:
        chosen = parse({"engine": name, "max-detections": 1000})
        self.engine = start(package, chosen.engine, logging.getLogger("test"))
        self.task = make_task(package, self.engine.outputs, chosen)

    def raw(self, pictures: list[np.ndarray]) -> np.ndarray:
        """Give the network's own output for pictures of one size."""
        batch = np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        return self.engine.run(np.ascontiguousarray(batch), ["output0"])["output0"]

    def __call__(self, picture: np.ndarray):
        """Give the picture's objects, after NMS."""
        hw = picture.shape[:2]
        part = Part({"output0": self.raw([picture])[0]}, Geometry.identity(hw))
        return predict(self.task, Frame(FrameKey("test"), hw, picture), [part])


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The shipped archive, opened."""
    return open_archive(ARCHIVE, tmp_path_factory.mktemp("rectangles"))


@pytest.fixture(scope="module")
def finders(package):
    """The archive on both engines."""
    made = [Finder(package, name) for name in ENGINES]
    yield made
    for finder in made:
        finder.engine.close()


def rows(boxes, classes) -> list[tuple[float, ...]]:
    """List boxes with their classes, in order."""
    return sorted((*map(float, box), int(kind)) for box, kind in zip(boxes, classes, strict=True))


def apart(boxes: list[tuple[int, int, int, int, int]], gap: int) -> list[tuple[int, int, int, int, int]]:
    """Keep of boxes (x0, y0, x1, y1, class) those that are `gap` pixels away from all that are kept before."""
    kept: list[tuple[int, int, int, int, int]] = []
    for box in boxes:
        x0, y0, x1, y1, _ = box
        if all(x0 >= b[2] + gap or b[0] >= x1 + gap or y0 >= b[3] + gap or b[1] >= y1 + gap for b in kept):
            kept.append(box)
    return kept


@st.composite
def drawings(draw):
    """Draw a grey picture and its rectangles (x0, y0, x1, y1, class), at least two pixels apart."""
    height, width = draw(st.sampled_from([(64, 64), (95, 130), (201, 233)]))
    found = []
    for _ in range(draw(st.integers(0, 12))):
        w = draw(st.integers(LEAST, width))
        h = draw(st.integers(LEAST, height))
        x, y = draw(st.integers(0, width - w)), draw(st.integers(0, height - h))
        found.append((x, y, x + w, y + h, draw(st.integers(0, 2))))
    kept = apart(sorted(found, key=lambda b: (b[2] - b[0]) * (b[3] - b[1])), gap=2)
    picture = np.full((height, width, 3), draw(st.integers(20, 235)), np.uint8)
    for x0, y0, x1, y1, kind in kept:
        picture[y0:y1, x0:x1] = COLORS[kind]
    return picture, kept


@given(drawings())
@settings(max_examples=60)
def test_every_box_is_exact_on_both_engines(finders, drawn):
    """Rectangles from seven pixels up, two pixels apart, are found once each, to the pixel, with the score of their size."""
    picture, truth = drawn
    for find in finders:
        found = find(picture)
        assert rows(found.boxes, found.classes) == sorted(tuple(map(float, b)) for b in truth)
        sides = found.boxes[:, 2:] - found.boxes[:, :2]
        assert np.allclose(found.scores, [score(w, h) for w, h in sides], atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.data())
@settings(max_examples=20)
def test_a_tile_sees_its_part(finders, seed, data):
    """What the tile's border cuts is found up to the border, as by a trained detector; the rest as in the whole."""
    picture, boxes, classes = scene(seed, (200, 260), 12, sides=(16, 60))
    x, y = data.draw(st.integers(0, 130)), data.draw(st.integers(0, 100))
    tile = picture[y : y + 100, x : x + 130]
    clipped = np.clip(boxes - (x, y, x, y), 0, (130, 100, 130, 100))
    sides = (clipped[:, 2:] - clipped[:, :2]).min(axis=1)
    found = finders[1](tile)
    expected = set(rows(clipped[sides >= LEAST], classes[sides >= LEAST]))
    perhaps = set(rows(clipped[sides > 0], classes[sides > 0]))
    assert expected <= set(rows(found.boxes, found.classes)) <= perhaps


def test_the_engines_agree_on_every_number(finders):
    """The raw outputs are equal but for float32's last bits, and a batch gives what its pictures give alone."""
    pictures = [scene(seed, (96, 144), 9).pixels for seed in range(3)]
    first, second = (find.raw(pictures) for find in finders)
    assert first.shape == (3, 7, 24 * 36)
    assert np.abs(first - second).max() < 1e-4
    for find, batch in zip(finders, (first, second), strict=True):
        for index, picture in enumerate(pictures):
            assert np.array_equal(find.raw([picture])[0], batch[index])


@pytest.mark.parametrize("hw", [(1, 1), (3, 5), (4, 4), (7, 90), (201, 6)])
def test_any_size_runs(finders, hw):
    """Nothing must be a multiple of anything, and an empty picture has no objects."""
    for find in finders:
        assert len(find(np.full((*hw, 3), 128, np.uint8))) == 0


@pytest.mark.parametrize(
    "hidden",
    [
        (0, 0, 40, 30), (60, 0, 100, 30), (0, 30, 30, 60), (60, 40, 100, 60),  # a corner
        (30, 0, 60, 30), (30, 30, 60, 60), (0, 20, 30, 40), (70, 20, 100, 40),  # a notch
        (30, 20, 60, 40),  # the middle
        (0, 0, 30, 60), (0, 0, 100, 20),  # a whole side: what is left is smaller
    ],
)  # fmt: skip
def test_what_is_partly_hidden_has_the_box_of_what_is_seen(finders, hidden):
    """An object of another class over a corner, an edge or the middle leaves one box: that of the visible part."""
    picture = np.full((100, 160, 3), 170, np.uint8)
    picture[20:80, 30:130] = COLORS[0]
    x0, y0, x1, y1 = hidden
    picture[20 + y0 : 20 + y1, 30 + x0 : 30 + x1] = COLORS[1]
    seen = (picture[20:80, 30:130] == COLORS[0]).all(-1)
    ys, xs = np.nonzero(seen)
    visible = (30.0 + xs.min(), 20.0 + ys.min(), 31.0 + xs.max(), 21.0 + ys.max(), 0)
    over = (30.0 + x0, 20.0 + y0, 30.0 + x1, 20.0 + y1, 1)
    for find in finders:
        found = find(picture)
        assert rows(found.boxes, found.classes) == sorted([visible, over])


def test_harder_scenes_are_exact_too(finders):
    """Nested and touching objects, a 4K picture with 400 of them, and one larger than a tile."""
    drawn = [
        scene(1, (480, 640), 30, nested=8, touching=8),
        scene(2, (2160, 3840), 400),
        scene(3, (900, 900), 2, sides=(500, 700), gap=0),
    ]
    for picture, boxes, classes in drawn:
        assert len(boxes) >= 1
        found = finders[1](picture)
        assert rows(found.boxes, found.classes) == rows(boxes, classes)


@pytest.mark.parametrize("video", VIDEOS, ids=lambda video: video[0])
def test_boxes_survive_h264(finders, video):
    """In the example videos, coded with colours at half size, nearly all that is mostly seen is found within 1.5 pixels."""
    name, seed, scenario, frames, hw = video
    shots = list(sequence(seed, scenario, frames, hw))
    near = seen = 0
    with av.open(EXAMPLES_FOLDER / "videos" / f"{name}.mp4") as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % 5:
                continue
            shot, found = shots[index], finders[1](frame.to_ndarray(format="rgb24"))
            for box, kind, share in zip(shot.visible, shot.classes, shot.visibility, strict=True):
                if share > 0.5:
                    same = found.boxes[found.classes == kind]
                    seen += 1
                    near += bool(len(same) and np.abs(same - box).max(axis=1).min() <= 1.5)
    assert seen > 50
    assert near >= 0.98 * seen  # a strip of three pixels beside a rock is not found


def test_the_archive_says_what_it_is(package):
    """A detector of the layout of YOLOv8, any size and batch, a few kilobytes, made by the script beside it."""
    assert (package.task, package.meta["detect"]) == ("detect", {"layout": "yolov8"})
    assert package.input_shape == (None, 3, None, None)
    assert [(c.name, c.color) for c in package.classes] == list(
        zip(rectangles_net.CLASSES, rectangles_net.COLORS, strict=True)
    )
    assert (draw_scenes.CLASSES, draw_scenes.COLORS) == (rectangles_net.CLASSES, rectangles_net.COLORS)
    assert ARCHIVE.stat().st_size < 10_000
    shipped = onnx.load(package.engines["onnx"])
    assert shipped.graph == build().graph
    assert shipped.opset_import[0].version >= 13


def test_it_passes_its_own_self_test(capsys):
    """Both engines find the objects that the exporter saw."""
    assert verify([str(ARCHIVE)]) == 0, capsys.readouterr().out


def test_the_script_makes_the_archive(tmp_path, monkeypatch, capsys):
    """Run again, it writes an archive of the same network."""
    monkeypatch.setattr("sys.argv", ["rectangles_net.py", "--save-path", str(tmp_path / "again.tgz")])
    with pytest.raises(SystemExit) as end:
        rectangles_net.main()
    assert end.value.code == 0, capsys.readouterr()
    again, shipped = open_archive(tmp_path / "again.tgz", tmp_path), open_archive(ARCHIVE, tmp_path)
    assert again.engines["onnx"].read_bytes() == shipped.engines["onnx"].read_bytes()
