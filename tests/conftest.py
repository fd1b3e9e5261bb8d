"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.service.run import Service, ServiceProcess

# Tests that use onnxruntime themselves send nothing either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# How long one example takes says more of the machine than of us; a test's own time limit stays.
settings.register_profile("quadrat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("quadrat")

ROOT = Path(__file__).resolve().parent.parent
TESTS = str(ROOT / "tests") + os.sep
OWN_ENVIRONMENT = ("needs_paddle", "needs_export", "needs_paddle2", "needs_peers")
"""Marks of tests that `make test` leaves out; they may start processes without another mark."""
_running: list[pytest.Item] = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run the service as a process."""
    for item in items:
        if "process" in getattr(item, "fixturenames", ()):
            item.add_marker("process")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Remember which test runs, with its fixtures."""
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.pop()


def pytest_configure() -> None:
    """Fail every test that starts a process itself and is not marked `process`; children of quadrat are free."""
    start = subprocess.Popen.__init__

    def checked(self: subprocess.Popen[Any], *args: Any, **more: Any) -> None:
        caller = sys._getframe(1)
        while caller.f_back and caller.f_code.co_filename == subprocess.__file__:
            caller = caller.f_back
        command = args[0] if args else more["args"]
        by_test = caller.f_code.co_filename.startswith(TESTS) and command[0] != "git"
        if (
            by_test
            and _running
            and not any(map(_running[-1].get_closest_marker, ("process", *OWN_ENVIRONMENT)))
        ):
            self._child_created = False  # what __del__ asks for
            pytest.fail("This test starts a process: mark it with @pytest.mark.process", pytrace=False)
        start(self, *args, **more)

    subprocess.Popen.__init__ = checked  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real photographs and archives; absent only in a clone without them, never where they should be."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside this clone")
    return folder / "data"


@pytest.fixture(scope="session")
def photo_5mp(shared: Path) -> Path:
    """A seagrass quadrat, 2560x2048, no EXIF."""
    return shared / "photos" / "576.JPG"


@pytest.fixture(scope="session")
def photo_small(shared: Path) -> Path:
    """A quadrat, 657x667, with EXIF."""
    return shared / "photos" / "quadrant.jpg"


@pytest.fixture(scope="session")
def archive_pdmodel(shared: Path) -> Path:
    """SegFormer-B0, two classes, argmax in the graph, as `.pdmodel`."""
    return shared / "models" / "seagrass-segformer-b0.paddle2.tgz"


@pytest.fixture(scope="session")
def archive_pir(shared: Path) -> Path:
    """The same weights as a PIR `model.json`."""
    return shared / "models" / "seagrass-segformer-b0.paddle3.tgz"


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the engine keeps its compiled model from one run to the next."""
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def service(tmp_path: Path, kernels: Path) -> Service:
    """The service in this process, in an empty folder."""
    return Service(tmp_path, kernels)


@pytest.fixture
def process(tmp_path: Path, kernels: Path) -> ServiceProcess:
    """The service as a process of its own, in an empty folder."""
    return ServiceProcess(tmp_path, kernels)
