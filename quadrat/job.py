"""One order, from parameters to delivered products; read it from top to bottom."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from quadrat.errors import (
    AllFailedError,
    DeliveryError,
    NoImagesError,
    NotAnImageError,
    QuadratError,
    StoppedError,
    UnavailableError,
)
from quadrat.executors import open_executor
from quadrat.executors.work import Executor, Measuring, Work
from quadrat.formats import IMAGE_WORDS, VIDEO_WORDS, skip_reason
from quadrat.parameters import Settings
from quadrat.pipeline.measure import (
    Event,
    FrameDone,
    ProductMade,
    SourceDone,
    not_reached_record,
)
from quadrat.protocols import Store
from quadrat.records import SourceRecord
from quadrat.report.names import Names
from quadrat.report.order import TABLE, OrderReport
from quadrat.report.progress import Progress
from quadrat.report.timing import timing_lines
from quadrat.types import Media, Product, Source, SourceOpened, StoreItem

SKIP = "Use --on-error skip to continue after it"


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
        store.check()
        with ExitStack() as stack:
            archives = stack.enter_context(store.models())
            work = Work(tuple(archives.values()), tuple(archives), store.order, settings, moving=store.moving)
            executor = stack.enter_context(open_executor(work, log))
            order = Order(settings, store, log, executor)
            folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quadrat-order-")))
            order.run(folder)
    except QuadratError as raised:
        log.error("%s", raised.line)
        error = raised
    if order is None:
        return Outcome(error, {})
    return order.outcome(error, keep)


class Listing:
    """The sources of an order as its store lists them, each with the stem of its products' names."""

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names
        self.total = sum(1 for _ in store.relist()) or None

    def __iter__(self) -> Iterator[StoreItem]:
        """Yield the sources with their stems, which thus do not depend on which source fails or finishes first."""
        for item in self._store.sources():
            yield replace(item, stem=self._names.of(item)) if isinstance(item, Source) else item

    def left(self, seen: Iterable[str]) -> Iterator[Source]:
        """Yield the sources whose URN is not in `seen`, if the store can list them again."""
        known = set(seen)
        return (source for source in self._store.relist() if source.urn not in known)


class Delivery:
    """Delivers products to the store, and counts and times this.

    `source` is the source whose products are being delivered, until its record is complete. `refused` is True once
    the store has refused a product.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.source: Source | None = None
        self.refused = False
        self.seconds = 0.0
        self.count = 0

    def deliver(self, product: Product, source: Source | None = None) -> str:
        """Deliver a product of a source or of the whole order, and return its URN."""
        begin = perf_counter()
        self.source = source
        try:
            urn = self._store.deliver(product)
        except DeliveryError:
            self.refused = True
            raise
        finally:
            self.seconds += perf_counter() - begin
        self.count += 1
        return urn

    def acknowledge(self, record: SourceRecord) -> None:
        """Tell the store that all products of a source are delivered, or that a later order may fetch it."""
        waits = any(isinstance(fault, UnavailableError) for fault in record.faults)
        (self._store.release if waits else self._store.acknowledge)(record.source)


class FailurePolicy:
    """Decides after each source whether the order continues, and at the end whether it failed."""

    def __init__(self, settings: Settings, table: str, *, moving: bool) -> None:
        self._order = settings.order
        self._table = table
        self._moving = moving
        self._failed: Counter[str] = Counter()
        self._other_kind = 0

    def check(self, record: SourceRecord) -> None:
        """Raise StoppedError if the order must end because of this record."""
        stop = self._order.on_error == "stop"
        if record.status == "skipped" and record.faults:
            name = Path(record.source.name).name
            self._other_kind += (
                isinstance(record.faults[0], NotAnImageError)
                and skip_reason(name, moving=not self._moving) is None
            )
        elif record.status == "partial" and stop and _is_cut(record):
            raise StoppedError(
                f"stopped at the first source that was measured only in part, {record.faults[0].line}",
                hint=SKIP,
            )
        elif record.status == "failed":
            self._failed[record.source.media] += 1
            if stop:
                what = f"stopped at the first {record.source.media} that failed, {record.faults[0].line}"
                raise StoppedError(what, hint=SKIP)
            if 0 <= self._order.max_failures < self._failed.total():
                raise StoppedError(
                    f"{self._failures()} failed, and max-failures is {self._order.max_failures}",
                    hint=f"See {self._table} for the reasons",
                )

    def conclude(self, counts: Mapping[str, int], *, measured: int, blank: int) -> None:
        """Raise an error if the order measured nothing."""
        if measured:
            return
        if counts.get("failed"):
            raise AllFailedError(
                f"nothing could be measured: {self._failures()} failed",
                hint=f"See {self._table} for the reasons",
            )
        if blank:
            raise NoImagesError(
                f"no frame was measured in the {blank} source{'s' * (blank != 1)} that could be read",
                hint=f"See {self._table} for the reasons; leave --skip-black out to measure black frames",
            )
        where, other = ("videos", "images") if self._moving else ("images", "videos")
        skipped = ""
        if count := counts.get("skipped", 0):
            skipped = f"; {count} file{'s were' if count > 1 else ' was'} skipped"
        if self._other_kind:
            skipped += f", {self._other_kind} of them {other}"
            hint = f"For {other} give --{other}"
        elif self._moving:
            hint = f"Give a folder or collection with videos ({VIDEO_WORDS}) or folders of images"
        else:
            hint = f"Give a folder or collection with {IMAGE_WORDS} images"
        raise NoImagesError(f"there is nothing to measure{skipped}", where=where, hint=hint)

    def _failures(self) -> str:
        """Return the number of failed sources and their kind."""
        count, kinds = self._failed.total(), list(self._failed)
        return f"{count} {kinds[0] if len(kinds) == 1 else 'source'}{'s' * (count != 1)}"


def _is_cut(record: SourceRecord) -> bool:
    """Return True if a video is not whole, or if one of several models could not measure a picture."""
    return record.reading is not None or any(part.faults and not part.measured for part in record.models)


class Order:
    """One order with its models loaded."""

    def __init__(self, settings: Settings, store: Store, log: logging.Logger, executor: Executor) -> None:
        self._settings = settings
        self._store = store
        self._log = log
        self._executor = executor
        labels = [facts.label for facts in executor.facts]
        self._names = Names(store.taken(), labels)
        self._delivery = Delivery(store)
        self._tables: dict[str, str] = {}
        self._shrunk: Counter[Media] = Counter()
        self._shrinking: set[str] = set()
        self._frames = 0
        self._report: OrderReport | None = None

    def run(self, folder: Path) -> None:
        """Measure all sources and deliver the tables. Raises the error of an order that fails."""
        facts = self._executor.facts
        moving = self._store.moving
        report = self._report = OrderReport(facts, self._settings.values(), self._names, folder)
        self._log_start(report.table)
        policy = FailurePolicy(self._settings, report.table, moving=moving)
        listing = Listing(self._store, self._names)
        begin = perf_counter()
        run = self._executor.measure(listing, self._store.pull, folder)
        try:
            self._measure(run, listing, report, policy)
        except BaseException as error:  # SystemExit by a signal, too: the table is delivered even then
            if not (isinstance(error, DeliveryError) and self._delivery.refused):
                self._close_early(run, listing, report, begin, error)
            raise
        self._close(run, report, perf_counter() - begin)
        totals = report.totals
        policy.conclude(totals.counts, measured=totals.measured, blank=totals.blank)

    def outcome(self, error: QuadratError | None, keep: Path | None) -> Outcome:
        """Return the outcome of the order."""
        counts = dict(self._report.totals.counts) if self._report is not None else {}
        records = self._report.book.path if self._report is not None and keep is not None else None
        return Outcome(error, counts, self._delivery.count, dict(self._tables), records)

    def _log_start(self, table: str) -> None:
        if table != TABLE:
            self._log.warning(
                "There are results of an earlier run: new files get numbers, and the table is %s", table
            )
        alone = len(self._executor.facts) == 1
        for facts in self._executor.facts:
            made = facts.provenance
            self._log.info(
                "Model %r runs on %s %s, %s, %s",
                (alone and self._settings.order.model_name) or facts.name,
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
        with progress, closing(iter(run)) as events:
            for event in events:
                if isinstance(event, SourceDone):
                    self._done(event, report, progress)
                    policy.check(event.record)
                    self._delivery.acknowledge(event.record)
                else:
                    self._handle(event, progress)

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

    def _done(self, event: SourceDone, report: OrderReport, progress: Progress) -> None:
        """Keep the record of a source, once all its products are delivered."""
        record = event.record
        self._delivery.source = None
        report.add(record)
        if event.shrunk or record.source.urn in self._shrinking:
            self._shrinking.discard(record.source.urn)
            self._shrunk[record.source.media] += 1
        if record.status == "partial" and record.reading is not None:
            self._log.warning(
                "%s: measured in part, %s",
                record.source.name,
                "; ".join(fault.line for fault in record.faults),
            )
        progress.finished(record)

    def _close_early(
        self, run: Measuring, listing: Listing, report: OrderReport, begin: float, error: BaseException
    ) -> None:
        """Account for every source of an order that `error` ended early."""
        line = error.line if isinstance(error, QuadratError) else type(error).__name__
        if isinstance(error, SystemExit):
            line = "it was interrupted"
            self._log.warning("Interrupted; delivering the results so far")
        delivered = self._delivery.source
        try:
            for event in run.unfinished(StoppedError(f"the order ended early: {line}")):
                self._handle_unfinished(event, report)
            if delivered is not None and delivered.urn not in report.book.urns():
                reason = f"the order ended while it was delivered: {line}"
                report.add(not_reached_record(delivered, reason))
            for source in listing.left(report.book.urns()):
                report.add(not_reached_record(source, f"the order ended before it: {line}"))
            self._close(run, report, perf_counter() - begin)
        except DeliveryError as late:
            self._log.error("%s", late.line)

    def _handle_unfinished(self, event: Event, report: OrderReport) -> None:
        """Deliver the results of an unfinished source; it is not acknowledged."""
        if isinstance(event, ProductMade):
            self._delivery.deliver(event.product)
        elif isinstance(event, SourceDone):
            report.add(event.record)
            if event.record.faults:
                faults = "; ".join(fault.line for fault in event.record.faults)
                self._log.warning("%s: measured in part, %s", event.record.source.name, faults)

    def _close(self, run: Measuring, report: OrderReport, wall_s: float) -> None:
        """Deliver the tables, and log how many sources were shrunk and the counts."""
        if self._settings.order.benchmark:
            self._log_times(run, report, wall_s - run.warm_up_s)
        urn = ""
        for product in report.products(run.stages, wall_s):
            urn = self._tables[product.name] = self._delivery.deliver(product)
        self._log_shrunk()
        counts = report.totals.counts
        self._log.info(
            "%d measured%s, %d failed, %d skipped, %d not reached; the table is %s",
            report.totals.measured,
            f" ({counts['partial']} in part)" if counts["partial"] else "",
            *(counts[status] for status in ("failed", "skipped", "not-reached")),
            urn,
        )

    def _log_shrunk(self) -> None:
        """Log how many sources were shrunk before measuring, which changes the cover of thin structures."""
        count, kinds = self._shrunk.total(), list(self._shrunk)
        if not count:
            return
        kind = kinds[0] if len(kinds) == 1 else "source"
        most = self._settings.frames_for(shrinks=True).max_img_size or -1
        self._log.info(
            "%d %s shrunk to %s pixels; --max-img-size -1 measures %s whole%s",
            count,
            f"{kind} was" if count == 1 else f"{kind}s were",
            most if most % 10**6 else f"{most // 10**6} million",
            "it" if count == 1 else "them",
            "" if self._settings.tiles.tile_size else ", --tile-size in tiles",
        )

    def _log_times(self, run: Measuring, report: OrderReport, wall_s: float) -> None:
        first = self._executor.facts[0]
        for line in timing_lines(
            self._settings.values(),
            first.provenance,
            first.name,
            seconds={**run.seconds, "deliver": self._delivery.seconds},
            wall=wall_s,
            images=self._frames if self._store.moving else report.totals.measured,
            unit="frame" if self._store.moving else "image",
        ):
            self._log.info(line)
