"""Every command and every piece of Python in README and guides does what it says."""

from __future__ import annotations

import csv
import fnmatch
import io
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tests.classifiers import color_archive
from tests.enhancers import enlarger
from tests.moving import RECTANGLES, order
from tests.service.run import Service

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", *sorted(f"docs/guide/{page.name}" for page in (ROOT / "docs" / "guide").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    """Give the code blocks of one language on all pages."""
    return [body for page in PAGES for lang, body in BLOCK.findall((ROOT / page).read_text()) if lang == kind]


def commands() -> list[str]:
    """Give the shell lines of all pages, without comments."""
    return [
        line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines() if line.strip()
    ]


MAKE = sorted({line for line in commands() if line.startswith("make ")})
SERVICE = [line for line in commands() if "infer_service.py" in line]
IVCAP = [line for line in commands() if line.startswith("ivcap ")]
QUADRAT = [line for line in commands() if line.startswith("quadrat ")]
INSTALL = {"python3 -m venv .venv", ".venv/bin/python -m pip install '.[pack]'", ". .venv/bin/activate"}
PROCESSES = 3
"""Commands of the service, and blocks of Python, that run as a process; the others run in this one."""


def test_every_command_is_one_that_is_tested_here() -> None:
    """A command of a new kind needs a test of its own."""
    left = [
        line
        for line in commands()
        if line not in MAKE + SERVICE + QUADRAT + IVCAP
        and line not in INSTALL
        and not line.startswith("mkdir -p DATA/")
    ]

    assert [] == left
    assert SERVICE
    assert len(MAKE) >= 12
    assert len(QUADRAT) >= 15


def test_what_is_installed_has_the_command() -> None:
    """pyproject.toml installs the command, export_model, the fonts with their licence, and the extra `pack`."""
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, packing = described["project"], described["tool"]["setuptools"]
    included = packing["packages"]["find"]["include"]
    assert project["scripts"] == {"quadrat": "quadrat.cli:start"}
    assert any("onnx" in line for line in project["optional-dependencies"]["pack"])
    for package in ("quadrat", "quadrat.cli", "quadrat.render", "export_model"):
        assert any(fnmatch.fnmatch(package, pattern) for pattern in included)
        assert (ROOT / package.replace(".", "/") / "__init__.py").is_file()
    data = [
        path.name for glob in packing["package-data"]["quadrat"] for path in (ROOT / "quadrat").glob(glob)
    ]
    assert sorted(data) == ["DejaVuSans.ttf", "LICENSE-DejaVuSans.txt"]
    assert not any(fnmatch.fnmatch(name, pattern) for name in ("tests", "examples") for pattern in included)


def test_the_command_runs_as_written(
    tmp_path: Path, kernels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line of `quadrat`, in the order of the pages, in a folder with a reader's own files and our examples."""
    from quadrat.cli.commands import main

    _own_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUADRAT_CACHE_DIR", str(kernels))
    for name in ("quadrat", "service"):
        log = logging.getLogger(name)
        for attribute in ("handlers", "propagate", "level"):
            monkeypatch.setattr(log, attribute, getattr(log, attribute))
    for line in QUADRAT:
        words = [
            each
            for word in shlex.split(line)[1:]
            for each in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
        ]
        status = main(words)
        said = "".join(capsys.readouterr())
        assert status == 0, f"{line}: {said}"
        if words[:2] == ["pack", "--onnx"]:
            assert "best.onnx" not in line or "layout: yolov8" in said
        if words[0] == "verify":
            assert "agrees" in said
        if words[0] == "run" and "-o" in words:
            assert list(Path(words[words.index("-o") + 1]).rglob("survey.csv")), line


def _own_files(folder: Path) -> None:
    """Put what the pages call a reader's own into a folder: networks, archives, photographs and a video."""
    (folder / "examples").symlink_to(ROOT / "examples")
    for own, example in (("reef", "seagrass-tiny"), ("best", "rectangles")):
        with tarfile.open(ROOT / "examples" / "models" / f"{example}.tgz") as archive:
            network = archive.extractfile("model.onnx")
            assert network is not None
            (folder / f"{own}.onnx").write_bytes(network.read())
    for own in ("fish", "detector"):
        shutil.copy(ROOT / "examples" / "models" / "rectangles.tgz", folder / f"{own}.tgz")
    color_archive(folder / "species.tgz", ("wallaby", "possum", "fox"), name="species", on="objects")
    (folder / "photo-x4.onnx").write_bytes(enlarger(4))
    shutil.copytree(ROOT / "examples" / "images" / "site-a", folder / "photos")
    shutil.copy(ROOT / "examples" / "videos" / "reef-1.mp4", folder / "dive.mp4")


@pytest.mark.process
@pytest.mark.parametrize("line", MAKE)
def test_make_targets_exist(line: str) -> None:
    """Make knows each target, and CI runs the two that the README opens with."""
    done = subprocess.run(
        [*shlex.split(line), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_ci_runs_the_readmes_own_commands() -> None:
    """The examples, and both parts of make test-all, are what .ci/run runs."""
    script = (ROOT / ".ci" / "run").read_text()

    assert [] == [
        name for name in ("make run", "make test", "make test-extras", "make check") if name not in script
    ]


def words_of(line: str) -> list[str]:
    """Return the words of a command of the service, without the folder of results at its end."""
    words = shlex.split(line)
    assert words[0] == ".venv/bin/python"
    assert words[-2] == "--ivcap:out-dir"
    assert words[-1].startswith("DATA/")
    return words[1:-2]


def run_as_process(line: str, out: Path) -> None:
    """Run a command of the service as it is written, but for the folder of results."""
    argv = [sys.executable, *words_of(line), "--ivcap:out-dir", str(out)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def run(service: Service, line: str, out: Path) -> None:
    """Run a command of the service in this process, from the project's folder."""
    script, *words = words_of(line)
    assert (script, words[-2:]) == ("infer_service.py", ["--ivcap:in-dir", "."])
    ran = service.run(*words[:-2], cwd=ROOT, in_dir=ROOT, out_dir=out)

    assert ran.status == 0, ran.said


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What make run-detect and make run-video leave, by their folders' names."""
    made = {folder: tmp_path_factory.mktemp("results") for folder in ("DATA/run-detect", "DATA/run-video")}
    detect, video = made.values()
    assert 0 == order(RECTANGLES, ROOT / "examples" / "scenes", detect, moving=False).status
    assert 0 == order(RECTANGLES, ROOT / "examples" / "videos", video).status
    return made


@pytest.mark.parametrize(
    ("line", "as_process"),
    [pytest.param(line, True, marks=pytest.mark.process) for line in SERVICE[:PROCESSES]]
    + [(line, False) for line in SERVICE[PROCESSES:]],
)
def test_the_service_runs_as_written(line: str, as_process: bool, service: Service, tmp_path: Path) -> None:
    """Every way to measure one's own files delivers what its model makes of them, and the tables."""
    out = tmp_path / "results"
    out.mkdir()
    if as_process:
        run_as_process(line, out)
    else:
        run(service, line, out)
    with (out / "survey.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))

    assert {row["status"] for row in rows} == {"ok"}
    assert all((out / row["product"]).is_file() for row in rows)
    assert (out / "run.json").is_file()
    if "examples/images" in line:
        assert len(list(out.rglob("*.pseudo.png"))) == (4 if "--images" in line else 1)


@pytest.mark.parametrize("line", IVCAP)
def test_the_platforms_commands_name_files_that_exist(line: str) -> None:
    """What is uploaded is there, and the order names parameters that the service has."""
    from quadrat.parameters import PARAMETERS

    words = shlex.split(line)
    files = [words[i + 1] for i, word in enumerate(words) if word == "-f"]
    given = {word.split("=")[0] for word in words if "=urn:" in word}

    assert all((ROOT / name).is_file() for name in files)
    assert given <= {p.name for p in PARAMETERS}


@pytest.mark.parametrize(
    ("code", "as_process"),
    [pytest.param(code, True, marks=pytest.mark.process) for code in blocks("python")[:PROCESSES]]
    + [(code, False) for code in blocks("python")[PROCESSES:]],
)
def test_python_blocks_run(
    code: str, as_process: bool, results: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block runs from the project's folder and prints something; the folders are those of the make commands."""
    for folder, place in results.items():
        code = code.replace(f'"{folder}/', f'"{place}/')
    assert '"DATA/' not in code
    if as_process:
        argv = [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        printed = done.stdout
    else:
        monkeypatch.chdir(ROOT)
        with redirect_stdout(io.StringIO()) as out:
            exec(compile(code, "block", "exec"), {"__name__": "__main__"})
        printed = out.getvalue()

    assert printed.strip()


@pytest.mark.process
@pytest.mark.parametrize(
    ("script", "pictures"), [("quickstart.py", "*.overlay.jpg"), ("quickstart_detect.py", "*.annotated.jpg")]
)
def test_the_quickstart_scripts_run(script: str, pictures: str, tmp_path: Path) -> None:
    """The quickstarts measure the examples and save a picture of each."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, str(ROOT / "examples" / script), str(tmp_path)]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob(pictures))) == (4 if script == "quickstart.py" else 3)


def test_tracks_are_not_individuals() -> None:
    """The guide's warning is true: eight animals make more tracks."""
    from predictor import Objects, Predictor

    with Predictor(ROOT / "examples" / "models" / "rectangles.tgz") as predictor:
        frames = [f for f in predictor.video(ROOT / "examples/videos/reef-1.mp4") if isinstance(f, Objects)]
    numbers = [set(f.detections.tracks.tolist()) for f in frames if f.detections.tracks is not None]

    assert len(set().union(*numbers) - {-1}) > 8


@pytest.mark.process
def test_the_pictures_are_drawn_by_their_tool(tmp_path: Path) -> None:
    """tools/readme_picture.py draws every picture of the pages, at the size that is there."""
    from PIL import Image

    argv = [sys.executable, str(ROOT / "tools" / "readme_picture.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    for path in (ROOT / "docs" / "images").glob("*.jpg"):
        if path.stem == "photograph":  # its networks are not part of the project
            continue
        with Image.open(path) as kept, Image.open(tmp_path / path.name) as drawn:
            assert kept.size == drawn.size


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as the forge makes them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_links_lead_somewhere() -> None:
    """Every relative link on every page names a file, and a heading in it where it names one."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "export_model").glob("*.md")]
    broken = [
        f"{page.name}: {target}#{anchor}"
        for page in pages
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text())
        if (target or anchor)
        and not (
            (page.parent / target).exists()
            and (not anchor or anchor in anchors(page.parent / target if target else page))
        )
    ]

    assert [] == broken
