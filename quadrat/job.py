"""One order, from parameters to delivered products; read it from top to bottom."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter

from quadrat.errors import (
    AllFailedError,
    DeliveryError,
    NoImagesError,
    NotAnImageError,
    QuadratError,
    StoppedError,
)
from quadrat.pipeline.loaded import LoadedModel, load_model
from quadrat.pipeline.predict import Prediction
from quadrat.render.pictures import draw_pictures
from quadrat.report.aspects import inference_aspect, picture_aspect, survey_aspect
from quadrat.report.cover import mean_confidence, measure
from quadrat.report.names import Names
from quadrat.report.progress import Progress
from quadrat.report.survey import Survey
from quadrat.report.timing import timing_lines
from quadrat.settings import Settings
from quadrat.types import Failure, Product, Provenance, Result, Store

TABLE = "survey.csv"


def run_order(settings: Settings, store: Store, log: logging.Logger) -> int:
    """Run one order to its end and return the exit status: 0, or that of the error logged.

    The failure policy is here and nowhere else: an image that fails is a row of the table unless
    `on_error` is stop or more than `max_failures` have failed; an order that measured nothing fails.
    """
    try:
        with store.model() as archive, load_model(archive, settings, log) as model:
            Order(settings, store, log, model).run()
    except QuadratError as error:
        log.error("%s", error.line)
        return error.exit_status
    return 0


class Order:
    """One order with its model loaded: names used, rows written, images seen."""

    def __init__(self, settings: Settings, store: Store, log: logging.Logger, model: LoadedModel) -> None:
        self._settings = settings
        self._store = store
        self._log = log
        self._model = model
        self._provenance: Provenance = model.provenance(store.order, store.model_urn)
        self._names = Names(store.taken())
        self._table_name = self._names.whole(TABLE)
        self._survey = Survey()
        self._seen: set[str] = set()
        self._deliver_s = 0.0

    def run(self) -> None:
        """Measure every image, deliver the table, and raise what ends the order badly."""
        if self._table_name != TABLE:
            self._log.warning(
                "There are results of an earlier run: these get numbers, and %s", self._table_name
            )
        self._log.info(
            "Model %r on engine %s %s, %s, %s",
            self._settings.model_name or self._model.package.name,
            self._provenance.engine,
            self._provenance.engine_version,
            self._provenance.device,
            self._provenance.precision,
        )
        begin = perf_counter()
        prediction = Prediction(self._model, self._store.sources(), self._store.pull)
        try:
            self._measure(prediction)
        except DeliveryError:
            raise
        except BaseException as error:  # a signal's SystemExit too: a night's work ends with its table
            self._close_early(error)
            raise
        if self._settings.benchmark:
            self._log_times(prediction.seconds, perf_counter() - begin - prediction.warm_up_s)
        self._deliver_table()
        self._conclude()

    def _measure(self, prediction: Prediction) -> None:
        total = sum(1 for _ in self._store.relist()) or None
        with Progress(self._log, total) as progress:
            for item in prediction:
                self._seen.add(item.source.urn)
                begin = perf_counter()
                if isinstance(item, Failure):
                    self._take_failure(item, progress)
                else:
                    self._take_result(item, progress)
                self._store.acknowledge(item.source)
                self._deliver_s += perf_counter() - begin

    def _close_early(self, error: BaseException) -> None:
        """Account for every image though the order ends badly; the error that ended it is the one told."""
        line = error.line if isinstance(error, QuadratError) else type(error).__name__
        if isinstance(error, SystemExit):
            line = "it was interrupted"
            self._log.warning("Interrupted after %d images", self._survey.counts["ok"])
        left = [source for source in self._store.relist() if source.urn not in self._seen]
        self._survey.add_not_reached(left, f"the order ended before it: {line}")
        try:
            self._deliver_table()
        except DeliveryError as late:
            self._log.error("%s", late.line)

    def _log_times(self, seconds: Mapping[str, float], wall: float) -> None:
        for line in timing_lines(
            self._settings,
            self._provenance,
            self._model.package.name,
            seconds={**seconds, "deliver": self._deliver_s},
            wall=wall,
            images=self._survey.counts["ok"],
        ):
            self._log.info(line)

    def _take_failure(self, failure: Failure, progress: Progress) -> None:
        self._survey.add_failure(failure)
        if isinstance(failure.error, NotAnImageError):
            progress.skipped(failure)
            return
        progress.failed(failure)
        failed, limit = self._survey.counts["failed"], self._settings.max_failures
        if self._settings.on_error == "stop":
            raise StoppedError(
                f"stopped at the first image that failed, {failure.error.line}",
                hint="Use --on-error skip to go on past such images",
            )
        if 0 <= limit < failed:
            raise StoppedError(
                f"{failed} images have failed and max-failures is {limit}",
                hint="See survey.csv for the reasons",
            )

    def _take_result(self, result: Result, progress: Progress) -> None:
        """Deliver all pictures of one image, then write its rows."""
        segmentation = result.predictions["segment"]
        floor = self._settings.min_confidence
        covers = measure(self._model.package, segmentation, floor)
        size = segmentation.labels.shape
        aspect = inference_aspect(
            result.source,
            result.frame,
            covers,
            self._provenance,
            size=(size[0], size[1]),
            confidence=mean_confidence(segmentation),
            min_confidence=floor,
        )
        stem = self._names.stem(result.source.name)
        delivered = ""
        for picture in draw_pictures(result.frame, segmentation, covers, self._settings.outputs):
            metadata = aspect if picture.kind == "pseudo" else picture_aspect(picture.kind, aspect)
            name = f"{stem}.{picture.kind}{picture.suffix}"
            self._store.deliver(Product(name, picture.mime, picture.body, metadata))
            delivered = delivered or name
        self._survey.add_result(result.source, result.frame, covers, (size[0], size[1]), delivered)
        progress.measured(result.source, covers)

    def _deliver_table(self) -> None:
        metadata = survey_aspect(self._provenance, self._survey.counts, self._survey.mean_covers())
        urn = self._store.deliver(Product(self._table_name, "text/csv", self._survey.body(), metadata))
        counts = self._survey.counts
        self._log.info(
            "%d measured, %d failed, %d skipped, %d not reached; the table is %s",
            *(counts[status] for status in ("ok", "failed", "skipped", "not-reached")),
            urn,
        )

    def _conclude(self) -> None:
        counts = self._survey.counts
        if counts["ok"]:
            return
        if counts["failed"]:
            raise AllFailedError(
                f"none of {counts['failed']} images could be measured",
                hint=f"See {self._table_name} for the reasons",
            )
        skipped = f", and {counts['skipped']} other files were skipped" if counts["skipped"] else ""
        raise NoImagesError(
            f"there is no image to measure{skipped}",
            where="images",
            hint="Give a folder or collection with JPEG, PNG, TIFF, WebP or BMP images",
        )
