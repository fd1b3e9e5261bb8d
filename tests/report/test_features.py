"""features.npz of whole orders: the vectors of pictures and frames, with a network whose answers are known."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quadrat import job
from quadrat.parameters import parse
from quadrat.report import columns, features
from quadrat.stores.folder import FolderStore
from tests import videos
from tests.networks import brightness_archive, colour_archive
from tests.results import aspect
from tests.test_job import rows_of

LOG = logging.getLogger("test")
COLOURS = {"a": (255, 0, 0), "b": (0, 128, 0), "c": (10, 20, 20)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures, each of one colour."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in COLOURS.items():
        Image.fromarray(np.full((6, 8, 3), colour, np.uint8)).save(folder / f"{name}.png")
    return folder


def run(model: Path | list[Path], sources: Path, out: Path, *, moving: bool = False, **settings: object):
    """Run an order, and return its exit status."""
    store = FolderStore(model, sources, out, moving=moving)
    return job.run_order(parse({"executor": "local", **settings}), store, LOG).exit_status


def expected(colour: tuple[int, int, int]) -> np.ndarray:
    """Return the direction of a colour."""
    return np.array(colour) / np.linalg.norm(colour)


def test_pictures(tmp_path, photos):
    """Each picture has its vector, of length 1, and no box."""
    assert run(colour_archive(tmp_path / "m.tgz"), photos, tmp_path / "out") == 0

    with np.load(tmp_path / "out" / "features.npz") as found:
        assert found["names"].tolist() == ["a.png", "b.png", "c.png"]
        assert found["vectors"].dtype == np.float32
        assert found["vectors"] == pytest.approx(np.array([expected(c) for c in COLOURS.values()]), abs=1e-6)
        assert found["frames"].tolist() == [0, 0, 0]
        assert np.isnan(found["times"]).all()
        assert found["boxes"].shape == (3, 4)
        assert np.isnan(found["boxes"]).all()
        assert found["tracks"].tolist() == [-1, -1, -1]
    metadata = aspect(tmp_path / "out", "features.npz")
    assert (metadata["kind"], metadata["rows"], metadata["dimension"], metadata["metric"]) == (
        "features", 3, 3, "cosine",
    )  # fmt: skip


def test_a_batch_changes_nothing_and_two_runs_give_the_same_bytes(tmp_path, photos):
    """Also after a run that was continued."""
    model = colour_archive(tmp_path / "m.tgz")
    for out, batch in (("one", 1), ("eight", 8), ("one", 1)):
        assert run(model, photos, tmp_path / out, batch_size=batch) == 0

    found = [(tmp_path / out / "features.npz").read_bytes() for out in ("one", "eight")]
    assert found[0] == found[1]


@pytest.mark.parametrize("broken", [False, True])
def test_a_vector_without_direction_fails_alone(tmp_path, photos, broken):
    """A black picture gives zeros, or 0 / 0: its row has the code, and its vector is not stored."""
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(photos / "black.png")
    assert run(colour_archive(tmp_path / "m.tgz", broken=broken), photos, tmp_path / "out") == 0

    rows = {row["name"]: (row["status"], row["code"]) for row in rows_of(tmp_path / "out")}
    assert rows["black.png"] == ("failed", "E_VECTOR")
    assert rows["a.png"] == ("flagged", "")
    with np.load(tmp_path / "out" / "features.npz") as found:
        assert found["names"].tolist() == ["a.png", "b.png", "c.png"]
        assert np.isfinite(found["vectors"]).all()


def test_videos(tmp_path, monkeypatch):
    """Each frame has its vector and time, also in a video whose columns go to a file; no video is drawn."""
    monkeypatch.setattr(columns, "CHUNK_FRAMES", 2)
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    videos.write(folder / "clip.mp4", videos.frames(5))
    assert run(colour_archive(tmp_path / "m.tgz"), folder, out, moving=True) == 0

    with np.load(out / "features.npz") as found:
        assert found["frames"].tolist() == [0, 1, 2, 3, 4]
        assert set(found["names"].tolist()) == {"clip.mp4"}
        assert np.diff(found["times"]).min() > 0
        assert np.linalg.norm(found["vectors"], axis=1) == pytest.approx(1)
    assert not (out / "video").exists()


@pytest.mark.parametrize("block", [1, 2, 4096])
def test_sources_of_several_rows_keep_their_names(tmp_path, monkeypatch, block):
    """However many rows are written at a time, and whatever the names are."""
    monkeypatch.setattr(features, "BLOCK", block)
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    for name in ("clip", "a longer name", "größer"):
        videos.write(folder / f"{name}.mp4", videos.frames(3))
    assert run(colour_archive(tmp_path / "m.tgz"), folder, out, moving=True) == 0

    with np.load(out / "features.npz") as found:
        assert sorted(set(found["names"].tolist())) == ["a longer name.mp4", "clip.mp4", "größer.mp4"]
        assert found["frames"].tolist() == [0, 1, 2] * 3
        assert found["tracks"].tolist() == [-1] * 9
        assert np.isnan(found["boxes"]).all()


def test_beside_a_model_without_vectors(tmp_path, photos):
    """The file has the label of its model; the other has none."""
    models = [brightness_archive(tmp_path / "s.tgz"), colour_archive(tmp_path / "m.tgz")]
    assert run(models, photos, tmp_path / "out") == 0

    assert [path.name for path in (tmp_path / "out").glob("*features.npz")] == ["colour.features.npz"]
