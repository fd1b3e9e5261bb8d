"""Orders on the local disk: from a command line to files."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import pictures, results
from tests.service.run import TINY, Service, ServiceProcess, rows, statuses
from tests.waiting import wait_until

SCHEMA = "urn:ibenthos:schema:paddle.seg.inference.1"


def aspect(path: Path) -> dict:
    """Read the metadata of a product, given as a file of the folder of results."""
    return results.aspect(path.parent, path.name)


def check_whole(folder: Path) -> list[str]:
    """Check that every product is whole and has its metadata beside it, and that there is nothing else; give their names."""
    names = {str(path.relative_to(folder)) for path in results.paths(folder)}
    products = {n for n in names if not n.endswith("-meta.json")}
    assert names == products | {f"{n}-meta.json" for n in products}
    for name in products:
        metadata = json.loads((folder / f"{name}-meta.json").read_text())
        assert metadata["$entity"] == f"urn:{(folder / name).as_uri()}"
        if name.endswith((".png", ".jpg")):
            with Image.open(folder / name) as picture:
                picture.load()
        else:
            assert (folder / name).read_text()
    return sorted(products)


def test_one_image_as_the_readme_has_it(process: ServiceProcess, photos: list[bytes]) -> None:
    """`--model M --image I --ivcap:in-dir . --ivcap:out-dir D`, all relative, in the folder of the files."""
    (process.folder / "model.tgz").write_bytes(TINY.read_bytes())
    (process.folder / "quadrat.jpg").write_bytes(photos[0])

    words = (
        "--model",
        "model.tgz",
        "--image",
        "quadrat.jpg",
        "--ivcap:in-dir",
        ".",
        "--ivcap:out-dir",
        "out",
    )
    before = set(process.folder.iterdir())
    ran = process.run_bare(*words)

    assert ran.status == 0, ran.said
    assert check_whole(process.out) == [
        "images.csv",
        "quadrat.pseudo.png",
        "run.json",
        "survey.csv",
        "totals.csv",
    ]
    said = aspect(process.out / "quadrat.pseudo.png")
    assert said["$schema"] == SCHEMA
    assert said["image"] == f"urn:{(process.folder / 'quadrat.jpg').as_uri()}"
    assert said["model"] == f"urn:{(process.folder / 'model.tgz').as_uri()}"
    assert said["order"] == "urn:ivcap:order:00000000-0000-0000-0000-000000000000"
    assert sum(c["pixels"] for c in said["cover"]) == said["width"] * said["height"] == 96 * 128
    assert set(process.folder.iterdir()) == before
    assert ran.left == []


@pytest.mark.parametrize("option", ["--image", "--images"])
@pytest.mark.parametrize("write", [Path.as_uri, str])
def test_other_ways_to_name_the_files(service: Service, photos: list[bytes], option, write) -> None:
    """Absolute paths and file:// URLs, for one image given either way; a space in the name is no trouble."""
    photo = service.folder / "in" / "a quadrat.jpg"
    photo.write_bytes(photos[0])
    name = write(photo)

    ran = service.run("--model", write(TINY), option, name, cwd=service.tmp)

    assert ran.status == 0, ran.said
    assert check_whole(service.out) == [
        "a-quadrat.pseudo.png",
        "images.csv",
        "run.json",
        "survey.csv",
        "totals.csv",
    ]
    assert aspect(service.out / "a-quadrat.pseudo.png")["image"] == f"urn:{photo.as_uri()}"


def test_a_folder_with_all_that_lies_in_folders(service: Service, photos: list[bytes]) -> None:
    """Images of all sub-folders in order of name; everything else is a row that says why it was skipped."""
    images = service.folder / "in"
    for name, body in {
        "b/one.jpg": photos[0], "a/one.jpg": photos[1], "a/two.JPG": photos[2], "a/.ivcap-one.jpg.txt": b"md5|urn",
        "notes.txt": b"windy", "b/.hidden.jpg": photos[0], "b/broken.jpg": photos[0][:700],
    }.items():  # fmt: skip
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).write_bytes(body)

    ran = service.run("--model", TINY, "--images", images, "--batch-size", "2")

    assert ran.status == 0, ran.said
    table = rows(service.out / "survey.csv")
    assert list(dict.fromkeys(r["name"] for r in table)) == [
        "a/.ivcap-one.jpg.txt", "a/one.jpg", "a/two.JPG", "b/.hidden.jpg", "b/broken.jpg", "b/one.jpg", "notes.txt",
    ]  # fmt: skip
    assert statuses(service.out / "survey.csv") == [
        "skipped", "flagged", "flagged", "skipped", "failed", "flagged", "skipped",
    ]  # fmt: skip
    assert {r["name"]: r["code"] for r in table if r["code"]} == {
        "a/.ivcap-one.jpg.txt": "E_NOT_IMAGE", "b/.hidden.jpg": "E_NOT_IMAGE", "notes.txt": "E_NOT_IMAGE",
        "b/broken.jpg": "E_IMAGE_TRUNCATED",
    }  # fmt: skip
    assert all(r["reason"] for r in table if r["status"] != "ok")
    assert check_whole(service.out) == [
        "images.csv", "one-2.pseudo.png", "one.pseudo.png", "run.json", "survey.csv", "totals.csv", "two.pseudo.png",
    ]  # fmt: skip
    stems = ("one", "one-2")
    assert ["a/one.jpg", "b/one.jpg"] == [
        aspect(service.out / f"{stem}.pseudo.png")["image-name"] for stem in stems
    ]
    assert "Traceback" not in ran.said
    assert ran.left == []


def test_real_photographs_and_a_real_archive(
    service: Service, photo_small, photo_5mp, archive_pdmodel
) -> None:
    """Two real quadrats through the original's archive: sizes, masks and cover fit together."""
    for photo in (photo_small, photo_5mp):
        (service.folder / "in" / photo.name).symlink_to(photo)

    words = ("--outputs", "pseudo,labels")
    ran = service.run("--model", archive_pdmodel, "--images", service.folder / "in", *words)

    assert ran.status == 0, ran.said
    for stem, source, size in (("576", [2560, 2048], [1118, 894]), ("quadrant", [657, 667], [657, 667])):
        said = aspect(service.out / f"{stem}.pseudo.png")
        assert [said["source-width"], said["source-height"]] == source
        assert [said["width"], said["height"]] == size
        with Image.open(results.product(service.out, f"{stem}.pseudo.png")) as picture:
            assert picture.mode == "P"
            labels = np.asarray(picture)
        assert labels.shape == (size[1], size[0])
        counted = np.bincount(labels.ravel(), minlength=len(said["cover"]))
        assert counted.tolist() == [c["pixels"] for c in said["cover"]]
    assert 0.3 < aspect(service.out / "576.pseudo.png")["cover"][1]["cover"] < 0.7
    assert ran.left == []


def test_a_full_disk(process: ServiceProcess) -> None:
    """Where a product finds no room the order fails in one line, and nothing is left half written."""
    noise = np.random.default_rng(0).integers(0, 255, (1000, 1000, 3), np.uint8)
    (process.folder / "in" / "a.png").write_bytes(pictures.png(noise))

    words = (
        "--model",
        TINY,
        "--images",
        process.folder / "in",
        "--outputs",
        "labels,overlay",
        "--executor",
        "local",
    )
    ran = process.run(*words, largest=600_000)

    assert ran.status == 6, ran.said
    (line,) = ran.errors
    assert line.startswith("E_DELIVERY ")
    assert "a.overlay.jpg" in line
    assert "disk is full" in line
    assert "Traceback" not in ran.said
    assert check_whole(process.out) == [
        "a.labels.png", "images.csv", "run.json", "survey.csv", "totals.csv",
    ]  # fmt: skip
    assert ran.left == []


def test_terminated_in_the_middle(process: ServiceProcess) -> None:
    """SIGTERM ends the run with another status than 0, with no half product and an empty TMPDIR."""
    body = pictures.jpeg(pictures.drawing(900, 1100))
    for number in range(60):
        (process.folder / "in" / f"{number:02}.jpg").write_bytes(body)

    words = ("--ivcap:in-dir", ".", "--ivcap:out-dir", process.out)
    started = process.start("--model", TINY, "--images", process.folder / "in", *words)
    wait_until((process.out / "01.pseudo.png").exists, "two products")
    started.send_signal(signal.SIGTERM)
    ran = process.finish(started)

    assert ran.status == 128 + signal.SIGTERM, ran.said
    assert 2 <= len(check_whole(process.out)) < 60
    assert ran.left == []
