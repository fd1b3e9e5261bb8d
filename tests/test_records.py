"""A record of a source survives pickle whole: it goes to files, to other processes and to other machines."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from quadrat import errors
from quadrat.errors import QuadratError
from quadrat.records import ImageFacts, ModelRecord, SourceRecord
from quadrat.report.columns import Columns
from quadrat.types import Gap, Reading, Source
from tests.report.test_masks import mask
from tests.report.things import HW, VIDEO, Desk, end, frame, labelled, many, photo, video

MODELS = {"reef": "segment", "fish": "detect"}


def kinds(base: type[QuadratError] = QuadratError) -> list[type[QuadratError]]:
    """List all errors that a user can meet."""
    return [base, *(each for kind in base.__subclasses__() for each in kinds(kind))]


ERRORS = st.builds(
    lambda kind, what, where, hint: kind(what, where=where, hint=hint),
    st.sampled_from([kind for kind in kinds() if kind.__module__ == errors.__name__]),
    st.text(max_size=20),
    st.text(max_size=9),
    st.text(max_size=9),
)
SOURCES = st.builds(
    Source,
    st.text(max_size=9),
    st.text(max_size=9),
    st.sampled_from(["image", "video", "sequence", "stream"]),
    st.text(max_size=5),
    st.text(max_size=5),
)
FACTS = st.builds(
    ImageFacts,
    st.just((20, 10)),
    st.just((10, 5)),
    st.text(max_size=5),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    st.sampled_from(["", "black"]),
)
READINGS = st.builds(
    Reading,
    st.just((4, 6)),
    declared_frames=st.none() | st.integers(0, 9),
    gaps=st.just((Gap(0, 1.5, "lost"),)),
)
PARTS = st.builds(
    ModelRecord,
    st.text(max_size=5),
    st.sampled_from(["segment", "detect"]),
    st.integers(0, 99),
    st.dictionaries(st.sampled_from(["black", "idle", "failed"]), st.integers(0, 9)),
    text=st.text(max_size=9),
)
RECORDS = st.builds(
    SourceRecord,
    SOURCES,
    st.sampled_from(["ok", "flagged", "partial", "failed", "skipped", "not-reached"]),
    reason=st.text(max_size=9),
    image=st.none() | FACTS,
    reading=st.none() | READINGS,
    models=st.lists(PARTS, max_size=2).map(tuple),
    products=st.lists(st.text(max_size=9), max_size=3).map(tuple),
)


@given(RECORDS, st.lists(ERRORS, max_size=3))
def test_a_record_survives_pickle(record: SourceRecord, faults: list[QuadratError]) -> None:
    """Every value is as it was; of errors the class, code and line."""
    copy = pickle.loads(pickle.dumps(replace(record, faults=tuple(faults))))

    assert replace(copy, faults=()) == record
    assert [(type(each), each.code, each.line, each.hint) for each in copy.faults] == [
        (type(each), each.code, each.line, each.hint) for each in faults
    ]


@hypothesis_settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.booleans())
def test_all_that_models_contribute_survives_pickle(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], skip: bool
) -> None:
    """Covers, counts of classes, tracks and columns are equal afterwards."""
    desk = Desk(tmp_path_factory.mktemp("t"), *labelled(**MODELS))
    for index, count in enumerate(counts):
        desk.frame(frame(index, {"reef": mask(count / 4), "fish": many(count, index)}))
    if skip:
        desk.frame(frame(len(counts), None, skipped="black"))
    skipped = {"black": 1} if skip else {}
    list(desk.closed(end(len(counts) + skip, skipped=skipped, models=list(MODELS))))
    list(desk.picture(photo({"reef": mask(0.5), "fish": many(counts[0], tracked=False)})))

    for record in desk.records:
        copy = pickle.loads(pickle.dumps(record))
        for mine, theirs in zip(record.models, copy.models, strict=True):
            assert replace(mine, columns=None) == replace(theirs, columns=None)
            assert flat(mine.columns) == flat(theirs.columns)


def flat(columns: Columns | None) -> list[object]:
    """List the frames of columns and all their values; NaN as text, as it equals nothing."""
    if columns is None:
        return []
    return [
        (chunk.frames, chunk.starts, {name: repr(values.tolist()) for name, values in chunk.columns.items()})
        for chunk in columns
    ]


def test_a_record_has_no_pixels(tmp_path: Path) -> None:
    """Its size follows what was found, not the size of the frames."""
    desk = Desk(tmp_path, *labelled(**MODELS))
    found = {"reef": mask(0.5), "fish": many(3)}
    for index in range(20):
        desk.frame(frame(index, found))
    list(desk.closed(end(20, models=list(MODELS))))
    list(desk.picture(photo(found)))

    for record in desk.records:
        assert len(pickle.dumps(record)) < HW[0] * HW[1] / 2


def test_records_of_any_source_have_defaults() -> None:
    """A source that was not read has a status and nothing else."""
    record = SourceRecord(VIDEO, "not-reached")

    assert (record.faults, record.reason, record.image, record.reading) == ((), "", None, None)
    assert (record.models, record.products) == ((), ())
    assert ModelRecord("m", "detect") == ModelRecord("m", "detect", 0, {}, (), (0, 0), "", None, None, "")


def test_a_record_is_not_changed_after_it_was_made(tmp_path: Path) -> None:
    """What a collector takes later, of another source, is not in it."""
    desk = Desk(tmp_path)
    first, second = video("a"), video("b")
    desk.frame(frame(0, many(2), first))
    list(desk.closed(end(1, first)))
    before = pickle.dumps(desk.records[0])
    desk.frame(frame(0, many(4), second))
    list(desk.closed(end(1, second)))

    assert pickle.dumps(desk.records[0]) == before
