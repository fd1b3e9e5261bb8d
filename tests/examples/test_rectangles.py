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


class Detector:
    """The example archive on one engine, with its task."""

    def __init__(self, package, name: str) -> None:
        chosen = parse({"engine": name, "max-detections": 1000})
        self.engine = start(package, chosen.engine, logging.getLogger("test"))
        self.task = make_task(package, self.engine.outputs, chosen)

    def raw(self, pictures: list[np.ndarray]) -> np.ndarray:
        """Return the network's raw output for pictures of one size."""
        batch = np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        return self.engine.run(np.ascontiguousarray(batch), ["output0"])["output0"]

    def __call__(self, picture: np.ndarray):
        """Return the picture's objects after NMS."""
        hw = picture.shape[:2]
        part = Part({"output0": self.raw([picture])[0]}, Geometry.identity(hw))
        return predict(self.task, Frame(FrameKey("test"), hw, picture), [part])


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The opened example archive."""
    return open_archive(ARCHIVE, tmp_path_factory.mktemp("rectangles"))


@pytest.fixture(scope="module")
def detectors(package):
    """The example archive on both engines."""
    made = [Detector(package, name) for name in ENGINES]
    yield made
    for detector in made:
        detector.engine.close()


def rows(boxes, classes) -> list[tuple[float, ...]]:
    """Return boxes with their classes, sorted."""
    return sorted((*map(float, box), int(kind)) for box, kind in zip(boxes, classes, strict=True))


def apart(boxes: list[tuple[int, int, int, int, int]], gap: int) -> list[tuple[int, int, int, int, int]]:
    """Return the boxes (x0, y0, x1, y1, class) that are at least `gap` pixels from all boxes returned before."""
    kept: list[tuple[int, int, int, int, int]] = []
    for box in boxes:
        x0, y0, x1, y1, _ = box
        if all(x0 >= b[2] + gap or b[0] >= x1 + gap or y0 >= b[3] + gap or b[1] >= y1 + gap for b in kept):
            kept.append(box)
    return kept


@st.composite
def drawings(draw):
    """Generate a grey picture and its rectangles (x0, y0, x1, y1, class), at least two pixels apart."""
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
def test_every_box_is_exact_on_both_engines(detectors, drawn):
    """Rectangles of seven pixels or more, two pixels apart, are found once each, exactly, with the score of their size."""
    picture, truth = drawn
    for find in detectors:
        found = find(picture)
        assert rows(found.boxes, found.classes) == sorted(tuple(map(float, b)) for b in truth)
        sides = found.boxes[:, 2:] - found.boxes[:, :2]
        assert np.allclose(found.scores, [score(w, h) for w, h in sides], atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.data())
@settings(max_examples=20)
def test_objects_cut_by_a_tile_end_at_its_border(detectors, seed, data):
    """Objects cut by the tile's border are found up to the border, as by a trained detector; others as in the whole picture."""
    picture, boxes, classes = scene(seed, (200, 260), 12, sides=(16, 60))
    x, y = data.draw(st.integers(0, 130)), data.draw(st.integers(0, 100))
    tile = picture[y : y + 100, x : x + 130]
    clipped = np.clip(boxes - (x, y, x, y), 0, (130, 100, 130, 100))
    sides = (clipped[:, 2:] - clipped[:, :2]).min(axis=1)
    found = detectors[1](tile)
    expected = set(rows(clipped[sides >= LEAST], classes[sides >= LEAST]))
    perhaps = set(rows(clipped[sides > 0], classes[sides > 0]))
    assert expected <= set(rows(found.boxes, found.classes)) <= perhaps


def test_the_engines_agree_on_every_number(detectors):
    """Raw outputs differ by rounding only, and a batch gives the same as its pictures one by one."""
    pictures = [scene(seed, (96, 144), 9).pixels for seed in range(3)]
    first, second = (find.raw(pictures) for find in detectors)
    assert first.shape == (3, 7, 24 * 36)
    assert np.abs(first - second).max() < 1e-4
    for find, batch in zip(detectors, (first, second), strict=True):
        for index, picture in enumerate(pictures):
            assert np.array_equal(find.raw([picture])[0], batch[index])


@pytest.mark.parametrize("hw", [(1, 1), (3, 5), (4, 4), (7, 90), (201, 6)])
def test_any_size_runs(detectors, hw):
    """Any picture size works, and an empty picture has no objects."""
    for find in detectors:
        assert len(find(np.full((*hw, 3), 128, np.uint8))) == 0


@pytest.mark.parametrize(
    "hidden",
    [
        (0, 0, 40, 30), (60, 0, 100, 30), (0, 30, 30, 60), (60, 40, 100, 60),  # a corner
        (30, 0, 60, 30), (30, 30, 60, 60), (0, 20, 30, 40), (70, 20, 100, 40),  # a notch
        (30, 20, 60, 40),  # the middle
        (0, 0, 30, 60), (0, 0, 100, 20),  # a whole side: the visible part is smaller
    ],
)  # fmt: skip
def test_a_partly_hidden_object_has_the_box_of_its_visible_part(detectors, hidden):
    """An object of another class over a corner, an edge or the middle leaves one box, of the visible part."""
    picture = np.full((100, 160, 3), 170, np.uint8)
    picture[20:80, 30:130] = COLORS[0]
    x0, y0, x1, y1 = hidden
    picture[20 + y0 : 20 + y1, 30 + x0 : 30 + x1] = COLORS[1]
    seen = (picture[20:80, 30:130] == COLORS[0]).all(-1)
    ys, xs = np.nonzero(seen)
    visible = (30.0 + xs.min(), 20.0 + ys.min(), 31.0 + xs.max(), 21.0 + ys.max(), 0)
    over = (30.0 + x0, 20.0 + y0, 30.0 + x1, 20.0 + y1, 1)
    for find in detectors:
        found = find(picture)
        assert rows(found.boxes, found.classes) == sorted([visible, over])


def test_harder_scenes_are_exact_too(detectors):
    """Nested and touching objects, a 4K picture with 400 of them, and one larger than a tile."""
    drawn = [
        scene(1, (480, 640), 30, nested=8, touching=8),
        scene(2, (2160, 3840), 400),
        scene(3, (900, 900), 2, sides=(500, 700), gap=0),
    ]
    for picture, boxes, classes in drawn:
        assert len(boxes) >= 1
        found = detectors[1](picture)
        assert rows(found.boxes, found.classes) == rows(boxes, classes)


@pytest.mark.parametrize("video", VIDEOS, ids=lambda video: video[0])
def test_boxes_survive_h264(detectors, video):
    """In the example videos, with chroma subsampling, nearly all mostly visible objects are found within 1.5 pixels."""
    name, seed, scenario, frames, hw = video
    shots = list(sequence(seed, scenario, frames, hw))
    near = seen = 0
    with av.open(EXAMPLES_FOLDER / "videos" / f"{name}.mp4") as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % 5:
                continue
            shot, found = shots[index], detectors[1](frame.to_ndarray(format="rgb24"))
            for box, kind, share in zip(shot.visible, shot.classes, shot.visibility, strict=True):
                if share > 0.5:
                    same = found.boxes[found.classes == kind]
                    seen += 1
                    near += bool(len(same) and np.abs(same - box).max(axis=1).min() <= 1.5)
    assert seen > 50
    assert near >= 0.98 * seen  # strips of three pixels beside a rock are not found


def test_the_archive_describes_the_detector(package):
    """It is a detector with YOLOv8's layout, any size and batch, of a few kilobytes, as built by its script."""
    assert (package.task, package.meta["detect"]) == ("detect", {"layout": "yolov8"})
    assert package.input_shape == (None, 3, None, None)
    assert [(c.name, c.color) for c in package.classes] == list(
        zip(rectangles_net.CLASSES, rectangles_net.COLORS, strict=True)
    )
    assert (draw_scenes.CLASSES, draw_scenes.COLORS) == (rectangles_net.CLASSES, rectangles_net.COLORS)
    assert ARCHIVE.stat().st_size < 10_000
    stored = onnx.load(package.engines["onnx"])
    assert stored.graph == build().graph
    assert stored.opset_import[0].version >= 13


def test_it_passes_its_own_self_test(capsys):
    """Both engines find the objects in the archive's self-test."""
    assert verify([str(ARCHIVE)]) == 0, capsys.readouterr().out


def test_the_script_rebuilds_the_archive(tmp_path, monkeypatch, capsys):
    """Run again, the script writes an archive with the same network."""
    monkeypatch.setattr("sys.argv", ["rectangles_net.py", "--save-path", str(tmp_path / "again.tgz")])
    with pytest.raises(SystemExit) as end:
        rectangles_net.main()
    assert end.value.code == 0, capsys.readouterr()
    again, stored = open_archive(tmp_path / "again.tgz", tmp_path), open_archive(ARCHIVE, tmp_path)
    assert again.engines["onnx"].read_bytes() == stored.engines["onnx"].read_bytes()
