"""`quadrat enhance PHOTOS...`: deliver enhanced pictures and videos; `quadrat run --task enhance` in fewer words."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence

from quadrat.cli import run
from quadrat.cli.inputs import PHOTOS, USAGE, is_model
from quadrat.errors import ParameterError
from quadrat.parameters.steps import STEP_NAMES

PROG = "quadrat enhance"
TASK = ("--task", "enhance")
ABOUT = """\
usage: quadrat enhance PHOTOS... --enhance STEPS [-o OUT] [parameters]

Enhance photographs, videos and streams for people to look at, by steps or with an archive for super-resolution. Files keep
their format, EXIF and colour profile. Look at before-after.jpg in the folder of results first.
"""
EXAMPLES = """\
examples:
  quadrat enhance photos --enhance grey-world,clahe -o enhanced
  quadrat enhance dive.mp4 --enhance lab-grey-world
  quadrat enhance photos --compare grey-world,fusion,udcp      each picture in several variants
  quadrat enhance sr.tgz photos                                super-resolution with an archive
"""


_MODEL = "An archive for super-resolution is the first word: quadrat enhance MODEL PHOTOS..."
_STEPS = "Steps are the value of --enhance, separated by commas: --enhance grey-world,clahe"
MEANT: Mapping[str, str] = {
    **run.MEANT,
    **dict.fromkeys(("--model", "--models", "-m"), _MODEL),
    **dict.fromkeys(("--steps", "--step", *(f"--{name}" for name in STEP_NAMES)), _STEPS),
}
"""Hints for options that this command does not have."""


def main(words: Sequence[str]) -> int:
    """Enhance, and return the exit status; see `quadrat run`."""
    parser = run.parser(MEANT)
    parser.prog, parser.description, parser.epilog = PROG, ABOUT, EXAMPLES
    for action in parser._actions:  # noqa: SLF001 - argparse has no public list
        if action.dest == "model":
            action.help = (
                "archive for super-resolution or enhancement; without one, --enhance names the steps"
            )
    given = parser.parse_intermixed_args(words)
    if not given.model:
        raise ParameterError(
            "it is required", where=PHOTOS, hint="Write quadrat enhance PHOTOS... --enhance STEPS"
        )
    if not _changes_something(given):
        hint = f"Give --enhance with some of {', '.join(STEP_NAMES)}"
        raise ParameterError(
            "no step is named, so that pictures would stay as they are", where=PROG, hint=hint
        )
    try:
        return run.main([*words, *TASK])
    except ParameterError as error:
        raise error.at(error.where, error.hint.replace(USAGE, "Write quadrat enhance PHOTOS...")) from None


def _changes_something(given: Namespace) -> bool:
    """Return True if steps, a config file that may name them, or an archive are given, or nothing at all."""
    if given.enhance or given.compare or given.config or not given.model:
        return True
    return given.model.endswith(".tgz") or is_model(given.model, missing=False)
