"""One order from archive and folder to delivered products, with a network whose answers are known."""

from __future__ import annotations

import csv
import io
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from quadrat import job
from quadrat.errors import DeliveryError, EngineRunError
from quadrat.executors.local import LocalExecutor
from quadrat.pipeline.facts import facts_of
from quadrat.pipeline.models import Pass, load_models
from quadrat.stores.folder import FolderStore
from quadrat.types import Product, Source
from tests import pictures, results
from tests.networks import argmax_archive, brightness_archive
from tests.values import settings_of

LOG = logging.getLogger("test")


def half(height: int = 40, width: int = 60, bright: int = 15) -> np.ndarray:
    """Draw a picture whose first `bright` columns are white and the rest black."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, :bright] = 255
    return pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two sites, equal base names, a broken picture, a marker and a text."""
    root = tmp_path / "images"
    for site, bright in (("a", 15), ("b", 30)):
        (root / site).mkdir(parents=True)
        (root / site / "q1.png").write_bytes(pictures.png(half(bright=bright)))
    (root / "b" / "broken.jpg").write_bytes(pictures.truncated(pictures.jpeg()))
    (root / "b" / "page.jpg").write_text("<html>503</html>")
    (root / ".ivcap-q1.png.txt").write_text("md5|urn")
    (root / "notes.txt").write_text("windy")
    return root


def run(model: Path, images: Path, out: Path, **settings: object) -> tuple[int, list[dict[str, str]]]:
    """Run an order and read its table."""
    outcome = job.run_order(settings_of(**settings), FolderStore(model, images, out), LOG)
    return outcome.exit_status, rows_of(out)


def rows_of(out: Path) -> list[dict[str, str]]:
    """Read the table in a folder of results, if there is one."""
    table = out / "survey.csv"
    return list(csv.DictReader(io.StringIO(table.read_text()))) if table.exists() else []


def test_every_image_is_accounted_for_once(tmp_path: Path, folder: Path) -> None:
    """ok, failed and skipped images are all rows, with their reasons, and the order succeeds."""
    status, rows = run(brightness_archive(tmp_path / "m.tgz"), folder, tmp_path / "out")

    assert status == 0
    assert {
        ".ivcap-q1.png.txt": "E_NOT_IMAGE", "a/q1.png": "", "b/broken.jpg": "E_IMAGE_TRUNCATED",
        "b/page.jpg": "E_IMAGE_FORMAT", "b/q1.png": "", "notes.txt": "E_NOT_IMAGE",
    } == {r["name"]: r["code"] for r in rows}  # fmt: skip
    assert ["0.250000", "0.500000"] == [r["cover"] for r in rows if r["class"] == "seagrass"]
    assert ["mask/a/q1.pseudo.png", "mask/b/q1.pseudo.png"] == [
        r["product"] for r in rows if r["class"] == "seagrass"
    ]


def test_the_mask_is_an_8_bit_palette_picture_of_classes(tmp_path: Path, folder: Path) -> None:
    """Index = class, colours are the archive's, width and height are not swapped, cover is exact."""
    run(brightness_archive(tmp_path / "m.tgz"), folder / "a", tmp_path / "out")
    with Image.open(tmp_path / "out" / "mask" / "q1.pseudo.png") as mask:
        assert (mask.mode, mask.size) == ("P", (60, 40))
        assert mask.getpalette()[:6] == [200, 180, 120, 0, 200, 0]
        np.testing.assert_array_equal(half()[..., 0] // 255, np.asarray(mask))
    aspect = results.aspect(tmp_path / "out", "q1.pseudo.png")
    assert (60, 40, 60, 40) == tuple(aspect[k] for k in ("width", "height", "source-width", "source-height"))
    assert [(0.75, 1800), (0.25, 600)] == [(c["cover"], c["pixels"]) for c in aspect["cover"]]
    assert aspect["mean-confidence"] > 0.9


def test_all_outputs_are_delivered_on_request(tmp_path: Path, folder: Path) -> None:
    """pseudo, labels, confidence and overlay, each with an aspect of its own."""
    outputs = ("pseudo", "labels", "confidence", "overlay")
    run(brightness_archive(tmp_path / "m.tgz"), folder / "a", tmp_path / "out", outputs=outputs)
    names = set(results.files(tmp_path / "out"))

    for name in ("q1.pseudo.png", "q1.labels.png", "q1.confidence.png", "q1.overlay.jpg", "survey.csv"):
        assert {name, f"{name}-meta.json"} <= names
    with Image.open(tmp_path / "out" / "labels" / "q1.labels.png") as labels:
        np.testing.assert_array_equal(half()[..., 0] // 255, np.asarray(labels))


def test_two_runs_give_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    """Same image, model and settings: same mask, picture and table."""
    model = brightness_archive(tmp_path / "m.tgz")
    for out in ("one", "two"):
        run(model, folder, tmp_path / out, outputs=("pseudo", "overlay", "confidence"))

    one, two = (results.contents(tmp_path / out) for out in ("one", "two"))
    equal = [name for name in one if not name.startswith("meta/")]  # which has the place
    assert {name: one[name] for name in equal} == {name: two[name] for name in equal}


@pytest.mark.parametrize("batch", [2, 8])
def test_batches_change_nothing(tmp_path: Path, folder: Path, batch: int) -> None:
    """Batch 1 and batch n give the same masks and rows in the same order, with mixed sizes among the images."""
    for number, (height, width) in enumerate([(40, 60), (40, 60), (30, 50), (40, 60), (1, 1), (60, 40)]):
        (folder / f"m{number}.png").write_bytes(pictures.png(half(height, width, width // 2)))
    model = brightness_archive(tmp_path / "m.tgz")
    one = run(model, folder, tmp_path / "one")
    many = run(model, folder, tmp_path / "many", batch_size=batch)

    assert one == many
    made = list((tmp_path / "one").rglob("*.png"))
    assert made
    for path in made:
        assert path.read_bytes() == (tmp_path / "many" / path.relative_to(tmp_path / "one")).read_bytes()


def test_stop_ends_at_the_first_failure_and_accounts_for_the_rest(tmp_path: Path, folder: Path) -> None:
    """on-error=stop delivers what was measured, names the rest not-reached, and fails the order."""
    status, rows = run(brightness_archive(tmp_path / "m.tgz"), folder, tmp_path / "out", on_error="stop")

    assert status == 5
    assert ["skipped", "flagged", "flagged", "failed", "not-reached", "not-reached"] == [
        r["status"] for r in rows
    ]


def test_max_failures_ends_the_order(tmp_path: Path, folder: Path) -> None:
    """One failure is allowed, the second ends the order."""
    model = brightness_archive(tmp_path / "m.tgz")
    assert run(model, folder, tmp_path / "a", max_failures=2)[0] == 0
    assert run(model, folder, tmp_path / "b", max_failures=1)[0] == 5


def test_an_order_that_measured_nothing_fails(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All images bad, or none at all: a non-zero status, one line, and the table with the reasons."""
    (folder / "b" / "q1.png").unlink()
    model = brightness_archive(tmp_path / "m.tgz")
    status, rows = run(model, folder / "b", tmp_path / "bad")
    (tmp_path / "empty").mkdir()
    nothing, none = run(model, tmp_path / "empty", tmp_path / "none")

    assert (5, ["failed", "failed"]) == (status, [r["status"] for r in rows])
    assert (5, []) == (nothing, none)
    assert ["E_ALL_FAILED", "E_NO_IMAGES"] == [
        r.message.split()[0] for r in caplog.records if r.levelno == logging.ERROR
    ]


@pytest.mark.parametrize(
    ("name", "moving", "text"),
    [
        ("dive.mp4", False, "1 of them videos. For videos give --videos"),
        ("notes.txt", False, "; 1 file was skipped. Give a folder or collection with JPEG"),
        ("notes.txt", True, "; 1 file was skipped. Give a folder or collection with videos"),
    ],
)
def test_where_only_other_files_are_given_the_line_names_what_takes_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, moving: bool, text: str
) -> None:
    """For videos given as images it names their parameter; a text is neither."""
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / name).write_text("")
    store = FolderStore(brightness_archive(tmp_path / "m.tgz"), tmp_path / "given", tmp_path, moving=moving)

    assert job.run_order(settings_of(), store, LOG).exit_status == 5
    assert text in caplog.messages[-1]


def test_failures_are_called_what_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A stream that cannot be reached is no video, and one is not many."""
    cameras = [Source(f"urn:stream:{n}", f"cam-{n}", "stream", f"ftp://{n}") for n in range(2)]
    model = brightness_archive(tmp_path / "m.tgz")
    for given, policy, text in (
        (cameras[:1], settings_of(), "nothing could be measured: 1 stream failed. See survey.csv"),
        (cameras, settings_of(), "nothing could be measured: 2 streams failed. See survey.csv"),
        (cameras, settings_of(on_error="stop"), "stopped at the first stream that failed, E_STREAM"),
        (cameras, settings_of(max_failures=0), "1 stream failed, and max-failures is 0. See survey.csv"),
    ):
        store = FolderStore(model, given, tmp_path / text, moving=True)
        assert job.run_order(policy, store, LOG).exit_status == 5
        assert text in caplog.messages[-1]


def test_a_label_outside_the_classes_fails_the_order(tmp_path: Path, folder: Path) -> None:
    """The model contradicts itself: no mask is delivered, and the table has the reason."""
    one_class = [{"id": "urn:a", "name": "sand", "def_color": [0, 0, 0]}]
    status, rows = run(argmax_archive(tmp_path / "m.tgz", classes=one_class), folder / "a", tmp_path / "out")

    assert status == 3
    assert [("not-reached", "E_STOPPED")] == [(r["status"], r["code"]) for r in rows]
    assert "E_MODEL_CLASSES" in rows[0]["reason"]


def test_channels_unequal_to_classes_fail_before_any_image(tmp_path: Path, folder: Path) -> None:
    """Three classes for two channels are refused when the model is loaded."""
    three = [{"id": f"urn:{n}", "name": n, "def_color": [0, 0, 0]} for n in "abc"]

    assert (3, []) == run(brightness_archive(tmp_path / "m.tgz", classes=three), folder, tmp_path / "out")


def test_a_failed_delivery_ends_the_order_with_its_own_status(tmp_path: Path, folder: Path) -> None:
    """What cannot be delivered is not reported as done."""

    class Full(FolderStore):
        """A store whose disk fills up at the second product."""

        delivered = 0

        def deliver(self, product: Product) -> str:
            """Deliver all but the second."""
            self.delivered += 1
            if self.delivered == 2:
                raise DeliveryError("the disk is full", where=product.name)
            return super().deliver(product)

    store = Full(brightness_archive(tmp_path / "m.tgz"), folder, tmp_path / "out")

    assert job.run_order(settings_of(), store, LOG).exit_status == 6
    assert store.delivered == 6, "two products, one of them refused, and the tables"
    assert ["flagged", "not-reached"] == [
        row["status"] for row in rows_of(tmp_path / "out") if row["name"] in ("a/q1.png", "b/q1.png")
    ][1:]


def test_images_are_acknowledged_after_their_products(tmp_path: Path, folder: Path) -> None:
    """A queue's item is released only once its mask is out, and a failed one once it is recorded."""
    events: list[str] = []

    class Watched(FolderStore):
        """A store that writes down what is asked of it."""

        def deliver(self, product: Product) -> str:
            """Deliver and note."""
            events.append(product.name)
            return super().deliver(product)

        def acknowledge(self, source: object) -> None:
            """Note."""
            events.append(f"ack {source.name}")  # type: ignore[attr-defined]

    job.run_order(
        settings_of(), Watched(brightness_archive(tmp_path / "m.tgz"), folder, tmp_path / "out"), LOG
    )

    assert events.index("mask/a/q1.pseudo.png") < events.index("ack a/q1.png")
    assert "ack b/broken.jpg" in events
    assert events[-4:] == ["survey.csv", "run.json", "images.csv", "totals.csv"]


def test_unknown_is_a_class_of_its_own_under_a_floor(tmp_path: Path) -> None:
    """Pixels under min-confidence are index 255 in the mask and counted as unknown; covers still sum to 1."""
    grey = np.full((10, 20, 3), 128, np.uint8)
    grey[:, :5] = 255
    (tmp_path / "grey.png").write_bytes(pictures.png(grey))
    _, rows = run(
        brightness_archive(tmp_path / "m.tgz"), tmp_path / "grey.png", tmp_path / "out", min_confidence=0.9
    )

    assert {"sand": "0.000000", "seagrass": "0.250000", "unknown": "0.750000"} == {
        r["class"]: r["cover"] for r in rows
    }
    with Image.open(tmp_path / "out" / "mask" / "grey.pseudo.png") as mask:
        assert {1, 255} == set(np.unique(np.asarray(mask)).tolist())


def test_result_size_source_gives_the_images_own_size(tmp_path: Path) -> None:
    """The mask is as large as the photograph even where it was measured smaller."""
    (tmp_path / "big.png").write_bytes(pictures.png(half(400, 600, 150)))
    model = brightness_archive(tmp_path / "m.tgz")
    _, small = run(model, tmp_path / "big.png", tmp_path / "w", max_img_size=60_000)
    _, large = run(model, tmp_path / "big.png", tmp_path / "s", max_img_size=60_000, result_size="source")

    assert ("300", "600") == (small[0]["width"], large[0]["width"])
    assert "0.250000" == small[1]["cover"] == large[1]["cover"]


def test_the_benchmark_setting_logs_machine_settings_and_times(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Benchmark works with what is installed (the original needed a package that nothing installed)."""
    caplog.set_level(logging.INFO)
    status, _ = run(
        brightness_archive(tmp_path / "m.tgz"), folder, tmp_path / "out", benchmark=True, model_name="reef-7"
    )
    lines = [r.message for r in caplog.records if r.message.startswith("benchmark")]

    assert status == 0
    assert any("reef-7" in line for line in lines)
    assert any("ms per image: read" in line and "infer" in line for line in lines)


class Clocked:
    """An engine that moves a clock: half a second for each warm-up, then 50 ms for each run. The third warm-up fails."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.runs, self.now = 0, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def run(self, *args: Any) -> Any:
        """Let time pass and run."""
        self.runs += 1
        if self.runs == 3:
            raise EngineRunError("out of memory")
        self.now += 0.5 if self.runs < 3 else 0.05
        return self._inner.run(*args)


def test_the_benchmark_counts_only_what_counts(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warm-up runs are in no stage's time, and a first batch that fails ends nothing."""
    caplog.set_level(logging.INFO)
    settings = settings_of(benchmark=True)
    archive = brightness_archive(tmp_path / "m.tgz")
    with load_models([archive], settings, LOG) as models:
        (model,) = models.values()
        engine: Any = Clocked(model.engine)
        for room in ("chain", "batches", "workers"):
            monkeypatch.setattr(f"quadrat.pipeline.{room}.perf_counter", lambda: engine.now)
        facts = facts_of(models, "urn:order", ["urn:m"], moving=False)
        executor = LocalExecutor(Pass([replace(model, engine=engine)]), facts, moving=False)
        store = FolderStore(archive, folder, tmp_path / "out")
        with store.ledger() as ledger:
            ledger.begin({})
            job.Order(settings, store, LOG, executor, ledger).run(ledger.folder)
    (line,) = [r.message for r in caplog.records if "ms per image" in r.message]
    times = {word.split()[0]: float(word.split()[1]) for word in line.split(": ")[1].split(", ")}

    assert 50 == times["infer"]
    assert {"read", "infer", "task", "deliver"} == set(times)


def test_a_fault_of_ours_still_delivers_the_table(tmp_path: Path, folder: Path) -> None:
    """Whatever ends an order, what was measured is listed and the rest is not-reached."""

    class Broken(FolderStore):
        """A store with a fault."""

        def acknowledge(self, source: Source) -> None:
            """Fail after the first image that was measured."""
            if source.name == "a/q1.png":
                raise ZeroDivisionError("odd")

    store = Broken(brightness_archive(tmp_path / "m.tgz"), folder, tmp_path / "out")
    with pytest.raises(ZeroDivisionError, match="odd"):
        job.run_order(settings_of(), store, LOG)

    assert [
        (".ivcap-q1.png.txt", "skipped"), ("a/q1.png", "flagged"), ("a/q1.png", "flagged"),
        ("b/broken.jpg", "not-reached"), ("b/page.jpg", "not-reached"), ("b/q1.png", "not-reached"),
    ] == [(row["name"], row["status"]) for row in rows_of(tmp_path / "out")]  # fmt: skip
    assert "the order ended before it: ZeroDivisionError" == rows_of(tmp_path / "out")[-1]["reason"]


def test_a_signal_in_the_middle_of_a_delivery_loses_no_source(tmp_path: Path, folder: Path) -> None:
    """The source in hand has a row with the reason, and what was not reached has one: none is missing from the table."""

    class Interrupted(FolderStore):
        """A store that is interrupted at its second product."""

        delivered = 0

        def deliver(self, product: Product) -> str:
            """Deliver, or end."""
            self.delivered += 1
            if self.delivered == 2:
                raise SystemExit(143)
            return super().deliver(product)

    store = Interrupted(brightness_archive(tmp_path / "m.tgz"), folder, tmp_path / "out")
    with pytest.raises(SystemExit):
        job.run_order(settings_of(), store, LOG)
    rows = rows_of(tmp_path / "out")
    first, second = (next(r for r in rows if r["name"] == name) for name in ("a/q1.png", "b/q1.png"))

    assert first["status"] == "flagged"  # it is small
    assert second["status"] == "not-reached"
    assert "while it was delivered" in second["reason"]
