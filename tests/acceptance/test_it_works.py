"""The points by which the patch-parallel framework's work is known to be done, each as a test named after it.

Of the sixteen, these concern detection and video; live streams are in test_it_works_streams.py. Points 11
(enhancement), 12 (index and query), 13 (auto-tuned batches) and 15 (stages on Ray) belong to later work.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml
from PIL import Image

from quadrat import tracking
from quadrat.describe import service_json
from quadrat.media import readers
from quadrat.package import open_archive
from quadrat.parameters import NAMES_OF_FILES, PARAMETERS, parse
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.pipeline.run import Run
from quadrat.platforms.config import read_config
from quadrat.types import Frame, FrameKey, Reading, Result, Source
from tests import pictures, videos
from tests.moving import (
    CRAB,
    FISH,
    RECTANGLES,
    Box,
    boxes_of,
    draw,
    film,
    measured,
    objects,
    order,
    pull,
    swim,
    times,
    watch,
    watched,
)
from tests.service.arguments import parse_arguments
from tests.service.run import Service, ServiceProcess, rows
from tests.values import settings_of
from tests.waiting import wait_until_still

HW = (64, 96)


def test_point_01_files_and_image_folders_in_one_run(service: Service, reef: Path) -> None:
    """Side by side, no frame is dropped, and each has its index and presentation time."""
    ran = service.run("--model", RECTANGLES, "--videos", reef, "--batch-size", "4")

    assert (ran.status, ran.left) == (0, []), ran.said
    table = {row["name"]: row for row in rows(service.out / "survey.csv")}
    kinds = {name: (row["media"], row["frames"], row["frames_dropped"]) for name, row in table.items()}
    assert {
        "east.mp4": ("video", "9", "0"), "north": ("sequence", "5", "0"), "west.mp4": ("video", "14", "0"),
    } == kinds  # fmt: skip
    for name, count, rate in (("east.mp4", 9, 25), ("north", 5, 10), ("west.mp4", 14, 10)):
        assert [(n, pytest.approx(n / rate, abs=1e-4)) for n in range(count)] == times(service.out, name)


class Counted:
    """A reader of 300 frames that counts those it has given."""

    given = 0
    reading = Reading(HW, 25.0)

    def __init__(self, source: Source) -> None:
        self._source = source

    def __iter__(self) -> Iterator[Frame]:
        """Yield."""
        for n in range(300):
            Counted.given += 1
            yield Frame(FrameKey(self._source.urn, n), HW, draw([], HW), time_s=n / 25)

    def close(self) -> None:
        """Have nothing to close."""


def test_point_03_queues_are_bounded(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that takes its time holds everyone back: frames under way are few, however long the source."""
    monkeypatch.setattr(readers, "open_reader", lambda source, *_: Counted(source))
    stream = iter(Run(Pass([model]), [Source("a", "a", "stream", "x://a")], pull, moving=True))
    taken, most = 0, 0
    for item in stream:
        taken += isinstance(item, Result)
        if taken in (1, 50, 200):
            wait_until_still(lambda: Counted.given)
        most = max(most, Counted.given - taken)

    assert (300, 300) == (taken, Counted.given)
    assert most <= 16


def test_point_03_times_of_every_stage_are_delivered(tmp_path: Path, reef: Path) -> None:
    """run.json says of each stage how long it worked and waited, and what was read of each source."""
    ran = order(RECTANGLES, reef, tmp_path / "out")
    record = json.loads(ran.body("run.json"))

    names = [stage["name"] for stage in record["stages"]]
    assert ["read", "prepare", "infer", "task", "track", "draw", "encode"] == names[-7:]
    for stage in record["stages"]:
        spent = [stage[f"{what}-seconds"] for what in ("busy", "waiting-for-input", "waiting-for-output")]
        assert 0 < sum(spent) < record["wall-seconds"] * 1.1 + 0.05
        assert 0 <= stage["occupancy"] <= 1
    assert {"east.mp4": 9, "north": 5, "west.mp4": 14} == {s["name"]: s["read"] for s in record["sources"]}


def test_point_04_a_stage_that_fails_ends_the_run(process: ServiceProcess) -> None:
    """An encoder that finds no room ends the process with its own error, its status and whole files."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 240, 320, 3)).astype(np.uint8)
    film(process.folder / "in" / "noise.mp4", list(noise))
    film(process.folder / "in" / "calm.mp4", swim(4))
    words = ("--model", RECTANGLES, "--videos", process.folder / "in", "--sources-at-once", "1")
    ran = process.run(*words, "--executor", "local", largest=300_000)  # a child's memory is a file, too

    assert ran.status == 6, ran.said
    (line,) = ran.errors
    assert line.startswith("E_DELIVERY noise.mp4")
    assert "Traceback" not in ran.said
    assert ran.left == []
    told = {row["name"]: row["status"] for row in rows(process.out / "survey.csv")}
    assert {"calm.mp4": "ok", "noise.mp4": "partial"} == told
    assert 4 == len(watch(process.out / "calm.mp4").pictures)
    assert not (process.out / "video" / "noise.mp4").exists()


def test_point_05_batches_go_across_tiles_sources_and_frames(tmp_path: Path, model: LoadedModel) -> None:
    """All batches but the last are full, one holds tiles of both sources, and each box comes back to its frame."""
    sizes: list[int] = []
    truth = {
        name: [(10 + dx + 20 * n, 30, 40 + dx + 20 * n, 60) for n in range(5)]
        for name, dx in (("a", 0), ("b", 40))
    }
    sources = [film(tmp_path / f"{n}.mp4", [draw([box]) for box in boxes]) for n, boxes in truth.items()]
    counted = watched(model, lambda batch: sizes.append(len(batch)))
    results, _ = measured(counted, sources, tile_size=80, tile_overlap=40, batch_size=7)

    assert {7} == set(sizes[:-1])
    assert sum(sizes) % 10 == 0  # tiles of ten frames
    for name, boxes in truth.items():
        assert [[box] for box in boxes] == [boxes_of(r) for r in results[name]]


def test_point_06_filters_keep_the_mapping_in_the_products(tmp_path: Path) -> None:
    """Black and idle frames are told with their reason, by media time; the others' rows are their own."""
    folder = tmp_path / "in"
    folder.mkdir()
    film(folder / "a.mp4", [np.zeros((144, 192, 3), np.uint8)] * 3 + [draw([])] * 5 + swim(4))
    film(folder / "b.mp4", swim(12))
    values = {"skip_black": True, "idle_seconds": 0.1, "batch_size": 4, "tracker": "none"}
    first, second = (order(RECTANGLES, folder, tmp_path / f"out{n}", **values) for n in (1, 2))

    reasons = [frame["skipped"] for frame in first.frames() if frame["name"] == "a.mp4"]
    assert ["black"] * 3 + [None, "idle", "idle", None, "idle"] + ["idle"] + [None] * 3 == reasons
    boxes = {(f["name"], f["frame"]): f["detections"][0]["box"] for f in first.frames() if f["detections"]}
    expected: dict[tuple[str, int], Any] = {("b.mp4", n): [8 + 4 * n, 40, 48 + 4 * n, 80] for n in range(12)}
    expected |= {("a.mp4", 8 + n): [8 + 4 * n, 40, 48 + 4 * n, 80] for n in range(1, 4)}
    assert expected == boxes
    assert first.products == second.products


def test_point_07_tiles_of_any_size_give_the_same_objects(tmp_path: Path) -> None:
    """With tiles, and a pass over the whole frame for what is larger than a tile, products are the same for batch 1 and 8."""
    truth: list[Box] = [(5, 5, 250, 120), (40, 200, 60, 230), (150, 150, 158, 158), (299, 100, 330, 160)]
    (tmp_path / "a.png").write_bytes(pictures.png(draw(truth, (241, 333))))
    values = {"tile_size": 100, "tile_overlap": 33, "full_frame": True}
    one, eight = (
        order(RECTANGLES, tmp_path / "a.png", tmp_path / f"out{n}", moving=False, batch_size=n, **values)
        for n in (1, 8)
    )

    found = [
        tuple(round(float(row[k])) for k in ("x0", "y0", "x1", "y1")) for row in one.table("detections.csv")
    ]
    assert sorted(truth) == sorted(found)
    products = [{k: v for k, v in ran.products.items() if k != "coco.json"} for ran in (one, eight)]
    coco = [json.loads(ran.body("coco.json")) | {"info": "names the settings"} for ran in (one, eight)]
    assert products[0] == products[1]
    assert coco[0] == coco[1]


@pytest.mark.parametrize("tracker", ["sort", "bytetrack", "ocsort", "deepsort"])
def test_point_08_a_tracker_for_each_source(tmp_path: Path, reef: Path, tracker: str) -> None:
    """Numbers begin at 1 in each source, and with it are unique in the order; motion and appearance alike."""
    ran = order(RECTANGLES, reef, tmp_path / "out", tracker=tracker)
    ids = [t["id"] for name in ("east", "west", "north") for t in ran.aspect(f"{name}.mp4")["tracks"]]

    assert ["east/1", "west/1", "north/1"] == ids


def test_point_08_tracks_end_and_trackers_are_reset() -> None:
    """A track unseen for longer than max-age is over; a reset tracker gives no number twice."""
    from tests.tracking.scenes import boxes, embeddings

    for name in tracking.TRACKERS:
        settings = parse({"tracker": name, "max-age": 3, "min-hits": 1})
        made = tracking.make(settings.tracking, settings.objects.least_score)
        assert made is not None

        def seen(corner: tuple[float, float] | None) -> list[int]:
            shown = boxes(corner) if corner else boxes()
            tracks = made.update(shown, embeddings(*shown.classes)).detections.tracks  # noqa: B023 - called at once
            return [] if tracks is None else tracks.tolist()

        assert [[1], [1], [], [], [], [1]] == [seen(c) for c in ((9, 9), (9, 9), None, None, None, (9, 9))]
        assert [[], [], [], [], [2]] == [seen(c) for c in (None, None, None, None, (9, 9))]
        made.reset()
        assert [3] == seen((9, 9))


@pytest.mark.parametrize("method", ["mode", "median", "score"])
@pytest.mark.parametrize("window", [{"smooth_frames": 9}, {"smooth_seconds": 0.36}])
def test_point_09_a_label_is_smoothed_from_the_first_frame(
    tmp_path: Path, method: str, window: dict[str, float]
) -> None:
    """A fish that is taken for a crab now and then is a fish in every row, from the first on."""
    frames = [draw([(20 + 2 * n, 40, 60 + 2 * n, 80)], kind=CRAB if n in (3, 7) else FISH) for n in range(12)]
    source = film(tmp_path / "a.mp4", frames)
    values = {"smooth_labels": method, "track_across_classes": True, **window}
    ran = order(RECTANGLES, Path(source.token), tmp_path / "out", **values)
    plain = order(RECTANGLES, Path(source.token), tmp_path / "plain", track_across_classes=True)

    assert ["fish"] * 12 == [row["class"] for row in ran.table("detections.csv")]
    assert ["crab" if n in (3, 7) else "fish" for n in range(12)] == [
        row["class"] for row in plain.table("detections.csv")
    ]


def test_point_10_annotated_videos_and_tables(tmp_path: Path) -> None:
    """H.264 of the source's rate, size and duration, its sound left out; CSV, JSON lines, COCO and MOT say the same."""
    videos.with_sound(tmp_path / "a.mp4", swim(30, step=3), rate=15, seconds=2)
    ran = order(RECTANGLES, tmp_path / "a.mp4", tmp_path / "out", min_hits=1)
    shown = watch(ran.out / "a.mp4")
    with av.open(str(ran.out / "video" / "a.mp4")) as file:
        assert ["video"] == [stream.type for stream in file.streams]
    assert ("h264", (144, 192), 30) == (shown.codec, shown.hw, len(shown.pictures))
    assert (30 / 15, [n / 15 for n in range(30)]) == (
        pytest.approx(shown.seconds),
        pytest.approx(shown.times, abs=1e-4),
    )

    table = [
        (int(r["frame"]), int(r["track"]), *(float(r[k]) for k in ("x0", "y0", "x1", "y1")))
        for r in ran.table("detections.csv")
    ]
    lines = [(f["frame"], d["track"], *d["box"]) for f in ran.frames() for d in f["detections"]]
    text = io.StringIO(ran.body("a.mot.txt").decode())
    mot = [
        (int(f) - 1, int(t), x, y, x + w, y + h)
        for f, t, x, y, w, h in (map(float, line[:6]) for line in csv.reader(text))
    ]
    coco = json.loads(ran.body("coco.json"))
    frames = {image["id"]: image for image in coco["images"]}
    assert 30 == len(table)
    assert table == lines
    np.testing.assert_allclose(table, mot, atol=0.011)
    boxes = [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in coco["annotations"])]
    np.testing.assert_allclose([row[2:] for row in table], boxes, atol=0.011)
    assert len(frames) == 30


def test_point_10_an_annotated_image(tmp_path: Path) -> None:
    """A photograph gives its picture with the boxes drawn, and the same tables."""
    scene = draw([(20, 30, 80, 90)])
    (tmp_path / "a.png").write_bytes(pictures.png(scene))
    ran = order(RECTANGLES, tmp_path / "a.png", tmp_path / "out", moving=False)

    assert {
        "a.annotated.jpg",
        "coco.json",
        "detections.csv",
        "detections.jsonl",
        "survey.csv",
        "images.csv",
        "totals.csv",
    } == set(ran.products)
    assert [[20.0, 30.0, 80.0, 90.0]] == [d["box"] for d in ran.aspect("a.annotated.jpg")["detections"]]
    drawn = np.asarray(Image.open(io.BytesIO(ran.body("a.annotated.jpg")))).astype(int)
    changed = np.abs(drawn - scene).max(axis=2) > 60
    assert changed[30:90, [19, 80]].all()  # the lines left and right of the box
    assert not changed[100:].any()  # and nothing far from it


def test_point_14_parameters_are_the_same_everywhere(tmp_path: Path) -> None:
    """Every parameter means the same typed, on the command line, in a config file, and in the service's description."""
    described = {p["name"]: p for p in service_json()["parameters"]}
    assert [p.name for p in PARAMETERS] == list(described)
    values: dict[str, Any] = {}
    for p in PARAMETERS:
        # compare and like-row exclude enhance, find and others
        if p.field in (*NAMES_OF_FILES, "min_subgraph_size", "compare", "like_row"):
            continue
        choice = {
            "device": "cpu",
            "precision": "fp32",
            "outputs": "annotated",
            "model-name": "x",
            "find": "duplicates",
        }.get(p.name)
        value = choice or (p.choices[-1] if p.choices else None)
        if value is None and p.kind == "bool":
            value = p.name in ("skip-black", "full-frame", "track-across-classes", "print-detail")
        if value is None:
            value = {
                "tile-size": 640,
                "tile-overlap": 32,
                "frame-step": 3,
                "max-img-size": "2MP",
                "sample-bits": 12,
                "classes": "fish",
                "enhance": "grey-world,clahe",
                "where": "score > 0.5",
                "batch-size": "auto",  # tuning-seconds needs it
            }.get(p.name)
            # these two exclude frame-step and smooth-frames
            value = 0.0 if p.name in ("frame-seconds", "smooth-seconds") else value
        least = max(1, int(p.low or 1)) if p.kind == "int" else max(0.5, p.low or 0.0)
        values[p.name] = least if value is None else value
    words = [
        f"--{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in values.items()
    ]
    given = parse(parse_arguments(words))
    ways = [values]
    for write in (json.dumps, yaml.safe_dump):
        (tmp_path / "config").write_text(write(values))
        ways.append(read_config(tmp_path / "config", "config"))

    for way in ways:
        assert (given, given.result_digest) == (parse(way), parse(way).result_digest)
    defaults = asdict(settings_of())
    changed = [
        name
        for group, fields in asdict(parse(values)).items()
        for name, value in fields.items()
        if value != defaults[group][name]
    ]
    assert len(changed) > 25
    for name, parameter in described.items():
        default = next(p.default for p in PARAMETERS if p.name == name)
        assert parameter["default"] == (None if default is None else str(default))


def test_point_16_a_detector_without_weights(tmp_path: Path, model: LoadedModel) -> None:
    """The example's detector is a handful of hand-made constants, and exact on any drawn scene, of every class."""
    package = open_archive(RECTANGLES, tmp_path)
    assert RECTANGLES.stat().st_size < 100_000
    assert ("detect", 3) == (package.task, package.num_classes)

    for kind in range(3):
        path = tmp_path / f"{kind}.png"
        truth: list[Box] = [(0, 0, 30, 20), (33, 7, 41, 60), (100, 80, 192, 144), (60, 100, 67, 107)]
        path.write_bytes(pictures.png(draw(truth, kind=kind)))
        results, _ = measured(model, [Source("a", path.name, "image", str(path))])
        assert sorted(truth) == boxes_of(results["a"][0])
        assert {kind} == set(objects(results["a"][0]).classes.tolist())
