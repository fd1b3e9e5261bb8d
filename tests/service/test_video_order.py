"""Orders of videos: queues over HTTP, signals in the middle of a film, and the same bytes every time."""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from quadrat.stores.folder import FolderStore
from tests.moving import CRAB, FISH, RECTANGLES, film, order, swim, watch
from tests.platform_double.proxy import DataProxy
from tests.platform_double.state import Artifact, Queue
from tests.results import files, product
from tests.service.run import ORDER, Ran, Service, ServiceProcess, rows
from tests.waiting import wait_until

FAST = {"preset": "ultrafast", "crf": "8"}
COUNTS = (10, 4, 7)
TABLES = ["survey.csv", "run.json", "detections.csv", "detections.jsonl", "coco.json", "tracks.csv"]
LONG = 2000
"""Frames of a film that is not over before a signal comes."""


class Case:
    """An order of a queue of three videos, ready to run."""

    def __init__(self, service: Service | ServiceProcess, double: DataProxy) -> None:
        self.service, self.double = service, double
        self.model = double.add(RECTANGLES.read_bytes())
        self.films = [self.add(count) for count in COUNTS]
        self.queue: Queue = double.queue(self.films, ("url", "urn"))

    def add(self, count: int) -> Artifact:
        """Put a video of so many frames into the store."""
        path = self.service.folder / f"{count}.mp4"
        film(path, swim(count) if count < LONG else swim(1) * LONG, options=FAST)
        return self.double.add(path.read_bytes(), mime="video/mp4")

    def words(self, *more: str) -> tuple[str, ...]:
        """The command line."""
        return ("--model", self.model.urn, "--videos", self.queue.urn, *more)

    def run(self, *more: str) -> Ran:
        """Run it to its end."""
        ran = self.service.order(*self.words(*more), env=self.double.environment(ORDER))
        assert "Traceback" not in ran.said
        assert ran.left == []
        return ran

    def products(self, artifact: Artifact) -> list[str]:
        """The names of a video's products."""
        stem = artifact.urn.rsplit(":", 1)[-1]
        return [f"{stem}.mp4", f"{stem}.mot.txt"]

    def check_acknowledged_last(self) -> None:
        """Check that each token went back once, after all posts of that video's products were answered."""
        deletes = self.double.seen("queue", method="DELETE")
        tokens = [request.body.decode() for request in deletes]
        assert len(set(tokens)) == len(tokens)
        assert self.queue.acked == tokens
        for delete in deletes:
            urn = self.queue.given_for[delete.body.decode()]
            names = self.products(self.double.artifacts[urn])
            made = [p for p in self.double.products.values() if p.name in names]
            posts = [self.double.requests[p.number] for p in made]
            posts += [
                request
                for request in self.double.seen("metadata")
                if request.headers["X-Meta-Data-For-Entity"] in {p.urn for p in made}
            ]
            assert 4 == len(posts)
            assert all(post.status < 300 and post.answered <= delete.came for post in posts)


@pytest.fixture
def case(service: Service, double: DataProxy) -> Case:
    """An order of three videos."""
    return Case(service, double)


def test_a_queue_of_videos(case: Case) -> None:
    """Several are open at once; each is acknowledged when its film and tracks are out, and only then."""
    ran = case.run("--sources-at-once", "3", "--batch-size", "8")

    assert ran.status == 0, ran.said
    made = case.double.delivered()
    assert {name for each in case.films for name in case.products(each)} | set(TABLES) == set(made)
    assert TABLES[-1] == list(made)[-1]
    assert 6 + len(TABLES) == len(case.double.products)
    assert ({}, []) == (case.queue.unacked, list(case.queue.waiting))
    case.check_acknowledged_last()
    asked = case.double.seen("queue")
    first = next(i for i, request in enumerate(asked) if request.method == "DELETE")
    assert 3 == len([request for request in asked[:first] if request.status == 307])
    for count, artifact in zip(COUNTS, case.films, strict=True):
        (aspect,) = made[case.products(artifact)[0]].metadata
        assert (artifact.urn, count, 1) == (aspect["source"], aspect["frames"]["read"], aspect["track-count"])
    table = {row["image"]: (row["status"], row["frames"]) for row in rows(made["survey.csv"].body)}
    assert {a.urn: ("ok", str(n)) for n, a in zip(COUNTS, case.films, strict=True)} == table


def test_one_video_cannot_be_had(case: Case) -> None:
    """A video that is gone, and one that is none, are failed rows and acknowledged; the third is measured."""
    case.double.fail("artifact", method="GET", part=case.films[0].urn, status=404)
    case.double.fail("artifact", method="GET", part=case.films[2].urn, body=b"#EXTM3U\nother.ts\n")

    ran = case.run()

    assert ran.status == 0, ran.said
    table = {
        row["image"]: (row["status"], row["code"]) for row in rows(case.double.delivered()["survey.csv"].body)
    }
    expected = [("failed", "E_SOURCE"), ("ok", ""), ("failed", "E_VIDEO_FORMAT")]
    assert dict(zip([a.urn for a in case.films], expected, strict=True)) == table
    assert 3 == len(case.queue.acked)


def test_killed_in_the_middle_and_run_again(process: ServiceProcess, double: DataProxy) -> None:
    """After kill -9 only the video whose products are out is acknowledged; the others are given again and done."""
    case = Case(process, double)
    held = double.fail("artifact", method="GET", part=case.films[2].urn, hold=True, times=1)
    started = process.start_order(*case.words("--sources-at-once", "1"), env=double.environment(ORDER))
    double.wait_for("queue", method="DELETE")
    os.killpg(started.pid, signal.SIGKILL)
    assert process.finish(started).status == -signal.SIGKILL
    assert case.products(case.films[0]) == list(case.double.delivered())
    assert case.films[1] == next(item.artifact for item in case.queue.unacked.values())
    for path in case.service.tmp.iterdir():  # kill -9 leaves what it finds
        path.rename(case.service.folder / path.name)

    held.release()
    case.queue.redeliver()
    assert case.run("--sources-at-once", "2").status == 0

    assert 6 + len(TABLES) == len(case.double.products)
    assert ({}, 3) == (case.queue.unacked, len(case.queue.acked))
    case.check_acknowledged_last()


def wait_for_film(process: ServiceProcess) -> None:
    """Wait until some of a film is encoded."""
    local, platform = ".quadrat/work/order/video-*.mp4", "quadrat-order-*/video-*.mp4"

    def encoded() -> bool:
        return any(path.stat().st_size for path in (*process.out.glob(local), *process.tmp.glob(platform)))

    wait_until(encoded, "a film")


def test_terminated_in_the_middle_of_a_film(process: ServiceProcess) -> None:
    """SIGTERM: status 143, tables and the film so far are delivered, both play and agree, and nothing is left."""
    film(process.folder / "in" / "long.mp4", swim(1) * LONG, options=FAST)
    film(process.folder / "in" / "next.mp4", swim(3))
    words = ("--ivcap:in-dir", ".", "--ivcap:out-dir", process.out, "--sources-at-once", "1")
    started = process.start("--model", RECTANGLES, "--videos", process.folder / "in", *words)
    wait_for_film(process)
    for _ in range(3):  # as an impatient user does
        started.send_signal(signal.SIGTERM)
    ran = process.finish(started)

    assert (143, [], False) == (ran.status, ran.left, "Traceback" in ran.said), ran.said
    assert {"long.mp4", "long.mot.txt", *TABLES} == {
        name for name in files(process.out) if not name.endswith("-meta.json")
    }
    table = {row["name"]: row for row in rows(process.out / "survey.csv")}
    assert ("partial", "not-reached") == (table["long.mp4"]["status"], table["next.mp4"]["status"])
    assert "interrupted" in table["long.mp4"]["reason"]
    measured = int(table["long.mp4"]["frames"])
    assert 0 < measured <= int(table["long.mp4"]["frames_read"]) < LONG
    assert float(table["long.mp4"]["seconds"]) >= measured / 25
    lines = [json.loads(line) for line in (process.out / "detections.jsonl").read_text().splitlines()]
    assert list(range(measured)) == [line["frame"] for line in lines]
    assert measured <= len(watch(process.out / "long.mp4").pictures) <= measured + 4


def test_terminated_on_the_platform(process: ServiceProcess, double: DataProxy) -> None:
    """A video cut short by SIGTERM is delivered as partial and not acknowledged: the platform gives it again."""
    case = Case(process, double)
    case.queue.waiting.clear()
    long = case.add(LONG)
    case.queue = double.queue([case.films[1], long])
    started = process.start_order(*case.words("--sources-at-once", "1"), env=double.environment(ORDER))
    double.wait_for("queue", method="DELETE")
    wait_for_film(process)
    started.send_signal(signal.SIGTERM)
    ran = process.finish(started)

    assert (143, []) == (ran.status, ran.left), ran.said
    assert [long] == [item.artifact for item in case.queue.unacked.values()]
    assert {*case.products(case.films[1]), *case.products(long), *TABLES} == set(double.delivered())
    assert "partial" == double.delivered()[case.products(long)[0]].metadata[0]["status"]
    case.check_acknowledged_last()


# ---- the same every time ------------------------------------------------------------------------------------


@pytest.fixture
def reef(tmp_path: Path) -> Path:
    """Two videos and a sequence, with objects that leave, come back and change."""
    folder = tmp_path / "reef"
    folder.mkdir()
    film(folder / "a.mp4", swim(25, step=6) + swim(15, y=60))
    film(folder / "b.mp4", swim(12, kind=FISH) + swim(12, kind=CRAB), rate=12)
    film(folder / "c.mkv", swim(9, hw=(100, 170)))
    return folder


def test_two_runs_give_the_same_bytes(process: ServiceProcess, reef: Path) -> None:
    """As a process and as a call, side by side or one by one: all products but the record and metadata are equal."""
    words = ("--sources-at-once", "3", "--tile-size", "120", "--skip-black", "--batch-size", "4")
    ran = process.run("--model", RECTANGLES, "--videos", reef, *words)
    values = {"sources_at_once": 3, "tile_size": 120, "skip_black": True, "batch_size": 4}
    flat = partial(FolderStore, in_folders=False)
    again = order(RECTANGLES, reef, process.folder / "again", store=flat, **values)

    assert (0, 0) == (ran.status, again.status), ran.said
    assert 6 + len(TABLES) - 1 == len(again.products)
    for name, body in again.products.items():
        assert body == product(process.out, name).read_bytes(), name


@pytest.mark.parametrize("tiles", [{}, {"tile_size": 90, "full_frame": True}])
def test_batch_size_changes_no_product(tmp_path: Path, reef: Path, tiles: dict[str, object]) -> None:
    """Films, tracks and tables for batch-size 1 are those for batch-size 8."""
    one, eight = (order(RECTANGLES, reef, tmp_path / f"out{n}", batch_size=n, **tiles) for n in (1, 8))

    assert set(one.products) == set(eight.products)
    for name, body in one.products.items():
        if name == "coco.json":  # its head names the settings
            assert json.loads(body) | {"info": 0} == json.loads(eight.body(name)) | {"info": 0}
        else:
            assert body == eight.body(name), name
