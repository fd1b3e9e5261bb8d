"""One order, from parameters to delivered products; read it from top to bottom."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from quadrat import report
from quadrat.errors import (
    AllFailedError,
    DeliveryError,
    NoImagesError,
    NotAnImageError,
    QuadratError,
    StoppedError,
)
from quadrat.formats import IMAGE_WORDS, VIDEO_WORDS, skip_reason
from quadrat.parameters import Settings
from quadrat.pipeline.loaded import LoadedModel, load_model
from quadrat.pipeline.run import Run
from quadrat.protocols import Store
from quadrat.report.aspects import survey_aspect
from quadrat.report.names import Names
from quadrat.report.progress import Progress
from quadrat.report.record import run_record
from quadrat.report.survey import Survey
from quadrat.report.timing import timing_lines
from quadrat.types import Begun, Ended, Failure, Media, Product, Provenance, Result, Source

TABLE = "survey.csv"
RECORD = "run.json"


def run_order(settings: Settings, store: Store, log: logging.Logger) -> int:
    """Run one order to its end and return the exit status: 0, or that of the error logged.

    The failure policy is here and nowhere else: a source that fails is a row of the table unless
    `on_error` is stop or more than `max_failures` have failed; an order that measured nothing fails.
    """
    # with idle-seconds a frame waits for the answer to the one before
    many = store.moving and not settings.frames.idle_seconds
    try:
        store.check()
        with store.model() as archive, load_model(archive, settings, log, many=many) as model:
            Order(settings, store, log, model).run()
    except QuadratError as error:
        log.error("%s", error.line)
        return error.exit_status
    return 0


class Order:
    """One order with its model loaded: names used, rows written, sources seen."""

    def __init__(self, settings: Settings, store: Store, log: logging.Logger, model: LoadedModel) -> None:
        self._settings = settings
        self._store = store
        self._log = log
        self._model = model
        self._provenance: Provenance = model.provenance(store.order, store.model_urn)
        self._names = Names(store.taken())
        self._table_name = self._names.whole(TABLE)
        self._record_name = self._names.whole(RECORD)
        self._survey = Survey()
        self._seen: set[str] = set()
        self._failed: Counter[str] = Counter()
        self._shrunk: dict[str, Media] = {}
        self._other_kind = 0
        self._frames = 0
        self._deliver_s = 0.0
        self._delivering = False
        self._in_hand: Source | None = None

    def run(self) -> None:
        """Measure every source, deliver the tables, and raise what ends the order badly."""
        if self._table_name != TABLE:
            self._log.warning(
                "Results of an earlier run are in the way: new ones get numbers, and the table is %s",
                self._table_name,
            )
        self._log.info(
            "Model %r on engine %s %s, %s, %s",
            self._settings.order.model_name or self._model.package.name,
            self._provenance.engine,
            self._provenance.engine_version,
            self._provenance.device,
            self._provenance.precision,
        )
        with tempfile.TemporaryDirectory(prefix="quadrat-order-") as folder:
            made = report.make(
                self._model.package,
                self._settings,
                self._provenance,
                names=self._names,
                survey=self._survey,
                folder=Path(folder),
            )
            with closing(made) as self._report:
                self._run(Path(folder))
        self._conclude()

    def _run(self, folder: Path) -> None:
        begin = perf_counter()
        films = folder if self._store.moving and self._settings.pictures.outputs != ("none",) else None
        run = Run(
            self._model, self._store.sources(), self._store.pull, moving=self._store.moving, films=films
        )
        try:
            self._measure(run)
        except BaseException as error:  # a signal's SystemExit too: a night's work ends with its table
            refused = isinstance(error, DeliveryError) and self._delivering
            if not refused:  # what takes no product takes no table either
                self._close_early(run, begin, error)
            raise
        self._deliver_tables(run, perf_counter() - begin)

    def _measure(self, run: Run) -> None:
        total = sum(1 for _ in self._store.relist()) or None
        moving = self._store.moving
        step, seconds = self._settings.frames.frame_step, self._settings.frames.frame_seconds
        progress = Progress(self._log, total, moving=moving, step=step, seconds=seconds)
        with progress, closing(iter(run)) as stream:
            for item in stream:
                begin = perf_counter()
                if isinstance(item, Begun):
                    self._report.begin(item.source)
                    progress.begun(item)
                elif isinstance(item, Result) and item.frame.time_s is not None:
                    with undivided():
                        self._report.frame(item)
                    self._note_size(item)
                    self._frames += not item.frame.skipped
                    progress.frame(item.source, skipped=bool(item.frame.skipped))
                else:
                    self._take(item, progress)
                self._deliver_s += perf_counter() - begin

    def _take(self, item: Result | Ended | Failure, progress: Progress) -> None:
        """Deliver all that comes of one source, and let the store know."""
        self._seen.add(item.source.urn)
        if isinstance(item, Failure):
            self._take_failure(item, progress)
        elif isinstance(item, Ended):
            self._take_end(item)
            progress.measured(item.source, self._report.summed(item))
        else:
            self._deliver_all(self._report.image(item), item.source)
            self._note_size(item)
            progress.measured(item.source, self._report.said(item))
        self._store.acknowledge(item.source)

    def _take_end(self, ended: Ended) -> None:
        self._deliver_all(self._report.ended(ended), ended.source)
        if ended.video is not None:
            ended.video.unlink(missing_ok=True)
        error = self._warn(ended)
        if error is not None and self._settings.order.on_error == "stop":
            raise StoppedError(f"stopped at the first source that is not whole, {error.line}", hint=SKIP)

    def _warn(self, ended: Ended) -> QuadratError | None:
        """Say, and give, why a source is measured in part, if it is."""
        error = ended.reading.error
        if error is not None:
            self._log.warning("%s: measured in part, %s", ended.source.name, error.line)
        return error

    def _deliver_all(self, products: Iterable[Product], source: Source | None = None) -> None:
        """Deliver products; those of a source are all delivered when its rows are written, or it stays in hand."""
        self._in_hand = source
        for product in products:
            self._delivering = True
            self._store.deliver(product)
            self._delivering = False
        self._in_hand = None

    def _close_early(self, run: Run, begin: float, error: BaseException) -> None:
        """Account for every source though the order ends badly; the error that ended it is the one told."""
        line = error.line if isinstance(error, QuadratError) else type(error).__name__
        if isinstance(error, SystemExit):
            line = "it was interrupted"
            self._log.warning("Interrupted: what is measured so far is delivered")
        cut = StoppedError(f"the order ended before its end: {line}")
        if self._in_hand is not None:
            self._survey.add_not_reached([self._in_hand], f"the order ended while it was delivered: {line}")
        try:
            for ended in run.unfinished(cut):
                self._seen.add(ended.source.urn)
                self._deliver_all(self._report.ended(ended))
                self._warn(ended)
            left = [source for source in self._store.relist() if source.urn not in self._seen]
            self._survey.add_not_reached(left, f"the order ended before it: {line}")
            self._deliver_tables(run, perf_counter() - begin)
        except DeliveryError as late:
            self._log.error("%s", late.line)

    def _note_size(self, result: Result) -> None:
        frame = result.frame
        if not frame.skipped and frame.pixels.shape[:2] != frame.source_hw:
            self._shrunk[result.source.urn] = result.source.media

    def _log_shrunk(self) -> None:
        """Say how many sources were measured smaller than they are: that changes the cover of thin things."""
        count, kinds = len(self._shrunk), set(self._shrunk.values())
        if not count:
            return
        kind = kinds.pop() if len(kinds) == 1 else "source"
        most = self._model.frames.max_img_size or -1
        self._log.info(
            "%d %s shrunk to %s pixels; --max-img-size -1 measures %s whole%s",
            count,
            f"{kind} was" if count == 1 else f"{kind}s were",
            most if most % 10**6 else f"{most // 10**6} million",
            "it" if count == 1 else "them",
            "" if self._settings.tiles.tile_size else ", --tile-size in tiles",
        )

    def _failures(self) -> str:
        """Say how many sources of which kind have failed."""
        count, kinds = self._failed.total(), list(self._failed)
        return f"{count} {kinds[0] if len(kinds) == 1 else 'source'}{'s' * (count != 1)}"

    def _log_times(self, run: Run, wall: float) -> None:
        for line in timing_lines(
            self._settings,
            self._provenance,
            self._model.package.name,
            seconds={**run.seconds, "deliver": self._deliver_s},
            wall=wall,
            images=self._frames if self._store.moving else self._survey.measured,
            unit="frame" if self._store.moving else "image",
        ):
            self._log.info(line)

    def _take_failure(self, failure: Failure, progress: Progress) -> None:
        self._survey.add_failure(failure)
        if isinstance(failure.error, NotAnImageError):
            self._other_kind += (
                skip_reason(Path(failure.source.name).name, moving=not self._store.moving) is None
            )
            progress.skipped(failure)
            return
        progress.failed(failure)
        self._failed[failure.source.media] += 1
        failed, limit = self._failed.total(), self._settings.order.max_failures
        if self._settings.order.on_error == "stop":
            raise StoppedError(
                f"stopped at the first {failure.source.media} that failed, {failure.error.line}", hint=SKIP
            )
        if 0 <= limit < failed:
            raise StoppedError(
                f"{self._failures()} failed, and max-failures is {limit}",
                hint=f"See {self._table_name} for the reasons",
            )

    def _deliver_tables(self, run: Run, wall: float) -> None:
        """Deliver the task's tables, the record of the run, and last the survey: where that is, all is."""
        if self._settings.order.benchmark:
            self._log_times(run, wall - run.warm_up_s)
        counts = self._survey.counts
        self._deliver_all(self._report.tables())
        readings = self._survey.readings()
        record = run_record(
            self._settings,
            self._provenance,
            run.stages,
            counts,
            wall,
            task=self._model.package.task,
            moving=self._store.moving,
            sources=readings,
        )
        self._store.deliver(record.product(self._record_name))
        metadata = survey_aspect(self._provenance, counts, self._survey.mean_covers(), self._survey.objects())
        urn = self._store.deliver(Product(self._table_name, "text/csv", self._survey.body(), metadata))
        self._log_shrunk()
        self._log.info(
            "%d measured%s, %d failed, %d skipped, %d not reached; the table is %s",
            self._survey.measured,
            f" ({counts['partial']} in part)" if counts["partial"] else "",
            *(counts[status] for status in ("failed", "skipped", "not-reached")),
            urn,
        )

    def _conclude(self) -> None:
        counts = self._survey.counts
        if self._survey.measured:
            return
        if counts["failed"]:
            raise AllFailedError(
                f"nothing could be measured: {self._failures()} failed",
                hint=f"See {self._table_name} for the reasons",
            )
        if self._survey.blank:
            raise NoImagesError(
                f"nothing was measured: in {self._survey.blank} of the sources there is no frame worth it",
                hint=f"See {self._table_name} for the reasons, and leave --skip-black out to measure them all the same",
            )
        where, other = ("videos", "images") if self._store.moving else ("images", "videos")
        skipped = f", and {counts['skipped']} other files were skipped" if counts["skipped"] else ""
        if self._other_kind:
            skipped += f", {self._other_kind} of them {other}"
            hint = f"For {other} give --{other}"
        elif self._store.moving:
            hint = f"Give a folder or collection with videos ({VIDEO_WORDS}) or folders of images"
        else:
            hint = f"Give a folder or collection with {IMAGE_WORDS} images"
        raise NoImagesError(f"there is nothing to measure{skipped}", where=where, hint=hint)


@contextmanager
def undivided() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait until what is inside is done: half a frame in the tables would be a wrong count."""
    came: list[tuple[int, Any]] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in found.items() if handler is not None}
    for number in before:
        signal.signal(number, lambda *said: came.append(said))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        os.kill(os.getpid(), came[0][0])  # to the one who knows what to do


SKIP = "Use --on-error skip to go on past it"
