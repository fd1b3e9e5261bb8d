from __future__ import annotations

import cv2
import numpy as np
import pytest

from examples.draw_quadrats import CLASSES, COLORS, EXAMPLES, FRAME, SEAGRASS, draw
from tests.examples.conftest import EXAMPLES_FOLDER


def test_a_seed_determines_the_drawing():
    """The same seed gives the same pixels and mask, another seed different ones."""
    first, again, other = draw(5, (160, 200)), draw(5, (160, 200)), draw(6, (160, 200))
    assert (first.pixels == again.pixels).all()
    assert (first.mask == again.mask).all()
    assert (first.mask != other.mask).any()
    assert first.pixels.shape == (160, 200, 3)
    assert first.mask.shape == (160, 200)


def test_density_and_frame_determine_the_mask():
    """Density 0 gives no grass, a higher density more grass, and the frame is drawn only if requested."""
    bare = draw(1, (300, 300), density=0, frame=False)
    assert not bare.mask.any()
    shares = [(draw(1, (300, 300), density=d, frame=False).mask == SEAGRASS).mean() for d in (0.1, 0.5, 1)]
    assert shares == sorted(shares)
    assert shares[-1] > 0.3
    assert (draw(1, (300, 300), density=0.5, frame=True).mask == FRAME).mean() > 0.03


def test_classes_have_colours():
    """Every class has a name and a distinct colour."""
    assert len(CLASSES) == len(set(COLORS)) == 3


@pytest.mark.parametrize(("name", "seed", "hw", "density"), EXAMPLES)
def test_the_example_images_are_these_drawings(name, seed, hw, density):
    """Each JPEG has over one megapixel, is a small file, and equals the drawing up to JPEG losses."""
    path = EXAMPLES_FOLDER / "images" / name
    stored = cv2.imread(str(path))[:, :, ::-1]
    assert stored.shape[:2] == hw
    assert hw[0] * hw[1] > 1_000_000
    assert path.stat().st_size <= 400_000
    drawn = draw(seed, hw, density=density, frame=True).pixels
    error = np.mean((stored.astype(np.float32) - drawn) ** 2)
    assert 10 * np.log10(255**2 / error) > 25


def test_the_examples_have_equal_names_in_two_folders():
    """Two images share their base name, so that a run shows that products do not collide."""
    names = [name.rpartition("/")[2] for name, *_ in EXAMPLES]
    assert len(set(names)) == len(names) - 1
    stored = {
        p.relative_to(EXAMPLES_FOLDER / "images").as_posix()
        for p in (EXAMPLES_FOLDER / "images").rglob("*.jpg")
    }
    assert stored == {name for name, *_ in EXAMPLES}
