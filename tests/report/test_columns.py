"""Columns hold any number of frames, in memory or in a file, and give the same."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quadrat.report import columns as module
from quadrat.report.columns import CHUNK_FRAMES, CHUNK_ROWS, Columns, ColumnWriter, FrameRow
from quadrat.types import Frame, FrameKey
from tests.report.things import frame, many


def frame_of(index: int, skipped: str = "") -> Frame:
    """Make the frame of a video."""
    return frame(index, None, skipped=skipped).frame


def arrays(number: int, count: int) -> dict[str, Any]:
    """Make `count` rows of two columns, different for every frame."""
    return {
        "x": np.arange(count, dtype=np.int32) + 1000 * number,
        "box": np.full((count, 4), number, np.float32),
    }


def written(path: Path, counts: Sequence[int | None]) -> Columns:
    """Write frames with these numbers of rows; None is a frame that was skipped."""
    writer = ColumnWriter(path)
    for number, count in enumerate(counts):
        made = {} if count is None else arrays(number, count)
        writer.add(frame_of(number, "black" if count is None else ""), made, count or 0)
    return writer.finish()


def flat(columns: Columns) -> list[tuple[FrameRow, list[int], list[list[float]]]]:
    """List every frame with its rows."""
    found = []
    for chunk in columns:
        assert len(chunk.starts) == len(chunk.frames) + 1
        for place, each in enumerate(chunk.frames):
            rows = chunk.rows(place)
            own = chunk.columns
            found.append(
                (each, own["x"][rows].tolist(), own["box"][rows].tolist()) if own else (each, [], [])
            )
    return found


COUNTS = st.lists(st.none() | st.integers(0, 4), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(COUNTS, st.integers(1, 8), st.integers(1, 12))
def test_chunks_in_a_file_give_what_one_in_memory_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: list[int | None], frames: int, rows: int
) -> None:
    """However small the chunks are: every frame once, in order, with its own rows."""
    (tmp_path / "a").unlink(missing_ok=True)
    with monkeypatch.context() as patch:
        patch.setattr(module, "CHUNK_FRAMES", frames)
        patch.setattr(module, "CHUNK_ROWS", rows)
        small = written(tmp_path / "a", counts)
    whole = written(tmp_path / "b", counts)

    assert whole.path is None
    assert flat(small) == flat(whole)
    assert flat(whole) == [
        (
            FrameRow.of(frame_of(number, "black" if count is None else "")),
            arrays(number, count or 0)["x"].tolist(),
            arrays(number, count or 0)["box"].tolist(),
        )
        for number, count in enumerate(counts)
    ]
    assert [each.index for each in small.frames()] == list(range(len(counts)))
    assert all(len(chunk.frames) <= frames for chunk in small)
    assert all(chunk.starts[-1] < rows + 4 for chunk in small)


@pytest.mark.parametrize(
    ("frames", "rows", "chunks"),
    [
        (CHUNK_FRAMES, 0, 1),
        (CHUNK_FRAMES + 1, 0, 2),
        (2, CHUNK_ROWS // 2, 1),
        (3, CHUNK_ROWS // 2, 2),
        (3 * CHUNK_FRAMES, 1, 3),
    ],
)
def test_a_chunk_is_complete_at_a_number_of_frames_or_rows(
    tmp_path: Path, frames: int, rows: int, chunks: int
) -> None:
    """A short source makes no file; a long one keeps only its last chunk in memory."""
    columns = written(tmp_path / "c", [rows] * frames)

    assert len(list(columns)) == chunks
    assert (columns.path is None) == (chunks == 1) == (not (tmp_path / "c").exists())
    assert len(list(columns.frames())) == frames


def test_columns_survive_pickle(tmp_path: Path) -> None:
    """Also those that are in a file, and they can be read more than once."""
    for count in (3, 2 * CHUNK_FRAMES + 3):
        columns = written(tmp_path / "c", [2] * count)
        copy = pickle.loads(pickle.dumps(columns))
        assert flat(copy) == flat(columns) == flat(copy)


def test_columns_can_be_asked_for_again(tmp_path: Path) -> None:
    """Both give all frames."""
    writer = ColumnWriter(tmp_path / "c")
    for index in range(CHUNK_FRAMES + 2):
        writer.add(frame_of(index), arrays(index, 1), 1)

    assert flat(writer.finish()) == flat(writer.finish())


def test_a_file_of_an_earlier_attempt_is_written_over(tmp_path: Path) -> None:
    """A source that is measured again has its frames once."""
    counts = [1] * (CHUNK_FRAMES + 1)
    written(tmp_path / "c", counts)

    assert len(flat(written(tmp_path / "c", counts))) == len(counts)


def test_memory_does_not_grow_with_frames(tmp_path: Path) -> None:
    """Ten thousand frames take what a chunk takes."""
    found = many(16)
    made = {"boxes": found.boxes, "scores": found.scores}
    writer = ColumnWriter(tmp_path / "c")
    pixels = np.zeros((1, 1, 3), np.uint8)

    def add(begin: int, end: int) -> None:
        for index in range(begin, end):
            own = {name: column.copy() for name, column in made.items()}
            writer.add(Frame(FrameKey("urn:v", index), (1, 1), pixels, time_s=index / 25), own, 16)

    tracemalloc.start()
    try:
        add(0, CHUNK_FRAMES)
        before = tracemalloc.get_traced_memory()[0]
        add(CHUNK_FRAMES, 40 * CHUNK_FRAMES)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < before  # 39 chunks more were written
    assert sum(1 for _ in writer.finish().frames()) == 40 * CHUNK_FRAMES


def test_a_row_of_a_frame_has_what_tables_need() -> None:
    """Index, time, reason, size at the source and name of the file; no pixels."""
    key = FrameKey("urn:v", 7)
    pixels = np.zeros((4, 5, 3), np.uint8)
    row = FrameRow.of(Frame(key, (8, 10), pixels, time_s=0.28, skipped="black", file="img.png"))

    assert (row.index, row.time_s, row.skipped, row.hw, row.file) == (7, 0.28, "black", (8, 10), "img.png")
