"""What the reports of all tasks share."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from quadrat.errors import TooManyObjectsError, VideoTruncatedError
from quadrat.report.base import error_text, mime_of, plain, rounded, status_of
from quadrat.report.names import Names
from quadrat.task_kinds import kind_of
from quadrat.types import Closing
from tests.report.things import facts

FAULT = VideoTruncatedError("it ends early", where="v.mp4")


def test_products_of_one_model_have_no_label() -> None:
    """Names are those of the time before there were several models."""
    model = facts("detect")

    assert model.product_name("dive", ".mot.txt") == "dive.mot.txt"
    assert model.table_name(Names(), "coco.json") == "coco.json"


def test_products_of_several_models_carry_the_label() -> None:
    """Behind the source's stem, before a table's name; names that are taken are numbered all the same."""
    model = facts("detect", label="fish")

    assert model.product_name("dive", ".mot.txt") == "dive.fish.mot.txt"
    names = Names()
    assert model.table_name(names, "coco.json") == "fish.coco.json"
    assert model.table_name(names, "coco.json") == "fish.coco-2.json"


def test_in_folders_a_name_begins_with_its_kind() -> None:
    """The tree of the sources comes next; tables have no folder, and a track's id none of its kind."""
    model = replace(facts("detect", label="fish"), in_folders=True)

    assert model.product_name("T13/dive", ".mot.txt") == "mot/T13/dive.fish.mot.txt"
    assert model.labelled("T13/dive") == "T13/dive.fish"
    assert model.table_name(Names(), "coco.json") == "fish.coco.json"


def test_temporary_names_are_short_and_as_unique_as_stems() -> None:
    """However deep a tree is, and whatever its folders are called."""
    model = facts("detect")
    names = {model.temporary_name(stem, ".columns") for stem in ("a/b", "a-b", "a%2Fb", "a/" * 200)}

    assert len(names) == 4
    assert all(len(name) < 60 and "/" not in name for name in names)


def test_facts_survive_pickle() -> None:
    """They go to another process, and know the record of their task there."""
    copy = pickle.loads(pickle.dumps(facts("segment", label="reef")))

    assert copy == facts("segment", label="reef")
    assert copy.kind is kind_of("segment")


def test_all_errors_are_one_line() -> None:
    """Each with its code; none is None, not an empty text."""
    assert error_text([]) is None
    assert error_text([FAULT]) == "E_VIDEO_TRUNCATED v.mp4: it ends early"
    assert error_text([TooManyObjectsError("more"), FAULT]) == (
        "E_TOO_MANY more; E_VIDEO_TRUNCATED v.mp4: it ends early"
    )


@pytest.mark.parametrize(
    ("closing", "status"),
    [
        (Closing(3), "ok"),
        (Closing(0, {"black": 3}), "skipped"),
        (Closing(3, faults=(FAULT,)), "partial"),
        (Closing(0, faults=(FAULT,)), "partial"),
    ],
)
def test_the_status_of_a_video(closing: Closing, status: str) -> None:
    """A fault makes it partial; without a measured frame it shows nothing."""
    assert status == status_of(closing)


@pytest.mark.parametrize(("name", "mime"), [("a.mp4", "video/mp4"), ("a.webm", "video/webm")])
def test_the_mime_type_of_a_video(name: str, mime: str) -> None:
    """It follows the suffix."""
    assert mime == mime_of(Path(name))


def test_numbers_and_names_fit_for_products() -> None:
    """A missing number stays missing; a byte that is no text becomes a question mark."""
    assert (rounded(0.123456), rounded(None), rounded(0.126, 2)) == (0.1235, None, 0.13)
    assert plain("Grüße\udce9") == "Grüße?"
