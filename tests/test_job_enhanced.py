"""Orders with task=enhance: they need no model, and deliver pictures and videos."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from quadrat import engines
from tests import pictures
from tests.enhancers import enlarger_archive
from tests.executors.orders import dives, everything, photos
from tests.moving import RECTANGLES, Order, film, order, swim
from tests.results import contents


def enhance(place: Path, out: Path, *, moving: bool = False, **values: object) -> Order:
    """Run an order with task=enhance and without a model."""
    return order([], place, out, moving=moving, task="enhance", **values)


def test_enhancing_with_nothing_is_the_picture(tmp_path: Path) -> None:
    """Bit for bit, and again when the result is enhanced."""
    pixels = pictures.drawing(60, 80)
    (tmp_path / "a.png").write_bytes(pictures.png(pixels))

    first = enhance(tmp_path / "a.png", tmp_path / "once")
    (tmp_path / "b.png").write_bytes(first.body("a.enhanced.png"))
    second = enhance(tmp_path / "b.png", tmp_path / "twice")

    assert (first.status, second.status) == (0, 0)
    for ran, name in ((first, "a"), (second, "b")):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(ran.body(f"{name}.enhanced.png")))), pixels)
    assert first.row("a.png")["product"] == "enhanced/a.enhanced.png"
    assert first.aspect("a.enhanced.png")["provenance"]["model"] == "urn:quadrat:task:enhance"


@pytest.mark.parametrize("moving", [False, True])
def test_local_isolated_and_a_second_run_are_equal(tmp_path: Path, moving: bool) -> None:
    """There is no network to isolate; broken files have their rows, and results of an earlier run stay."""
    source = (dives if moving else photos)(tmp_path / "in")
    local = enhance(source, tmp_path / "local", moving=moving)
    isolated = enhance(source, tmp_path / "isolated", moving=moving, executor="isolated")

    assert everything(local) == everything(isolated)
    assert {"failed", "ok" if moving else "flagged"} <= {row["status"] for row in local.rows}
    assert any(row["product"] for row in local.rows)
    before = contents(tmp_path / "local")
    again = enhance(source, tmp_path / "local", moving=moving)
    assert contents(tmp_path / "local") == before
    assert any("unchanged since an earlier run" in line for line in again.infos)


@pytest.mark.parametrize(
    ("models", "values", "line"),
    [
        ([RECTANGLES], {"task": "enhance"}, "task: it is enhance, but the task of the model 'rectangles' is detect"),
        ([], {"task": "detect"}, "model: it is required"),
        ([], {}, "model: it is required"),
        ([], {"task": "enhance", "device": "gpu"}, "device: it is about networks, and task=enhance without a model has none"),
        ([], {"task": "enhance", "memory_limit": 4000}, "memory-limit: it is about networks"),
        ([], {"task": "enhance", "tracker": "sort"}, "tracker: it applies only to the task detect"),
        ([], {"task": "enhance", "outputs": "overlay"}, "outputs: overlay cannot be drawn"),
        ([], {"task": "polish"}, "task: 'polish' is not one of segment, detect"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_line(
    tmp_path: Path, models: list[Path], values: dict[str, object], line: str
) -> None:
    """It is refused before anything is read."""
    ran = order(models, photos(tmp_path / "in"), tmp_path / "out", moving="tracker" in values, **values)

    assert len(ran.errors) == 1
    assert line in ran.errors[0]
    assert ran.status == 2


def test_a_stated_task_that_is_the_models_changes_nothing(tmp_path: Path) -> None:
    """It is a check, not a choice."""
    source = photos(tmp_path / "in")
    plain = order(RECTANGLES, source, tmp_path / "plain", moving=False)
    stated = order(RECTANGLES, source, tmp_path / "stated", moving=False, task="detect")

    assert plain.products == stated.products


def alone(products: dict[str, bytes], variant: str) -> dict[str, bytes]:
    """Give the products of one variant by the names that they have in an order with it alone."""
    found = {name: body for name, body in products.items() if f"{variant}." in name}
    taken_out = f".{variant}".encode()  # a table names the track and its video
    return {name.replace(f"{variant}.", "", 1): body.replace(taken_out, b"") for name, body in found.items()}


@pytest.mark.parametrize("moving", [False, True])
def test_each_variant_is_an_order_with_it_alone(tmp_path: Path, moving: bool) -> None:
    """Of pixels that are decoded once, with a network that is loaded once, and with the same digest."""
    source = (dives if moving else photos)(tmp_path / "in")
    with pytest.MonkeyPatch.context() as patch:
        started: list[str] = []
        start = engines.start
        patch.setattr(engines, "start", lambda *given, **named: started.append("") or start(*given, **named))
        compared = order(RECTANGLES, source, tmp_path / "all", moving=moving, compare="none,clahe")

    assert (compared.status, started) == (0, [""])
    for variant in ("none", "clahe"):
        single = order(RECTANGLES, source, tmp_path / variant, moving=moving, enhance=variant)
        ours = alone(compared.products, variant)
        theirs = {name: body for name, body in single.products.items() if name in ours}
        assert ours == theirs
        assert len(ours) > 5
        made = [each for each in compared.json("run.json")["models"] if each["enhance"] == variant]
        assert [each["result-digest"] for each in made] == [
            each["result-digest"] for each in single.json("run.json")["models"]
        ]


def test_measuring_with_steps_is_measuring_what_they_deliver(tmp_path: Path) -> None:
    """The picture that task=enhance delivers has the boxes of the picture with enhance, and everything says so."""
    source = photos(tmp_path / "in")
    delivered = enhance(source, tmp_path / "delivered", enhance="grey-world,clahe")
    (tmp_path / "again").mkdir()
    for name, body in delivered.products.items():
        if name.endswith(".enhanced.png"):
            (tmp_path / "again" / name.replace(".enhanced", "")).write_bytes(body)
    at_once = order(RECTANGLES, source, tmp_path / "at-once", moving=False, enhance="grey-world,clahe")
    after = order(RECTANGLES, tmp_path / "again", tmp_path / "after", moving=False)

    boxes = [
        [
            {key: row[key] for key in ("name", "class", "score", "x0", "y1")}
            for row in ran.table("detections.csv")
        ]
        for ran in (at_once, after)
    ]
    assert boxes[0] == boxes[1]
    assert boxes[0]
    plain = order(RECTANGLES, source, tmp_path / "plain", moving=False)
    assert plain.body("0.annotated.jpg") != at_once.body("0.annotated.jpg")
    aspects = [at_once.aspect(name) for name in at_once.products if not name.endswith("-meta.json")]
    assert {each["provenance"]["enhance"] for each in aspects if "provenance" in each} == {"grey-world,clahe"}
    assert {row["enhance"] for row in at_once.rows if row["status"] == "flagged"} == {"grey-world,clahe"}
    assert any(
        "numbers are those of enhanced pictures (grey-world,clahe)" in line for line in at_once.warnings
    )
    assert not any("enhanced" in line for line in plain.warnings)
    assert "enhance" not in plain.rows[0]


def test_a_network_makes_videos_larger(tmp_path: Path) -> None:
    """Also frames that are skipped have its size, so that the video has one."""
    dark = np.zeros((144, 192, 3), np.uint8)
    film(tmp_path / "a.mp4", [dark, *swim(3), dark])
    ran = order(enlarger_archive(tmp_path / "sr.tgz"), tmp_path / "a.mp4", tmp_path / "out", skip_black=True)

    with av.open(str(tmp_path / "out" / "video" / "a.mp4")) as made:
        sizes = {(frame.height, frame.width) for frame in made.decode(video=0)}
    assert (ran.status, sizes) == (0, {(288, 384)})
    assert ran.table("enhanced.csv")[0]["width"] == "384"
