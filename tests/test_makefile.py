"""The Makefile calls what it says it calls; stand-ins take the calls down."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from tests.tools.cli import ACCOUNT, stand_in
from tests.tools.rest import platform

pytestmark = pytest.mark.process
ROOT = Path(__file__).resolve().parent.parent
DESCRIPTION = "name: infer\ndescription: Measures.\nworkflow: {type: basic}\nparameters: []\n"
KEPT = (
    "run", "run-collection", "run-docker", "run-data-proxy", "run-batch", "docker-build", "docker-publish",
    "service-description", "service-register", "run-ivcap",
)  # fmt: skip

# Takes its arguments down, one line a call, and does as FAIL says.
RECORDER = """#!/bin/sh
printf '%s|' "$(basename "$0")" "$@" >> "$(dirname "$0")/calls"; echo >> "$(dirname "$0")/calls"
case "$*" in $FAIL) exit 3 ;; esac
"""


class Project:
    """A copy of the Makefile and the tools, with an environment that counts as set up."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.bin.mkdir()
        shutil.copy(ROOT / "Makefile", root)
        shutil.copytree(ROOT / "tools", root / "tools")
        shutil.copy(ROOT / "pyproject.toml", root)
        for pins in (*ROOT.glob("export_model/requirements-*.txt"), *ROOT.glob("tests/requirements-*.txt")):
            (root / pins.parent.name).mkdir(exist_ok=True)
            shutil.copy(pins, root / pins.parent.name)
        (root / "infer_service.py").write_text(f"print('''{DESCRIPTION}''')\n")
        (root / "my models").mkdir()
        (root / "my models" / "model.tgz").write_text("")
        for name in ("a/one.jpg", "b/one.JPG", "a/.ivcap-one.jpg.txt", "a/.hidden.jpg", "a/notes.md"):
            (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "images" / name).write_text("")
        self.recorder("docker")

    def recorder(self, name: str) -> Path:
        """Put a recording stand-in on the path."""
        path = self.bin / name
        path.write_text(RECORDER)
        path.chmod(0o755)
        return path

    def set_up(self, python: Path | None = None) -> None:
        """Make an environment that counts as complete, its python a stand-in or the real one."""
        folder = self.root / ".venv" / "bin"
        folder.mkdir(parents=True)
        if python:
            shutil.copy(python, folder / "python")
        else:
            # no link: the real one would then not find its own packages
            (folder / "python").write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
            (folder / "python").chmod(0o755)
        for stamp in (".run", ".test"):
            (folder.parent / stamp).write_text("")
            os.utime(folder.parent / stamp, (2**32, 2**32))

    def make(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run make on the copy."""
        # nothing of an outer make's variables, and no git repository around the copy
        clean = {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "HOME": str(self.root), "FAIL": "nothing",
            "GIT_CEILING_DIRECTORIES": str(self.root.parent),
        }  # fmt: skip
        return subprocess.run(
            ["make", *words], cwd=self.root, capture_output=True, text=True, check=False, timeout=120,
            env=clean | environment,
        )  # fmt: skip

    def calls(self, folder: Path | None = None) -> list[list[str]]:
        """Give every call of the stand-ins in a folder, in order."""
        file = (folder or self.bin) / "calls"
        return [line.split("|")[:-1] for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def project(tmp_path):
    """A copy of the project in a folder whose name has a space."""
    root = tmp_path / "a project"
    root.mkdir()
    return Project(root)


@pytest.fixture
def recorded(project):
    """The copy, its python a stand-in; and a function that gives python's calls."""
    project.set_up(project.recorder("stand-in-python"))
    return project, lambda: project.calls(project.root / ".venv" / "bin")


def option(call: list[str], name: str) -> str:
    """Give the value that follows an option."""
    return call[call.index(name) + 1]


def model_of(call: list[str]) -> str:
    """Give the model of a call of `quadrat run`."""
    return call[call.index("run") + 1]


def sources_of(call: list[str]) -> str:
    """Give what a call of `quadrat run` measures."""
    return call[call.index("run") + 2]


def test_help_is_the_default_and_lists_every_command(project):
    """`make` alone names each target of the original and those of the README."""
    listed = re.findall(r"^  make ([a-z0-9-]+) ", project.make().stdout, re.MULTILINE)
    assert set(KEPT) | {"setup", "test", "test-all", "check", "bench", "docs", "help"} <= set(listed)
    phony = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted({name for line in phony for name in line.split()} - {"destination"})


def test_every_extra_has_a_target(project):
    """Each extra of pyproject.toml is what some setup target installs."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = ("test", "pack", "formats", "search", "paddle", "export", "all", "paddle-gpu")
    said = project.make("-n", *(f"setup-{name}" for name in names)).stdout
    assert set(re.findall(r"extras\.py ([a-z][a-z-]*) ", said)) == set(extras)


def test_run_measures_the_examples_by_absolute_paths(recorded):
    """`make run` passes absolute paths, replaces the results of the examples, and says where the results are."""
    project, calls = recorded
    done = project.make("run", "ARGS=--batch-size 2")
    assert done.returncode == 0, done.stderr
    (call,) = calls()
    assert "--overwrite" in call
    out = str(project.root / "DATA" / "run")
    assert sources_of(call) == str(project.root / "examples" / "images")
    assert option(call, "-o") == out
    assert f"results are in {out}" in done.stdout


def test_run_measures_what_is_given_by_absolute_paths(recorded):
    """Spaces in names are no trouble; results of own data never replace others."""
    project, calls = recorded
    done = project.make("run", "MODEL=my models/model.tgz", "IMAGES=images", "ARGS=--batch-size 2")
    assert done.returncode == 0, done.stderr
    (call,) = calls()
    assert call[1:4] == ["-m", "quadrat", "run"]
    assert model_of(call) == str(project.root / "my models" / "model.tgz")
    assert sources_of(call) == str(project.root / "images")
    assert option(call, "--outputs") == "pseudo,overlay"
    assert option(call, "--batch-size") == "2"
    out = Path(option(call, "-o"))
    assert out.parent == project.root / "runs"
    assert out.name.endswith("-run")
    assert "--overwrite" not in call
    assert f"results are in {out}" in done.stdout


def test_run_fails_with_the_service(recorded):
    """A failed order fails the target, and no result is promised."""
    project, _ = recorded
    done = project.make("run", "MODEL=my models/model.tgz", "IMAGES=images", FAIL="*quadrat run*")
    assert done.returncode != 0
    assert "results" not in done.stdout


def test_run_detect_and_run_video_have_examples_of_their_own(recorded):
    """Without words they take the example detector with the scenes, or the videos; with words what those say."""
    project, calls = recorded
    for target, examples in (("run-detect", "scenes"), ("run-video", "videos")):
        assert project.make(target).returncode == 0
        call = calls()[-1]
        assert model_of(call) == str(project.root / "examples" / "models" / "rectangles.tgz")
        assert sources_of(call) == str(project.root / "examples" / examples)
        assert option(call, "-o") == str(project.root / "DATA" / target)
        assert ("--sequence" in call) is (target == "run-video")
    words = ("MODEL=my models/model.tgz", "VIDEOS=images", "ARGS=--tracker sort")
    assert project.make("run-video", *words).returncode == 0
    call = calls()[-1]
    assert model_of(call) == str(project.root / "my models" / "model.tgz")
    assert sources_of(call) == str(project.root / "images")
    assert option(call, "--tracker") == "sort"


@pytest.mark.parametrize("target", ["run", "run-detect", "run-video"])
def test_outputs_that_are_given_are_passed_on(recorded, target):
    """What is asked for by OUTPUTS reaches the service; objects are else drawn as the service chooses."""
    project, calls = recorded
    assert project.make(target, "OUTPUTS=none").returncode == 0
    assert option(calls()[-1], "--outputs") == "none"
    assert project.make(target, OUTPUTS="none").returncode == 0
    assert option(calls()[-1], "--outputs") == "none"
    assert project.make(target).returncode == 0
    assert ("--outputs" in calls()[-1]) is (target == "run")


@pytest.mark.parametrize(
    "words",
    [
        ("run-video", "IMAGES=images"), ("run-video", "VIDEOS=images"), ("run-video", "MODEL=m.tgz", "VIDOES=images"),
        ("run-video", "VIDOES=images"), ("run-detect", "IMAGES=images"), ("run-detect", "MODEL=m.tgz"),
        ("run", "IMAGE=images"), ("run-collection", "MODEL=m.tgz"), ("run-collection", "IMAGES=images"), ("run-batch", "MODEL=m.tgz", "IMAGE=images"),
    ],
)  # fmt: skip
def test_no_example_stands_in_for_what_was_meant(recorded, words):
    """A name misspelt or forgotten ends the target before it measures anything, and the line says what is wanted."""
    project, calls = recorded
    done = project.make(*words)
    assert done.returncode != 0
    assert not calls()
    assert not (project.root / "DATA").exists()
    assert not (project.root / "runs").exists()
    said = "is not a variable" if words[-1].startswith(("VIDOES", "IMAGE=")) else f"make {words[0]} "
    assert said in done.stderr


def test_words_in_the_environment_are_meant_too(recorded):
    """What the environment names is measured, not the examples; and half of it is refused as on the command line."""
    project, calls = recorded
    assert project.make("run-detect", MODEL="my models/model.tgz", IMAGES="images").returncode == 0
    assert sources_of(calls()[-1]) == str(project.root / "images")
    assert model_of(calls()[-1]) == str(project.root / "my models" / "model.tgz")
    assert project.make("run-video", VIDEOS="images").returncode != 0


def test_run_batch_places_one_order_for_each_image(recorded):
    """Every image, and nothing else, gets an order and a folder; one failure is told and stops no other."""
    project, calls = recorded
    done = project.make("run-batch", "MODEL=my models/model.tgz", "IMAGES=images", FAIL="*a/one.jpg*")
    assert [option(c, "--image") for c in calls()] == [
        str(project.root / "images" / name) for name in ("a/one.jpg", "b/one.JPG")
    ]
    assert len({option(c, "--ivcap:out-dir") for c in calls()}) == 2
    assert all(Path(option(c, "--ivcap:out-dir")).is_dir() for c in calls())
    assert done.returncode != 0
    assert "1 of the orders failed" in done.stderr


def test_run_data_proxy_uses_the_double(recorded):
    """`make run-data-proxy` starts the loopback double's own command."""
    project, calls = recorded
    assert project.make("run-data-proxy", "MODEL=my models/model.tgz", "IMAGES=images").returncode == 0
    assert calls()[0][1:3] == ["-m", "tests.platform_double.run_order"]


def test_test_leaves_out_what_is_not_installed(recorded):
    """`make test` deselects exactly the tests that need paddle, torch or the peers, test-in-process programs as well."""
    project, calls = recorded
    assert project.make("test").returncode == 0
    assert (
        option(calls()[0][3:], "-m") == "not (needs_paddle or needs_export or needs_paddle2 or needs_peers)"
    )
    assert project.make("test-in-process").returncode == 0
    assert (
        option(calls()[1][3:], "-m")
        == "not (process or needs_paddle or needs_export or needs_paddle2 or needs_peers)"
    )


def test_docker_build_says_what_is_inside(project):
    """The build gets engines, version and platform, and a tag."""
    assert project.make("docker-build", "ENGINES=onnx", "DOCKER_BUILD_ARGS=--pull").returncode == 0
    (call,) = project.calls()
    assert call[:4] == ["docker", "build", "--platform", "linux/amd64"]
    assert {"ENGINES=onnx", "GIT_TAG=unknown", "GIT_COMMIT=unknown", "--pull"} <= set(call)
    assert option(call, "-t") == "infer-with-paddle-paddle:unknown"


def test_docker_publish_to_a_registry(project):
    """The image is built, tagged for the registry and pushed by the tool that was named."""
    project.recorder("podman")
    done = project.make("docker-publish", "DOCKER=podman", "DOCKER_REGISTRY=host.example/team")
    assert done.returncode == 0, done.stderr
    remote = "host.example/team/infer-with-paddle-paddle:unknown"
    assert [c[:2] for c in project.calls()] == [["podman", "build"], ["podman", "tag"], ["podman", "push"]]
    assert project.calls()[1][3] == project.calls()[2][2] == remote


def test_docker_publish_through_the_platform(project):
    """PUBLISH=ivcap pushes from the local engine through the CLI."""
    project.recorder("ivcap")
    assert project.make("docker-publish", "PUBLISH=ivcap").returncode == 0
    assert project.calls()[-1] == [
        "ivcap",
        "package",
        "push",
        "--force",
        "--local",
        "infer-with-paddle-paddle:unknown",
    ]


@pytest.mark.parametrize("target", ["docker-publish", "service-register"])
def test_nothing_is_sent_nowhere(project, target):
    """Without a registry nothing is built, pushed or registered, and the way out is said."""
    project.set_up()
    done = project.make(target)
    assert done.returncode != 0
    assert "DOCKER_REGISTRY=" in done.stderr
    assert project.calls() == []


def test_run_docker_mounts_what_it_needs(project):
    """The image gets model and images read-only, its own result folder, and paths for local files."""
    done = project.make("run-docker", "MODEL=my models/model.tgz", "IMAGES=images")
    assert done.returncode == 0, done.stderr
    (call,) = project.calls()
    (out,) = re.findall("results are in (.*)", done.stdout)
    mounts = [value for flag, value in pairwise(call) if flag == "-v"]
    assert mounts == [
        f"{project.root}/my models/model.tgz:/data/in/model.tgz:ro",
        f"{project.root}/images:/data/in/images:ro",
        f"{out}:/data/out",
    ]
    assert option(call, "-e") == "IVCAP_INSIDE_CONTAINER="
    assert option(call, "--ivcap:out-dir") == "/data/out"


def test_register_by_an_old_cli(project):
    """`make service-register` pipes the description into the old CLI, under a URN made of the account."""
    project.set_up()
    program = stand_in(project.bin, "v0.41.7")
    done = project.make("service-register", "DOCKER_REGISTRY=host.example")
    assert done.returncode == 0, done.stderr
    (call,) = program.calls("service")
    assert re.fullmatch(r"urn:ivcap:service:[0-9a-f-]{36}", call["args"][3])
    assert call["stdin"].strip() == DESCRIPTION.strip()
    assert "by `service update --create`" in done.stderr


def test_register_and_order_by_rest(project):
    """With a new CLI both targets use the v1 routes of the platform that it is logged in to."""
    project.set_up()
    with platform() as server:
        stand_in(project.bin, "v0.47.4", url=server.url)
        words = ("SERVICE_ID=urn:ivcap:service:1", "PUBLISH=ivcap")
        first = project.make("service-register", *words)
        second = project.make(
            "run-ivcap", *words, "MODEL_ARTIFACT=urn:m", "IMAGES_ARTIFACT=urn:i", "ORDER_ARGS=device=gpu"
        )
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert [(r["method"], r["path"]) for r in server.requests] == [
        ("PUT", "/1/services/urn:ivcap:service:1?force-create=true"),
        ("POST", "/1/orders"),
    ]
    names = [p["name"] for p in server.requests[1]["body"]["parameters"]]
    assert names == ["model", "images", "device"]


def test_describe_asks_the_cli_for_the_account(project):
    """`make service-description` prints the SDK's own text, with the account of the CLI."""
    (project.root / "infer_service.py").write_text("import os; print(os.environ['IVCAP_ACCOUNT_ID'])\n")
    project.set_up()
    stand_in(project.bin, "v0.47.4")
    assert project.make("-s", "service-description").stdout.strip() == ACCOUNT


@pytest.mark.parametrize("task", ["detect", ""])
def test_the_description_is_of_the_task_that_is_named(project, task):
    """TASK= reaches the service by its environment; without it every task is described."""
    (project.root / "infer_service.py").write_text(
        "import os; print(repr(os.environ['QUADRAT_DESCRIBE_TASK']))\n"
    )
    project.set_up()
    stand_in(project.bin, "v0.47.4")
    assert project.make("-s", "service-description", f"TASK={task}").stdout.strip() == repr(task)


def test_an_unsupported_python_is_refused_by_name(project):
    """A Python that we do not support is one line that says what to do, before anything is made."""
    old = project.bin / "python3.10"
    old.write_text(
        f"#!/bin/sh\nexec '{sys.executable}' -c 'import sys, collections as c; "
        'sys.version_info = c.namedtuple("V", "major minor")(3, 10); exec(sys.argv[1])\' "$2"\n'
    )
    old.chmod(0o755)
    done = project.make("setup", "PYTHON=python3.10")
    assert done.returncode != 0
    assert "Python 3.11, 3.12 or 3.13 is needed; python3.10 is 3.10" in done.stderr
    assert not (project.root / ".venv").exists()
