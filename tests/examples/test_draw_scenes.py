from __future__ import annotations

import itertools
import json

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import draw_scenes
from examples.draw_scenes import (
    CLASSES,
    COLORS,
    EYE,
    FOLDER,
    RATE,
    SCENARIOS,
    STILLS,
    VIDEOS,
    class_names,
    few_frames,
    mot_truth,
    scene,
    sequence,
)
from tests.examples.conftest import EXAMPLES_FOLDER


def class_pixels(pixels: np.ndarray, kind: int) -> np.ndarray:
    """Return a mask of the pixels with a class's colour, including eyes."""
    same = (pixels == COLORS[kind]).all(-1)
    return same | (pixels == EYE).all(-1) if kind == 0 else same


@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=25)
def test_the_truth_matches_the_pixels(seed, objects, nested, touching):
    """Every box has its class's colour up to its sides, and no class colour is outside all boxes."""
    picture, boxes, classes = scene(
        seed, (160, 220), objects, sides=(12, 50), nested=nested, touching=touching
    )
    assert boxes.dtype == np.float32
    assert len(boxes) == len(classes)
    left = {kind: class_pixels(picture, kind) & ~(picture == EYE).all(-1) for kind in range(3)}
    for (x0, y0, x1, y1), kind in zip(boxes.astype(int), classes, strict=True):
        inside = class_pixels(picture, kind)[y0:y1, x0:x1]
        assert inside[0].all() and inside[-1].all() and inside[:, 0].all() and inside[:, -1].all()  # noqa: PT018
        left[kind][y0:y1, x0:x1] = False
    assert not any(each.any() for each in left.values())


def test_a_seed_determines_the_drawing():
    """The same seed gives the same scene and sequence, another seed different ones."""
    first, again, other = scene(4), scene(4), scene(5)
    assert (first.pixels == again.pixels).all()
    assert not np.array_equal(first.boxes, other.boxes)
    one, two = (list(sequence(7, frames=5)) for _ in range(2))
    assert all(
        (a.pixels == b.pixels).all() and (a.boxes == b.boxes).all() for a, b in zip(one, two, strict=True)
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from(SCENARIOS))
@settings(max_examples=15)
def test_the_truth_of_a_sequence_matches_its_pixels(seed, scenario):
    """Ids keep their class, visible boxes fit their pixels and lie in the whole box, hidden objects have none."""
    kinds: dict[int, int] = {}
    for shot in sequence(seed, scenario, frames=12, hw=(120, 200), objects=6):
        assert len(set(shot.ids.tolist())) == len(shot.ids)
        assert ((shot.visibility >= 0) & (shot.visibility <= 1)).all()
        for number, box, kind, share, seen in zip(*shot[1:], strict=True):
            assert kinds.setdefault(int(number), int(kind)) == kind
            assert (box[:2] >= 0).all()
            assert (box[2:] <= (200, 120)).all()
            if share == 0:
                assert not seen.any()
                continue
            x0, y0, x1, y1 = seen.astype(int)
            assert (seen[:2] >= box[:2]).all()
            assert (seen[2:] <= box[2:]).all()
            mine = class_pixels(shot.pixels, kind)[y0:y1, x0:x1]
            assert mine.any(axis=0)[[0, -1]].all()
            assert mine.any(axis=1)[[0, -1]].all()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_scenario_has_its_features(scenario):
    """Objects enter and leave in all scenarios, cover each other only where intended, and a rock hides some entirely."""
    shots = list(sequence(11, scenario, frames=60))
    numbers = [set(shot.ids.tolist()) for shot in shots]
    assert len(set.union(*numbers)) == 8
    assert any(a != b for a, b in itertools.pairwise(numbers))
    whole = {}
    for shot in shots:
        for number, share, box in zip(shot.ids, shot.visibility, shot.boxes, strict=True):
            if 0 < box[0] and box[2] < 640:  # not clipped by the picture's sides
                whole.setdefault(int(number), []).append(float(share))
    least = min(min(each) for each in whole.values())
    back = any(min(each) < 0.6 and each[0] > 0.95 and each[-1] > 0.95 for each in whole.values())
    if scenario in ("linear", "wandering"):
        assert least == 1
    else:
        assert least < 0.6
        assert back
    if scenario == "rock":
        assert least == 0


def test_an_unknown_scenario_is_refused():
    """The error for an unknown scenario lists the valid ones."""
    with pytest.raises(ValueError, match="linear, crossing, rock"):
        next(sequence(1, "boiling"))


@pytest.mark.parametrize(("name", "seed", "hw", "objects"), STILLS)
def test_the_example_scenes_are_these_drawings(name, seed, hw, objects):
    """Each picture equals the script's drawing exactly, and its truth is in truth/scenes.json."""
    path = EXAMPLES_FOLDER / "scenes" / name
    drawn = scene(seed, hw, objects, nested=2, touching=2)
    assert (cv2.imread(str(path))[:, :, ::-1] == drawn.pixels).all()
    assert path.stat().st_size <= 150_000
    truth = json.loads((EXAMPLES_FOLDER / "truth" / "scenes.json").read_text("utf-8"))[name]
    assert [(each["class"], *each["box"]) for each in truth] == [
        (CLASSES[kind], *map(int, box)) for box, kind in zip(drawn.boxes, drawn.classes, strict=True)
    ]


@pytest.mark.parametrize(("name", "seed", "scenario", "frames", "hw"), VIDEOS)
def test_the_example_videos_are_these_drawings(name, seed, scenario, frames, hw):
    """Each video has the script's frame count, rate and size, similar pixels, and the right truth."""
    path = EXAMPLES_FOLDER / "videos" / f"{name}.mp4"
    assert path.stat().st_size <= 200_000
    shots = list(sequence(seed, scenario, frames, hw))
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", RATE)
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(shown) == frames
    assert shown[0].shape == (*hw, 3)
    for one, shot in zip(shown[::10], shots[::10], strict=True):
        assert np.abs(one.astype(int) - shot.pixels).mean() < 6
    assert (EXAMPLES_FOLDER / "truth" / f"{name}.gt.txt").read_text("utf-8") == mot_truth(shots)


def test_the_example_sequence_is_this_drawing():
    """The folder of frames equals the script's drawing exactly."""
    name, shots = FOLDER[0], few_frames()
    files = sorted((EXAMPLES_FOLDER / "videos" / name).iterdir())
    assert len(files) == len(shots) == 10
    for path, shot in zip(files, shots, strict=True):
        assert (cv2.imread(str(path))[:, :, ::-1] == shot.pixels).all()
    assert (EXAMPLES_FOLDER / "truth" / f"{name}.gt.txt").read_text("utf-8") == mot_truth(shots)


def test_the_stored_track_classes_match_the_drawings():
    """truth/tracks.json names the drawn class of every id in each gt.txt."""
    stored = json.loads((EXAMPLES_FOLDER / "truth" / "tracks.json").read_text("utf-8"))
    sequences = {name: list(sequence(seed, *words)) for name, seed, *words in VIDEOS} | {
        FOLDER[0]: few_frames()
    }
    assert stored == {name: class_names(shots) for name, shots in sequences.items()}
    for name, shots in sequences.items():
        text = (EXAMPLES_FOLDER / "truth" / f"{name}.gt.txt").read_text("utf-8")
        assert {line.split(",")[1] for line in text.splitlines()} == set(stored[name])
        for shot in shots:
            assert [stored[name][str(number)] for number in shot.ids] == [CLASSES[k] for k in shot.classes]


def test_the_truth_is_in_mot_format():
    """One line per object and frame: frame and id from 1, box, 1 if visible, 1, visibility.

    MOTChallenge evaluates class 1 only; objects of other classes would be skipped.
    """
    shots = list(sequence(3, "rock", frames=20))
    lines = [line.split(",") for line in mot_truth(shots).splitlines()]
    assert len(lines) == sum(len(shot.ids) for shot in shots)
    assert {len(line) for line in lines} == {9}
    first = shots[0]
    x0, y0, x1, y1 = first.boxes[0]
    assert [float(v) for v in lines[0][:6]] == [1, first.ids[0], x0, y0, x1 - x0, y1 - y0]
    assert {line[6] for line in lines} <= {"0", "1"}
    assert {line[7] for line in lines} == {"1"}
    assert all((line[6] == "1") == (float(line[8]) > 0) for line in lines if float(line[8]) != 0)


def test_the_script_draws_all_files(tmp_path, monkeypatch, capsys):
    """Run with another folder, the script writes the same set of files."""
    monkeypatch.setattr("sys.argv", ["draw_scenes.py", "--into", str(tmp_path)])
    draw_scenes.main()
    assert "reef-1.mp4" in capsys.readouterr().out
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    stored = {
        path.relative_to(EXAMPLES_FOLDER)
        for part in ("scenes", "videos", "truth")
        for path in (EXAMPLES_FOLDER / part).rglob("*.*")
    }
    assert made == stored
