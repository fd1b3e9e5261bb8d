"""There is one way to end a source, and it gives the same value whatever ended it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import (
    EncoderError,
    EngineRunError,
    QuadratError,
    StoppedError,
    TooManyObjectsError,
    VideoTruncatedError,
)
from quadrat.pipeline.measure import failed_record
from quadrat.pipeline.models import Pass
from quadrat.pipeline.run import Run
from quadrat.pipeline.state import SourceState
from quadrat.types import Failure, Reading, Result, Source, SourceClosed
from tests import moving, pictures, videos
from tests.moving import RECTANGLES, codes, draw, film, load, measured, objects, pull
from tests.values import settings_of

SOURCE = Source("urn:v", "v.mp4", "video")
READING = Reading((64, 96), rate=25.0, read=9, taken=9, seconds=0.36)
INCOMPLETE = TooManyObjectsError("more objects than counted", where="v.mp4")
CUT = StoppedError("it was interrupted")
TORN = VideoTruncatedError("it ends early", where="v.mp4")
LOST = EngineRunError("no memory", where="v.mp4")
UNDRAWN = EncoderError("no such size", where="v.mp4")


@dataclass
class Reader:
    """A reader that knows what it has read."""

    reading: Reading


def state(
    *,
    incomplete: QuadratError | None = None,
    failed: QuadratError | None = None,
    undrawn: QuadratError | None = None,
    torn: QuadratError | None = None,
    measured: int = 8,
) -> SourceState:
    """Make the state of a video that was read to its end, or in part."""
    made = SourceState.of(SOURCE, ("reef",))
    made.reader = Reader(READING)
    made.error = torn
    own = made.models["reef"]
    own.measured, own.incomplete, own.failed, own.undrawn = measured, incomplete, failed, undrawn
    own.skipped["black"] = 1
    own.video = None if undrawn else Path("video-1.mp4")
    return made


EVERY = [
    dict(zip(("incomplete", "torn", "failed", "undrawn"), each, strict=True))
    for each in product((INCOMPLETE, None), (TORN, None), (LOST, None), (UNDRAWN, None))
]


@pytest.mark.parametrize("faults", EVERY)
def test_faults_are_listed_in_order_of_importance(faults: dict[str, QuadratError | None]) -> None:
    """Law: an incomplete prediction first, then reading, then failed frames, then what could not be drawn; none twice."""
    closed = state(**faults).close()

    assert isinstance(closed, SourceClosed)
    expected = tuple(error for error in faults.values() if error is not None)
    assert expected == closed.faults == closed.closings["reef"].faults


@pytest.mark.parametrize("faults", EVERY)
def test_a_source_that_is_cut_gives_the_same_value(faults: dict[str, QuadratError | None]) -> None:
    """Law: an interruption adds its own error, in the place of reading, and changes nothing else."""
    whole, cut = state(**faults).close(), state(**faults).close(CUT)

    assert isinstance(whole, SourceClosed)
    assert isinstance(cut, SourceClosed)
    assert (whole.source, whole.reading) == (cut.source, cut.reading)
    assert tuple(error for error in cut.faults if error is not CUT) == whole.faults
    first = len([error for error in (faults["incomplete"],) if error is not None])
    assert cut.faults[first] is CUT
    one, other = whole.closings["reef"], cut.closings["reef"]
    assert (one.measured, one.skipped, one.video) == (other.measured, other.skipped, other.video)


def test_a_reader_that_gives_up_and_one_that_raises_are_alike() -> None:
    """Whether the reading holds its error or the reader raised it, the source ends the same."""
    raised, held = state(torn=TORN), state()
    held.reader = Reader(Reading((64, 96), rate=25.0, read=9, taken=9, seconds=0.36, error=TORN))
    one, other = raised.close(), held.close()

    assert isinstance(one, SourceClosed)
    assert isinstance(other, SourceClosed)
    assert one.closings == other.closings


def test_a_source_without_a_measured_frame_has_failed_unless_it_was_cut() -> None:
    """Nothing measured and a frame that failed is a failure; one that the run cut short may have been measured later."""
    failed = state(failed=LOST, measured=0)
    ended, cut = failed.close(), failed.close(CUT)

    assert isinstance(ended, Failure)
    assert (ended.error, ended.stage) == (LOST, "infer")
    assert isinstance(cut, SourceClosed)
    assert (CUT, LOST) == cut.faults


def test_without_a_failed_frame_nothing_measured_is_no_failure() -> None:
    """A video of black frames ends by itself."""
    closed = state(measured=0).close()

    assert isinstance(closed, SourceClosed)
    assert ((), {"black": 1}) == (closed.faults, closed.closings["reef"].skipped)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=4))
def test_one_model_that_measures_keeps_the_source(models: list[tuple[int, bool]]) -> None:
    """Law: a source has failed only if no model measured a frame, and then it is the first failed model's error."""
    names = tuple(f"m{n}" for n in range(len(models)))
    made = SourceState.of(SOURCE, names)
    for name, (count, fails) in zip(names, models, strict=True):
        made.models[name].measured = count
        made.models[name].failed = EngineRunError(name) if fails else None
    closed = made.close()

    failing = [name for name, (_, fails) in zip(names, models, strict=True) if fails]
    if failing and not any(count for count, _ in models):
        assert isinstance(closed, Failure)
        assert closed.error.what == failing[0]
    else:
        assert isinstance(closed, SourceClosed)
        assert failing == [fault.what for fault in closed.faults]
        assert set(names) == set(closed.closings)


def test_an_error_that_all_models_share_is_listed_once() -> None:
    """A torn video is torn for each model, and for the source once."""
    made = SourceState.of(SOURCE, ("a", "b"))
    made.error = TORN
    closed = made.close()

    assert isinstance(closed, SourceClosed)
    assert [(TORN,), (TORN,)] == [closing.faults for closing in closed.closings.values()]
    assert (TORN,) == closed.faults


MANY = [(10 + 30 * n, 60, 30 + 30 * n, 80) for n in range(5)]
"""Five objects; the tests below keep three of them."""


def test_more_objects_than_allowed_make_a_video_partial(tmp_path: Path) -> None:
    """A count that max-detections cut is no truth: it is marked, and a video with such a frame is partial."""
    source = film(tmp_path / "many.mp4", [draw(MANY if n == 2 else MANY[:3]) for n in range(4)])
    with load(RECTANGLES) as model:
        results, ends = measured(model, [source], max_detections=3)

    assert [False, False, True, False] == [objects(r).capped for r in results["many"]]
    assert [3] * 4 == [len(objects(r)) for r in results["many"]]
    assert ["E_TOO_MANY"] == codes(ends["many"])


def ends_early(folder: Path) -> dict[str, object]:
    """Write a video that is cut, with too many objects in every frame."""
    options, front = {"g": "5", "bf": "0"}, {"movflags": "+faststart"}
    path = videos.write(folder / "a.mp4", [draw(MANY)] * 20, options=options, container_options=front)
    videos.cut(path, 0.8)
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
@pytest.mark.parametrize("executor", ["local", "isolated"])
def test_a_cut_count_comes_first_whatever_else_is_wrong(
    tmp_path: Path, make: object, code: str, also: str, executor: str
) -> None:
    """Law: where any frame was capped, table, metadata and log have E_TOO_MANY first, and the other reason after it."""
    (tmp_path / "in").mkdir()
    values = make(tmp_path / "in")  # type: ignore[operator]
    ran = moving.order(
        RECTANGLES, tmp_path / "in", tmp_path / "out", max_detections=3, executor=executor, **values
    )
    row = ran.rows[0]  # each class has one, all with the same status and reason
    (line,) = ran.warnings

    assert 1 == len({(each["name"], each["status"], each["code"], each["reason"]) for each in ran.rows})
    assert (0, "partial", "E_TOO_MANY") == (ran.status, row["status"], row["code"])
    assert "max-detections, and only the best 3 are counted" in row["reason"]
    assert f"; {code} " in row["reason"]
    assert also in row["reason"]
    assert ran.aspect(row["product"])["error"] == f"E_TOO_MANY {row['reason']}"
    assert row["reason"].replace(f"{row['name']}: ", "") in line, "the line names its source once"


def test_a_cut_count_is_kept_when_the_run_ends_in_the_middle(tmp_path: Path) -> None:
    """A source that is cut short keeps what was wrong with the frames that were measured."""
    source = film(tmp_path / "many.mp4", [draw(MANY)] * 40)
    with load(RECTANGLES, settings_of(max_detections=3)) as model:
        run = Run(Pass([model]), [source], pull, moving=True)
        stream = iter(run)
        while not isinstance(next(stream), Result):
            pass
        stream.close()
        (ended,) = run.unfinished(StoppedError("interrupted"))

    assert ["E_TOO_MANY", "E_STOPPED"] == codes(ended)


def test_a_source_that_has_failed_lists_every_error_once() -> None:
    """Those of other models and of reading come after the first failed model's, which gives the code."""
    other = EngineRunError("another")
    made = SourceState.of(SOURCE, ("a", "b", "c"))
    made.error = TORN
    for own, error in zip(made.models.values(), (LOST, LOST, other), strict=True):
        own.failed = error
    failure = made.close()

    assert isinstance(failure, Failure)
    assert (LOST, other, TORN) == (failure.error, *failure.others)
    assert (LOST, other, TORN) == failed_record(failure).faults
