"""Real orders: equal result digests give equal masks, and a size given on purpose is in force."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat import job
from quadrat.parameters import SETTINGS
from quadrat.stores.folder import FolderStore
from tests import pictures, videos
from tests.detectors import detector_archive
from tests.parameters.values import changed
from tests.values import settings_of

LOG = logging.getLogger("test")
WITHOUT_EFFECT = [each for each in SETTINGS if not each.shapes_result]
OTHERS = {"outputs": ("labels", "overlay"), "model_name": "reef", "batch_size": 3, "cpu_threads": 1}
"""Values of these parameters that change as much as they can."""


MODEL = Path(__file__).parents[2] / "examples" / "models" / "seagrass-tiny.tgz"
"""A small network with real convolutions, which threads and batches could change."""


def order(model: Path, given: Path, out: Path, *, moving: bool = False, **settings: Any) -> Path:
    """Run an order to its end and give the folder of its products."""
    outcome = job.run_order(settings_of(**settings), FolderStore(model, given, out, moving=moving), LOG)
    assert outcome.error is None
    return out


def masks(out: Path) -> dict[str, bytes]:
    """Give the label masks of an order by name."""
    return {path.name: path.read_bytes() for path in out.rglob("*.labels.png")}


def digests(out: Path) -> set[str]:
    """Give the result digests in the metadata of an order's products."""
    aspects = [json.loads(path.read_text("utf-8")) for path in out.rglob("*-meta.json")]
    return {each["provenance"]["result-digest"] for each in aspects if "provenance" in each}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four noisy pictures, so that a batch is full and one that is not follows."""
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(3).integers(0, 256, (4, 120, 160, 3), np.uint8)
    for number, pixels in enumerate(noise):
        (folder / f"q{number}.png").write_bytes(pictures.png(pixels))
    return folder


@pytest.fixture(scope="module")
def usual(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The products of an order with defaults, as masks of labels."""
    return order(MODEL, photos, tmp_path_factory.mktemp("usual"), outputs=("labels",))


def test_orders_with_equal_result_digests_give_equal_masks(photos: Path, usual: Path, tmp_path: Path) -> None:
    """Logs, failures, names, threads and batches may differ: the metadata says so, and the masks do not."""
    other = order(
        MODEL, photos, tmp_path / "other", outputs=("labels",), print_detail=True, max_failures=3,
        model_name="reef", benchmark=True, cpu_threads=1, batch_size=3,
    )  # fmt: skip

    assert digests(usual) == digests(other)
    assert len(digests(usual)) == 1
    assert len(masks(usual)) == 4
    assert masks(usual) == masks(other)


@pytest.mark.parametrize("executor", ["local", "isolated"])
def test_auto_changes_no_mask(
    photos: Path, usual: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    """Values that are tried, and those that are remembered: the masks are the usual ones, and the record says which."""
    monkeypatch.setenv("QUADRAT_CACHE_DIR", str(tmp_path / "cache"))
    for number, remembered in enumerate((False, True)):
        other = order(
            MODEL, photos, tmp_path / f"auto{number}", outputs=("labels",), executor=executor,
            batch_size="auto", cpu_threads="auto", tuning_seconds=3.0,
        )  # fmt: skip
        assert masks(usual) == masks(other)
        assert digests(usual) == digests(other)
        record = json.loads((other / "run.json").read_text("utf-8"))
        (tuning,) = record["tuning"]
        assert tuning["remembered"] is remembered
        assert tuning["tried"]
        assert record["in-force"]["batch-size"] == tuning["batch-size"]
        assert (other / "tuning.csv").read_text("utf-8").count("\n") == len(tuning["tried"]) + 1
        assert (other / "tuning.png").exists()


@pytest.mark.parametrize("values", [{"min_confidence": 0.9}, {"tile_size": 64}], ids=str)
def test_a_value_that_shapes_results_changes_the_digest(
    photos: Path, usual: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    """Who compares two orders sees that their masks may differ."""
    other = order(MODEL, photos, tmp_path / "other", outputs=("labels",), **values)
    assert digests(usual).isdisjoint(digests(other))
    assert masks(usual) != masks(other)


STILL = [each for each in WITHOUT_EFFECT if not each.media and (not each.tasks or "segment" in each.tasks)]


@pytest.mark.parametrize("parameter", STILL, ids=lambda p: p.name)
def test_a_value_that_shapes_no_result_leaves_masks_alone(
    photos: Path, usual: Path, tmp_path: Path, parameter: Any
) -> None:
    """Each by itself, on images."""
    values = {"outputs": ("labels",), parameter.field: OTHERS.get(parameter.field, changed(parameter))}
    other = order(MODEL, photos, tmp_path / "other", **values)
    assert masks(usual) == masks(other)
    assert digests(usual) == digests(other)


MOVING = [each for each in WITHOUT_EFFECT if "video" in each.media]


def test_values_for_videos_that_shape_no_result_leave_numbers_alone(tmp_path: Path) -> None:
    """The codec of the drawn video, and how many videos are read side by side."""
    dives = tmp_path / "dives"
    dives.mkdir()
    for name in ("a", "b"):
        videos.write(dives / f"{name}.mp4", videos.frames(6))
    cases: list[dict[str, Any]] = [{}, *({each.field: changed(each)} for each in MOVING)]
    made = [
        order(MODEL, dives, tmp_path / f"out{n}", moving=True, **values) for n, values in enumerate(cases)
    ]
    tables = [(out / "cover.csv").read_bytes() for out in made]

    assert [each.name for each in MOVING] == ["sources-at-once", "codec"]
    assert tables[0].count(b"\n") > 12
    assert [tables[0]] * len(made) == tables
    assert len({digest for out in made for digest in digests(out)}) == 1


@pytest.mark.parametrize(
    ("values", "in_force"), [({}, None), ({"max_img_size": 1_000_000}, 1_000_000)], ids=str
)
def test_a_size_given_to_a_detector_is_in_force(
    tmp_path: Path, values: dict[str, int], in_force: int | None
) -> None:
    """1000000 given on purpose shrinks a detector's large image; left out, the image keeps its size."""
    (tmp_path / "photos").mkdir()
    pixels = np.full((1100, 1200, 3), 114, np.uint8)
    pixels[300:700, 400:900] = (250, 20, 20)
    (tmp_path / "photos" / "large.png").write_bytes(pictures.png(pixels))
    out = order(detector_archive(tmp_path / "m.tgz"), tmp_path / "photos", tmp_path / "out", **values)
    run = json.loads((out / "run.json").read_text("utf-8"))

    assert values.get("max_img_size") == run["settings"]["max-img-size"]
    assert in_force == run["in-force"]["max-img-size"]
    aspect = json.loads((out / "meta" / "large.annotated.jpg-meta.json").read_text("utf-8"))
    assert (aspect["source-width"], aspect["source-height"]) == (1200, 1100)
