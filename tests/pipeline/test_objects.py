"""Detection through the chain: tiles, idle sources and tracks, with a detector whose boxes are exact."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from quadrat.pipeline.loaded import LoadedModel, load_model

from examples.rectangles_net import COLORS
from quadrat import tasks
from quadrat.errors import StoppedError, TooManyObjectsError
from quadrat.parameters import parse
from quadrat.pipeline.run import Run
from quadrat.types import Blob, Detections, Ended, Result, Source
from tests import moving, pictures, videos
from tests.values import settings_of

MODEL = Path(__file__).resolve().parent.parent.parent / "examples" / "models" / "rectangles.tgz"
LOG = logging.getLogger("test")
SAND = (120, 118, 110)
Box = tuple[int, int, int, int]


@contextmanager
def pull(source: Source) -> Iterator[Blob]:
    """Give the file."""
    yield Blob(Path(source.token))


@pytest.fixture(scope="module")
def model() -> Iterator[LoadedModel]:
    """The detector of rectangles."""
    with load_model(MODEL, settings_of(), LOG) as loaded:
        yield loaded


def draw(boxes: Sequence[Box], hw: tuple[int, int] = (144, 192), kind: int = 0) -> NDArray[np.uint8]:
    """Draw rectangles (x0, y0, x1, y1) on sand."""
    pixels = np.full((*hw, 3), SAND, np.uint8)
    for x0, y0, x1, y1 in boxes:
        pixels[y0:y1, x0:x1] = COLORS[kind]
    return pixels


def film(path: Path, frames: Sequence[NDArray[np.uint8]]) -> Source:
    """Write a video at 25 frames per second and name it as a source."""
    videos.write(path, frames, options={"crf": "8"})
    return Source(path.stem, path.name, "video", str(path))


def measured(
    model: LoadedModel, sources: Sequence[Source], *, moving: bool = False, **values: object
) -> tuple[dict[str, list[Result]], dict[str, Ended]]:
    """Run sources with settings; give the results of each, and how each video ended."""
    results, ends = defaultdict(list), {}
    settings = parse(values)
    task = tasks.make(model.package, model.engine.outputs, settings)
    changed = replace(model, settings=settings, task=task)
    for item in Run(changed, sources, pull, moving=moving):
        if isinstance(item, Result):
            results[item.source.urn].append(item)
        elif isinstance(item, Ended):
            ends[item.source.urn] = item
    return results, ends


def objects(result: Result) -> Detections:
    """Give the objects of a frame."""
    found = result.predictions["detect"]
    assert isinstance(found, Detections)
    return found


PLACES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(8, 60)), max_size=8, unique_by=lambda p: p[:2]
)


@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(PLACES, st.tuples(st.integers(64, 200), st.integers(0, 60)), st.sampled_from(["ios", "iou", "wbf"]))
def test_tiles_and_batches_change_no_box(
    model: LoadedModel,
    tmp_path: Path,
    places: list[tuple[int, int, int]],
    tiling: tuple[int, int],
    merge: str,
) -> None:
    """Law: whatever the tile, the overlap and the batch, the boxes are the truth, and batch 1 equals batch 8."""
    tile, overlap = tiling
    truth = sorted((70 * c + 3, 70 * r + 5, 70 * c + 3 + s, 70 * r + 5 + s) for c, r, s in places)
    (tmp_path / "scene.png").write_bytes(pictures.png(draw(truth, (290, 360))))
    source = Source("urn:scene", "scene.png", "image", str(tmp_path / "scene.png"))
    found = []
    for batch in (1, 8):
        values = {
            "tile-size": tile,
            "tile-overlap": min(overlap, tile - 1),
            "batch-size": batch,
            "merge": merge,
        }
        results, _ = measured(model, [source], **values)
        found.append(objects(results["urn:scene"][0]))

    np.testing.assert_array_equal(found[0].boxes, found[1].boxes)
    np.testing.assert_array_equal(found[0].scores, found[1].scores)
    if overlap >= 60 or merge == "ios":
        assert truth == sorted(tuple(box) for box in found[0].boxes.round().astype(int).tolist())


def test_tiles_of_several_frames_and_sources_share_a_batch(model: LoadedModel, tmp_path: Path) -> None:
    """Two videos of three frames and six tiles each fill batches of eight, and every box stays with its frame."""
    sizes: list[int] = []

    class Watched:
        """An engine that tells the sizes of its batches."""

        outputs = model.engine.outputs

        def run(self, batch, outputs):
            """Run."""
            sizes.append(len(batch))
            return model.engine.run(batch, outputs)

    truth = {
        name: [(10 + dx + 20 * n, 30, 40 + dx + 20 * n, 60) for n in range(3)]
        for name, dx in (("a", 0), ("b", 90))
    }
    sources = [
        film(tmp_path / f"{name}.mp4", [draw([box]) for box in boxes]) for name, boxes in truth.items()
    ]
    watched = replace(model, engine=Watched())
    results, _ = measured(
        watched, sources, moving=True, **{"tile-size": 80, "tile-overlap": 40, "batch-size": 8}
    )

    assert len(set(sizes[:-1])) == 1
    assert sizes[0] == 8
    for name, boxes in truth.items():
        for box, result in zip(boxes, results[name], strict=True):
            np.testing.assert_allclose(objects(result).boxes, [box], atol=1.5)


@pytest.mark.parametrize("batch", [1, 4, 8])
def test_idle_sources_are_skipped_by_media_time(model: LoadedModel, tmp_path: Path, batch: int) -> None:
    """After a frame without objects a source rests for idle-seconds of its own time; another is not touched."""
    box = (40, 40, 90, 90)
    busy = film(tmp_path / "busy.mp4", [draw([box])] * 16)
    lazy = film(tmp_path / "lazy.mp4", [draw([] if n in (2, 3, 4, 5, 6, 12) else [box]) for n in range(16)])
    results, ends = measured(model, [busy, lazy], moving=True, **{"idle-seconds": 0.2, "batch-size": batch})

    assert [""] * 16 == [r.frame.skipped for r in results["busy"]]
    skipped = [n for n, r in enumerate(results["lazy"]) if r.frame.skipped == "idle"]
    assert [3, 4, 5, 6, 13, 14, 15] == skipped  # from 0.08 s to 0.28 s, and from 0.48 s on
    assert ({}, {"idle": 7}) == (ends["busy"].skipped, ends["lazy"].skipped)


def test_a_track_lives_through_skipped_frames(model: LoadedModel, tmp_path: Path) -> None:
    """An object that moves on while frames are black is the same object afterwards."""
    dark = np.zeros((144, 192, 3), np.uint8)
    frames = [dark if 8 <= n < 12 else draw([(6 * n, 40, 6 * n + 40, 80)]) for n in range(22)]
    source = film(tmp_path / "swim.mp4", frames)
    results, ends = measured(model, [source], moving=True, **{"skip-black": True})
    tracks = [objects(r).tracks.tolist() for r in results["swim"] if not r.frame.skipped]  # type: ignore[union-attr]

    assert [[1]] * 18 == tracks
    assert {"black": 4} == ends["swim"].skipped


def test_each_source_has_a_tracker_of_its_own(model: LoadedModel, tmp_path: Path) -> None:
    """Regression: numbers are not shared and objects not exchanged between sources that are read side by side."""
    sources = [
        film(tmp_path / f"{name}.mp4", [draw([(20 + 4 * n, y, 60 + 4 * n, y + 40)]) for n in range(10)])
        for name, y in (("left", 20), ("right", 22))
    ]
    alone = {s.urn: measured(model, [s], moving=True)[0][s.urn] for s in sources}
    together, _ = measured(model, sources, moving=True, **{"batch-size": 4})

    for source in sources:
        for one, both in zip(alone[source.urn], together[source.urn], strict=True):
            np.testing.assert_array_equal(objects(one).tracks, objects(both).tracks)
            np.testing.assert_array_equal(objects(one).boxes, objects(both).boxes)


def test_unsure_objects_are_kept_only_where_a_track_takes_them(model: LoadedModel, tmp_path: Path) -> None:
    """Under min-score, ByteTrack goes on with what it follows; what nobody follows is dropped."""
    # the score of a 40 x 40 box is 0.97, that of 20 x 10 is 0.85
    frames = [
        draw([(30, 30, 70, 70)] if n < 5 else [(40, 45, 60, 55)] * (n < 8) + [(120, 100, 140, 110)])
        for n in range(10)
    ]
    source = film(tmp_path / "a.mp4", frames)
    results, _ = measured(model, [source], moving=True, **{"min-score": 0.9})

    for result in results["a"][5:]:
        found = objects(result)
        assert not (found.scores < 0.9).any() or (found.tracks[found.scores < 0.9] >= 0).all()  # type: ignore[index]
    assert all(len(objects(r)) == 1 for r in results["a"][:5])


def test_more_objects_than_allowed_are_said_to_be_more(model: LoadedModel, tmp_path: Path) -> None:
    """A count that max-detections cut is no truth: it is marked, and a video with such a frame is partial."""
    boxes = [(10 + 30 * n, 20, 30 + 30 * n, 40) for n in range(5)]
    source = film(tmp_path / "many.mp4", [draw(boxes if n == 2 else boxes[:3]) for n in range(4)])
    results, ends = measured(model, [source], moving=True, **{"max-detections": 3})

    assert [False, False, True, False] == [objects(r).capped for r in results["many"]]
    assert [3] * 4 == [len(objects(r)) for r in results["many"]]
    assert isinstance(ends["many"].reading.error, TooManyObjectsError)


MANY = [(10 + 30 * n, 60, 30 + 30 * n, 80) for n in range(5)]
"""Five objects, of which three are kept below."""


def ends_early(folder: Path) -> dict[str, object]:
    """Write a video that is cut, with too many objects in every frame."""
    how = {"options": {"g": "5", "bf": "0"}, "container_options": {"movflags": "+faststart"}}
    videos.cut(videos.write(folder / "a.mp4", [draw(MANY)] * 20, **how), 0.8)
    return {}


def another_size(folder: Path) -> dict[str, object]:
    """Write a sequence whose last picture has another size, with too many objects in the second."""
    (folder / "a").mkdir()
    for number, found in enumerate((MANY[:2], MANY, MANY[:1])):
        hw = (144, 192) if number < 2 else (100, 192)
        (folder / "a" / f"{number}.png").write_bytes(pictures.png(draw(found, hw)))
    return {}


def not_drawn(folder: Path) -> dict[str, object]:
    """Write a video of a size that its annotated form cannot have, with too many objects in the second frame."""
    low = [(x0, 4, x1, 24) for x0, _, x1, _ in MANY]
    film(folder / "a.mp4", [draw(low if n == 1 else low[:3], (40, 192)) for n in range(4)])
    return {"codec": "av1"}


@pytest.mark.parametrize(
    ("make", "code", "also"),
    [
        (ends_early, "E_VIDEO_TRUNCATED", "ends early"),
        (another_size, "E_VIDEO_FORMAT", "another size"),
        (not_drawn, "E_IMAGE_SIZE", "av1"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_cut_count_is_told_whatever_else_is_wrong(
    tmp_path: Path, make: Callable[[Path], dict[str, object]], code: str, also: str
) -> None:
    """Law: where any frame was capped, table, metadata and log say E_TOO_MANY and, beside it, the other reason."""
    (tmp_path / "in").mkdir()
    settings = make(tmp_path / "in")
    ran = moving.order(MODEL, tmp_path / "in", tmp_path / "out", max_detections=3, **settings)
    (row,) = ran.rows
    (line,) = ran.warnings

    assert (0, "partial", "E_TOO_MANY") == (ran.status, row["status"], row["code"])
    assert "max-detections, and only the best 3 are counted; " + code in row["reason"]
    assert also in row["reason"]
    assert ran.aspect(row["product"])["error"] == f"E_TOO_MANY {row['reason']}"
    assert row["reason"] in line


def test_a_cut_count_is_told_where_the_run_ends_in_the_middle(model: LoadedModel, tmp_path: Path) -> None:
    """A source that is cut short keeps what was wrong with the frames that were measured."""
    source = film(tmp_path / "many.mp4", [draw(MANY)] * 40)
    settings = parse({"max-detections": 3})
    task = tasks.make(model.package, model.engine.outputs, settings)
    run = Run(replace(model, settings=settings, task=task), [source], pull, moving=True)
    stream = iter(run)
    while not isinstance(next(stream), Result):
        pass
    stream.close()
    (ended,) = run.unfinished(StoppedError("interrupted"))

    assert isinstance(ended.reading.error, TooManyObjectsError)
    assert "only the best 3 are counted; E_STOPPED interrupted" in str(ended.reading.error)
