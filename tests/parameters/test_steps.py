"""Steps and variants are lists of names: in one order, each once, and at most eight variants."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from quadrat import steps
from quadrat.errors import ParameterError
from quadrat.parameters import parse
from quadrat.parameters.steps import MOST_VARIANTS, NONE, STEP_NAMES, EnhancementSettings


def test_every_step_is_known_here() -> None:
    """The parameters cannot import the steps; their names are in both places, in the order in which they run."""
    assert tuple(steps.STEPS) == tuple(name for name in STEP_NAMES if name in steps.STEPS)


def test_the_order_of_names_does_not_matter() -> None:
    """All ways to write the same steps have one digest, so that a run continues another."""
    ways = [
        parse({"enhance": " , ".join(names)}) for names in permutations(("median", "grey-world", "clahe"))
    ]

    assert {each.enhancement.enhance for each in ways} == {("median", "grey-world", "clahe")}
    assert len({each.result_digest for each in ways}) == 1
    assert ways[0].result_digest != parse({}).result_digest


@pytest.mark.parametrize("text", [NONE, "", " ", [], [NONE], None])
def test_no_step_is_the_default(text: Any) -> None:
    """However it is written."""
    assert parse({"enhance": text}) == parse({})


@pytest.mark.parametrize("text", ["", [], None])
def test_no_variant_is_the_default(text: Any) -> None:
    """A record of a run holds an empty list."""
    assert parse({"compare": text}) == parse({})


def test_none_is_always_a_variant_and_the_first() -> None:
    """Differences are differences from it; a variant with several steps has them in their order."""
    for text in (
        "clahe,clahe+grey-world",
        "clahe,none,grey-world+clahe",
        ["none", "clahe", "grey-world + clahe"],
    ):
        settings = parse({"compare": text}).enhancement
        assert settings.compare == ("none", "clahe", "grey-world+clahe")
    assert settings.variants == (
        EnhancementSettings(), EnhancementSettings(("clahe",)), EnhancementSettings(("grey-world", "clahe")),
    )  # fmt: skip
    assert EnhancementSettings(("clahe",)).variants == (EnhancementSettings(("clahe",)),)


@pytest.mark.parametrize(
    ("values", "where", "line"),
    [
        ({"enhance": "gray-world"}, "enhance", "there is no step 'gray-world'. Did you mean grey-world?"),
        ({"enhance": "x"}, "enhance", "there is no step 'x'. Choose from median, bilateral"),
        ({"enhance": "clahe,clahe"}, "enhance", "the step clahe is given twice"),
        ({"enhance": "none,clahe"}, "enhance", "none cannot be combined with a step"),
        ({"enhance": 3}, "enhance", "it is not a text or a list of texts"),
        ({"compare": [["none"]]}, "compare", "it is not a text or a list of texts"),
        ({"compare": "none"}, "compare", "none is the only variant, so that there is nothing to compare"),
        ({"compare": "clahe, clahe"}, "compare", "the variant clahe is given twice"),
        ({"compare": "grey-world+clahe,clahe+grey-world"}, "compare", "the variant grey-world+clahe is given twice"),
        ({"compare": "clahe+none"}, "compare", "none cannot be combined with a step"),
        ({"compare": ",".join(["median"] * 50)}, "compare", "50 variants are too many. Compare at most 8"),
        ({"compare": ",".join(STEP_NAMES[:MOST_VARIANTS])}, "compare", "9 variants are too many"),
        ({"compare": "clahe", "enhance": "clahe"}, "enhance, compare", "compare says itself which steps"),
        ({"compare": "clahe", "index": True}, "compare, index", "an index has one value of each class"),
        ({"compare": "clahe", "idle-seconds": 2.0}, "compare, idle-seconds", "frames would be skipped by what the variants find"),
        ({"enhance": "q" * 10_000}, "enhance", "there is no step 'qqq"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_line(values: dict[str, Any], where: str, line: str) -> None:
    """With the parameter, and what to do."""
    with pytest.raises(ParameterError) as caught:
        parse(values)

    assert (caught.value.where, caught.value.line.count("\n")) == (where, 0)
    assert line in caught.value.line
    assert len(caught.value.line) < 400


def test_as_many_variants_as_there_may_be() -> None:
    """Eight, with none."""
    assert (
        len(parse({"compare": ",".join(STEP_NAMES[: MOST_VARIANTS - 1])}).enhancement.variants)
        == MOST_VARIANTS
    )
