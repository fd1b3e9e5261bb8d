"""Products of classification for one source: the labelled picture, and the labels of a video's frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from quadrat.media.encode import jpeg
from quadrat.parameters import LabelSettings, PictureSettings
from quadrat.predictions import Classification
from quadrat.records import ModelRecord
from quadrat.render.labelled import draw_labels
from quadrat.report.aspects import table_aspect
from quadrat.report.base import ModelFacts, mime_of
from quadrat.report.classified_aspects import label_aspect, labelled_aspect
from quadrat.report.classified_lines import FRAMES, columns_of, frame_lines
from quadrat.report.classified_values import FrameSums, LabelSummary, Verdict, absent, rule_of, text_of
from quadrat.report.columns import ColumnWriter
from quadrat.report.spool import Spool
from quadrat.report.survey import csv_line
from quadrat.types import Product, Result, Source, SourceClosed


class LabelCollector:
    """Collects the labels of one source."""

    def __init__(
        self,
        model: ModelFacts,
        source: Source,
        folder: Path,
        _labels: LabelSettings,
        pictures: PictureSettings,
        *_groups: object,
    ) -> None:
        self._model = model
        self._source = source
        self._folder = folder
        self._rule = rule_of(model)
        self._nothing = absent(self._rule).name
        self._drawn = not pictures.outputs or "labelled" in pictures.outputs
        self._columns = ColumnWriter(folder / model.temporary_name(source.stem, ".columns"))
        self._sums = FrameSums(self._rule)
        self._record = ModelRecord(model.name, model.task)

    def picture(self, result: Result) -> Iterator[Product]:
        """Yield the labelled picture of one image."""
        frame, found = result.view(self._model.name), self._found(result)
        verdict = Verdict.of(found)
        name = ""
        if self._drawn:
            name = self._model.product_name(self._source.stem, ".labelled.jpg")
            metadata = label_aspect(
                self._source, frame, verdict, self._model.provenance, multi_label=self._rule.multi_label
            )
            yield Product(name, "image/jpeg", jpeg(draw_labels(frame.pixels, found)), metadata)
        self._record = replace(
            self._record,
            measured=1,
            size=(frame.pixels.shape[0], frame.pixels.shape[1]),
            product=name,
            summary=LabelSummary((verdict,)),
            text=text_of(found.labels, self._nothing),
        )

    def frame(self, result: Result) -> None:
        """Add the labels of one frame; a frame that was not measured has a reason instead."""
        frame = result.view(self._model.name)
        if result.frame.skipped or self._model.name not in result.predictions:
            self._columns.add(replace(frame, skipped=result.frame.skipped or "failed"), {}, 0)
            return
        found = self._found(result)
        self._sums.add(found)
        self._columns.add(frame, {"scores": found.scores[None]}, 1)

    def closed(self, closed: SourceClosed) -> Iterator[Product]:
        """Yield the annotated video, if there is one, and the table of its frames."""
        closing, columns = closed.closings[self._model.name], self._columns.finish()
        verdicts, made = self._sums.verdicts(), self._model.provenance
        aspect = labelled_aspect(closed, closing, verdicts, made, multi_label=self._rule.multi_label)
        table = main = self._model.product_name(self._source.stem, ".predictions.csv")
        if closing.video is not None:
            main = self._model.product_name(self._source.stem, closing.video.suffix)
            yield Product(main, mime_of(closing.video), closing.video, aspect)
        names = columns_of(FRAMES, self._rule)
        rows = Spool(self._folder / self._model.temporary_name(self._source.stem, ".predictions"))
        rows.write(csv_line(names))
        count = rows.extend(frame_lines(self._source, columns, self._rule))
        rows.flush()
        metadata = table_aspect("predictions", names, made, count)
        yield Product(table, "text/csv", rows.path, aspect if closing.video is None else metadata)
        rows.delete()
        self._record = replace(
            self._record,
            measured=closing.measured,
            skipped=closing.skipped,
            faults=closing.faults,
            product=main,
            summary=LabelSummary(verdicts, self._sums.seen),
            columns=columns,
            text=text_of(verdicts[0].labels, self._nothing) if verdicts else "no frame was measured",
        )

    def record(self) -> ModelRecord:
        """Return the labels of the source."""
        return self._record

    def _found(self, result: Result) -> Classification:
        prediction = result.predictions[self._model.name]
        if not isinstance(prediction, Classification):
            raise TypeError(f"the model {self._model.name} gave {type(prediction).__name__}, not labels")
        return prediction
