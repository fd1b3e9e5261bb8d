"""What can be said of the image without an engine to build it: its recipe holds what the platform needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def instructions(text: str) -> list[tuple[str, str]]:
    """Give a Dockerfile's instructions as word and rest, comments dropped and lines joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


RECIPE = instructions((ROOT / "Dockerfile").read_text())


def rest(word: str) -> list[str]:
    """Give what follows every instruction of a kind."""
    return [text for name, text in RECIPE if name == word]


def environment() -> dict[str, str]:
    """Give the image's variables."""
    return dict(pair.split("=", 1) for text in rest("ENV") for pair in text.split())


def test_base_and_entry():
    """The base is the slim one, and the entry point is what the platform runs by its fixed command."""
    assert rest("FROM") == ["python:3.11-slim-bookworm"]
    assert json.loads(rest("ENTRYPOINT")[0]) == ["python", "/app/service.py"]
    assert "infer_service.py service.py" in rest("COPY")
    assert rest("WORKDIR") == ["/app"]
    assert environment()["PYTHONPATH"] == "/app"


def test_the_user_is_not_root_and_owns_the_data_folders():
    """The last user is an ordinary one, after every RUN, and the SDK's folders are there and its own."""
    words = [name for name, _ in RECIPE]
    assert rest("USER") == ["quadrat"]
    assert words.index("USER") > max(i for i, name in enumerate(words) if name in ("RUN", "COPY"))
    (made,) = [text for text in rest("RUN") if "useradd" in text]
    folders = {"/data/in", "/data/out", "/data/cache", environment()["TMPDIR"]}
    assert folders <= set(re.findall(r"/data/\w+", made.split("chown")[0]))
    assert "chown -R quadrat: /data" in made
    assert environment()["QUADRAT_CACHE_DIR"] == "/data/cache"


def test_arguments_have_defaults_and_reach_the_sdk():
    """Every ARG is NAME=default (one word), and the version ones end in the variables of the SDK's banner."""
    assert all(re.fullmatch(r"[A-Z_]+=\S+", text) for text in rest("ARG"))
    said = environment()
    for name, variable in (("GIT_TAG", "VERSION"), ("GIT_COMMIT", "COMMIT"), ("BUILD_DATE", "BUILD")):
        assert said[f"IVCAP_SERVICE_{variable}"] == f"${name}"


def test_requirements_come_before_the_code():
    """A change of the code, or of the commit, does not install everything anew."""
    order = [f"{name} {text}" for name, text in RECIPE]
    places = [
        next(i for i, line in enumerate(order) if part in line) for part in ("pip install", "COPY quadrat")
    ]
    assert places == sorted(places)
    assert next(i for i, line in enumerate(order) if "ARG GIT_COMMIT" in line) > places[1]


def test_nothing_but_the_run_time_is_installed():
    """No cache of pip's, no test tools, no requirement that pyproject.toml does not name."""
    assert environment()["PIP_NO_CACHE_DIR"] == "1"
    (install,) = [text for text in rest("RUN") if "pip install" in text]
    assert "python tools/extras.py $extra --base" in install
    assert re.findall(r"pip install ([^;]*)", install) == ["--quiet -r requirements.txt"]


def test_the_context_holds_what_is_copied_and_no_more():
    """Each thing copied is let through by .dockerignore, and nothing else is."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert let_in == {word for text in rest("COPY") for word in text.split()[:-1]}
    assert all((ROOT / name).exists() for name in let_in)


def choose(tmp_path: Path, engines: str, size: int | None = None) -> tuple[int, str, list[str]]:
    """Run the recipe's shell for a choice of engines; pip, apt-get and the clean-up are stand-ins.

    With `size`, so is du: the packages take so many megabytes.
    """
    (install,) = [text for text in rest("RUN") if "pip install" in text]
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "bin").mkdir()
    libs = tmp_path / "site" / "openvino" / "libs"
    libs.mkdir(parents=True)
    for name in ("intel_cpu_plugin.so", "intel_gpu_plugin.so", "onnx_frontend.so.1", "paddle_frontend.so.1",
                 "ir_frontend.so.1", "tensorflow_frontend.so.1"):  # fmt: skip
        (libs / f"libopenvino_{name}").write_text("")
    scripts = {
        "pip": "exit 0",
        "apt-get": f'echo "$@" >> "{tmp_path}/apt"',
        "rm": 'case "$*" in *apt/lists*) ;; *) exec /bin/rm "$@" ;; esac',
        "python": f'case "$1" in -c) echo "{tmp_path}/site" ;; *) exec "{sys.executable}" "$@" ;; esac',
    }
    if size is not None:
        scripts["du"] = f'[ "$*" = "-sm {tmp_path}/site" ] && printf "%s\\t%s\\n" {size} "$2"'
    for name, body in scripts.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", install], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "ENGINES": engines},
    )  # fmt: skip
    wanted = tmp_path / "requirements.txt"
    lines = wanted.read_text().splitlines() if wanted.exists() else []
    return done.returncode, done.stdout + done.stderr, [re.split(r"[=<>;\s]", line)[0] for line in lines]


@pytest.mark.process
@pytest.mark.parametrize(
    ("engines", "inside", "outside"),
    [
        (
            "openvino,onnx",
            {"openvino", "onnxruntime", "ivcap-sdk-service"},
            {"paddlepaddle", "pytest", "torch"},
        ),
        ("onnx", {"onnxruntime"}, {"openvino", "paddlepaddle"}),
        ("openvino", {"openvino"}, {"onnxruntime"}),
        ("openvino,onnx,paddle", {"openvino", "onnxruntime", "paddlepaddle"}, {"pytest", "torch"}),
    ],
)
def test_engines_decide_what_is_inside(tmp_path, engines, inside, outside):
    """The build argument puts an engine in or leaves it out."""
    status, said, packages = choose(tmp_path, engines)
    assert status == 0, said
    assert inside <= set(packages)
    assert not outside & set(packages)
    assert (tmp_path / "apt").exists() == ("paddle" in engines)
    assert re.search(r"site-packages: \d+ MB", said)


@pytest.mark.process
def test_the_clean_up_spares_what_is_read(tmp_path):
    """OpenVINO keeps its CPU plug-in and the readers of ONNX, Paddle and its own cache."""
    choose(tmp_path, "openvino")
    left = {path.name for path in (tmp_path / "site" / "openvino" / "libs").iterdir()}
    assert left == {
        "libopenvino_intel_cpu_plugin.so", "libopenvino_onnx_frontend.so.1", "libopenvino_paddle_frontend.so.1",
        "libopenvino_ir_frontend.so.1",
    }  # fmt: skip


@pytest.mark.process
@pytest.mark.parametrize(
    ("engines", "size", "built"),
    [
        ("openvino,onnx", 849, True),
        ("openvino,onnx", 850, False),
        ("onnx", 5000, False),
        ("openvino,onnx,paddle", 5000, True),
    ],
)
def test_packages_that_grew_stop_the_build(tmp_path, engines, size, built):
    """Without paddle the packages stay under 850 MB, or there is no image; the log says how large they are."""
    status, said, _ = choose(tmp_path, engines, size)
    assert (status == 0) is built, said
    assert f"site-packages: {size} MB" in said


@pytest.mark.process
def test_an_unknown_engine_stops_the_build(tmp_path):
    """A misspelt engine is an error, not an image without it."""
    status, said, packages = choose(tmp_path, "openvno")
    assert status == 2
    assert "openvno is none of" in said
    assert packages == []
