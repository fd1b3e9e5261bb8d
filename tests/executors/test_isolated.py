"""A child process gives the same bytes, and its death ends an order in one line with its table."""

from __future__ import annotations

import csv
import io
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quadrat import job
from quadrat.errors import SourceError
from quadrat.executors.isolated import open_isolated
from quadrat.pipeline.measure import FrameDone, ProductMade, SourceDone
from quadrat.stores.folder import FolderStore
from quadrat.types import Blob, Product, Source
from tests.executors.orders import BytesStore, dives, everything, photos
from tests.executors.test_work import work
from tests.media.feeds import transport
from tests.moving import LOG, RECTANGLES, film, order, pull, swim
from tests.networks import brightness_archive
from tests.values import settings_of
from tests.waiting import wait_until, wait_until_still


def children() -> list[Any]:
    """Give the processes that still measure."""
    return [child for child in multiprocessing.active_children() if child.name == "quadrat-measure"]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After every test there is neither a child nor a thread."""
    yield
    assert not children()
    assert not [t for t in threading.enumerate() if t.name == "quadrat-feed"]


@pytest.mark.parametrize("models", ["one", "two"])
@pytest.mark.parametrize(
    ("make", "values", "status"),
    [
        (photos, {"moving": False, "batch_size": 3}, 0),
        (photos, {"moving": False, "on_error": "stop"}, 5),
        (photos, {"moving": False, "max_failures": 1}, 5),
        (dives, {"skip_black": True}, 0),
        (dives, {"on_error": "stop", "sources_at_once": 1}, 5),
        (dives, {"idle_seconds": 0.1, "outputs": "none"}, 0),
    ],
    ids=["pictures", "pictures, stop", "pictures, failures", "videos", "videos, stop", "videos, idle"],
)
def test_isolated_gives_what_local_gives(
    tmp_path: Path, make: Callable[[Path], Path], values: dict[str, Any], status: int, models: str
) -> None:
    """Law: products, tables, metadata, lines of the log and the exit status are equal."""
    archives = [RECTANGLES] if models == "one" else [RECTANGLES, brightness_archive(tmp_path / "m.tgz")]
    folder = make(tmp_path / "in")
    local = order(archives, folder, tmp_path / "local", **values)
    isolated = order(archives, folder, tmp_path / "isolated", executor="isolated", **values)

    assert status == local.status == isolated.status
    assert (local.errors, local.warnings) == (isolated.errors, isolated.warnings)
    assert [line.replace("/local/", "/isolated/") for line in local.infos] == list(isolated.infos)
    assert everything(local) == everything(isolated)


@pytest.mark.parametrize("executor", ["local", "isolated"])
def test_a_store_may_give_bytes(tmp_path: Path, executor: str) -> None:
    """The content of a source goes to the child as bytes, is released, and acknowledged once it is measured."""
    stores: list[BytesStore] = []

    def opened(*given: Any, **how: Any) -> FolderStore:
        stores.append(BytesStore(*given, **how))
        return stores[0]

    folder = photos(tmp_path / "in")
    files = order(RECTANGLES, folder, tmp_path / "files", moving=False)
    ran = order(RECTANGLES, folder, tmp_path / "out", moving=False, store=opened, executor=executor)

    (store,) = stores
    assert files.products == ran.products
    assert (
        sorted(store.pulled)
        == sorted(store.released)
        == sorted(p.name for p in folder.iterdir() if p.suffix != ".txt")
    )
    assert sorted(store.acknowledged) == sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("executor", ["local", "isolated"])
@pytest.mark.parametrize(
    "error",
    [
        SourceError("it is gone", hint="Look"),
        ZeroDivisionError("odd"),
        OSError(5, "Input/output error"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_store_raises_is_the_sources_own(tmp_path: Path, executor: str, error: Exception) -> None:
    """The row of the source has the same code and reason, and the others are measured."""

    class Broken(FolderStore):
        """A store that cannot give one of its sources."""

        @contextmanager
        def pull(self, source: Source) -> Iterator[Blob]:
            """Fail for one."""
            if source.name == "1.png":
                raise error
            yield Blob(Path(source.token))

    folder = photos(tmp_path / "in")
    local = order(RECTANGLES, folder, tmp_path / "local", moving=False, store=Broken)
    ran = order(RECTANGLES, folder, tmp_path / "out", moving=False, store=Broken, executor=executor)

    assert "failed" == ran.row("1.png")["status"]
    assert local.rows == ran.rows


def test_a_listing_that_fails_ends_the_order_with_its_own_error(tmp_path: Path) -> None:
    """A queue that breaks is the order's fault, not an image's."""

    class Gone(FolderStore):
        """A store that breaks after its first source."""

        listed = 0

        def sources(self) -> Iterator[Any]:
            """Break in the second listing, which is the order's."""
            self.listed += 1
            for number, item in enumerate(super().sources()):
                if number == 1 and self.listed == 2:
                    raise SourceError("the queue is gone", where="queue")
                yield item

    ran = order(
        RECTANGLES, photos(tmp_path / "in"), tmp_path / "out", moving=False, store=Gone, executor="isolated"
    )

    assert (5, ["E_SOURCE queue: the queue is gone"]) == (ran.status, ran.errors)
    assert 6 == len(ran.rows)


class Killing(FolderStore):
    """A store that kills the child when the second product is delivered."""

    delivered = 0

    def deliver(self, product: Product) -> str:
        """Deliver, and kill."""
        self.delivered += 1
        if self.delivered == 2:
            for child in children():
                os.kill(child.pid, signal.SIGKILL)
        return super().deliver(product)


@pytest.mark.parametrize("make", [photos, dives])
def test_a_child_that_is_killed_ends_the_order_in_one_line(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    """One error, a table that accounts for every source, nothing hangs and no process is left."""
    folder = make(tmp_path / "in")
    ran = order(
        RECTANGLES,
        folder,
        tmp_path / "out",
        moving=make is dives,
        store=Killing,
        executor="isolated",
        sources_at_once=1,
    )

    assert 4 == ran.status
    (line,) = ran.errors
    assert line.startswith("E_ENGINE_RUN the process that measures was killed by SIGKILL")
    names = {path.name for path in folder.iterdir() if path.suffix != ".txt"}
    assert names <= {row["name"] for row in ran.rows}
    statuses = {row["name"]: row["status"] for row in ran.rows}
    assert "not-reached" in statuses.values()
    assert {"ok", "failed", "not-reached", "skipped"} >= set(statuses.values())
    reached = [row for row in ran.rows if row["status"] == "ok"]
    assert {Path(row["product"]).name for row in reached} <= set(ran.products)


def test_a_child_that_dies_while_it_waits_for_a_source(tmp_path: Path) -> None:
    """It dies with a source in its hands, which the store gets back."""

    class Deadly(BytesStore):
        """A store that kills the child when it asks for the third source."""

        @contextmanager
        def pull(self, source: Source) -> Iterator[Blob]:
            """Give it, and kill."""
            with super().pull(source) as blob:
                if len(self.pulled) == 3:
                    for child in children():
                        os.kill(child.pid, signal.SIGKILL)
                yield blob

    stores: list[BytesStore] = []

    def opened(*given: Any, **how: Any) -> FolderStore:
        stores.append(Deadly(*given, **how))
        return stores[0]

    ran = order(
        RECTANGLES, photos(tmp_path / "in"), tmp_path / "out", moving=False, store=opened, executor="isolated"
    )

    assert 4 == ran.status
    assert 1 == len(ran.errors)
    assert sorted(stores[0].pulled) == sorted(stores[0].released)
    assert set(stores[0].acknowledged) <= {row["name"] for row in ran.rows if row["status"] != "not-reached"}


def test_a_signal_while_the_child_measures_loses_no_source(tmp_path: Path) -> None:
    """The answer that comes late is no answer to another request; every source has a row, and the order ends."""

    class Interrupted(FolderStore):
        """A store at which a signal comes while the child measures on."""

        acknowledged = 0

        def acknowledge(self, source: Source) -> None:
            """Send the signal after the second source."""
            self.acknowledged += 1
            if self.acknowledged == 2:
                threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGTERM)).start()

    def leave(*_: object) -> None:
        raise SystemExit(143)

    folder = dives(tmp_path / "in")
    before = signal.signal(signal.SIGTERM, leave)
    try:
        store = Interrupted(RECTANGLES, folder, tmp_path / "out", moving=True)
        with pytest.raises(SystemExit):
            job.run_order(settings_of(executor="isolated", sources_at_once=1), store, LOG)
    finally:
        signal.signal(signal.SIGTERM, before)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "survey.csv").read_text())))

    assert {path.name for path in folder.iterdir()} <= {row["name"] for row in rows}


def test_a_run_that_is_closed_gives_what_it_has_measured(tmp_path: Path) -> None:
    """The frames so far of an open video are in its record, though the child was far ahead."""
    source = replace(film(tmp_path / "a.mp4", swim(40)), stem="a")
    with open_isolated(work(RECTANGLES, moving=True), LOG) as executor:
        run = executor.measure([source], pull, tmp_path)
        stream = iter(run)
        count = 0
        while count < 3:
            count += isinstance(next(stream), FrameDone)
        stream.close()
        events = list(run.unfinished(SourceError("cut")))
        assert {"decode", "infer", "encode"} <= {stage.name for stage in run.stages}

    (done,) = [event for event in events if isinstance(event, SourceDone)]
    assert ["E_SOURCE"] == [fault.code for fault in done.record.faults]
    assert [0, 1, 2] == [frame.index for frame in done.record.models[0].columns.frames()]
    assert ["video/a.mp4", "mot/a.mot.txt"] == [
        event.product.name for event in events if isinstance(event, ProductMade)
    ]


@contextmanager
def stalling_camera(folder: Path) -> Iterator[tuple[Source, list[socket.socket]]]:
    """Give a stream that sends two seconds of frames and then nothing, and the connections to it."""
    connections: list[socket.socket] = []
    data = transport(folder, 50)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connections.append(server.accept()[0])
                    connections[-1].sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield (
            Source("urn:cam", "cam", "stream", f"tcp://127.0.0.1:{server.getsockname()[1]}", "cam"),
            connections,
        )
        server.shutdown(socket.SHUT_RDWR)
    for connection in connections:
        connection.close()


def test_a_signal_ends_the_wait_for_a_stream_that_stalls(tmp_path: Path) -> None:
    """The child is not waited for until its stream comes back: nobody connects a second time."""
    came: list[object] = []

    def interrupt() -> None:
        wait_until(lambda: len(came) > 20, "frames")
        wait_until_still(lambda: len(came), looks=100)
        os.kill(os.getpid(), signal.SIGTERM)

    def leave(*_: object) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        with (
            stalling_camera(tmp_path) as (source, connections),
            open_isolated(work(RECTANGLES, moving=True, stall_seconds=3.0), LOG) as executor,
        ):
            run = executor.measure([source], pull, tmp_path)
            threading.Thread(target=interrupt).start()
            with pytest.raises(SystemExit):
                came.extend(iter(run))
            events = list(run.unfinished(SourceError("cut")))
            assert 1 == len(connections)
    finally:
        signal.signal(signal.SIGTERM, before)

    (done,) = [event for event in events if isinstance(event, SourceDone)]
    assert sum(isinstance(event, FrameDone) for event in came) == done.record.models[0].measured
