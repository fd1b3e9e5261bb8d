"""Networks in child processes give the same bytes, and one that crashes costs the source that it was on, and no other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat.stores.folder import FolderStore
from quadrat.types import Product
from tests import pictures
from tests.engines.hosted import guests
from tests.executors.orders import BytesStore, dives, everything, photos
from tests.moving import RECTANGLES, Order, draw, film, order
from tests.networks import brightness_archive, deadly_archive

WHITE = 2
"""The number of the picture or frame on which the network crashes."""


@pytest.fixture
def hostile(shared: Path) -> Path:
    """The folder of hostile networks."""
    return shared.parent / "cases" / "networks"


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After every test there is no child."""
    yield
    assert not guests()


def isolated(model: Any, place: Path, out: Path, **values: Any) -> Order:
    """Run an order with its networks in children."""
    return order(model, place, out, executor="isolated", **values)


@pytest.mark.parametrize("models", ["one", "two"])
@pytest.mark.parametrize(
    ("make", "values", "status"),
    [
        (photos, {"moving": False, "batch_size": 3}, 0),
        (photos, {"moving": False, "on_error": "stop"}, 5),
        (dives, {"skip_black": True}, 0),
        (dives, {"idle_seconds": 0.1, "outputs": "none"}, 0),
    ],
    ids=["pictures", "pictures, stop", "videos", "videos, idle"],
)
def test_isolated_gives_what_local_gives(
    tmp_path: Path, make: Callable[[Path], Path], values: dict[str, Any], status: int, models: str
) -> None:
    """Law: products, tables, metadata, lines of the log and the exit status are equal."""
    archives = [RECTANGLES] if models == "one" else [RECTANGLES, brightness_archive(tmp_path / "m.tgz")]
    folder = make(tmp_path / "in")
    local = order(archives, folder, tmp_path / "local", **values)
    other = isolated(archives, folder, tmp_path / "isolated", **values)

    assert status == local.status == other.status
    assert (local.errors, local.warnings) == (other.errors, other.warnings)
    assert [line.replace("/local/", "/isolated/") for line in local.infos] == list(other.infos)
    assert everything(local) == everything(other)


def grey_and_white(folder: Path, count: int = 6) -> Path:
    """Write pictures of noise, and one that is white."""
    folder.mkdir()
    rng = np.random.default_rng(8)
    for n in range(count):
        pixels = rng.integers(0, 200, (256, 320, 3), np.uint8)
        if n == WHITE:
            pixels[:] = 255
        (folder / f"{n}.png").write_bytes(pictures.png(pixels))
    return folder


def statuses(ran: Order) -> dict[str, str]:
    """Give the status of each source."""
    return {row["name"]: row["status"] for row in ran.rows}


ONE_FAILED = {f"{n}.png": "failed" if n == WHITE else "ok" for n in range(6)}


@pytest.mark.parametrize(("network", "engine"), [("crash_ov", "openvino"), ("crash_ort", "onnx")])
def test_a_crash_costs_one_picture(hostile: Path, tmp_path: Path, network: str, engine: str) -> None:
    """The others are measured, the order succeeds, and the row has the signal."""
    folder = grey_and_white(tmp_path / "in")
    ran = isolated(
        hostile / f"{network}.tgz", folder, tmp_path / "out", moving=False, engine=engine, outputs="none"
    )

    assert (0, ONE_FAILED) == (ran.status, statuses(ran))
    row = ran.row(f"{WHITE}.png")
    assert "E_ENGINE_RUN" == row["code"]
    assert "terminated by SIG" in row["reason"]


def test_a_picture_that_crashes_the_network_is_acknowledged_as_failed(tmp_path: Path) -> None:
    """It was tried twice, and must not come back to the next worker."""
    stores: list[BytesStore] = []

    def opened(*given: Any, **how: Any) -> FolderStore:
        stores.append(BytesStore(*given, **how))
        return stores[0]

    archive = deadly_archive(tmp_path / "m.tgz")
    isolated(archive, grey_and_white(tmp_path / "in"), tmp_path / "out", moving=False, store=opened)

    assert sorted(ONE_FAILED) == sorted(stores[0].acknowledged)


@pytest.mark.parametrize("batch", [2, 4])
def test_a_crash_costs_no_other_picture_of_its_batch(tmp_path: Path, batch: int) -> None:
    """The inputs of a batch are run again one by one."""
    folder = grey_and_white(tmp_path / "in")
    archive = deadly_archive(tmp_path / "m.tgz")
    ran = isolated(archive, folder, tmp_path / "out", moving=False, batch_size=batch, outputs="none")

    assert (0, ONE_FAILED) == (ran.status, statuses(ran))


def test_a_crash_costs_one_frame_of_a_video(tmp_path: Path) -> None:
    """Several frames are in the child at once: each is run again alone, and the video is partial."""
    (tmp_path / "in").mkdir()
    dark = draw([], (48, 64))
    film(tmp_path / "in" / "a.mp4", [np.full_like(dark, 255) if n == WHITE else dark for n in range(8)])
    ran = isolated(deadly_archive(tmp_path / "m.tgz"), tmp_path / "in", tmp_path / "out")

    row = ran.row("a.mp4")
    assert (0, "partial", "E_ENGINE_RUN") == (ran.status, row["status"], row["code"])
    assert ("8", "1") == (row["frames_read"], row["frames_skipped"])


class Killing(FolderStore):
    """A store that kills the child at the first delivery, as a kernel without memory would."""

    killed = 0

    def deliver(self, product: Product) -> str:
        """Deliver, and kill."""
        for child in () if self.killed else guests():
            type(self).killed += 1
            os.kill(child, signal.SIGKILL)
        return super().deliver(product)


@pytest.mark.parametrize(("make", "moving"), [(photos, False), (dives, True)])
def test_a_child_that_is_killed_from_outside_costs_nothing(
    tmp_path: Path, make: Callable[[Path], Path], moving: bool
) -> None:
    """Whatever was in it is measured by the next one."""
    folder = make(tmp_path / "in")
    whole = order(RECTANGLES, folder, tmp_path / "whole", moving=moving)
    Killing.killed = 0
    ran = isolated(RECTANGLES, folder, tmp_path / "out", moving=moving, store=Killing)

    assert Killing.killed
    assert whole.products == ran.products


def test_a_network_that_takes_too_long_is_a_failed_picture(hostile: Path, tmp_path: Path) -> None:
    """The limit is the parameter's, and others go on; after three in a row the rest is not tried."""
    folder = grey_and_white(tmp_path / "in", 5)
    ran = isolated(hostile / "loop_1e5.tgz", folder, tmp_path / "out", moving=False, source_seconds=0.2)

    assert {"E_ENGINE_TIMEOUT"} == {row["code"] for row in ran.rows}
    assert ["was not run" in row["reason"] for row in ran.rows] == [False, False, False, True, True]
    assert (5, "E_ALL_FAILED") == (ran.status, ran.errors[0].split()[0])


def test_a_network_that_takes_too_much_memory_is_a_failed_picture(hostile: Path, tmp_path: Path) -> None:
    """The child is ended before the machine's memory is."""
    ran = isolated(
        hostile / "range_rt.tgz", grey_and_white(tmp_path / "in", 1), tmp_path / "out",
        moving=False, memory_limit=1000,
    )  # fmt: skip

    assert ["E_ENGINE_MEMORY"] == [row["code"] for row in ran.rows]


@pytest.mark.parametrize("network", ["matmul_const", "chain_20k"])
def test_a_network_that_is_never_read_is_answered_in_time(
    hostile: Path, tmp_path: Path, network: str
) -> None:
    """All engines together have load-seconds, and none reads the network in this process."""
    ran = isolated(
        hostile / f"{network}.tgz", grey_and_white(tmp_path / "in", 1), tmp_path / "out",
        moving=False, load_seconds=3,
    )  # fmt: skip

    (line,) = ran.errors
    assert (4, "E_ENGINE_TIMEOUT") == (ran.status, line.split()[0])
    assert line.count("load-seconds") >= 2


def test_an_output_without_entries_is_the_models_fault(hostile: Path, tmp_path: Path) -> None:
    """It is a code in the row of the picture, not an internal error."""
    for executor in ("local", "isolated"):
        ran = order(
            hostile / "out_zero_n.tgz", grey_and_white(tmp_path / f"in-{executor}", 2), tmp_path / executor,
            moving=False, executor=executor,
        )  # fmt: skip
        assert ["E_MODEL_GRAPH"] * 2 == [row["code"] for row in ran.rows]
