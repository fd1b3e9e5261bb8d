"""Orders with task=enhance: they need no model, and deliver pictures and videos."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from quadrat import engines
from quadrat.media.images import decode
from quadrat.steps import parse_steps
from quadrat.types import Blob, FrameKey, Source
from tests import pictures
from tests.enhancers import enlarger_archive
from tests.executors.orders import dives, everything, photos
from tests.moving import RECTANGLES, Order, film, order, swim
from tests.platform_double.proxy import DataProxy, data_proxy
from tests.results import contents
from tests.service.run import ORDER, Service
from tests.test_job_resumed import killed_at, states


@pytest.fixture
def double() -> Iterator[DataProxy]:
    """A running data proxy."""
    with data_proxy() as running:
        yield running


@pytest.fixture
def photos_of() -> list[bytes]:
    """Two small pictures."""
    return [pictures.jpeg(pictures.drawing(96, 128, seed=seed)) for seed in (1, 2)]


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


@pytest.mark.parametrize(
    ("steps", "status", "code"),
    [("median", "flagged", ""), ("none", "flagged", ""), ("median,clahe", "failed", "E_IMAGE_SIZE")],
)
def test_a_mosaic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: str, status: str, code: str
) -> None:
    """Local steps run window by window and give the pixels of the whole; global ones are refused by name."""
    pixels = pictures.drawing(300, 400)
    whole = parse_steps(steps).apply(pixels)
    Image.fromarray(pixels).save(tmp_path / "reef.tif", compression="tiff_adobe_deflate")
    for name in ("media.scratch.LARGE_PIXELS", "media.images.MAX_SOURCE_PIXELS", "media.alike.MAX_SOURCE_PIXELS",
                 "pipeline.enhance.MAX_SOURCE_PIXELS", "report.enhanced.DESCRIBED_PIXELS"):  # fmt: skip
        monkeypatch.setattr(f"quadrat.{name}", 50_000)
    ran = enhance(tmp_path / "reef.tif", tmp_path / "out", enhance=steps, tile_size=1024)

    assert (ran.row("reef.tif")["status"], ran.row("reef.tif")["code"]) == (status, code)
    if code:
        assert "the step clahe needs the whole picture" in ran.row("reef.tif")["reason"]
    else:
        made = Image.open(io.BytesIO(ran.body("reef.enhanced.png")))
        assert np.array_equal(np.asarray(made), whole)


def test_killed_and_resumed_is_undisturbed(tmp_path: Path) -> None:
    """At any moment, byte for byte, with the sheet and the tables of a comparison."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"

    def run() -> Order:
        return enhance(source, out, compare="grey-world,clahe")

    copies = states(out, tmp_path / "states", run)
    undisturbed = contents(out)
    assert "before-after.jpg" in undisturbed
    for state in random.Random(9).sample(copies, 4):
        killed_at(out, state)
        assert run().status == 0
        assert undisturbed == contents(out), state.name


def test_a_stream_is_enhanced(tmp_path: Path) -> None:
    """As a video is; its frames are described, and its first frame is in the sheet."""
    film(tmp_path / "a.mp4", swim(6))
    stream = Source("urn:stream:a", "a", "stream", str(tmp_path / "a.mp4"))
    ran = order([], [stream], tmp_path / "out", task="enhance", enhance="clahe")

    assert ran.status == 0, ran.errors
    assert ran.row("a")["status"] in ("ok", "partial")
    assert ran.aspect("before-after.jpg")["rows"] == ["a"]
    assert (tmp_path / "out" / ran.row("a")["product"]).stat().st_size > 1000


def test_on_the_platform_an_order_has_no_model(
    service: Service, double: DataProxy, photos_of: list[bytes]
) -> None:
    """Images come from a queue, products go to the proxy, and no archive is asked for."""
    artifacts = [double.add(body, mime="image/jpeg") for body in photos_of]
    queue = double.queue(artifacts)
    ran = service.order(
        "--task", "enhance", "--enhance", "grey-world", "--images", queue.urn, env=double.environment(ORDER)
    )

    assert ran.status == 0, ran.said
    made = double.delivered()
    stems = [artifact.urn.rsplit(":", 1)[-1] for artifact in artifacts]
    assert list(made) == [
        *(f"{stem}.enhanced.jpg" for stem in stems),
        "survey.csv", "run.json", "before-after.jpg", "images.csv", "enhanced.csv",
    ]  # fmt: skip
    assert {
        aspect["provenance"]["enhance"]
        for name in made
        for aspect in made[name].metadata
        if "provenance" in aspect
    } == {"grey-world"}
    assert (list(queue.waiting), queue.unacked) == ([], {})


@pytest.mark.parametrize("steps", ["median,fusion,stretch", "nlm,udcp,clahe", "bilateral,msrcr"])
def test_odd_pictures(tmp_path: Path, steps: str) -> None:
    """Of any size, of one colour or very long: each is enhanced, keeps its size, and has numbers in the table."""
    folder, random_ = tmp_path / "in", np.random.default_rng(2)
    folder.mkdir()
    for height, width in ((1, 1), (1, 2), (3, 5), (7, 7), (1, 3000), (33, 1)):
        pixels = random_.integers(0, 256, (height, width, 3)).astype(np.uint8)
        (folder / f"{height}x{width}.png").write_bytes(pictures.png(pixels))
    for value in (0, 255):
        (folder / f"plain-{value}.png").write_bytes(pictures.png(np.full((20, 30, 3), value, np.uint8)))
    ran = enhance(folder, tmp_path / "out", enhance=steps)

    assert {row["status"] for row in ran.rows} == {"flagged"}
    for row in ran.table("enhanced.csv"):
        assert (row["width"], row["height"]) == (row["source_width"], row["source_height"])
        assert all(np.isfinite(float(row[name])) for name in row if name.endswith(("_before", "_after")))


def test_every_good_picture_is_enhanced(tmp_path: Path) -> None:
    """Of every format; without a step and without loss, the pixels are those that are measured."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, body in pictures.good_pictures().items():
        (folder / name.replace("/", "-")).write_bytes(body)
    ran = enhance(folder, tmp_path / "out")

    assert not [row["reason"] for row in ran.rows if row["status"] == "failed"]
    delivered = {row["name"]: row["product"] for row in ran.rows if row["product"]}
    assert len(delivered) > 20
    for name, product in delivered.items():
        if not product.endswith(".jpg"):
            before, after = ((tmp_path / "in" / name), (tmp_path / "out" / product))
            pixels = [decode(Blob(path), FrameKey("urn:a"), None).pixels for path in (before, after)]
            assert np.array_equal(*pixels), name
