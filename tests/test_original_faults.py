"""Each fault that was found in the original service, as a test that would fail if it came back.

Numbers are those of the list of faults found by reading (R1 to R13) and by running (B1 to B14).
"""

from __future__ import annotations

import csv
import io
import logging
import re
import tempfile
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from quadrat import job
from quadrat.errors import DeviceError, QuadratError
from quadrat.media.images import decode
from quadrat.package import open_archive
from quadrat.parameters import PARAMETERS, parse
from quadrat.pipeline.models import load_models
from quadrat.platforms.arguments import add_arguments
from quadrat.stores.folder import FolderStore
from quadrat.types import Blob, FrameKey, Product, Source
from tests import archives, pictures, results
from tests.networks import argmax_archive, brightness_archive, brightness_onnx
from tests.values import settings_of

ROOT = Path(__file__).resolve().parent.parent
LOG = logging.getLogger("test")


def half(height: int = 40, width: int = 60) -> np.ndarray:
    """Draw a picture whose left quarter is white and the rest black."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 4] = 255
    return pixels


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with one picture."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "q.png").write_bytes(pictures.png(half()))
    return folder


def run(model: Path, images: Path, **settings: object) -> tuple[int, list[dict[str, str]], Path]:
    """Run an order; give its status, its rows and the folder of products."""
    out = model.parent / "out"
    status = job.run_order(parse(settings), FolderStore(model, images, out), LOG).exit_status
    table = out / "survey.csv"
    rows = list(csv.DictReader(io.StringIO(table.read_text()))) if table.exists() else []
    return status, rows, out


def test_r1_b1_width_and_height_are_not_swapped(tmp_path: Path, images: Path) -> None:
    """A 60 x 40 picture reports width 60 and height 40."""
    *_, out = run(brightness_archive(tmp_path / "m.tgz"), images)
    aspect = results.aspect(out, "q.pseudo.png")

    assert (60, 40) == (aspect["width"], aspect["height"])


def test_r2_b3_a_shrunk_image_is_not_compressed_again(photo_5mp: Path) -> None:
    """The pixels measured are those of the photograph, resized once and never through a JPEG."""
    body = photo_5mp.read_bytes()
    frame = decode(Blob(body), FrameKey("x"), 1_000_000)
    with Image.open(io.BytesIO(body)) as picture:
        full = np.asarray(picture.convert("RGB"))
    height, width = frame.pixels.shape[:2]

    np.testing.assert_array_equal(
        cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA), frame.pixels
    )


def test_r3_b2_nothing_is_left_in_the_temp_folder(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither shrunk copies nor the unpacked model stay behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    model = brightness_archive(tmp_path / "m.tgz")
    status, *_ = run(model, images, **{"max-img-size": "0.0005MP"})

    assert (0, []) == (status, list(scratch.iterdir()))


def test_r4_b8_images_of_two_sizes_share_an_order(tmp_path: Path, images: Path) -> None:
    """batch-size 2 with unequal sizes gives both masks."""
    (images / "r.png").write_bytes(pictures.png(half(30, 80)))
    status, rows, _ = run(brightness_archive(tmp_path / "m.tgz"), images, **{"batch-size": 2})

    assert (0, ["0.250000", "0.250000"]) == (status, [r["cover"] for r in rows if r["class"] == "seagrass"])


def test_r5_b9_images_stream(tmp_path: Path, images: Path) -> None:
    """The first mask is out long before the last image is fetched, so nothing grows with the collection."""
    for number in range(20):
        (images / f"s{number:02}.png").write_bytes(pictures.png(half()))
    events: list[str] = []

    class Watched(FolderStore):
        """A store that notes what is fetched and delivered."""

        @contextmanager
        def pull(self, source: Source) -> Iterator[Blob]:
            """Note and give."""
            events.append("pull")
            with super().pull(source) as blob:
                yield blob

        def deliver(self, product: Product) -> str:
            """Note and deliver."""
            events.append("deliver")
            return super().deliver(product)

    model = brightness_archive(tmp_path / "m.tgz")
    assert job.run_order(settings_of(), Watched(model, images, tmp_path / "out"), LOG).exit_status == 0
    assert events[: events.index("deliver")].count("pull") <= 8


@pytest.mark.parametrize("name", ["../../escaped.txt", "/tmp/quadrat-escaped.txt"])
def test_r6_b7_an_archive_cannot_write_outside(tmp_path: Path, images: Path, name: str) -> None:
    """A member that leaves its folder fails the order, and is nowhere written."""
    files = archives.contents(network=("model.onnx", brightness_onnx()), params=None)
    model = archives.build(tmp_path / "m.tgz", files, extra=[archives.Entry(name, b"x")])

    assert run(model, images)[0] == 3
    assert not (tmp_path / "escaped.txt").exists()
    assert not Path("/tmp/quadrat-escaped.txt").exists()


def test_b7_yaml_runs_no_code(tmp_path: Path, images: Path) -> None:
    """A tag that would build a Python object is refused."""
    files = archives.contents(files={"deploy.yaml": b"Deploy: !!python/object/apply:os.system ['true']"})

    assert run(archives.build(tmp_path / "m.tgz", files), images)[0] == 3


@pytest.mark.parametrize("classes", [archives.ABSENT, None, []])
def test_r7_b4_an_archive_without_classes_still_gives_covers(
    tmp_path: Path, images: Path, classes: object
) -> None:
    """Missing, null or empty classes are counted by number."""
    model = argmax_archive(tmp_path / "m.tgz", classes=classes, model={"type": "Tiny"})
    status, rows, _ = run(model, images)

    assert (0, [("class 0", "0.750000"), ("class 1", "0.250000")]) == (
        status,
        [(r["class"], r["cover"]) for r in rows],
    )


def test_b4_a_class_without_colour_shifts_no_other(tmp_path: Path, images: Path) -> None:
    """Class 1 keeps its colour where class 0 has none."""
    classes = [
        {"id": "urn:a", "name": "a", "def_color": []},
        {"id": "urn:b", "name": "b", "def_color": [1, 2, 3]},
    ]
    *_, out = run(brightness_archive(tmp_path / "m.tgz", classes=classes), images)
    with Image.open(results.product(out, "q.pseudo.png")) as mask:
        assert mask.getpalette()[3:6] == [1, 2, 3]


def test_r8_b11_auto_tune_is_a_parameter_that_works_or_refuses(tmp_path: Path, images: Path) -> None:
    """use-trt with enable-auto-tune ends in a clear error where there is no GPU, not an AttributeError."""
    model = brightness_archive(tmp_path / "m.tgz")
    asked = parse({"device": "gpu", "use-trt": True, "enable-auto-tune": True})

    with pytest.raises(QuadratError) as caught, load_models([model], asked, LOG):
        pass
    assert isinstance(caught.value, DeviceError)


def test_r9_b6_a_network_that_cannot_be_read_fails_the_order(tmp_path: Path, images: Path) -> None:
    """A corrupt graph is a non-zero status with one line (the original exited 0, or died of SIGSEGV)."""
    model = archives.build(
        tmp_path / "m.tgz", archives.contents(network=("model.pdmodel", b"\x00garbage" * 99))
    )

    assert run(model, images)[0] == 3


def test_r9_b9_one_bad_image_does_not_end_the_order(tmp_path: Path, images: Path) -> None:
    """A truncated JPEG and a stray text are rows; the good image is measured."""
    (images / "broken.jpg").write_bytes(pictures.truncated(pictures.jpeg()))
    (images / "stray.txt").write_text("hello")
    status, rows, _ = run(brightness_archive(tmp_path / "m.tgz"), images)

    assert (0, {"flagged", "failed", "skipped"}) == (status, {r["status"] for r in rows})


def test_r10_b12_image_and_images_are_both_declared() -> None:
    """--image is a parameter of its own, not an abbreviation that happens to work."""
    assert {"image", "images"} <= {p.name for p in PARAMETERS}


def test_r10_a_png_is_delivered_as_a_png(tmp_path: Path, images: Path) -> None:
    """The mime type is the picture's own."""
    mimes: dict[str, str] = {}

    class Watched(FolderStore):
        """A store that notes mime types."""

        def deliver(self, product: Product) -> str:
            """Note."""
            mimes[product.name] = product.mime
            return super().deliver(product)

    job.run_order(
        settings_of(), Watched(brightness_archive(tmp_path / "m.tgz"), images, tmp_path / "out"), LOG
    )
    assert mimes["mask/q.pseudo.png"] == "image/png"


def test_r11_an_exported_model_keeps_its_scores(tmp_path: Path) -> None:
    """The example model, exported here, gives labels, confidence and logits."""
    package = open_archive(ROOT / "examples" / "models" / "seagrass-tiny.tgz", tmp_path)

    assert {"labels", "confidence", "logits"} <= set(package.outputs)


def test_r12_b11_benchmark_needs_nothing_that_is_not_installed(tmp_path: Path, images: Path) -> None:
    """The benchmark setting runs."""
    assert run(brightness_archive(tmp_path / "m.tgz"), images, benchmark=True)[0] == 0


def test_r13_the_sdk_is_pinned_from_the_registry() -> None:
    """No requirement follows a branch of somebody's repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [
        line for extra in project["optional-dependencies"].values() for line in extra
    ]

    assert any(line.startswith("ivcap-sdk-service==") for line in lines)
    assert not [line for line in lines if re.search(r"git\+|@ ", line)]


@pytest.mark.parametrize("missing", ["meta.json", "deploy.yaml"])
def test_b5_a_missing_manifest_is_named(tmp_path: Path, missing: str) -> None:
    """The error says which file the archive lacks."""
    model = archives.build(tmp_path / "m.tgz", archives.contents(files={missing: archives.ABSENT}))

    with pytest.raises(QuadratError, match=re.escape(missing)):
        open_archive(model, tmp_path)


def test_b5_files_in_one_top_folder_are_found(tmp_path: Path, images: Path) -> None:
    """An archive of a folder is as good as one of its files."""
    files = archives.contents(network=("model.onnx", brightness_onnx()), params=None)

    assert run(archives.build(tmp_path / "m.tgz", files, top="my-model/"), images)[0] == 0


@pytest.mark.parametrize(
    "transforms",
    [
        [{"type": "Padding", "target_size": [96, 80]}, {"type": "Normalize"}],
        [{"type": "Resize", "target_size": [120, 80]}, {"type": "Normalize"}],
        [
            {"type": "ResizeByLong", "long_size": 120},
            {"type": "Padding", "target_size": [128, 128]},
            {"type": "Normalize"},
        ],
    ],
)
def test_b10_padding_and_resize_are_undone(
    tmp_path: Path, images: Path, transforms: list[dict[str, object]]
) -> None:
    """The mask has the image's size, and padding is in no cover."""
    status, rows, out = run(brightness_archive(tmp_path / "m.tgz", transforms=transforms), images)
    with Image.open(results.product(out, "q.pseudo.png")) as mask:
        np.testing.assert_array_equal(half()[..., 0] // 255, np.asarray(mask))

    assert (0, "0.250000") == (status, rows[1]["cover"])


@pytest.mark.parametrize(
    ("values", "expected"), [({"max-img-size": 0}, 2), ({"device": "gpu"}, 4), ({"with-argmax": True}, 2)]
)
def test_b11_what_cannot_be_done_is_refused(
    tmp_path: Path, images: Path, values: dict[str, object], expected: int
) -> None:
    """Size 0, a GPU that is not here and argmax of an argmax are errors of their own, never a crash or a CPU run."""
    try:
        status = run(argmax_archive(tmp_path / "m.tgz"), images, **values)[0]
    except QuadratError as error:
        status = error.exit_status

    assert status == expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("limit", [-1, 1000])
def test_b13_an_image_is_upright_shrunk_or_not(orientation: int, limit: int) -> None:
    """EXIF orientation is applied the same way whether the image is shrunk or not."""
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :30] = 255
    frame = decode(Blob(pictures.oriented(upright, orientation)), FrameKey("x"), limit)
    height, width = frame.pixels.shape[:2]

    assert (40, 60) == frame.source_hw
    assert height < width
    assert frame.pixels[height // 4, width // 4].min() > 200
    assert frame.pixels[3 * height // 4, 3 * width // 4].max() < 50


def test_b14_a_model_without_argmax_is_measured(tmp_path: Path, images: Path) -> None:
    """Scores are decided here, whatever the graph ends in."""
    files = archives.contents(network=("model.onnx", brightness_onnx(("logits",))), params=None)
    status, rows, _ = run(archives.build(tmp_path / "m.tgz", files), images)

    assert (0, "0.250000") == (status, rows[1]["cover"])


def test_b14_equal_base_names_give_two_products(tmp_path: Path, images: Path) -> None:
    """The second image does not overwrite the first."""
    (images / "sub").mkdir()
    (images / "sub" / "q.png").write_bytes(pictures.png(half()))
    *_, out = run(brightness_archive(tmp_path / "m.tgz"), images)

    assert {"q.pseudo.png", "sub/q.pseudo.png"} == {
        str(path.relative_to(out / "mask")) for path in out.rglob("*.png")
    }


def test_b14_the_help_tells_the_true_default() -> None:
    """The help shows for device the default that an order without it uses."""
    device = next(p for p in PARAMETERS if p.name == "device")
    help_text = " ".join(add_arguments(ArgumentParser()).format_help().split())

    assert device.default == parse({}).engine.device == "cpu"
    assert f"{device.help} One of cpu, gpu. [cpu]" in help_text


def test_b14_the_makefile_names_files_that_exist() -> None:
    """The example model and images of the Makefile are in the repository, in that very spelling."""
    text = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"examples/[\w./-]+", text))

    assert named
    assert [] == [name for name in named if not (ROOT / name.rstrip("/.")).exists()]
