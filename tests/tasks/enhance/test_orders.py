"""Orders with an archive that makes pictures, from photographs to files."""

from __future__ import annotations

import json
import logging
import tarfile

import av
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from export_model.export import main
from quadrat.cli.describe import main as describe_archive
from quadrat.engines.onnx import OnnxEngine
from quadrat.errors import EngineMemoryError, EngineUnavailableError, GraphError, ParameterError
from quadrat.geometry import HW
from quadrat.job import run_order
from quadrat.media import alike, scratch
from quadrat.media import images as decoding
from quadrat.package.enhance import EnhanceWords
from quadrat.package.write import write_archive
from quadrat.parameters import parse
from quadrat.pipeline.models import load_models
from quadrat.steps import parse_steps
from quadrat.stores.folder import FolderStore
from tests import videos
from tests.enhancers import DEPTH, enlarger, enlarger_archive, runner
from tests.networks import brightness_archive

LOG = logging.getLogger("quadrat.test")
SIZES: dict[str, HW] = {"one": (1, 1), "odd": (37, 51), "wide": (20, 150)}


@pytest.fixture
def images(tmp_path):
    """A folder with pictures of several sizes."""
    folder = tmp_path / "images"
    folder.mkdir()
    for seed, (name, hw) in enumerate(SIZES.items()):
        pixels = np.random.default_rng(seed).integers(0, 256, (*hw, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def run(tmp_path, images, out, archive=None, **values):
    """Run an order, which must succeed, and return the pictures by name and the record of the run."""
    archive = archive or enlarger_archive(tmp_path / "large.tgz")
    values = {"engine": "onnx", "executor": "local", **values}
    outcome = run_order(parse(values), FolderStore(archive, images, tmp_path / out), LOG)
    assert outcome.exit_status == 0, outcome.error
    pictures = {
        name: np.asarray(Image.open(tmp_path / out / "enhanced" / f"{name}.enhanced.png")) for name in SIZES
    }
    return pictures, json.loads((tmp_path / out / "run.json").read_text())


def test_pictures_are_larger_and_their_tiles_do_not_matter(tmp_path, images):
    """Two orders with other tiles give bit-equal pictures, those of the network run on the whole."""
    network = runner(enlarger())
    pictures, record = run(tmp_path, images, "out")
    tiled, other = run(tmp_path, images, "out2", tile_size=32, batch_size=4)
    for name, (height, width) in SIZES.items():
        pixels = np.asarray(Image.open(images / f"{name}.png")).transpose(2, 0, 1)[None]
        levels = np.rint(np.clip(network(pixels.astype(np.float32) / 255)[0], 0, 1) * 255).transpose(1, 2, 0)
        assert pictures[name].shape == (2 * height, 2 * width, 3)
        assert np.abs(pictures[name].astype(int) - levels).max() <= 1
        assert np.array_equal(pictures[name], tiled[name])
    stated = [each["models"][0]["in-force"] for each in (record, other)]
    assert [each["tile-size"] for each in stated] == ["512 x 512", "32 x 32"]
    assert [each["tiles"] for each in stated] == ["exact", "exact"]
    assert stated[0]["tile-overlap"] == 2 * DEPTH


def test_blended_tiles_are_stated_in_the_record(tmp_path, images):
    """Whoever reads run.json knows that tiles were joined by fading."""
    archive = enlarger_archive(tmp_path / "norm.tgz", enlarger(norm=True), EnhanceWords(scale=2))
    _, record = run(tmp_path, images, "out", archive, tile_size=64)
    assert record["models"][0]["in-force"]["tiles"] == "blended"


def test_pictures_of_several_sizes_cause_no_warning_about_scales(tmp_path, images, caplog):
    """That is a warning about measurements."""
    run(tmp_path, images, "out")
    assert "different scales" not in caplog.text


def test_an_archive_of_pictures_is_refused_beside_models_that_measure(tmp_path):
    """The line names both, before anything is measured."""
    archives = [brightness_archive(tmp_path / "a.tgz", name="sand"), enlarger_archive(tmp_path / "b.tgz")]
    with (
        pytest.raises(
            ParameterError, match="'large' makes pictures for people, and 'sand' measures"
        ) as caught,
        load_models(archives, parse({}), LOG),
    ):
        pass
    assert caught.value.where == "models"


def test_super_resolution_is_refused_as_a_step():
    """A model would measure what a network has invented."""
    with pytest.raises(ParameterError, match="invents details"):
        parse_steps("grey-world,super-resolution")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (EnhanceWords(scale=3), "which is not a picture of 3 channels and 24 x 24 pixels"),
        (EnhanceWords(order="Y", scale=2), "the network does not run on a picture of 8 x 8 pixels in Y"),
        (
            EnhanceWords(scale=2, reach=0),
            "a pixel changes the picture 3 pixels away, and the archive states a reach of 0",
        ),
        (
            EnhanceWords(scale=2, reach=DEPTH - 1),
            "a pixel changes the picture 3 pixels away, and the archive states a reach of 2",
        ),
    ],
)
def test_a_wrong_scale_channel_count_or_reach_is_refused_before_the_first_image(tmp_path, words, said):
    """The line is not ONNX Runtime's, and has the code of a network that is at fault."""
    archive = enlarger_archive(tmp_path / "large.tgz", None, words)
    with (
        pytest.raises(GraphError, match=said) as caught,
        load_models([archive], parse({"engine": "onnx"}), LOG),
    ):
        pass
    assert "Pack the network again" in caught.value.hint or "Export" in caught.value.hint


def test_smaller_pieces_when_memory_runs_out_give_the_same_pictures(tmp_path, images, monkeypatch):
    """A tile that does not fit is run in pieces, and nobody sees the difference."""
    expected, _ = run(tmp_path, images, "out")
    once = OnnxEngine.run
    fitted, failed = [], []

    def limited(self, batch, outputs):
        if batch.size > 3 * 30 * 30:
            failed.append(batch.shape)
            raise EngineMemoryError("too large", where="onnx")
        fitted.append(batch.shape)
        return once(self, batch, outputs)

    monkeypatch.setattr(OnnxEngine, "run", limited)
    found, _ = run(tmp_path, images, "out2", batch_size=4)
    assert len(fitted) > len(SIZES)
    again = len(failed)
    run(tmp_path, images, "out3", batch_size=4, tile_size=48)
    assert len(failed) - again <= 4  # of all tiles, only the first is tried whole
    for name in SIZES:
        assert np.array_equal(found[name], expected[name])


def test_memory_that_no_piece_fits_into_fails_the_picture_alone(tmp_path, images, monkeypatch):
    """The other is made."""
    once = OnnxEngine.run

    def limited(self, batch, outputs):
        if batch.shape[2:] not in ((14, 14), (1, 1)):  # the check before the first image, and the least image
            raise EngineMemoryError("too large", where="onnx")
        return once(self, batch, outputs)

    monkeypatch.setattr(OnnxEngine, "run", limited)
    store = FolderStore(enlarger_archive(tmp_path / "large.tgz"), images, tmp_path / "out")
    outcome = run_order(parse({"engine": "onnx", "executor": "local"}), store, LOG)
    assert outcome.exit_status == 0
    assert [path.name for path in sorted((tmp_path / "out" / "enhanced").iterdir())] == ["one.enhanced.png"]
    assert "E_ENGINE_MEMORY" in (tmp_path / "out" / "survey.csv").read_text()


def test_pieces_that_the_network_cannot_take_fail_the_picture_alone(tmp_path, images, monkeypatch):
    """A network that gives another shape for a piece is found out only when memory runs out."""
    once = OnnxEngine.run

    def limited(self, batch, outputs):
        if batch.shape[2:] in ((14, 14), (1, 1)):
            return once(self, batch, outputs)
        if batch.size > 3 * 30 * 30:
            raise EngineMemoryError("too large", where="onnx")
        return {name: array[..., :-1] for name, array in once(self, batch, outputs).items()}

    monkeypatch.setattr(OnnxEngine, "run", limited)
    store = FolderStore(enlarger_archive(tmp_path / "large.tgz"), images, tmp_path / "out")
    assert run_order(parse({"engine": "onnx", "executor": "local"}), store, LOG).exit_status == 0
    assert [path.name for path in (tmp_path / "out" / "enhanced").iterdir()] == ["one.enhanced.png"]
    assert "E_ENGINE_MEMORY" in (tmp_path / "out" / "survey.csv").read_text()


def test_an_isolated_order_gives_the_same_pictures(tmp_path, images):
    """The network runs in a child, and nothing else changes."""
    local, _ = run(tmp_path, images, "out", tile_size=32)
    isolated, _ = run(tmp_path, images, "out2", tile_size=32, executor="isolated")
    for name in SIZES:
        assert np.array_equal(local[name], isolated[name])


def test_a_video_gets_larger_frames(tmp_path):
    """Its frames are as many as before, and twice as large."""
    folder = tmp_path / "videos"
    folder.mkdir()
    videos.write(folder / "a.mp4", [np.full((48, 64, 3), 40 * n, np.uint8) for n in range(5)])
    store = FolderStore(enlarger_archive(tmp_path / "large.tgz"), folder, tmp_path / "out", moving=True)
    outcome = run_order(parse({"engine": "onnx", "executor": "local"}), store, LOG)
    assert outcome.exit_status == 0, outcome.error
    with av.open(str(tmp_path / "out" / "video" / "a.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [frame.shape for frame in frames] == [(96, 128, 3)] * 5


def test_a_map_that_becomes_larger_says_what_it_lost(tmp_path, images):
    """Its position belongs to the small pixels."""
    for path in images.iterdir():
        path.unlink()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550], tags.tagtype[33550] = (0.5, 0.5, 0.0), 12
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(images / "map.tif", tiffinfo=tags)
    store = FolderStore(enlarger_archive(tmp_path / "large.tgz"), images, tmp_path / "out")
    assert run_order(parse({"engine": "onnx", "executor": "local"}), store, LOG).exit_status == 0
    with Image.open(tmp_path / "out" / "enhanced" / "map.enhanced.tif") as larger:
        assert 33550 not in larger.tag_v2
    assert "place on the map" in (tmp_path / "out" / "enhanced.csv").read_text()


@pytest.mark.parametrize("depth", [3, 9])
def test_an_engine_is_refused_if_the_reach_was_changed_after_packing(tmp_path, depth):
    """The self-test alone would agree: it is the whole picture of a small input."""
    (tmp_path / "net.onnx").write_bytes(enlarger(2, depth=depth))
    archive = tmp_path / "net.tgz"
    assert main(["--onnx", str(tmp_path / "net.onnx"), "--task", "enhance", "--save-path", str(archive)]) == 0
    with tarfile.open(archive) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    meta = json.loads(members["meta.json"])
    assert meta["enhance"]["reach"] == depth
    meta["enhance"]["reach"] = depth - 1
    write_archive({**members, "meta.json": json.dumps(meta).encode()}, archive)
    with (
        pytest.raises(EngineUnavailableError, match=f"a pixel changes the result {depth} pixels away"),
        load_models([archive], parse({}), LOG),
    ):
        pass


def test_describing_an_archive_of_pictures_names_no_classes(tmp_path, capsys):
    """It has none, and what it states is listed."""
    assert describe_archive([str(enlarger_archive(tmp_path / "large.tgz"))]) == 0
    said = capsys.readouterr().out
    assert "classes" not in said
    assert "scale: 2" in said


def test_a_mosaic_is_made_from_its_tiles(tmp_path, images, monkeypatch):
    """A map too large to decode at once gives the pixels that it gives when it is decoded."""
    for path in images.iterdir():
        path.unlink()
    pixels = np.random.default_rng(0).integers(0, 256, (130, 170, 3), np.uint8)
    Image.fromarray(pixels).save(images / "map.tif")
    found = []
    for out, limit in (("whole", 10**8), ("mosaic", 10**4)):
        monkeypatch.setattr(decoding, "MAX_SOURCE_PIXELS", limit)
        monkeypatch.setattr(alike, "MAX_SOURCE_PIXELS", limit)
        monkeypatch.setattr(scratch, "LARGE_PIXELS", limit)
        store = FolderStore(enlarger_archive(tmp_path / "large.tgz"), images, tmp_path / out)
        outcome = run_order(parse({"engine": "onnx", "executor": "local", "tile_size": 64}), store, LOG)
        assert outcome.exit_status == 0
        (path,) = (tmp_path / out / "enhanced").iterdir()
        with Image.open(path) as larger:
            found.append(np.asarray(larger))
    assert found[0].shape == (260, 340, 3)
    assert np.array_equal(*found)
