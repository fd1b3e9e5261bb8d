"""Orders of videos and streams, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.classifiers import color_archive
from tests.media.feeds import feed, transport
from tests.platform_double.proxy import DataProxy
from tests.results import files, product
from tests.service.run import ORDER, ROOT, Service, rows

DETECTOR = ROOT / "examples" / "models" / "rectangles.tgz"
VIDEOS = ROOT / "examples" / "videos"


def test_local_and_platform_videos_give_the_same(service: Service, double: DataProxy) -> None:
    """Objects, tracks and films do not depend on where videos come from; each is acknowledged and no copy left."""
    model = double.add(DETECTOR.read_bytes())
    films = sorted(VIDEOS.glob("*.mp4"))
    queue = double.queue([double.add(path.read_bytes(), path.name) for path in films])
    words = ("--frame-step", "10", "--sources-at-once", "2")
    for path in films:
        (service.folder / "in" / path.name).symlink_to(path)

    local = service.run("--model", DETECTOR, "--videos", service.folder / "in", *words)
    remote = service.order("--model", model.urn, "--videos", queue.urn, *words, env=double.environment(ORDER))

    assert (0, 0) == (local.status, remote.status), local.said + remote.said
    assert (len(films), {}, []) == (len(queue.acked), queue.unacked, remote.left)
    made = double.delivered()
    for ending in (".mp4", ".mot.txt"):
        here = sorted(path.read_bytes() for path in service.out.rglob(f"*{ending}"))
        there = sorted(product.body for name, product in made.items() if name.endswith(ending))
        assert len(films) == len(here)
        assert here == there


def test_one_artifact_is_a_video(service: Service, double: DataProxy) -> None:
    """A single artifact given as --video gives what its file gives: film, tracks and tables, and no queue is asked."""
    path = VIDEOS / "reef-1.mp4"
    model, artifact = double.add(DETECTOR.read_bytes()), double.add(path.read_bytes(), mime="video/mp4")

    local = service.run("--model", DETECTOR, "--video", path, "--frame-step", "10")
    words = ("--model", model.urn, "--video", artifact.urn, "--frame-step", "10")
    remote = service.order(*words, env=double.environment(ORDER))

    assert (0, 0, []) == (local.status, remote.status, remote.left), local.said + remote.said
    made, stem = double.delivered(), artifact.urn.rsplit(":", 1)[-1]
    here = [name for name in files(service.out) if not name.endswith("-meta.json")]
    assert {name.replace("reef-1.", f"{stem}.") for name in here} == set(made)
    for ending in (".mp4", ".mot.txt"):
        assert product(service.out, f"reef-1{ending}").read_bytes() == made[stem + ending].body
    assert artifact.urn == made[f"{stem}.mp4"].metadata[0]["source"]
    assert {(artifact.urn, "ok")} == {(row["image"], row["status"]) for row in rows(made["survey.csv"].body)}
    assert [] == double.seen("queue")


@pytest.mark.parametrize("task", ["detect", "classify"])
def test_an_order_of_streams_tells_no_password(service: Service, tmp_path: Path, task: str) -> None:
    """A stream is read and lost, its row says so, and its password is in no line, file or name of the results."""
    model = DETECTOR if task == "detect" else color_archive(tmp_path / "colors.tgz")
    ts = transport(tmp_path, 20, 0, (240, 320))
    with feed("http", lambda line: line.send(ts), lambda line: line.reset()) as camera:
        address = camera.url.replace("//", "//admin:geheim@") + "?token=geheim"
        ran = service.run(
            "--model", model, "--streams", address, "--reconnect-seconds", "0.3", "--stall-seconds", "1"
        )

    assert ran.status == 0, ran.said
    if task == "classify":
        assert {row["media"] for row in rows(service.out / "predictions.csv")} == {"stream"}
        assert len(rows(service.out / "frame-predictions.csv")) > 1
    assert {"partial"} == {row["status"] for row in rows(service.out / "survey.csv")}
    assert "geheim" not in ran.said
    for path in (path for path in service.out.rglob("*") if path.is_file()):
        assert b"geheim" not in path.read_bytes()
    run = json.loads((service.out / "run.json").read_text())
    assert "127.0.0.1" in json.dumps(run)


def test_a_stream_that_nobody_sends(service: Service) -> None:
    """An order of nothing but it fails with its error, soon."""
    ran = service.run(
        "--model", DETECTOR, "--streams", "tcp://u:geheim@127.0.0.1:1", "--reconnect-seconds", "0.2"
    )

    assert ran.status == 5
    assert "geheim" not in ran.said
    assert "tcp://127.0.0.1:1: failed, E_STREAM the stream cannot be reached" in ran.said
