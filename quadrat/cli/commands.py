"""The sub-commands of `quadrat`, and what their errors look like.

Each is a function that takes its words and returns an exit status. This module imports no arrays, so that `--help` is
fast.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from quadrat import __version__
from quadrat.cli.log import internal_error, open_log
from quadrat.errors import ParameterError, QuadratError
from quadrat.task_kinds import TASKS, resolve

Command = Callable[[Sequence[str]], int]

COMMANDS = {
    "run": ("quadrat.cli.run:main", "measure photographs, videos and streams with a model"),
    "enhance": ("quadrat.cli.enhance:main", "enhance photographs and videos for people to look at"),
    "search": ("quadrat.cli.search:main", "find pictures, frames and objects in an index of results"),
    "inspect": ("quadrat.cli.archives:inspect", "tell what a network is, and how to pack it"),
    "pack": ("quadrat.cli.archives:pack", "pack a trained network into a model archive, model.tgz"),
    "verify": ("quadrat.cli.archives:verify", "run the self-test of an archive on every engine"),
    "calibrate": (
        "quadrat.cli.archives:calibrate",
        "calibrate a classifier on labelled images, and set its threshold",
    ),
    "describe": ("quadrat.cli.describe:main", "print what an archive contains"),
    "doctor": ("quadrat.cli.doctor:main", "check this machine, and what each engine can do on it"),
}
"""The commands: the function that runs each, as `module:attribute`, and what it does."""

MEASURE = ("measure", "predict", "infer", "track", "count", "label")
"""Words for what `quadrat run` does, beside the names of the tasks."""

ABOUT = """\
Measure images and videos with your own model: cover, masks, tracks and tables.

usage: quadrat COMMAND ...

commands:
{commands}

examples:
  quadrat run model.tgz photos -o results       measure a folder of photographs
  quadrat run fish.tgz dive.mp4 reef/*.jpg      a video and some photographs
  quadrat enhance photos --enhance grey-world   pictures for people to look at
  quadrat search results --where "class = fish" find what a run with --index has seen
  quadrat inspect best.onnx                     what a network is, and how to pack it
  quadrat pack --onnx best.onnx --task detect   make an archive from a network
  quadrat doctor                                check this machine

quadrat COMMAND --help explains a command and lists its options.
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; a user's mistake is one line with a code, never a traceback."""
    log = open_log()
    given = list(sys.argv[1:] if words is None else words)
    try:
        return _dispatch(given)
    except QuadratError as error:
        log.error("%s", error.line)
        return error.exit_status
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        return 0
    except Exception as error:  # noqa: BLE001 - a fault of ours is one line, too
        return internal_error(log, error)


def _dispatch(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(about())
        return 0
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"quadrat {__version__}\n")
        return 0
    if words[0] not in COMMANDS:
        raise _unknown(words[0])
    try:
        Path.cwd()
    except OSError as error:
        what = f"the current folder cannot be used ({error.strerror})"
        raise ParameterError(what, where="quadrat", hint="Change to another folder") from error
    command = cast(Command, resolve(COMMANDS[words[0]][0]))
    return command(words[1:])


def about() -> str:
    """Return the text of `quadrat --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items()]
    return ABOUT.format(commands="\n".join(lines))


def _unknown(word: str) -> ParameterError:
    """Return the error for a word that is no command, with the command that was probably meant."""
    close = difflib.get_close_matches(word, COMMANDS, n=1)
    if close:
        hint = f"Did you mean quadrat {close[0]}?"
    elif word in (*TASKS, *MEASURE) or os.path.lexists(word):
        hint = "To measure, write quadrat run MODEL PHOTOS..."
    else:
        hint = f"The commands are {', '.join(COMMANDS)}"
    return ParameterError("there is no such command", where=word, hint=hint)
