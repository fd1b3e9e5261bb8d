"""Which outputs of a network are labels, confidence or scores, and which of them are requested."""

from __future__ import annotations

import pytest

from quadrat.errors import (
    ClassesError,
)
from quadrat.package.masks import MaskWords
from quadrat.parameters import Settings
from quadrat.tasks.segment.roles import ROLES, check_channels, choose_outputs, find_roles
from quadrat.types import OutputSpec
from tests.tasks.folding import make_task
from tests.tasks.segment.masks import (
    LABELS,
    STATED,
    THREE,
    package,
)
from tests.values import settings_of


def test_one_channel_is_no_choice() -> None:
    """A binary head with one channel is refused, never taken for a picture of class 0."""
    one = OutputSpec("scores", "float32", (None, 1, None, None))
    with pytest.raises(ClassesError, match="one channel"):
        make_task(package(None), [one], settings_of())


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (settings_of(), ("labels", "confidence")),
        (settings_of(with_argmax=True), ("logits",)),
        (settings_of(min_confidence=0.5), ("labels", "confidence")),
    ],
)
def test_only_what_is_needed_is_asked_for(settings: Settings, wanted: tuple[str, ...]) -> None:
    """The fewest outputs that answer the settings are requested."""
    assert wanted == make_task(package(outputs=STATED), THREE, settings).wanted


@pytest.mark.parametrize(
    ("roles", "with_argmax", "tiled", "wanted"),
    [
        ("lcs", False, False, "lc"),
        ("lcs", True, False, "s"),
        ("lcs", False, True, "s"),
        ("ls", False, False, "ls"),
        ("lc", False, True, "lc"),
        ("l", False, True, "l"),
        ("s", False, False, "s"),
    ],
)
def test_the_fewest_outputs_are_requested(roles: str, with_argmax: bool, tiled: bool, wanted: str) -> None:
    """Scores are requested to blend tiles, to take the argmax of, or for the confidence of labels."""
    names = {role: name for role, name in zip(ROLES, "lcs", strict=True) if name in roles}

    assert tuple(wanted) == choose_outputs(names, with_argmax=with_argmax, tiled=tiled)


def test_a_stated_output_that_the_network_lacks_is_ignored() -> None:
    """The first output then decides, as in an original archive."""
    stated = package(outputs={"labels": "gone", "confidence": "gone too"})

    assert {"labels": "argmax_0"} == find_roles(stated, [LABELS])


@pytest.mark.parametrize(("channels", "fits"), [(1, False), (2, True), (255, True), (256, False)])
def test_a_mask_holds_255_classes(channels: int, fits: bool) -> None:
    """One channel leaves no choice, and 255 is the label of unknown pixels."""
    scores = OutputSpec("s", "float32", (None, channels, None, None))
    given = (package(None), {"logits": "s"}, [scores], MaskWords())
    if fits:
        check_channels(*given)
    else:
        with pytest.raises(ClassesError, match="channel"):
            check_channels(*given)
