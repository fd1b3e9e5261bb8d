"""Bad detectors, settings and sources as whole orders of videos: a line, a code, a row and a status each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat.stores.streams import list_streams
from tests.detectors import constant_onnx, detector_archive, encode
from tests.media.feeds import feed, transport
from tests.moving import RECTANGLES, TABLES, draw, film, order, swim, watch
from tests.service.run import Ran, Service, rows

# ---- detectors ----------------------------------------------------------------------------------------------


def detector(path: Path, arrays: dict[str, Any], **changes: Any) -> Path:
    """Write an archive of a detector that gives these arrays for whatever it sees."""
    return detector_archive(path, network=constant_onnx(arrays), **changes)


def of_boxes(path: Path, boxes: list[list[float]], scores: list[float]) -> Path:
    """Write an archive of a detector that finds these boxes, in an input of 64 x 64 pixels."""
    return detector(path, encode("yolov8", boxes, scores, [0] * len(boxes), num_classes=2))


@pytest.fixture
def square(tmp_path: Path) -> Path:
    """A folder with a video of 4 frames of 64 x 64 pixels."""
    made = tmp_path / "in"
    made.mkdir()
    film(made / "a.mp4", [draw([], (64, 64))] * 4)
    return made


@pytest.mark.parametrize(
    "words", [{"detect": {}}, {"detect": {"layout": "yolov8"}}, {"detect": {"layout": "rfdetr"}}]
)
def test_outputs_of_no_layout(tmp_path: Path, square: Path, words: dict[str, Any]) -> None:
    """A network whose outputs match no layout, or not the one stated, is status 3 before a video is read."""
    model = detector(tmp_path / "m.tgz", {"odd": np.zeros((3, 5, 7), np.float32)}, outputs={}, **words)
    ran = order(model, square, tmp_path / "out")

    assert (3, [], False) == (ran.status, ran.rows, ran.out.exists())
    (line,) = ran.errors
    assert line.startswith("E_MODEL_LAYOUT ")
    assert "odd" in line
    assert "(?, 3, 5, 7)" in line


def test_outputs_that_are_no_scores(tmp_path: Path, square: Path) -> None:
    """Logits where scores are due are the model's fault: status 3, said in one line."""
    ran = order(of_boxes(tmp_path / "m.tgz", [[5, 5, 20, 20]], [7.5]), square, tmp_path / "out")

    assert ran.status == 3
    (line,) = ran.errors
    assert line.startswith("E_MODEL_LAYOUT ")
    assert "7.5" in line


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["scores", "boxes"])
def test_numbers_that_are_none(tmp_path: Path, square: Path, value: float, where: str) -> None:
    """NaN and infinity are no objects: the frames fail, the source with them, and the order says why."""
    arrays = encode("yolov8", [[5, 5, 20, 20]], [0.9], [0], num_classes=2)
    arrays["output0"][4 if where == "scores" else 1, 0] = value
    ran = order(detector(tmp_path / "m.tgz", arrays), square, tmp_path / "out")

    assert (5, "E_ALL_FAILED") == (ran.status, ran.errors[-1].split()[0])
    assert ("failed", "E_ENGINE_RUN") == (ran.rows[0]["status"], ran.rows[0]["code"])
    assert "NaN or infinite" in ran.rows[0]["reason"]


def test_boxes_outside_the_picture(tmp_path: Path, square: Path) -> None:
    """Boxes are cut at the picture's border, and those beyond it, or without an area, are left out."""
    boxes = [[-20, -10, 30, 20], [50, 50, 5000, 5000], [70, 10, 90, 30], [-9, -9, 0, 0], [30, 30, 30, 40]]
    model = of_boxes(tmp_path / "m.tgz", boxes, [0.9, 0.8, 0.7, 0.6, 0.5])
    ran = order(model, square, tmp_path / "out", tracker="none")

    found = [[float(row[k]) for k in ("x0", "y0", "x1", "y1")] for row in ran.table("detections.csv")]
    assert [[0, 0, 30, 20], [50, 50, 64, 64]] * 4 == found
    assert ran.status == 0


def test_no_objects_at_all(tmp_path: Path, square: Path) -> None:
    """Nothing found is a result: status 0, every product there, with zeros."""
    ran = order(of_boxes(tmp_path / "m.tgz", [], []), square, tmp_path / "out")

    assert (0, "ok", "0") == (ran.status, ran.row("a.mp4")["status"], ran.row("a.mp4")["objects"])
    assert {"a.mp4", "a.mot.txt", *TABLES} == set(ran.products)
    assert ([], 0) == (ran.aspect("a.mp4")["tracks"], ran.aspect("a.mp4")["detections"])


# ---- settings and sources -----------------------------------------------------------------------------------


def refused(ran: Ran, status: int, code: str) -> str:
    """Check that an order ended with this status and one line, and left nothing; return the line."""
    assert ran.status == status, ran.said
    (line,) = ran.errors
    assert line.startswith(f"{code} ")
    assert "Traceback" not in ran.said
    assert ran.left == []
    return line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("--tile-size", "100", "--tile-overlap", "100"),
            "tile-overlap: an overlap of 100 pixels is too large",
        ),
        (
            ("--tracker", "strongsort"),
            "tracker: 'strongsort' is not one of none, sort, bytetrack, ocsort, deepsort",
        ),
        (("--appearance-weight", "0.5"), "appearance-weight: there is no such parameter"),
        (("--images", "."), "exactly one of image, images, video, videos, streams is required"),
    ],
)
def test_a_setting_that_is_wrong(service: Service, words: tuple[str, ...], says: str) -> None:
    """An overlap larger than the tile, a tracker or an option of one that does not exist: status 2, and nothing is read."""
    film(service.folder / "in" / "a.mp4", swim(3))
    ran = service.run("--model", RECTANGLES, "--videos", service.folder / "in", *words)

    assert all(word in refused(ran, 2, "E_PARAMETER") for word in says.split(", "))
    assert list(service.out.iterdir()) == []


def test_no_sources(service: Service) -> None:
    """A folder without a video is status 5, with a table of what was in it."""
    (service.folder / "in" / "notes.txt").write_text("windy")
    ran = service.run("--model", RECTANGLES, "--videos", service.folder / "in")

    assert "nothing to measure" in refused(ran, 5, "E_NO_IMAGES")
    assert ["skipped"] == [row["status"] for row in rows(service.out / "survey.csv")]


@pytest.mark.parametrize("text", ["", " , ", "  "])
def test_no_streams(service: Service, text: str) -> None:
    """Streams without an address are status 2."""
    refused(service.run("--model", RECTANGLES, "--streams", text), 2, "E_PARAMETER")


def test_a_source_that_vanishes(tmp_path: Path) -> None:
    """A link that leads nowhere, and a file that may not be read, are rows; the order goes on."""
    film(tmp_path / "b.mp4", swim(3))
    (tmp_path / "a.mp4").symlink_to(tmp_path / "gone.mp4")
    os.mkfifo(tmp_path / "c.mp4")
    ran = order(RECTANGLES, tmp_path, tmp_path / "out")

    told = {row["name"]: (row["status"], row["code"]) for row in ran.rows}
    assert ("skipped", "E_NOT_IMAGE") == told.pop("out"), "the folder of results"
    assert {"a.mp4": ("failed", "E_SOURCE"), "b.mp4": ("ok", ""), "c.mp4": ("skipped", "E_NOT_IMAGE")} == told
    assert ran.status == 0


def test_a_stream_that_dies_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came of it is delivered, partial, with its reason."""
    monkeypatch.delenv("http_proxy", raising=False)
    body = transport(tmp_path, 12)
    with feed("http", lambda line: line.send(body), lambda line: line.reset()) as camera:
        ran = order(RECTANGLES, list_streams(camera.url), tmp_path / "out", reconnect_seconds=0.1)

    row, *_ = ran.rows
    assert (0, "partial", "E_STREAM", "12") == (ran.status, row["status"], row["code"], row["frames"])
    assert 12 == len(watch(ran.out / row["product"]).pictures)
