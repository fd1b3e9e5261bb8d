"""A track has its number from the first frame in which its object was seen, though it is known only later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from quadrat.pipeline.follow import HELD, Follower
from quadrat.types import Begun, Detections, Ended, Frame, FrameKey, Reading, Result, Source
from tests.values import settings_of

SOURCE = Source("urn:v", "v.mp4", "video")
READING = Reading((100, 100))
PIXELS = np.zeros((100, 100, 3), np.uint8)
EVERY = pytest.mark.parametrize("tracker", ["sort", "bytetrack", "ocsort", "deepsort"])


def frame(
    number: int, *boxes: tuple[int, int, int, int], skipped: str = "", source: Source = SOURCE
) -> Result:
    """Make what the task gives for a frame: objects of one class."""
    key = FrameKey(source.urn, number)
    taken = Frame(key, (100, 100), PIXELS, time_s=number / 25, skipped=skipped)
    if skipped:
        return Result(source, taken, {})
    found = Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.9, np.float32),
        np.zeros(len(boxes), np.int32),
    )
    return Result(source, taken, {"detect": found})


def follow(items: Sequence[Any], **settings: Any) -> list[Any]:
    """Give what the stage makes of items and the end of their source."""
    end = Ended(SOURCE, READING)
    came = list(Follower(settings_of(**settings), 1)([Begun(SOURCE, READING), *items, end]))
    assert isinstance(came[0], Begun)
    assert came[-1] is end
    return came[1:-1]


def numbers(came: Sequence[Result]) -> list[list[int] | str]:
    """Give the tracks of each frame, or why it was skipped."""
    return [r.frame.skipped or r.predictions["detect"].tracks.tolist() for r in came]  # type: ignore[union-attr]


def near(number: int) -> tuple[int, int, int, int]:
    """An object that moves slowly."""
    return (10 + number, 20, 30 + number, 40)


@EVERY
@pytest.mark.parametrize("min_hits", [1, 2, 3, HELD + 1])
def test_a_track_has_its_number_from_the_first_frame_on(tracker: str, min_hits: int) -> None:
    """Whatever min-hits is, up to one more than the frames that wait."""
    came = follow([frame(n, near(n)) for n in range(8)], tracker=tracker, min_hits=min_hits)

    assert [[1]] * 8 == numbers(came)
    assert list(range(8)) == [r.frame.key.index for r in came]


def test_with_more_hits_than_frames_wait_the_last_of_them_have_it() -> None:
    """Memory has its bound: frames that have left stay as they were."""
    came = follow([frame(n, near(n)) for n in range(12)], min_hits=8)

    assert [[-1]] * (7 - HELD) + [[1]] * (5 + HELD) == numbers(came)


@EVERY
def test_what_flashes_up_has_no_number(tracker: str) -> None:
    """A false object that is seen in fewer frames than min-hits never counts, in none of them."""
    ghost = (70, 70, 90, 90)
    items = [frame(n, near(n), *([ghost] if n in (2, 3) else [])) for n in range(8)]

    assert [[1], [1], [1, -1], [1, -1], [1], [1], [1], [1]] == numbers(
        follow(items, tracker=tracker, min_hits=3)
    )


def test_two_that_begin_together_keep_their_rows() -> None:
    """Numbers go to the rows that the tracks took, in whatever order these come."""
    far = (60, 60, 80, 80)
    came = follow([frame(0, near(0), far), frame(1, far, near(1)), frame(2, near(2), far)])
    first, second, third = numbers(came)

    assert set(first) == {1, 2}
    assert first == list(reversed(second)) == third  # type: ignore[call-overload]


def test_skipped_frames_keep_their_place_and_do_not_pile_up() -> None:
    """A long darkness after a first sight is passed on in order, never more than HELD of it at a time."""
    taken: list[int] = []

    def items() -> Iterator[Any]:
        for n in range(40):
            taken.append(n)
            yield frame(n, near(n)) if n in (0, 1, 38, 39) else frame(n, skipped="black")

    came, most = [], 0
    for one in Follower(settings_of(min_hits=3), 1)(items()):
        came.append(one)
        most = max(most, len(taken) - len(came))
    assert [r.frame.key.index for r in came] == list(range(len(came)))
    assert most <= HELD
    assert len(came) >= 40 - HELD


def test_sources_wait_for_themselves_alone() -> None:
    """The end of one gives what it holds, and another's frames stay in their own order."""
    other = Source("urn:w", "w.mp4", "video")
    items = [frame(n, near(n), source=source) for n in range(3) for source in (SOURCE, other)]
    came = list(
        Follower(settings_of(), 1)([*items, Ended(other, READING), frame(3, near(3)), Ended(SOURCE, READING)])
    )
    for source, count in ((SOURCE, 4), (other, 3)):
        own = [r for r in came if isinstance(r, Result) and r.source is source]
        assert numbers(own) == [[1]] * count
        assert [r.frame.key.index for r in own] == list(range(count))
    ended = [n for n, item in enumerate(came) if isinstance(item, Ended) and item.source is other]
    assert all(n < ended[0] for n, r in enumerate(came) if isinstance(r, Result) and r.source is other)


@pytest.mark.parametrize("method", ["mode", "median", "score"])
def test_smoothing_sees_the_frames_in_order(method: str) -> None:
    """Votes begin at the first frame of a track, which has its number by then."""
    items = [frame(n, near(n)) for n in range(4)]
    items[2].predictions["detect"].classes[:] = 1  # type: ignore[union-attr]
    found = Follower(settings_of(track_across_classes=True, smooth_labels=method), 2)(
        [*items, Ended(SOURCE, READING)]
    )

    assert [0, 0, 0, 0] == [int(r.predictions["detect"].classes[0]) for r in found if isinstance(r, Result)]  # type: ignore[union-attr]


def test_nothing_waits_where_nothing_is_followed() -> None:
    """Without a tracker, and with min-hits 1, each frame leaves before the next is taken."""
    for settings in (settings_of(tracker="none"), settings_of(min_hits=1)):
        taken: list[int] = []

        def items(taken: list[int] = taken) -> Iterator[Any]:
            for n in range(5):
                taken.append(n)
                yield frame(n, near(n))

        for count, _ in enumerate(Follower(settings, 1)(items()), 1):
            assert len(taken) == count
