"""One order, from parameters to delivered products; read it from top to bottom."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from quadrat.errors import DeliveryError, QuadratError, StoppedError, printable
from quadrat.executors import open_executor
from quadrat.executors.delivery import Delivery
from quadrat.executors.identity import identity_of
from quadrat.executors.listing import Listing
from quadrat.executors.policy import FailurePolicy
from quadrat.executors.searching import index_folds, open_index, searched
from quadrat.executors.work import Executor, Measuring, Work
from quadrat.interrupts import signals_deferred
from quadrat.parameters import SEARCH, Settings
from quadrat.pipeline.measure import (
    Event,
    FrameDone,
    ProductMade,
    SourceDone,
    not_reached_record,
)
from quadrat.protocols import Ledger, Store
from quadrat.report.base import error_text
from quadrat.report.names import Names
from quadrat.report.order import OrderReport
from quadrat.report.progress import Progress
from quadrat.report.shrunk import shrunk_text
from quadrat.report.timing import timing_lines
from quadrat.stores.files import cannot_write, is_full
from quadrat.stores.listing import place_of
from quadrat.stores.temporary import remove_abandoned
from quadrat.types import Media, Product, SourceOpened


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an order.

    `error` is the error that ended the order, or the reason why it measured nothing; None if it succeeded. `counts`
    are its sources by status, `products` is the number of delivered products, `tables` are the URNs of its tables
    by name, and `records` is the file with the records of its sources, if the caller asked to keep them.
    """

    error: QuadratError | None
    counts: Mapping[str, int]
    products: int = 0
    tables: Mapping[str, str] | None = None
    records: Path | None = None

    @property
    def exit_status(self) -> int:
        """The exit status of a process: 0, or that of the error."""
        return 0 if self.error is None else self.error.exit_status


def run_order(settings: Settings, store: Store, log: logging.Logger, *, keep: Path | None = None) -> Outcome:
    """Run one order, and return its outcome, whether it succeeds or fails.

    A source that fails becomes a row of the table, and the order goes on, unless `on-error` is stop or more than
    `max-failures` sources have failed. An order that measured nothing fails. If the folder `keep` is given, records
    and temporary files go there and stay there.
    """
    order: Order | None = None
    error: QuadratError | None = None
    try:
        remove_abandoned()
        store.check()
        with ExitStack() as stack:
            ledger = stack.enter_context(store.ledger())
            base = stack.enter_context(open_index(store, settings))
            archives = stack.enter_context(store.models())
            if settings.order.task == SEARCH and base is not None and not archives:
                return _search(searched(settings, store, ledger, base, log), Delivery(store))
            work = Work(
                tuple(archives.values()),
                tuple(archives),
                store.order,
                settings,
                moving=store.moving,
                in_folders=store.in_folders,
            )
            executor = stack.enter_context(open_executor(work, log))
            ledger.begin(identity_of(store.place, executor.facts, settings))
            order = Order(settings, store, log, executor, ledger, base=base)
            order.run(keep or ledger.folder)
    except QuadratError as raised:
        log.error("%s", raised.line)
        error = raised
    if order is None:
        return Outcome(error, {})
    return order.outcome(error, keep)


def _search(products: Iterator[Product], delivery: Delivery) -> Outcome:
    """Deliver the results of a search that measures nothing."""
    tables = {product.name: delivery.deliver(product) for product in products}
    return Outcome(None, {}, delivery.count, tables)


class Order:
    """One order with its models loaded; `base` is the database of the index that it begins with."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        log: logging.Logger,
        executor: Executor,
        ledger: Ledger,
        *,
        base: Path | None = None,
    ) -> None:
        self._settings = settings
        self._base = base
        self._store = store
        self._log = log
        self._executor = executor
        self._ledger = ledger
        self._names = Names(in_folders=store.in_folders)
        self._unchanged = 0
        self._delivery = Delivery(store)
        self._tables: dict[str, str] = {}
        self._shrunk: Counter[Media] = Counter()
        self._shrinking: set[str] = set()
        self._frames = 0
        self._report: OrderReport | None = None
        self._closed = self._reached = False

    def run(self, folder: Path) -> None:
        """Measure all sources and deliver the tables. Raises the error of an order that fails.

        The tables are delivered whatever ends the order, once: after a signal, for instance, or on a full disk.
        """
        facts = self._executor.facts
        moving = self._store.moving
        folds = index_folds(facts, self._names, folder, self._base, self._settings, log=self._log)
        report = self._report = OrderReport(
            facts, self._settings.values(), self._names, folder, self._ledger.part, folds=folds
        )
        self._log_start()
        policy = FailurePolicy(self._settings, report.table, moving=moving)
        listing = Listing(self._store, self._names, self._ledger)
        begin = perf_counter()
        run = self._executor.measure(listing, self._store.pull, folder)
        try:
            try:
                self._measure(run, listing, report, policy)
            except OSError as error:
                raise _full(folder, error) from error
            # an empty folder may be a drive that is not there
            self._reached = bool(report.totals.measured)
            failed = self._deliver_tables(run, report, begin, folder)
        except BaseException as error:  # also SystemExit by a signal
            if not self._closed:
                self._close_early(run, listing, report, error, folder)
                for late in self._deliver_tables(run, report, begin, folder):
                    self._log.error("%s", late.line)
            raise
        for late in failed[1:]:
            self._log.error("%s", late.line)
        if failed:
            raise failed[0]
        if self._reached:
            with signals_deferred():
                self._ledger.complete()
        totals = report.totals
        policy.conclude(totals.counts, measured=totals.measured, blank=totals.blank)

    def outcome(self, error: QuadratError | None, keep: Path | None) -> Outcome:
        """Return the outcome of the order."""
        counts = dict(self._report.totals.counts) if self._report is not None else {}
        records = self._report.book.path if self._report is not None and keep is not None else None
        return Outcome(error, counts, self._delivery.count, dict(self._tables), records)

    def _log_start(self) -> None:
        alone = len(self._executor.facts) == 1
        for facts in (
            self._executor.facts if self._executor.facts[0].has_network else self._executor.facts[:1]
        ):
            made = facts.provenance
            name = (alone and self._settings.order.model_name) or facts.name
            self._log.info(
                "%s runs on %s %s, %s, %s",
                f"Model {name!r}" if facts.has_network else f"Task {facts.task}",
                made.engine,
                made.engine_version,
                made.device,
                made.precision,
            )

    def _measure(self, run: Measuring, listing: Listing, report: OrderReport, policy: FailurePolicy) -> None:
        frames = self._settings.frames
        progress = Progress(
            self._log,
            listing.total,
            moving=self._store.moving,
            step=frames.frame_step,
            seconds=frames.frame_seconds,
        )
        # From its first product to its acknowledgement, a source is one step: a signal waits.
        with progress, closing(iter(run)) as events, ExitStack() as step:
            for event in events:
                self._take_known(listing, report, progress, policy)
                if isinstance(event, SourceDone):
                    self._done(event, listing, report, progress)
                    policy.check(event.record)
                    self._delivery.acknowledge(event.record)
                    step.close()
                elif isinstance(event, ProductMade):
                    step.enter_context(signals_deferred())
                    self._handle(event, progress)
                else:
                    self._handle(event, progress)
            self._take_known(listing, report, progress, policy)
        if self._unchanged:
            self._log.info("%d unchanged since an earlier run, and not measured again", self._unchanged)

    def _take_known(
        self, listing: Listing, report: OrderReport, progress: Progress | None, policy: FailurePolicy | None
    ) -> None:
        """Add the records of sources that need not be measured again."""
        for record in listing.take_known():
            with signals_deferred():
                report.add(record, listing.place(record.source))
            self._unchanged += 1
            if progress is not None and policy is not None:
                progress.known()
                policy.check(record)

    def _handle(self, event: Event, progress: Progress) -> None:
        """Deliver a product, or count a frame or a source that is open."""
        if isinstance(event, ProductMade):
            self._delivery.deliver(event.product, event.source)
        elif isinstance(event, FrameDone):
            self._frames += not event.skipped
            if event.shrunk:
                self._shrinking.add(event.source.urn)
            progress.frame(event.source, skipped=event.skipped)
        elif isinstance(event, SourceOpened):
            progress.opened(event)

    def _done(self, event: SourceDone, listing: Listing, report: OrderReport, progress: Progress) -> None:
        """Keep the record of a source, once all its products are delivered."""
        record = event.record
        with signals_deferred():
            self._delivery.source = None
            report.add(record, listing.place(record.source))
            self._ledger.commit(record)
        if event.shrunk or record.source.urn in self._shrinking:
            self._shrinking.discard(record.source.urn)
            self._shrunk[record.source.media] += 1
        if record.status == "partial" and record.reading is not None:
            self._log.warning(
                "%s: measured in part, %s",
                printable(record.source.name),
                error_text(record.faults, record.source.name),
            )
        progress.finished(record)

    def _close_early(
        self,
        run: Measuring,
        listing: Listing,
        report: OrderReport,
        error: BaseException,
        folder: Path,
    ) -> None:
        """Account for every source of an order that `error` ended early; errors on the way are logged."""
        line = error.line if isinstance(error, QuadratError) else type(error).__name__
        if isinstance(error, SystemExit):
            line = "it was interrupted"
            self._log.warning("Interrupted; delivering the results so far")
        delivered = self._delivery.source
        try:
            self._take_known(listing, report, None, None)
            if not self._delivery.refused:
                for event in run.unfinished(StoppedError(f"the order ended early: {line}")):
                    self._handle_unfinished(event, listing, report)
        except (QuadratError, OSError) as late:
            shown = cannot_write(folder, late) if isinstance(late, OSError) else late
            self._log.error("%s", shown.line)
        if delivered is not None and delivered.urn not in report.book.urns():
            with suppress(OSError):  # the report has the record all the same
                reason = f"the order ended while it was delivered: {line}"
                report.add(not_reached_record(delivered, reason), listing.place(delivered))
        try:
            for source in listing.left(report.book.urns()):
                with suppress(OSError):
                    reason = f"the order ended before it: {line}"
                    report.add(not_reached_record(source, reason), listing.place(source))
        except QuadratError as late:
            self._log.error("%s", late.line)

    def _handle_unfinished(self, event: Event, listing: Listing, report: OrderReport) -> None:
        """Deliver the results of an unfinished source; it is not acknowledged."""
        if isinstance(event, ProductMade):
            self._delivery.deliver(event.product)
        elif isinstance(event, SourceDone):
            report.add(event.record, listing.place(event.record.source))
            self._ledger.commit(event.record, whole=False)
            if event.record.faults:
                name = event.record.source.name
                faults = error_text(event.record.faults, name)
                self._log.warning("%s: measured in part, %s", printable(name), faults)

    def _deliver_tables(
        self, run: Measuring, report: OrderReport, begin: float, folder: Path
    ) -> list[DeliveryError]:
        """Deliver the tables, survey.csv first, log the counts, and return the errors.

        A signal takes effect after the last table. A table that cannot be delivered does not stop the others.
        """
        with signals_deferred():
            self._closed = True
            self._ledger.make_room(reached=self._reached)
            wall_s = perf_counter() - begin
            if self._settings.order.benchmark:
                self._log_times(run, report, wall_s - run.warm_up_s)
            failed = self._deliver_each(report.products(run.stages, wall_s, run.tuning), folder)
            self._log_shrunk()
            for line in report.warnings():
                self._log.warning("%s", line)
            self._log_counts(report)
        return failed

    def _deliver_each(self, tables: Iterator[Product], folder: Path) -> list[DeliveryError]:
        """Deliver all tables that can be, and return the errors of the others."""
        failed: list[DeliveryError] = []
        try:
            for table in tables:
                try:
                    self._tables[table.name] = self._delivery.deliver(table)
                except DeliveryError as error:
                    failed.append(error)
        except OSError as error:  # a table could not be made
            failed.append(_full(folder, error))
        return failed

    def _log_counts(self, report: OrderReport) -> None:
        counts = report.totals.counts
        for picture in report.pictures:
            if picture in self._tables:
                self._log.info("Look at %s first", place_of(self._tables[picture]))
        urn = self._tables.get(report.table)
        self._log.info(
            "%d measured%s, %d failed, %d skipped, %d not reached; %s",
            report.totals.measured,
            report.totals.notes(),
            *(counts[status] for status in ("failed", "skipped", "not-reached")),
            f"the table is {place_of(urn)}" if urn else "the table could not be delivered",
        )

    def _log_shrunk(self) -> None:
        """Log how many sources were shrunk before measuring, which changes the cover of thin structures."""
        if self._shrunk:
            tiled = bool(self._settings.tiles.tile_size)
            self._log.info("%s", shrunk_text(self._shrunk, self._executor.facts, tiled=tiled))

    def _log_times(self, run: Measuring, report: OrderReport, wall_s: float) -> None:
        first = self._executor.facts[0]
        for line in timing_lines(
            self._settings.values(),
            first.provenance,
            first.name,
            seconds={**run.seconds, "deliver": self._delivery.seconds},
            wall=wall_s,
            images=self._frames if self._store.moving else report.totals.measured - self._unchanged,
            unit="frame" if self._store.moving else "image",
        ):
            self._log.info(line)


def _full(folder: Path, error: OSError) -> DeliveryError:
    """Return the error of an order whose temporary files do not fit; raise any other error of the system."""
    if not is_full(error):
        raise error
    return cannot_write(folder, error)
