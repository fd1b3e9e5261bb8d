"""max-img-size: pixels in all or a long side, and no number that could be either."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.describe import request_schema, service_json
from quadrat.errors import ParameterError
from quadrat.media.size import working_hw
from quadrat.parameters import Settings, find, parse
from quadrat.parameters.sizes import LEAST_BARE, check_size, in_megapixels, size_words


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (-1, -1), ("-1", -1), (1_000_000, 1_000_000), ("1000000", 1_000_000), (LEAST_BARE, LEAST_BARE),
        ("1MP", 1_000_000), ("2.5MP", 2_500_000), ("2.5 mp", 2_500_000), ("0.001024Mp", 1024), ("1024px", "1024px"),
        ("1024 PX", "1024px"), ("01024px", "1024px"), (10**12, 10**12), ("1000000MP", 10**12),
    ],
)  # fmt: skip
def test_forms(value: Any, size: int | str) -> None:
    """Numbers of a platform and a config file, and texts with a unit; what is kept is accepted again."""
    assert parse({"max-img-size": value}).frames.max_img_size == size
    again = in_megapixels(size) if isinstance(size, int) and size > 0 else size
    assert check_size(again, "x") == size


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (1024, "1024 pixels in all would be a picture of about 32 x 32"), ("1024", "about 32 x 32"), (1, "about 1 x 1"),
        (49_999, "about 224 x 224"), (0, "neither -1 nor at least 1"), (-7, "not from -1"), (10**13, "not from -1"),
        (True, "True is not a size"), (1.5e6, "is not a size"), ("big", "'big' is not a size"), ("1.5px", "whole number"),
        ("0px", "whole number"), ("0MP", "not from"), ("1024 x 768", "is not a size"), ("1e6", "is not a size"),
        ("MP", "is not a size"), ("-1MP", "is not a size"), ("2000000MP", "not from"), ((), "is not a size"),
        ("9" * 5000, "is not a size"),
    ],
)  # fmt: skip
def test_what_is_refused(value: Any, says: str) -> None:
    """Each with the forms, and a small number with what it would mean."""
    with pytest.raises(ParameterError, match="max-img-size") as caught:
        parse({"max-img-size": value})
    assert says in caught.value.what
    assert len(caught.value.line) < 400
    if value in (1024, "1024"):
        assert (
            caught.value.hint == "Write 1024px for a long side of 1024 pixels, or 0.001024MP if you mean it"
        )
        assert parse({"max-img-size": "0.001024MP"}).frames.max_img_size == 1024


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 20_000))
def test_a_long_side(height: int, width: int, side: int) -> None:
    """The long side is the limit, the shape is kept to a pixel, and a smaller picture keeps its size."""
    small = working_hw((height, width), f"{side}px")
    assert small[::-1] == working_hw((width, height), f"{side}px")
    if max(height, width) <= side:
        assert small == (height, width)
        return
    assert max(small) == side
    assert min(small) >= 1
    assert abs(min(small) - side * min(height, width) / max(height, width)) < 1


def test_it_holds_for_every_task_once_it_is_given() -> None:
    """Tiles and detectors keep the size only if it is not given."""
    for value in ("1024px", 1_000_000, -1):
        settings = parse({"max-img-size": value, "tile-size": 512})
        assert {settings.frames_for(shrinks=each).max_img_size for each in (True, False)} == {value}
    assert Settings().frames.max_img_size is None


def test_it_is_described_as_a_text_that_may_be_a_number() -> None:
    """The platform passes text; a JSON order may give either."""
    parameter = find("max-img-size")
    assert (parameter.kind, parameter.platform_kind, parameter.optional) == ("size", "string", True)
    assert request_schema()["properties"]["max-img-size"]["type"] == ["integer", "string"]
    (described,) = [each for each in service_json()["parameters"] if each["name"] == "max-img-size"]
    assert (described["type"], described["default"]) == ("string", None)


@pytest.mark.parametrize(
    ("size", "words"),
    [("1024px", "a long side of 1024 pixels"), (60_000, "60000 pixels"), (2_000_000, "2 million pixels")],
)
def test_words(size: int | str, words: str) -> None:
    """As the log has them."""
    assert size_words(size) == words
