"""The Python API: the service's own path, for notebooks."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from predictor import Failure, Features, Labels, Measurement, Objects, Predictor
from quadrat.errors import ImageFormatError, ParameterError, VectorError, VideoFormatError
from quadrat.job import run_order
from quadrat.pipeline import tune
from quadrat.steps import parse_steps
from quadrat.stores.folder import FolderStore
from tests import moving, pictures, videos
from tests.classifiers import color_archive
from tests.enhancers import enlarger_archive
from tests.networks import brightness_archive, colour_archive
from tests.test_job_models import SEAGRASS
from tests.values import settings_of

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The brightness network's archive."""
    return brightness_archive(tmp_path / "m.tgz")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A picture, a quarter of it white."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :10] = 255
    path = tmp_path / "site" / "q.png"
    path.parent.mkdir()
    path.write_bytes(pictures.png(pixels))
    return path


def test_predict_gives_mask_cover_and_pictures(model: Path, image: Path) -> None:
    """One image gives its mask, its covers by name, and pictures to look at."""
    with Predictor(model) as predictor:
        (measured,) = predictor.predict([image])

        assert isinstance(measured, Measurement)
        assert {"sand": 0.75, "seagrass": 0.25} == measured.cover
        assert ((20, 40), (20, 40), np.uint8) == (
            measured.labels.shape,
            measured.source_hw,
            measured.labels.dtype,
        )
        assert measured.confidence is not None
        assert measured.pseudo().mode == "P"
        assert measured.overlay().width == 40
        assert measured.overlay("beside", opacity=1.0).width == 80
        with pytest.raises(ParameterError, match="overlay-style"):
            measured.overlay("blinking")
        assert ["sand", "seagrass"] == [c.name for c in predictor.classes]


def test_it_measures_what_the_service_measures(model: Path, image: Path, tmp_path: Path) -> None:
    """Predictor and order give the same numbers for the same image."""
    run_order(settings_of(), FolderStore(model, image, tmp_path / "out"), logging.getLogger("test"))
    aspect = json.loads((tmp_path / "out" / "meta" / "q.pseudo.png-meta.json").read_text())
    with Predictor(model) as predictor:
        (measured,) = predictor.predict(image)

        assert isinstance(measured, Measurement)
        assert [c["cover"] for c in aspect["cover"]] == list(measured.cover.values())


def test_folders_are_walked_and_other_files_passed_over(model: Path, image: Path) -> None:
    """A folder gives its images, not its notes."""
    (image.parent / "notes.txt").write_text("windy")
    with Predictor(model) as predictor:
        assert ["q.png"] == [m.name for m in predictor.predict(image.parent) if isinstance(m, Measurement)]


def test_a_bad_image_raises_or_is_skipped(model: Path, image: Path) -> None:
    """By default its error is raised; with skip it is a Failure among the results."""
    bad = image.parent / "bad.jpg"
    bad.write_text("no picture")
    with Predictor(model) as predictor:
        with pytest.raises(ImageFormatError, match=r"bad\.jpg"):
            list(predictor.predict([bad, image]))

        kinds = [type(m) for m in predictor.predict([bad, image], on_error="skip")]
        assert [Failure, Measurement] == kinds


def test_the_hint_for_the_other_kind_names_its_call(model: Path, image: Path, tmp_path: Path) -> None:
    """Hints name calls, not the service's parameters, whether the error is raised or given."""
    film = videos.write(tmp_path / "dive.mp4", videos.frames(2))
    with Predictor(model) as predictor:
        with pytest.raises(ImageFormatError, match=r"predictor\.video\(path\)"):
            list(predictor.predict(film))
        with pytest.raises(VideoFormatError, match=r"predictor\.predict\(path\)"):
            list(predictor.video(image))
        (failure,) = predictor.predict(film, on_error="skip")

    assert isinstance(failure, Failure)
    assert "predictor.video(path)" in failure.error.line
    assert "--" not in failure.error.line


def test_a_folder_of_videos_is_given_one_at_a_time(model: Path, tmp_path: Path) -> None:
    """`video` takes one video; of a folder that holds several it does not say that pictures are missing."""
    for name in ("a.mp4", "b.mp4"):
        videos.write(tmp_path / name, videos.frames(2))
    match = r"contains videos.*one video at a time"
    with Predictor(model) as predictor, pytest.raises(VideoFormatError, match=match):
        list(predictor.video(tmp_path))


def test_wrong_settings_are_refused(model: Path) -> None:
    """The service's checks hold here too."""
    with pytest.raises(ParameterError, match="batch-size"):
        Predictor(model, batch_size=0)
    with pytest.raises(ParameterError, match="config: it names a file, which is not a setting"):
        Predictor(model, settings={"config": "run.json"})
    with Predictor(model) as predictor, pytest.raises(ParameterError, match="on-error"):
        predictor.predict([], on_error="stopp")


def test_two_videos_side_by_side(tmp_path: Path) -> None:
    """Who reads one video in the middle of another gets for each what he gets for it alone."""
    films = {}
    for name, step in (("right.mp4", 4), ("left.mp4", -4)):
        places = [(60 + step * n, 40, 100 + step * n, 80) for n in range(8)]
        films[name] = Path(moving.film(tmp_path / name, [moving.draw([place]) for place in places]).token)
    with Predictor(ROOT / "examples" / "models" / "rectangles.tgz") as predictor:

        def boxes(found: object) -> list[list[float]]:
            assert isinstance(found, Objects)
            return found.detections.boxes.tolist()

        alone = [[boxes(found) for found in predictor.video(film)] for film in films.values()]
        pairs = zip(*(predictor.video(film) for film in films.values()), strict=True)
        together = [[boxes(found) for found in pair] for pair in pairs]

    assert alone == [list(one) for one in zip(*together, strict=True)]
    assert [1] * 8 == [len(one) for one in alone[0]]


def test_a_picture_in_memory_is_measured_as_its_file_is(
    model: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrays and stacks of them, among files too; nothing of them is left on the disk."""
    with Image.open(image) as opened:
        array = np.asarray(opened)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with Predictor(model) as predictor:
        (due,) = predictor.predict(image)
        assert isinstance(due, Measurement)
        for given, names in (
            (array, ["array 0"]),
            (np.stack([array, array]), ["array 0", "array 1"]),
            ([array, image, array], ["array 0", "q.png", "array 1"]),
            (np.array([str(image)]), ["q.png"]),
            (np.array([image], dtype=object), ["q.png"]),
        ):
            found = list(predictor.predict(given))
            assert names == [one.name for one in found]
            for one in found:
                assert isinstance(one, Measurement)
                np.testing.assert_array_equal(due.pixels, one.pixels)
                np.testing.assert_array_equal(due.labels, one.labels)
                assert due.cover == one.cover
        (grey,) = predictor.predict(np.full((8, 8), 255, np.uint8))
        assert isinstance(grey, Measurement)
        assert (8, 8, 3) == grey.pixels.shape
        assert {"sand": 0.0, "seagrass": 1.0} == grey.cover
    assert [] == list(scratch.iterdir())


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8), np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8), np.zeros((1, 1, 4, 4, 3), np.uint8),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)  # fmt: skip
def test_an_array_that_is_no_picture_is_refused(model: Path, array: np.ndarray) -> None:
    """Numbers from 0 to 1, planes first, transparency: none is guessed at."""
    with Predictor(model) as predictor, pytest.raises(ParameterError, match="an array of") as caught:
        list(predictor.predict(array))
    assert "(height, width, 3) uint8, red first" in caught.value.hint


def test_what_is_no_path_is_refused_in_words(model: Path) -> None:
    """An address, a number or a picture of Pillow raises an error with what is accepted; no login is in it."""
    with Predictor(model) as predictor:
        for wrong in (3, [None], Image.new("P", (4, 4))):
            with pytest.raises(ParameterError, match=r"not a path.*for an image of Pillow, give its file"):
                list(predictor.predict(wrong))  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match=r"not a path\. Give the path of a video"):
            list(predictor.video(np.zeros((4, 4, 3), np.uint8)))  # type: ignore[arg-type]
        for call in (predictor.predict, predictor.video):
            with pytest.raises(ParameterError, match="quadrat run MODEL ADDRESS") as caught:
                list(call("rtsp://u:geheim@cam/1"))
            assert "geheim" not in caught.value.line


def test_a_result_prints_in_a_line_or_two(model: Path, image: Path) -> None:
    """A notebook shows a result without its pixels."""
    with Predictor(model) as predictor:
        (measured,) = predictor.predict(image)

    assert "q.png" in repr(measured)
    assert "array" not in repr(measured)


@pytest.mark.process
def test_importing_it_loads_no_engine() -> None:
    """`import predictor` is light: no engine, no OpenCV."""
    code = "import predictor, sys; print([m for m in ('openvino', 'onnxruntime', 'cv2', 'onnx', 'paddle') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


CTRL_C = """
import ctypes, gc, signal, sys
from predictor import Predictor

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
stacks, words, libc, both = [], (ctypes.c_size_t * 3)(), ctypes.CDLL(None), []
for _ in range(2):
    both.append(Predictor(sys.argv[1]))
    list(both[-1].predict(sys.argv[2]))
    libc.sigaltstack(None, words)
    stacks.append(words[0])
for predictor in both:
    predictor.close()
del both, predictor
gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted", len(set(stacks)))
"""


@pytest.mark.process
def test_ctrl_c_after_a_closed_predictor_is_an_interrupt(model: Path, image: Path) -> None:
    """OpenVINO's stack for signals outlives every Predictor, or a notebook's Ctrl-C would kill its kernel."""
    argv = [sys.executable, "-c", CTRL_C, str(model), str(image)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (0, "interrupted 1\n") == (done.returncode, done.stdout)


def test_a_classifier_gives_labels(tmp_path: Path) -> None:
    """Pictures and frames have labels, the probabilities of all classes, and a drawing."""
    red, grey = (np.full((240, 320, 3), color, np.uint8) for color in ((220, 20, 20), (90, 90, 90)))
    videos.write(tmp_path / "clip.mp4", [red] * 3)
    with Predictor(color_archive(tmp_path / "m.tgz"), settings={"features": True}) as predictor:
        first, second = predictor.predict([red, grey])
        frames = list(predictor.video(tmp_path / "clip.mp4"))

    assert isinstance(first, Labels)
    assert isinstance(second, Labels)
    assert (list(first.labels), second.labels) == (["red"], {})
    assert list(first.scores) == ["red", "green", "blue"]
    assert first.found.features is not None
    assert first.labelled().width == 320
    assert [list(each.labels) for each in frames if isinstance(each, Labels)] == [["red"]] * 3


def test_a_list_of_instances_is_measured_in_its_order(model: Path, image: Path) -> None:
    """Its bad instances are failures in their places."""
    text = f'nonsense\n{{"filenames": "{image.name}"}}\n'
    listed = image.with_name("list.jsonl")
    listed.write_text(text, "utf-8")
    with Predictor(model) as predictor:
        failed, measured = predictor.predict(listed, on_error="skip")
    assert isinstance(failed, Failure)
    assert failed.error.code == "E_INSTANCE"
    assert measured.name == image.name


def test_auto_is_chosen_once(
    model: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two calls with pictures of one size, the second tries nothing; both give what a fixed size gives."""
    monkeypatch.setenv("QUADRAT_CACHE_DIR", str(tmp_path / "cache"))
    counted: list[int] = []
    tuned = tune.Tuner.tune
    monkeypatch.setattr(tune.Tuner, "tune", lambda self: counted.append(1) or tuned(self))
    with Predictor(model) as plain:
        (usual,) = plain.predict(image)
    with Predictor(model, batch_size="auto", cpu_threads="auto", settings={"tuning-seconds": 1}) as predictor:
        for _ in range(2):
            found = list(predictor.predict([image] * 5))
            assert len(found) == 5
            assert all(np.array_equal(each.labels, usual.labels) for each in found)
    assert counted == [1]


def test_what_only_an_order_can_do_is_refused(tmp_path: Path) -> None:
    """Several variants of one picture, and archives that make pictures."""
    with pytest.raises(ParameterError, match="compare: it needs an order"):
        Predictor(SEAGRASS, settings={"compare": "none,clahe"})
    with pytest.raises(ParameterError, match="model: it makes pictures and measures nothing"):
        Predictor(enlarger_archive(tmp_path / "sr.tgz"), settings={"executor": "local"})


def test_steps_change_what_is_measured() -> None:
    """As they do in an order."""
    pixels = pictures.drawing(200, 200)
    found = []
    for steps in ("none", "clahe"):
        with Predictor(SEAGRASS, settings={"executor": "local", "enhance": steps}) as predictor:
            found += list(predictor.predict(pixels))
    with Predictor(SEAGRASS, settings={"executor": "local"}) as predictor:
        found += list(predictor.predict([pixels, parse_steps("clahe").apply(pixels)]))
    assert [found[0].cover, found[1].cover] == [found[2].cover, found[3].cover]


def test_an_embedding_gives_vectors(tmp_path: Path) -> None:
    """Of pictures and of frames, of length 1."""
    with Predictor(colour_archive(tmp_path / "m.tgz"), settings={"executor": "local"}) as predictor:
        (found,) = predictor.predict(np.full((6, 8, 3), (255, 0, 0), np.uint8))
        assert isinstance(found, Features)
        assert found.vector == pytest.approx(np.array([1, 0, 0]), abs=1e-6)
        with pytest.raises(VectorError):
            list(predictor.predict(np.zeros((6, 8, 3), np.uint8)))
