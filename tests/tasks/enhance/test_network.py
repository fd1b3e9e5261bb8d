"""Tiles of a network that makes pictures: exact where the network's reach is known, whatever the sizes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import EngineMemoryError, EngineRunError, GraphError, ManifestError, ParameterError
from quadrat.package.enhance import EnhanceWords
from quadrat.parameters import TileSettings
from quadrat.tasks.enhance.network import make_network
from quadrat.tasks.enhance.tiles import Tiling
from quadrat.types import OutputSpec
from tests.enhancers import DEPTH, enlarge, enlarger, package_of, runner, task_of

PLAIN = EnhanceWords(scale=2, reach=DEPTH)
RUNS = {stride: runner(enlarger(2, stride=stride)) for stride in (1, 4)}
"""Networks by the multiple that they need."""


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Draw noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=60)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(30, 100), st.sampled_from([1, 4]))
def test_tiles_of_a_convolutional_network_are_the_whole(height, width, tile, stride):
    """Every value is that of one run on the whole picture, for all sizes, also odd ones and those below a tile."""
    words = EnhanceWords(scale=2, reach=DEPTH * stride + stride - 1, multiple=stride, grid=stride)
    pixels = picture(height, width)
    tile = max(tile, 2 * words.reach + 3 * words.grid)
    small = task_of(words, TileSettings(tile_size=tile))
    whole = task_of(words, TileSettings(tile_size=1024))
    found = enlarge(pixels, RUNS[stride], small).pixels
    assert found.shape == (2 * height, 2 * width, 3)
    assert np.array_equal(found, enlarge(pixels, RUNS[stride], whole).pixels)


def test_the_order_of_parts_does_not_matter():
    """Parts of a batch may come in any order, for tiles that are cut and for those that fade."""
    pixels = picture(90, 130)
    for words in (PLAIN, EnhanceWords(scale=2)):
        task = task_of(words, TileSettings(tile_size=64))
        one, two = (enlarge(pixels, RUNS[1], task, order=order).pixels for order in (list, lambda n: n[::-1]))
        assert np.array_equal(one, two)


def test_the_margin_matters():
    """With a reach that is one too small the result differs: the law above is no accident."""
    pixels = picture(144, 144)  # 5 tiles with the least overlap
    whole = enlarge(pixels, RUNS[1], task_of(PLAIN, TileSettings(tile_size=1024))).pixels
    small = EnhanceWords(scale=2, reach=DEPTH - 1)
    assert not np.array_equal(
        enlarge(pixels, RUNS[1], task_of(small, TileSettings(tile_size=32))).pixels, whole
    )


def test_tiles_fade_where_the_network_sees_the_whole():
    """Beside a seam, values differ little more than elsewhere, although each tile has another brightness."""
    pixels = np.repeat(np.linspace(40, 200, 200)[None], 200, 0).astype(np.uint8)[..., None].repeat(3, 2)

    def run(batch):  # a network that darkens bright tiles
        return nearest(batch) - (batch.mean() - 0.5) * 0.5

    def largest_step(words, tiles):
        return np.abs(np.diff(enlarge(pixels, run, task_of(words, tiles)).pixels.astype(int), axis=1)).max()

    faded = largest_step(EnhanceWords(scale=2), TileSettings(tile_size=64, tile_overlap=24))
    cut = largest_step(EnhanceWords(scale=2, reach=0), TileSettings(tile_size=64))
    assert cut >= 15
    assert faded <= 3


@pytest.mark.parametrize("hw", [(1, 1), (1, 40), (33, 47), (64, 48), (65, 49), (200, 130)])
def test_a_fixed_tile(hw):
    """Pictures that are smaller are padded by reflection, and larger ones are cut into tiles that are all exact."""
    size = (64, 48)
    run = runner(enlarger(2, hw=size))
    shape = (1, 3, *size)
    pixels = picture(*hw)
    found = enlarge(pixels, run, task_of(PLAIN, TileSettings(), shape), shape).pixels
    assert found.shape == (2 * hw[0], 2 * hw[1], 3)
    if hw[0] >= size[0] and hw[1] >= size[1]:
        whole = enlarge(pixels, RUNS[1], task_of(PLAIN, TileSettings(tile_size=1024))).pixels
        assert np.array_equal(found, whole)


def test_luma_with_bicubic_chroma():
    """A grey picture stays grey, and one of a single colour keeps it, within the rounding of YCbCr."""
    run = runner(enlarger(3, channels=1, depth=1))
    words = EnhanceWords(order="Y", scale=3, reach=1)
    grey = np.repeat(picture(40, 50)[..., :1], 3, 2)
    found = enlarge(grey, run, task_of(words, TileSettings())).pixels
    assert found.shape == (120, 150, 3)
    assert (found[..., 0] == found[..., 1]).all()
    assert (found[..., 0] == found[..., 2]).all()
    tiled = enlarge(picture(70, 90), run, task_of(words, TileSettings(tile_size=32))).pixels
    assert np.array_equal(tiled, enlarge(picture(70, 90), run, task_of(words, TileSettings())).pixels)


def nearest(batch: np.ndarray) -> np.ndarray:
    """Repeat pixels: a perfect network of scale 2."""
    return batch.repeat(2, 2).repeat(2, 3)


@pytest.mark.parametrize("order", ["RGB", "BGR", "Y"])
@pytest.mark.parametrize("span", [(0, 1), (-1, 1), (0, 255)])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_order_range_and_layout_are_undone(order, span, layout):
    """A network that only repeats pixels gives the picture with repeated pixels, whatever form the archive states."""
    words = EnhanceWords(order, span, span, layout, scale=2, reach=0)
    pixels = picture(9, 12) if order != "Y" else np.repeat(picture(9, 12)[..., :1], 3, 2)
    seen = []

    def run(batch):
        seen.append(batch)
        return nearest(batch) if layout == "NCHW" else nearest(batch).transpose(0, 2, 3, 1)

    found = enlarge(pixels, run, task_of(words, TileSettings())).pixels
    assert np.array_equal(found, pixels.repeat(2, 0).repeat(2, 1))
    assert seen[0].min() >= span[0] - 1e-6
    assert seen[0].max() <= span[1] + 1e-4
    assert seen[0].shape[1] == words.channels


@pytest.mark.parametrize(("shape", "said"), [((2, 3), "scale"), ((1, 4), "4"), ((2, 2), "2")])
def test_an_output_of_another_shape_is_the_networks_fault(shape, said):
    """Wrong scale and wrong channel count are one clear line."""

    def run(batch):
        return np.zeros(
            (1, shape[1], batch.shape[2] * shape[0] + (said == "scale"), batch.shape[3] * shape[0]),
            np.float32,
        )

    with pytest.raises(GraphError, match="which is not a picture of 3 channels and 20 x 16 pixels"):
        enlarge(picture(8, 10), run, task_of(PLAIN, TileSettings()))


def test_nan_fails_the_frame():
    """A frame with NaN is not delivered."""
    with pytest.raises(EngineRunError, match="NaN"):
        enlarge(picture(8, 10), lambda batch: nearest(batch) * np.nan, task_of(PLAIN, TileSettings()))


def test_tiles_that_the_network_cannot_take_are_refused():
    """A tile size below the reach, and one that is not the fixed one, name the parameter."""
    with pytest.raises(ParameterError, match="tiles of 32 pixels are too small") as caught:
        task_of(EnhanceWords(scale=2, reach=20), TileSettings(tile_size=32))
    assert "43" in caught.value.hint
    with pytest.raises(ParameterError, match="takes tiles of 48 x 64 pixels only"):
        task_of(PLAIN, TileSettings(tile_size=128), (1, 3, 64, 48))


def test_transforms_that_contradict_the_entry_are_refused():
    """What reaches the network is what the archive says."""
    package = package_of(PLAIN)
    other = package_of(EnhanceWords(order="BGR", scale=2))
    wrong = type(package)(
        **{name: getattr(package, name) for name in package.__slots__} | {"transforms": other.transforms}
    )
    with pytest.raises(ManifestError, match=r"deploy\.yaml: transforms"):
        make_network(wrong, [OutputSpec("y", "float32", ())], TileSettings())


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        (EnhanceWords(scale=2, reach=4096), None),
        (EnhanceWords(scale=16, multiple=1024, grid=1024), None),
        (EnhanceWords(scale=16, least=1024), None),
        (PLAIN, (1, 3, 65536, 65536)),
        (PLAIN, (10_000, 3, 64, 64)),
    ],
)
def test_an_archive_cannot_make_its_own_trial_fill_the_memory(words, shape):
    """The trial before the first frame is as large as the archive states, so that is limited."""
    with pytest.raises(ManifestError, match="100 million are the most"):
        task_of(words, TileSettings(), shape)


def test_an_output_must_be_named_if_there_are_several():
    """Never the first of several outputs by luck."""
    outputs = [OutputSpec("y", "float32", ()), OutputSpec("z", "float32", ())]
    with pytest.raises(GraphError, match="several outputs"):
        make_network(package_of(PLAIN), outputs, TileSettings())


@pytest.mark.parametrize("stride", [1, 4])
def test_pieces_are_the_whole_when_memory_runs_out(stride):
    """Smaller and smaller pieces are tried, and the outputs are bit-equal to those of one run."""
    words = EnhanceWords(scale=2, reach=DEPTH * stride + stride - 1, multiple=stride, grid=stride)
    task = task_of(words, TileSettings())
    tensor = np.random.default_rng(1).random((3, 160, 200), np.float32)
    tried = []

    def run(piece):
        tried.append(piece.shape[1:])
        if piece.size > 3 * 70 * 70:
            raise EngineMemoryError("too large")
        return {"y": RUNS[stride](piece[None])[0]}

    found = task.in_pieces(tensor, run, EngineMemoryError("first"))["y"]
    assert np.array_equal(found, RUNS[stride](tensor[None])[0])
    count = len(tried)
    task.in_pieces(tensor, run, EngineMemoryError("first"))
    assert len(tried) - count < count  # the second tile begins with the size that fitted


def test_pieces_never_change_a_result():
    """A network that sees the whole tile is not run in pieces, and neither is one of a fixed size."""

    def run(piece):
        raise AssertionError

    for words, shape in ((EnhanceWords(scale=2), None), (PLAIN, (1, 3, 160, 200))):
        with pytest.raises(EngineMemoryError, match="first"):
            task_of(words, TileSettings(), shape).in_pieces(
                np.zeros((3, 160, 200), np.float32), run, EngineMemoryError("first")
            )


def test_pieces_give_up_at_the_least_size():
    """If nothing fits, the first error is raised."""

    def run(piece):
        raise EngineMemoryError("never")

    with pytest.raises(EngineMemoryError, match="first"):
        task_of(PLAIN, TileSettings()).in_pieces(
            np.zeros((3, 64, 64), np.float32), run, EngineMemoryError("first")
        )


@settings(max_examples=300)
@given(
    st.integers(1, 900),
    st.integers(0, 40),
    st.sampled_from([1, 2, 7, 8, 32]),
    st.integers(0, 300),
    st.booleans(),
)
def test_tiles_cover_the_picture_with_their_overlap(side, reach, grid, more, even):
    """Along an axis: first and last at the borders, starts on the grid, and neighbours share what the reach needs."""
    largest = 2 * reach + 3 * grid + more
    tiling = Tiling((largest, largest), 2 * reach, grid, exact=True, even=even)
    windows = tiling.windows((side, 1))
    assert windows[0].top == 0
    assert windows[-1].bottom == side
    assert all(window.top % grid == 0 and window.height <= largest for window in windows)
    assert all(one.bottom - two.top >= 2 * reach and one.top < two.top for one, two in pairwise(windows))
    if even and len(windows) > 1:  # no more than a step of the grid and the overlap is computed twice
        assert sum(window.height for window in windows) <= side + len(windows) * (2 * reach + 4 * grid)
