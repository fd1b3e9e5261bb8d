"""Drawn scenes, and orders of videos of them, for tests of the whole path.

draw([(x0, y0, x1, y1)])                 a picture with rectangles, whose boxes the example's detector finds exactly
film(path, [draw(...), ...])             a video of such pictures, as a source
load(archive)                            one model, loaded with default settings
measured(model, [source, ...])           what the chain gives for sources: results by source, and how each ended
order(model, folder, out, ...)           a whole order in this process: status, error lines, survey and products
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from examples.rectangles_net import COLORS
from quadrat import job
from quadrat.errors import QuadratError
from quadrat.parameters import Settings, parse
from quadrat.pipeline.models import LoadedModel, Pass, load_models
from quadrat.pipeline.run import Run
from quadrat.predictions import Detections
from quadrat.protocols import Engine
from quadrat.stores.folder import FolderStore
from quadrat.tasks.detect.task import Detect
from quadrat.tasks.segment.task import Segment
from quadrat.types import Blob, Failure, Result, Source, SourceClosed
from tests import results
from tests import videos as files

RECTANGLES = Path(__file__).resolve().parent.parent / "examples" / "models" / "rectangles.tgz"
"""The detector of drawn rectangles: fish are blue, crabs red, urchins green."""
TABLES = ("coco.json", "detections.csv", "detections.jsonl", "survey.csv", "tracks.csv")
"""What an order on videos delivers of all of them together, beside run.json."""
FISH, CRAB, URCHIN = range(3)
LOG = logging.getLogger("test")
SAND = (120, 118, 110)
Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]


def draw(boxes: Sequence[Box], hw: tuple[int, int] = (144, 192), kind: int = FISH) -> Pixels:
    """Draw rectangles (x0, y0, x1, y1) of one class on sand, the later ones over the earlier ones."""
    pixels = np.full((*hw, 3), SAND, np.uint8)
    for x0, y0, x1, y1 in boxes:
        pixels[y0:y1, x0:x1] = COLORS[kind]
    return pixels


def swim(
    count: int, *, y: int = 40, step: int = 4, kind: int = FISH, hw: tuple[int, int] = (144, 192)
) -> list[Pixels]:
    """Draw frames in which a square of 40 pixels goes to the right."""
    return [draw([(8 + step * n, y, 48 + step * n, y + 40)], hw, kind) for n in range(count)]


def film(path: Path, frames: Sequence[Pixels], **how: Any) -> Source:
    """Write a video of these frames, at 25 per second unless `how` changes it, and give it as a source."""
    files.write(path, frames, **{"options": {"crf": "8"}, **how})
    return Source(path.stem, path.name, "video", str(path))


class Watched:
    """An engine that calls `each` with every batch before it runs it."""

    def __init__(self, engine: Engine, each: Callable[[NDArray[np.float32]], None]) -> None:
        self._engine, self._each = engine, each

    def __getattr__(self, name: str) -> Any:
        """Give an attribute of the engine."""
        return getattr(self._engine, name)

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run."""
        self._each(batch)
        return self._engine.run(batch, outputs)


def watched(model: LoadedModel, each: Callable[[NDArray[np.float32]], None]) -> LoadedModel:
    """Call `each` with every batch."""
    engine: Any = Watched(model.engine, each)
    return replace(model, engine=engine)


@contextmanager
def pull(source: Source) -> Iterator[Blob]:
    """Give the file."""
    yield Blob(Path(source.token))


@contextmanager
def load(
    archive: Path,
    settings: Settings | None = None,
    *,
    throughput: bool = False,
    log: logging.Logger | None = None,
) -> Iterator[LoadedModel]:
    """Load one archive, and give its model."""
    with load_models([archive], settings or Settings(), log or LOG, throughput=throughput) as models:
        (model,) = models.values()
        yield model


def with_settings(model: LoadedModel, settings: Settings) -> LoadedModel:
    """Give the model with other settings; a task of the test's own is kept."""
    if not isinstance(model.task, Detect | Segment):
        return replace(model, settings=settings)
    groups = model.kind.groups_of(settings)
    task = model.kind.part("make")(model.package, model.engine.outputs, *groups)
    return replace(model, settings=settings, task=task)


def measured(
    model: LoadedModel, sources: Sequence[Source], *, videos: Path | None = None, **values: Any
) -> tuple[dict[str, list[Result]], dict[str, SourceClosed | Failure]]:
    """Run sources with settings (named with underscores); give the results of each, and how each ended."""
    changed = with_settings(model, parse(values))
    moving = sources[0].media != "image"
    return run(Run(Pass([changed]), sources, pull, moving=moving, videos=videos))


def run(path: Run) -> tuple[dict[str, list[Result]], dict[str, SourceClosed | Failure]]:
    """Run to the end; give the results of each source, and how each ended."""
    results, ends = defaultdict(list), {}
    for item in path:
        if isinstance(item, Result):
            results[item.source.urn].append(item)
        if isinstance(item, SourceClosed | Failure):
            ends[item.source.urn] = item
    return results, ends


def closed(end: SourceClosed | Failure | None) -> SourceClosed:
    """Give the end of a source that has not failed."""
    assert isinstance(end, SourceClosed)
    return end


def codes(end: SourceClosed | Failure) -> list[str]:
    """Give the codes of all that was wrong with a source, in order."""
    return [fault.code for fault in closed(end).faults]


def skipped(end: SourceClosed | Failure) -> Mapping[str, int]:
    """Give how many frames the only model has skipped, by reason."""
    (closing,) = closed(end).closings.values()
    return closing.skipped


def prediction(result: Result) -> Any:
    """Give what the only model found."""
    (found,) = result.predictions.values()
    return found


def objects(result: Result) -> Detections:
    """Give the objects of a frame."""
    found = prediction(result)
    assert isinstance(found, Detections)
    return found


def boxes_of(result: Result) -> list[Box]:
    """Give the boxes of a frame in whole pixels, in order."""
    return sorted(tuple(box) for box in objects(result).boxes.round().astype(int).tolist())


@dataclass(frozen=True)
class Order:
    """What an order left: exit status, errors and warnings logged, rows of its table, folder of products, outcome."""

    status: int
    errors: list[str]
    warnings: list[str]
    rows: list[dict[str, str]]
    out: Path
    outcome: job.Outcome | None = None
    infos: tuple[str, ...] = ()

    def row(self, name: str) -> dict[str, str]:
        """Give the first row of a source."""
        return next(row for row in self.rows if row["name"] == name)

    def body(self, name: str) -> bytes:
        """Give a product, by its base name or its path."""
        return results.product(self.out, name).read_bytes()

    def aspect(self, name: str) -> dict[str, Any]:
        """Give a product's metadata."""
        aspect: dict[str, Any] = results.aspect(self.out, name)
        return aspect

    def json(self, name: str) -> Any:
        """Give a product that is JSON."""
        return json.loads(self.body(name))

    def table(self, name: str) -> list[dict[str, str]]:
        """Give the rows of a table."""
        return list(csv.DictReader(io.StringIO(self.body(name).decode())))

    def frames(self) -> list[dict[str, Any]]:
        """Give the lines of detections.jsonl."""
        return [json.loads(line) for line in self.body("detections.jsonl").splitlines()]

    @property
    def products(self) -> dict[str, bytes]:
        """All files by base name, without run.json and metadata, which hold times and places."""
        every = results.files(self.out)
        return {
            name: path.read_bytes()
            for name, path in sorted(every.items())
            if name != "run.json" and not name.endswith(results.META)
        }


class _Heard(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append((record.levelno, record.getMessage()))


def order(
    model: Path | Sequence[Path],
    place: Path | Sequence[Source],
    out: Path,
    *,
    moving: bool = True,
    store: Callable[..., FolderStore] = FolderStore,
    keep: Path | None = None,
    **values: Any,
) -> Order:
    """Run an order as the service does, all of it in this process unless `executor` says otherwise.

    `values` are parameters, with underscores.
    """
    log, heard = logging.Logger("order"), _Heard()
    log.addHandler(heard)
    outcome = None
    try:
        outcome = job.run_order(
            parse({"executor": "local", **values}), store(model, place, out, moving=moving), log, keep=keep
        )
        status = outcome.exit_status
    except QuadratError as error:  # a parameter: the service reports it the same way
        log.error("%s", error.line)
        status = error.exit_status
    table = out / "survey.csv"
    rows = list(csv.DictReader(io.StringIO(table.read_text()))) if table.exists() else []
    texts = {
        level: [text for at, text in heard.lines if at == level]
        for level in (logging.ERROR, logging.WARNING, logging.INFO)
    }
    errors, warnings = texts[logging.ERROR], texts[logging.WARNING]
    return Order(status, errors, warnings, rows, out, outcome, tuple(texts[logging.INFO]))


def times(out: Path, name: str) -> list[tuple[int, float]]:
    """Give number and second of each frame of a source, by detections.jsonl in a folder of results."""
    lines = [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]
    return [(line["frame"], line["time_s"]) for line in lines if line["name"] == name]


@dataclass(frozen=True)
class Film:
    """The content of an annotated video, read by FFmpeg alone; `index_first` is True if it can be played as it arrives."""

    codec: str
    pixel_format: str
    hw: tuple[int, int]
    times: list[float]
    seconds: float
    pictures: list[Pixels]
    index_first: bool


def watch(path: Path) -> Film:
    """Play an annotated video to its end."""
    path = results.product(path.parent, path.name)
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = list(file.decode(video=0))
        context = stream.codec_context
        body = path.read_bytes()
        return Film(
            context.name,
            str(context.pix_fmt),
            (context.height, context.width),
            [float(frame.time or 0.0) for frame in frames],
            float((stream.duration or 0) * (stream.time_base or 0)),
            [frame.to_ndarray(format="rgb24") for frame in frames],
            body.find(b"moov") < body.find(b"mdat"),
        )
