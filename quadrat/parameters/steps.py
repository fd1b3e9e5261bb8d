"""Parameters of enhancement: the steps that change pictures before they are measured or delivered."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from quadrat.errors import ParameterError
from quadrat.parameters.declare import Group, parameter

STEP_NAMES = (
    "median", "bilateral", "nlm", "grey-world", "shades-of-grey", "lab-grey-world", "red-compensation",
    "fusion", "udcp", "msrcr", "clahe", "stretch",
)  # fmt: skip
"""All steps, in the order in which they run."""
NONE = "none"
"""The text for no step."""
JOIN = "+"
"""Joins the steps of one variant of `compare`."""
MOST_VARIANTS = 8
"""The most variants of `compare`: each costs a run of the network and products of its own."""
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class EnhancementSettings(Group):
    """What is done to pictures before they are measured or delivered."""

    title: ClassVar[str] = "enhancement"
    about: ClassVar[str] = (
        "Steps that change pictures before they are measured or delivered. Measure without them unless you have "
        "tested that they help: they lower the accuracy of most models."
    )

    enhance: tuple[str, ...] = parameter(
        "string",
        "Steps for every picture and frame, separated by commas: median, bilateral or nlm (noise); grey-world, "
        "shades-of-grey, lab-grey-world, red-compensation, fusion, udcp or msrcr (colour); clahe or stretch (contrast). "
        "They run in this order, whatever order is given. Without it, or with none, pictures stay as they are.",
        unset=(),
        shapes_result=True,
        since="6",
    )
    compare: tuple[str, ...] = parameter(
        "string",
        "Measure each picture several times, with other steps each time, and deliver the differences as compare.csv. "
        "Variants are separated by commas, steps of one variant by +, as in none,clahe,grey-world+clahe; none is "
        f"always one of them. At most {MOST_VARIANTS} variants.",
        unset=(),
        shapes_result=True,
        since="6",
    )

    @property
    def variants(self) -> tuple[EnhancementSettings, ...]:
        """The settings of each variant of `compare`, as an order with this variant alone has them; at least one."""
        if not self.compare:
            return (self,)
        return tuple(EnhancementSettings(_split(each, JOIN)) for each in self.compare)


def check_steps(value: Any) -> tuple[str, ...]:
    """Return the steps of `enhance` in the order in which they run; none for "none" or an empty list.

    `value` is a text or a list of names. Raises ParameterError for an unknown step and one that is given twice.
    """
    parts = value.split(",") if isinstance(value, str) else _texts(value, "enhance")
    return _steps(parts, "enhance")


def check_variants(value: Any) -> tuple[str, ...]:
    """Return the variants of `compare`, "none" first; nothing for an empty text or list.

    Raises ParameterError for an unknown step, a variant that is given twice, "none" alone, and more than
    MOST_VARIANTS.
    """
    parts = value.split(",") if isinstance(value, str) else _texts(value, "compare")
    given = [part for part in parts if part.strip()]
    if not given:
        return ()
    if len(given) > MOST_VARIANTS + 1:  # the text may be long
        raise _too_many(len(given))
    variants = [JOIN.join(_steps(part.split(JOIN), "compare")) or NONE for part in given]
    twice = next((each for each in variants if variants.count(each) > 1), None)
    if twice is not None:
        raise ParameterError(f"the variant {twice} is given twice", where="compare", hint="Give it once")
    if NONE not in variants:
        variants.insert(0, NONE)
    if len(variants) > MOST_VARIANTS:
        raise _too_many(len(variants))
    if len(variants) == 1:
        raise ParameterError(
            "none is the only variant, so that there is nothing to compare",
            where="compare",
            hint="Give another one, as in none,clahe",
        )
    return tuple(sorted(variants, key=lambda each: each != NONE))


def _steps(parts: Iterable[str], where: str) -> tuple[str, ...]:
    names = [part.strip() for part in parts if part.strip()]
    if names in ([], [NONE]):
        return ()
    for name in names:
        if name == NONE:
            raise ParameterError("none cannot be combined with a step", where=where, hint="Leave it out")
        if name not in STEP_NAMES:
            raise _unknown(name, where)
        if names.count(name) > 1:
            raise ParameterError(f"the step {name} is given twice", where=where, hint="Give it once")
    return tuple(sorted(names, key=STEP_NAMES.index))


def _unknown(name: str, where: str) -> ParameterError:
    parts = [part.strip() for part in re.split(r"[\s+;/]+", name) if part.strip()]
    if len(parts) > 1 and all(part in STEP_NAMES for part in parts):
        hint = f"Separate steps by commas: {','.join(parts)}"
        return ParameterError(f"there is no step {name[:_SHOWN]!r}", where=where, hint=hint)
    close = difflib.get_close_matches(name, STEP_NAMES, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Choose from {', '.join(STEP_NAMES)}, or {NONE}"
    return ParameterError(f"there is no step {name[:_SHOWN]!r}", where=where, hint=hint)


def _too_many(count: int) -> ParameterError:
    return ParameterError(
        f"{count} variants are too many",
        where="compare",
        hint=f"Compare at most {MOST_VARIANTS}, with none",
    )


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ParameterError("it is not a text or a list of texts", where=where)
    return list(value)


def _split(variant: str, by: str) -> tuple[str, ...]:
    return () if variant == NONE else tuple(variant.split(by))
