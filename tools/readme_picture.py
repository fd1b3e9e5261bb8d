"""Draw the pictures for README and guides from the results of the examples.

python tools/readme_picture.py [FOLDER]
python tools/readme_picture.py --photograph BOXES.tgz MASKS.tgz PHOTO [FOLDER]: the picture of a photograph, with two
    archives that are not part of the project.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from predictor import Labels, Measurement, Objects, Predictor
from quadrat.cli.commands import main as main_of_quadrat
from quadrat.transforms.tiles import plan

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
DETECTOR = EXAMPLES / "models" / "rectangles.tgz"
CLASSIFIER = EXAMPLES / "models" / "fire-tiny.tgz"
SCENES = ("fire/scene-00049.jpg", "no-fire/scene-00043.jpg")
"""Scenes that are labelled; the first is looked for among all."""
SHEET = 940
"""Width of the sheet of before and after, in pixels."""
WIDTH = 560
"""Width of each half of a picture, in pixels."""
FRAMES = (5, 40)
"""Frames of reef-1.mp4: before the rock and behind it."""
TILE, OVERLAP = 400, 80
SHOWN = (450, 300, 780, 590)
"""Part of the scene that shows the seam: left, top, right, bottom."""
LEFT, RIGHT = (225, 105, 0), (110, 30, 180)
"""Colours of the two tiles."""


def cover() -> Image.Image:
    """Draw a quadrat beside its overlay."""
    with Predictor(EXAMPLES / "models" / "seagrass-tiny.tgz") as predictor:
        (measured,) = predictor.predict(EXAMPLES / "images" / "site-a" / "quadrat-02.jpg")
    if not isinstance(measured, Measurement):
        raise TypeError(f"the example model gave {measured}")
    after = measured.overlay()
    before = Image.new("RGB", after.size, "white")
    before.paste(Image.fromarray(measured.pixels))
    return beside(before, after)


def frames() -> list[Objects]:
    """Measure a video from its start and return the frames FRAMES."""
    with Predictor(DETECTOR) as predictor:
        found = list(islice(predictor.video(EXAMPLES / "videos" / "reef-1.mp4"), max(FRAMES) + 1))
    return [one for one in (found[index] for index in FRAMES) if isinstance(one, Objects)]


def seam() -> Image.Image:
    """Draw the objects found in two neighbouring tiles, each tile in its colour, beside the merged result."""
    scene = EXAMPLES / "scenes" / "reef-flat.png"
    pixels = Image.open(scene).convert("RGB")
    before = Image.blend(pixels, Image.new("RGB", pixels.size, "white"), 0.65)
    pen = ImageDraw.Draw(before)
    windows = plan((pixels.height, pixels.width), TILE, OVERLAP)
    left, right = [window for window in windows if window.top > 0 and window.left > 0]
    for color, tile, edge, inset in ((LEFT, left, left.right, 0), (RIGHT, right, right.left, 5)):
        pen.line([(edge, 0), (edge, pixels.height)], fill=color, width=2)
        for x0, y0, x1, y1 in boxes(pixels.crop((tile.left, tile.top, tile.right, tile.bottom))):
            first = x0 + tile.left + inset, y0 + tile.top + inset
            last = x1 + tile.left - inset - 1, y1 + tile.top - inset - 1
            pen.rectangle((first, last), outline=color, width=3)
    with Predictor(DETECTOR, settings={"tile-size": TILE, "tile-overlap": OVERLAP}) as predictor:
        (found,) = predictor.predict(scene)
    if not isinstance(found, Objects):
        raise TypeError(f"the example detector gave {found}")
    return beside(before.crop(SHOWN), found.annotated().crop(SHOWN))


def boxes(picture: Image.Image) -> Iterator[Sequence[float]]:
    """Yield the boxes found in one tile on its own."""
    with tempfile.TemporaryDirectory() as folder, Predictor(DETECTOR) as predictor:
        path = Path(folder) / "tile.png"
        picture.save(path)
        for found in predictor.predict(path):
            if isinstance(found, Objects):
                yield from found.detections.boxes.tolist()


def enhanced() -> Image.Image:
    """Enhance quadrats by several steps and return the sheet of before and after."""
    words = ["--compare", "lab-grey-world+clahe,fusion"]
    sheet = made(["enhance", str(EXAMPLES / "images" / "site-a"), *words], "before-after.jpg")
    return sheet.resize((SHEET, round(sheet.height * SHEET / sheet.width)), Image.Resampling.LANCZOS)


def labelled() -> Image.Image:
    """Draw scenes beside their labels."""
    with Predictor(CLASSIFIER) as predictor:
        found = [one for name in SCENES for one in predictor.predict(EXAMPLES / "fires" / name)]
    return beside(*(one.labelled() for one in found if isinstance(one, Labels)))


def found() -> Image.Image:
    """Look for a scene among the others and return the contact sheet."""
    with tempfile.TemporaryDirectory() as folder:
        made(["run", str(CLASSIFIER), str(EXAMPLES / "fires"), "--index"], "index.tgz", Path(folder))
        words = ["search", f"{folder}/index.tgz", str(EXAMPLES / "fires" / SCENES[0])]
        return made([*words, "--model", str(CLASSIFIER), "--max-results", "4"], "results.jpg")


def made(words: Sequence[str], name: str, out: Path | None = None) -> Image.Image:
    """Run a command of quadrat and return a picture of its results; an index gives an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        if main_of_quadrat([*words, "-o", str(out or folder)]):
            raise RuntimeError(f"quadrat {' '.join(words)} failed")
        path = (out or Path(folder)) / name
        return Image.open(path).copy() if path.suffix == ".jpg" else Image.new("RGB", (1, 1))


def beside(*pictures: Image.Image) -> Image.Image:
    """Put pictures of the same size side by side, with a white line between them."""
    rows: list[NDArray[np.uint8]] = []
    for picture in pictures:
        size = WIDTH, round(picture.height * WIDTH / picture.width)
        rows += [np.asarray(picture.resize(size, Image.Resampling.LANCZOS))]
    line = np.full((rows[0].shape[0], 8, 3), 255, np.uint8)
    return Image.fromarray(np.concatenate([part for row in rows for part in (line, row)][1:], axis=1))


def photograph(boxes_model: Path, masks_model: Path, photo: Path) -> Image.Image:
    """Draw the objects and the classes of a photograph side by side."""
    shown = []
    for model in (boxes_model, masks_model):
        with Predictor(model) as predictor:
            (found,) = predictor.predict(photo)
        if isinstance(found, Objects):
            shown.append(found.annotated())
        elif isinstance(found, Measurement):
            shown.append(found.overlay())
    left = Image.new("RGB", shown[1].size, "white")
    left.paste(shown[0])
    return beside(left, shown[1])


def main() -> None:
    """Write all pictures, or that of a photograph."""
    words = sys.argv[1:]
    if words[:1] == ["--photograph"]:
        models_and_photo, rest = [Path(word) for word in words[1:4]], words[4:]
        folder = Path(rest[0]) if rest else ROOT / "docs" / "images"
        photograph(*models_and_photo).save(folder / "photograph.jpg", quality=85)
        return
    folder = Path(words[0]) if words else ROOT / "docs" / "images"
    first, later = frames()
    pictures = {
        "example": cover(),
        "objects": beside(Image.fromarray(first.pixels), first.annotated()),
        "tracks": beside(first.annotated(), later.annotated()),
        "seam": seam(),
        "enhanced": enhanced(),
        "labelled": labelled(),
        "found": found(),
    }
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.jpg", quality=85)


if __name__ == "__main__":
    main()
