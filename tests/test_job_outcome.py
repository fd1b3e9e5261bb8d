"""What an order leaves behind: its outcome, its records, and no memory that grows with its sources."""

from __future__ import annotations

import gc
import logging
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat import job
from quadrat.executors.local import open_local
from quadrat.executors.work import Work
from quadrat.records import SourceRecord
from quadrat.report.book import RecordBook
from quadrat.report.names import Names
from quadrat.report.order import OrderReport
from quadrat.stores.folder import LOCAL_ORDER
from quadrat.stores.listing import file_urn
from quadrat.stores.no_ledger import NoLedger
from quadrat.stores.temporary import temporary_folder
from quadrat.types import Blob, Product, Source
from tests.executors.orders import dives, photos
from tests.moving import LOG, RECTANGLES, Order, order
from tests.networks import brightness_archive
from tests.results import paths
from tests.values import settings_of


@pytest.mark.parametrize("moving", [False, True], ids=["pictures", "videos"])
def test_an_outcome_sums_the_order_up(tmp_path: Path, moving: bool) -> None:
    """Status, counts, number of products and the URNs of tables are those of the folder of results."""
    folder = (dives if moving else photos)(tmp_path / "in")
    ran = order(RECTANGLES, folder, tmp_path / "out", moving=moving)
    outcome = ran.outcome
    assert outcome is not None

    assert (0, None, None) == (outcome.exit_status, outcome.error, outcome.records)
    statuses = Counter({row["name"]: row["status"] for row in ran.rows}.values())
    assert statuses == +Counter(outcome.counts)
    files = [path for path in paths(ran.out) if not path.name.endswith("-meta.json")]
    assert len(files) == outcome.products
    tables = {"survey.csv", "run.json", "detections.csv", "detections.jsonl", "coco.json"}
    assert tables | ({"tracks.csv"} if moving else {"images.csv", "totals.csv"}) == set(outcome.tables or ())
    assert all(urn.endswith(name) for name, urn in (outcome.tables or {}).items())


def test_an_order_that_ends_badly_has_an_outcome_with_its_error(tmp_path: Path) -> None:
    """The error is the one that was logged; what was measured is counted."""
    ran = order(RECTANGLES, photos(tmp_path / "in"), tmp_path / "out", moving=False, on_error="stop")
    outcome = ran.outcome
    assert outcome is not None
    assert outcome.error is not None

    assert (5, "E_STOPPED") == (outcome.exit_status, outcome.error.code)
    assert [outcome.error.line] == ran.errors
    assert {"flagged": 2, "failed": 1, "not-reached": 3} == +Counter(outcome.counts)


def test_an_order_without_a_model_has_nothing_but_its_error(tmp_path: Path) -> None:
    """Nothing is counted and nothing delivered."""
    (tmp_path / "bad.tgz").write_bytes(b"rubbish")
    ran = order(tmp_path / "bad.tgz", photos(tmp_path / "in"), tmp_path / "out", moving=False)
    outcome = ran.outcome
    assert outcome is not None

    assert (3, {}, 0) == (outcome.exit_status, dict(outcome.counts), outcome.products)


def kept(folder: Path, tmp_path: Path, keep: Path, **values: Any) -> tuple[Order, list[SourceRecord]]:
    """Run an order that keeps its records; read them back."""
    keep.mkdir()
    ran = order(
        [RECTANGLES, brightness_archive(tmp_path / "m.tgz")], folder, tmp_path / "out", keep=keep, **values
    )
    assert ran.outcome is not None
    assert ran.outcome.records is not None
    assert ran.outcome.records.parent == keep
    return ran, list(RecordBook.read(ran.outcome.records))


@pytest.mark.parametrize("executor", ["local", "isolated"])
@pytest.mark.parametrize("moving", [False, True], ids=["pictures", "videos"])
def test_records_that_are_kept_give_the_same_tables(tmp_path: Path, moving: bool, executor: str) -> None:
    """Law: tables are a fold over records: read back, they give survey.csv and all other tables again."""
    folder, keep = (dives if moving else photos)(tmp_path / "in"), tmp_path / "keep"
    ran, records = kept(folder, tmp_path, keep, moving=moving, executor=executor)
    settings = settings_of(executor=executor)
    archives = (RECTANGLES, tmp_path / "m.tgz")
    urns = tuple(file_urn(archive) for archive in archives)
    work = Work(archives, urns, LOCAL_ORDER, settings, moving=moving)
    with open_local(work, LOG) as opened:
        facts = opened.facts
    again = tmp_path / "again"
    again.mkdir()
    report = OrderReport(facts, settings.values(), Names(), again)
    for record in records:
        report.add(record)
    made = {product.name: bytes_of(product) for product in report.products([], 0.0)}

    assert {row["name"] for row in ran.rows} == {record.source.name for record in records}
    assert {"survey.csv", "run.json", "rectangles.coco.json", "rectangles.detections.csv"} <= set(made)
    for name in set(made) - {"run.json"}:
        assert made[name] == ran.body(name), name


def bytes_of(product: Product) -> bytes:
    """Give the content of a product."""
    return product.body if isinstance(product.body, bytes) else product.body.read_bytes()


class Many:
    """A store of tiny pictures that exist only while they are pulled, and of products that are counted, not kept."""

    order = "urn:order"
    moving = in_folders = False
    place = "urn:many"

    def __init__(self, archive: Path, count: int) -> None:
        self._archive = archive
        self._count = count
        self._picture = np.full((4, 4, 3), 90, np.uint8)
        self.products: Counter[str] = Counter()
        self.held: list[int] = []
        self.acknowledged = 0

    def check(self) -> None:
        """Nothing can go wrong."""

    @contextmanager
    def ledger(self) -> Iterator[NoLedger]:
        """Keep none."""
        with temporary_folder("order") as folder:
            yield NoLedger(folder)

    @contextmanager
    def models(self) -> Iterator[Mapping[str, Path]]:
        """Give the archive."""
        yield {"urn:model": self._archive}

    @contextmanager
    def index(self) -> Iterator[None]:
        """Give none."""
        yield None

    def sources(self) -> Iterator[Source]:
        """List the pictures."""
        return (Source(f"urn:{n}", f"{n}.png", token=str(n)) for n in range(self._count))

    @contextmanager
    def pull(self, source: Source) -> Iterator[Blob]:
        """Give a picture."""
        yield Blob(self._picture)

    def deliver(self, product: Product) -> str:
        """Count it."""
        self.products[product.name.rpartition(".")[2]] += 1
        return f"urn:{product.name}"

    def acknowledge(self, source: Source) -> None:
        """Note the memory in use at every tenth of the sources."""
        self.acknowledged += 1
        if self.acknowledged % (self._count // 10) == 0:
            gc.collect()  # rare in a process with many objects, such as that of the other tests
            self.held.append(tracemalloc.get_traced_memory()[0])

    def relist(self) -> Iterator[Source]:
        """List them again."""
        return self.sources()


def test_memory_is_flat_over_two_thousand_sources(tmp_path: Path) -> None:
    """Only places and names are kept of a finished source: less than a kilobyte each, whatever was found in it."""
    count = 2000
    store = Many(brightness_archive(tmp_path / "m.tgz"), count)
    quiet = logging.Logger("quiet", logging.CRITICAL)
    tracemalloc.start()
    try:
        outcome = job.run_order(settings_of(), store, quiet)
    finally:
        tracemalloc.stop()

    assert (0, count) == (outcome.exit_status, outcome.counts["flagged"])
    assert {"png": count, "csv": 3, "json": 1} == dict(store.products)
    # the median: the interpreter's own table of texts doubles now and then, by megabytes in a process of many tests
    growth = float(np.median(np.diff(store.held[1:]))) / (count / 10)
    assert growth < 1000, f"{growth:.0f} bytes for each source"


def test_a_second_order_keeps_only_its_own_records(tmp_path: Path) -> None:
    """Records that an earlier order left in the same folder are not taken for its own."""
    folder, keep = photos(tmp_path / "in"), tmp_path / "keep"
    keep.mkdir()
    for out in ("one", "two"):
        ran = order(RECTANGLES, folder, tmp_path / out, moving=False, keep=keep)

    assert ran.outcome is not None
    assert ran.outcome.records is not None
    assert sum(ran.outcome.counts.values()) == len(RecordBook.read(ran.outcome.records))
