"""A track has its number from the first frame in which its object was seen, though it is known only later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from quadrat.pipeline.events import MeasuredFrame, SourceEnd, SourceStart
from quadrat.pipeline.models import LoadedModel
from quadrat.pipeline.state import SourceState
from quadrat.pipeline.track import HELD, TrackStage
from quadrat.predictions import Detections, Tracked
from quadrat.types import Frame, FrameKey, Result, Source
from tests.detectors import package
from tests.moving import RECTANGLES, draw, film, load, measured, objects, skipped
from tests.values import settings_of

NAMES = ("reef", "sand")
PIXELS = np.zeros((100, 100, 3), np.uint8)
EVERY = pytest.mark.parametrize("tracker", ["sort", "bytetrack", "ocsort", "deepsort"])


def opened(name: str = "v.mp4") -> SourceState:
    """Make the state of an open video, measured by two models."""
    return SourceState.of(Source(f"urn:{name}", name, "video"), NAMES)


def stage(name: str = "reef", num_classes: int = 1, **settings: Any) -> TrackStage:
    """Make the stage of one model."""
    nothing: Any = SimpleNamespace()
    made = package("boxes", num_classes)
    return TrackStage(LoadedModel(made, nothing, nothing, nothing, settings_of(**settings), name))


def frame(
    state: SourceState, number: int, *boxes: tuple[int, int, int, int], skipped: str = "", classes: int = 0
) -> MeasuredFrame:
    """Make what the task gives for a frame: objects of one class for one model, and what another one found."""
    key = FrameKey(state.source.urn, number)
    taken = Frame(key, (100, 100), PIXELS, time_s=number / 25, skipped=skipped)
    if skipped:
        return MeasuredFrame(state, Result(state.source, taken, {}))
    found = Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.9, np.float32),
        np.full(len(boxes), classes, np.int32),
    )
    return MeasuredFrame(state, Result(state.source, taken, {"reef": found, "sand": found}))


def follow(state: SourceState, items: Sequence[Any], **settings: Any) -> list[MeasuredFrame]:
    """Give what the stage makes of items between the begin and the end of their source."""
    begin, end = SourceStart(state), SourceEnd(state)
    came = list(stage(**settings)(iter([begin, *items, end])))
    assert came[0] is begin
    assert came[-1] is end
    return came[1:-1]


def numbers(came: Sequence[MeasuredFrame], model: str = "reef") -> list[list[int] | str]:
    """Give the tracks of each frame, or why it was skipped."""
    return [m.result.frame.skipped or tracks_of(m, model) for m in came]


def tracks_of(measured: MeasuredFrame, model: str = "reef") -> list[int]:
    """Give the tracks of a frame."""
    tracks: Any = measured.result.predictions[model].tracks
    return [] if tracks is None else tracks.tolist()


def near(number: int) -> tuple[int, int, int, int]:
    """Give an object that moves slowly."""
    return (10 + number, 20, 30 + number, 40)


@EVERY
@pytest.mark.parametrize("min_hits", [1, 2, 3, HELD + 1])
def test_a_track_has_its_number_from_the_first_frame_on(tracker: str, min_hits: int) -> None:
    """Whatever min-hits is, up to one more than the frames that wait."""
    state = opened()
    came = follow(state, [frame(state, n, near(n)) for n in range(8)], tracker=tracker, min_hits=min_hits)

    assert [[1]] * 8 == numbers(came)
    assert list(range(8)) == [m.result.frame.key.index for m in came]


def test_with_more_hits_than_frames_wait_the_last_of_them_have_it() -> None:
    """Memory has its bound: frames that have left stay as they were."""
    state = opened()
    came = follow(state, [frame(state, n, near(n)) for n in range(12)], min_hits=8)

    assert [[-1]] * (7 - HELD) + [[1]] * (5 + HELD) == numbers(came)


@EVERY
def test_what_flashes_up_has_no_number(tracker: str) -> None:
    """A false object that is seen in fewer frames than min-hits never counts, in none of them."""
    state, ghost = opened(), (70, 70, 90, 90)
    items = [frame(state, n, near(n), *([ghost] if n in (2, 3) else [])) for n in range(8)]

    assert [[1], [1], [1, -1], [1, -1], [1], [1], [1], [1]] == numbers(
        follow(state, items, tracker=tracker, min_hits=3)
    )


def test_two_that_begin_together_keep_their_rows() -> None:
    """Numbers go to the rows that the tracks took, in whatever order these come."""
    state, far = opened(), (60, 60, 80, 80)
    came = follow(
        state,
        [frame(state, 0, near(0), far), frame(state, 1, far, near(1)), frame(state, 2, near(2), far)],
    )
    first, second, third = (tracks_of(each) for each in came)

    assert set(first) == {1, 2}
    assert first == list(reversed(second)) == third


def test_numbering_writes_to_no_earlier_value() -> None:
    """Detections that went in are as they were, and a frame that got its number later is a new value."""
    state = opened()
    items = [frame(state, n, near(n)) for n in range(4)]
    came = follow(state, items, min_hits=3)

    assert [[1]] * 4 == numbers(came)
    assert [None] * 4 == [item.result.predictions["reef"].tracks for item in items]
    assert all(a is not b for a, b in zip(items, came, strict=True))


def test_a_stage_follows_its_own_model_alone() -> None:
    """The other model's objects pass as they are; its own stage numbers them later, from 1."""
    state = opened()
    items = [frame(state, n, near(n)) for n in range(4)]
    once = list(stage("reef")(iter([SourceStart(state), *items, SourceEnd(state)])))
    frames = [each for each in once if isinstance(each, MeasuredFrame)]

    assert [[1]] * 4 == numbers(frames)
    assert all(
        a.result.predictions["sand"] is b.result.predictions["sand"]
        for a, b in zip(items, frames, strict=True)
    )
    twice = [each for each in stage("sand")(iter(once)) if isinstance(each, MeasuredFrame)]
    assert [[1]] * 4 == numbers(twice) == numbers(twice, "sand")


def test_a_frame_that_its_model_could_not_measure_is_time_that_passes() -> None:
    """The other model's prediction stays, and the object has its number on both sides of the gap."""
    state = opened()
    items = [frame(state, n, near(n)) for n in range(6)]
    for n in (2, 3):
        result = items[n].result
        items[n] = replace(items[n], result=replace(result, predictions={"sand": result.predictions["sand"]}))
    came = follow(state, items)

    assert list(range(6)) == [m.result.frame.key.index for m in came]
    assert ["reef" in m.result.predictions for m in came] == [True, True, False, False, True, True]
    assert [[1]] * 4 == [tracks_of(m) for m in came if "reef" in m.result.predictions]


def test_skipped_frames_keep_their_place_and_do_not_pile_up() -> None:
    """A long darkness after a first sight is passed on in order, never more than HELD of it at a time."""
    state = opened()
    taken: list[int] = []

    def items() -> Iterator[Any]:
        for n in range(40):
            taken.append(n)
            yield frame(state, n, near(n)) if n in (0, 1, 38, 39) else frame(state, n, skipped="black")

    came, most = [], 0
    for one in stage(min_hits=3)(items()):
        came.append(one)
        most = max(most, len(taken) - len(came))
    assert [m.result.frame.key.index for m in came] == list(range(len(came)))
    assert most <= HELD
    assert len(came) >= 40 - HELD


def test_sources_wait_for_themselves_alone() -> None:
    """The end of one gives what it holds, and another's frames stay in their own order."""
    one, other = opened(), opened("w.mp4")
    items = [frame(state, n, near(n)) for n in range(3) for state in (one, other)]
    came = list(stage()(iter([*items, SourceEnd(other), frame(one, 3, near(3)), SourceEnd(one)])))
    for state, count in ((one, 4), (other, 3)):
        own = [m for m in came if isinstance(m, MeasuredFrame) and m.state is state]
        assert numbers(own) == [[1]] * count
        assert [m.result.frame.key.index for m in own] == list(range(count))
    (end,) = [n for n, item in enumerate(came) if isinstance(item, SourceEnd) and item.state is other]
    assert all(n < end for n, m in enumerate(came) if isinstance(m, MeasuredFrame) and m.state is other)


@pytest.mark.parametrize("method", ["mode", "median", "score"])
def test_smoothing_sees_the_frames_in_order(method: str) -> None:
    """Votes begin at the first frame of a track, which has its number by then."""
    state = opened()
    items = [frame(state, n, near(n), classes=int(n == 2)) for n in range(4)]
    found = follow(state, items, num_classes=2, track_across_classes=True, smooth_labels=method)

    assert [0, 0, 0, 0] == [int(m.result.predictions["reef"].classes[0]) for m in found]


def test_nothing_waits_where_nothing_is_followed() -> None:
    """Without a tracker, and with min-hits 1, each frame leaves before the next is taken."""
    for settings in ({"tracker": "none"}, {"min_hits": 1}):
        state = opened()
        taken: list[int] = []

        def items(taken: list[int] = taken, state: SourceState = state) -> Iterator[Any]:
            for n in range(5):
                taken.append(n)
                yield frame(state, n, near(n))

        for count, _ in enumerate(stage(**settings)(items()), 1):
            assert len(taken) == count


def test_the_frames_before_an_error_leave_before_it() -> None:
    """Frames that wait for their number are delivered first, and then the error is raised."""
    state = opened()

    def items() -> Iterator[Any]:
        yield from (frame(state, n, near(n)) for n in range(2))
        raise ZeroDivisionError("odd")

    came: list[Any] = []
    with pytest.raises(ZeroDivisionError, match="odd"):
        came.extend(stage(min_hits=4)(items()))
    assert [0, 1] == [m.result.frame.key.index for m in came]


@pytest.fixture(scope="module")
def model() -> Iterator[LoadedModel]:
    """The detector of rectangles."""
    with load(RECTANGLES) as loaded:
        yield loaded


def test_a_track_lives_through_skipped_frames(model: LoadedModel, tmp_path: Path) -> None:
    """An object that moves on while frames are black is the same object afterwards."""
    dark = np.zeros((144, 192, 3), np.uint8)
    frames = [dark if 8 <= n < 12 else draw([(6 * n, 40, 6 * n + 40, 80)]) for n in range(22)]
    results, ends = measured(model, [film(tmp_path / "swim.mp4", frames)], skip_black=True)
    tracks = [objects(r).tracks.tolist() for r in results["swim"] if not r.frame.skipped]  # type: ignore[union-attr]

    assert [[1]] * 18 == tracks
    assert {"black": 4} == skipped(ends["swim"])


def test_each_source_has_a_tracker_of_its_own(model: LoadedModel, tmp_path: Path) -> None:
    """Regression: numbers are not shared and objects not exchanged between sources that are read side by side."""
    sources = [
        film(tmp_path / f"{name}.mp4", [draw([(20 + 4 * n, y, 60 + 4 * n, y + 40)]) for n in range(10)])
        for name, y in (("left", 20), ("right", 22))
    ]
    alone = {s.urn: measured(model, [s])[0][s.urn] for s in sources}
    together, _ = measured(model, sources, batch_size=4)

    for source in sources:
        for one, pair in zip(alone[source.urn], together[source.urn], strict=True):
            np.testing.assert_array_equal(objects(one).tracks, objects(pair).tracks)
            np.testing.assert_array_equal(objects(one).boxes, objects(pair).boxes)


def test_unsure_objects_are_kept_only_where_a_track_takes_them(model: LoadedModel, tmp_path: Path) -> None:
    """Under min-score, ByteTrack goes on with what it follows; what nobody follows is dropped."""
    # the score of a 40 x 40 box is 0.97, that of 20 x 10 is 0.85
    frames = [
        draw([(30, 30, 70, 70)] if n < 5 else [(40, 45, 60, 55)] * (n < 8) + [(120, 100, 140, 110)])
        for n in range(10)
    ]
    results, _ = measured(model, [film(tmp_path / "a.mp4", frames)], min_score=0.9)

    for result in results["a"][5:]:
        found = objects(result)
        assert not (found.scores < 0.9).any() or (found.tracks[found.scores < 0.9] >= 0).all()  # type: ignore[index]
    assert all(len(objects(r)) == 1 for r in results["a"][:5])


def scored(item: MeasuredFrame, *scores: float) -> MeasuredFrame:
    """Give a frame whose objects have these scores."""
    found = replace(item.result.predictions["reef"], scores=np.array(scores, np.float32))
    return replace(item, result=replace(item.result, predictions={"reef": found}))


def test_what_is_faint_is_kept_where_a_track_takes_it() -> None:
    """ByteTrack goes on with what it follows; a faint object that nobody follows is dropped."""
    state, other = opened(), (70, 70, 90, 90)
    items = [scored(frame(state, n, near(n)), 0.9 if n < 4 else 0.4) for n in range(7)]
    items[5] = scored(frame(state, 5, near(5), other), 0.4, 0.4)

    assert [[1]] * 7 == numbers(follow(state, items, min_score=0.6))


def test_a_score_at_the_limit_is_kept() -> None:
    """Objects with at least min-score are, whether they are followed or not."""
    state = opened()
    items = [scored(frame(state, 0, near(0), near(40)), 0.5, 0.4999)]
    (came,) = follow(state, items, tracker="none", min_score=0.5)

    assert [0.5] == came.result.predictions["reef"].scores.tolist()


def test_a_tracker_is_told_how_much_time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In usual intervals between frames, in whole ones, and never less than one."""
    steps: list[float] = []

    class Recorder:
        needs_embeddings = False

        def update(self, found: Detections, _: object = None, passed: float = 1.0) -> Tracked:
            steps.append(passed)
            return Tracked(found, np.zeros(len(found), np.int64))

    monkeypatch.setattr("quadrat.tracking.make", lambda *_: Recorder())
    state, items = opened(), []
    for n, time_s in enumerate((0.0, 0.04, 0.08, 0.12, 0.13, 0.33, 0.33, 0.37)):
        item = frame(state, n, near(n))
        items.append(
            replace(item, result=replace(item.result, frame=replace(item.result.frame, time_s=time_s)))
        )
    follow(state, items)

    assert [1, 1, 1, 1, 1, 5, 1, 1] == steps


def test_appearance_is_looked_up_in_working_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes are the source's, and the frame may be smaller, by another factor in x and y."""
    boxes: list[list[float]] = []

    class Recorder:
        needs_embeddings = True

        def update(self, found: Detections, given: object, _: float = 1.0) -> Tracked:
            assert given is embeddings
            return Tracked(found, np.zeros(len(found), np.int64))

    embeddings = np.zeros((1, 8), np.float32)
    monkeypatch.setattr("quadrat.tracking.make", lambda *_: Recorder())
    monkeypatch.setattr(
        "quadrat.pipeline.appearance.embed", lambda _, given: boxes.extend(given.tolist()) or embeddings
    )
    state = opened()
    item = frame(state, 0, (10, 20, 30, 40))
    small = replace(item.result.frame, pixels=np.zeros((50, 80, 3), np.uint8))
    follow(state, [replace(item, result=replace(item.result, frame=small))])

    assert [pytest.approx([8, 10, 24, 20])] == boxes
