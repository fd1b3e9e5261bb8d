"""The command line of the service: the options of the SDK's parser, with errors of one line and a code.

The SDK's parser opens artifacts, prints its whole usage for a mistyped option, and ends with a traceback for a URN
that is given on a laptop. Here a parameter remains text until the order uses it.
"""

from __future__ import annotations

import difflib
import logging
import re
from argparse import SUPPRESS, Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from quadrat.errors import ParameterError
from quadrat.parameters import GROUPS, PARAMETERS, Parameter
from quadrat.parameters.declare import AUTO, Group
from quadrat.stores.addresses import Addresses
from quadrat.stores.paths import exists

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
SDK = "ivcap:"
FOLDERS = ("in-dir", "out-dir")
"""Options of the SDK that users mistype. They begin with SDK; the SDK passes on those that it does not know."""


def add_arguments(
    parser: ArgumentParser, groups: Sequence[type[Group]] = GROUPS, *, bare_switches: bool = False
) -> ArgumentParser:
    """Declare the parameters of some groups, each group with its own heading in the help.

    A switch stands alone or takes true or false, as the platform may write it. With `bare_switches` it takes no
    value, so that the word after it can be a file.
    """
    parser.allow_abbrev = False
    for group in groups:
        section = parser.add_argument_group(group.title, group.about)
        for parameter in group.declared():
            default = "" if parameter.default is None else f" [{parameter.default}]"
            choices = f" One of {', '.join(parameter.choices)}." if parameter.choices else ""
            if parameter.kind == "bool" and bare_switches:
                section.add_argument(
                    f"--{parameter.name}", action="store_const", const=True, help=parameter.help
                )
                continue
            extra: dict[str, Any] = {"nargs": "?", "const": True} if parameter.kind == "bool" else {}
            section.add_argument(
                f"--{parameter.name}",
                action=_Once,
                type=partial(_read, parameter),
                default=None,
                metavar=parameter.kind.upper(),
                help=parameter.help + choices + default,
                **extra,
            )
    parser.error = _refuse  # type: ignore[method-assign]  # the SDK makes the parser
    parser.usage = SUPPRESS
    return parser


class _Once(Action):
    """Stores the value of a parameter and refuses a second one, where argparse would silently use the last.

    The same value again is accepted, because it is not known how the platform writes an order. An empty value counts
    as not given.
    """

    def __call__(
        self,
        _parser: ArgumentParser,
        namespace: Namespace,
        values: str | Sequence[Any] | None,
        _word: str | None = None,
    ) -> None:
        """Store the value; exit with an error if there is a different one already."""
        known = getattr(namespace, self.dest)
        if known is not None and values is not None and values != known:
            hint = "Leave one of them out"
            if self.dest in ("images", "videos"):
                hint += "; a folder is measured with its sub-folders"
            if self.dest == "models":
                hint = "Give all archives as one text, separated by commas, or a folder of them"
            if self.dest == "streams":
                hint = "Give all addresses as one text, separated by spaces"
            _end(ParameterError("it is given twice", where=self.dest.replace("_", "-"), hint=hint))
        if values is not None:
            setattr(namespace, self.dest, values)


def _read(parameter: Parameter, text: str) -> int | float | bool | str | None:
    """Convert a text to a number or a boolean; ranges and choices are checked later."""
    if parameter.optional and not text:
        return None
    if parameter.kind == "bool":
        if text.lower() not in WORDS:
            raise ArgumentTypeError(f"{text!r} is not true or false")
        return WORDS[text.lower()]
    if parameter.kind == "size" or parameter.kind == text == AUTO:
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,20}", text) else text
    if parameter.kind in ("int", "auto"):
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", text):
            word = "an integer" if parameter.kind == "int" else f"an integer or {AUTO}"
            raise ArgumentTypeError(f"{text!r} is not {word}")
        return int(text)
    if parameter.kind == "float":
        try:
            return float(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a number") from None
    return Addresses(text) if parameter.name == "streams" else text


def _refuse(message: str) -> NoReturn:
    """Exit with the parser's error as one line with a code."""
    unknown = re.match(r"unrecognized arguments: --([^\s=]+)", message)
    if unknown:
        _end(ParameterError("there is no such parameter", where=unknown[1], hint=_meant(unknown[1])))
    where, _, what = message.removeprefix("argument --").partition(": ")
    _end(ParameterError(what, where=where, hint="See -H for the parameters"))


def _meant(word: str) -> str:
    """Return a hint: the most similar option, or where to find the list of options."""
    of_sdk = word.startswith(SDK)
    names = [*FOLDERS, *(() if of_sdk else [parameter.name for parameter in PARAMETERS])]
    close = difflib.get_close_matches(word.removeprefix(SDK).replace("_", "-"), names, n=1)
    if close:
        return f"Did you mean --{SDK if close[0] in FOLDERS else ''}{close[0]}?"
    return f"See -h for the options with {SDK}" if of_sdk else "See -H for the parameters"


def _end(error: ParameterError) -> NoReturn:
    """Log an error in the SDK's log, and exit with its status."""
    logging.getLogger("service").error("%s", error.line)
    raise SystemExit(error.exit_status)


def local_path(reference: str, folder: Path, parameter: str) -> Path:
    """Find a file or folder given as a path, below `folder` or the current folder, or as a file URL."""
    text = reference.removeprefix("urn:")
    if text.startswith("file:"):
        path = Path(unquote(urlsplit(text.replace("#", "%23").replace("?", "%3F")).path))
        if exists(path, parameter):
            return path
    elif reference.startswith("urn:") or "://" in reference:
        raise ParameterError(
            f"{reference!r} is not on this machine",
            where=parameter,
            hint="Give a file or folder, or use --streams for the address of a video"
            if "://" in reference and parameter.startswith("video")
            else "Give a file or folder; URNs and addresses only work for orders on the platform",
        )
    else:
        for path in (folder / reference, Path(reference)):
            if exists(path, parameter):
                return path
    raise ParameterError(f"there is no file or folder {reference!r}", where=parameter)


def remote(reference: str, parameter: str) -> str:
    """Return the URN or address of an artifact on the platform unchanged; ParameterError for anything else."""
    if re.match(r"(urn:(ivcap:|https?:)|https?:)", reference):
        return reference
    raise ParameterError(f"{reference!r} is not a URN of the platform", where=parameter)
