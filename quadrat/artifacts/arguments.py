"""The service's command line: what the SDK's own would take, with errors of one line and a code.

The SDK opens artifacts while it parses, prints its whole usage for a mistyped word, and ends with a traceback for a
URN given on a laptop. Here a parameter stays the text that was given until the order looks at it.
"""

from __future__ import annotations

import difflib
import logging
import re
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from quadrat.artifacts.addresses import Addresses
from quadrat.errors import ParameterError
from quadrat.parameters import PARAMETERS, Parameter

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def add_arguments(parser: ArgumentParser) -> ArgumentParser:
    """Declare every parameter. A switch stands alone or takes true or false, however the platform writes it."""
    parser.allow_abbrev = False
    for parameter in PARAMETERS:
        default = "" if parameter.default is None else f" [{parameter.default}]"
        choices = f" One of {', '.join(parameter.choices)}." if parameter.choices else ""
        extra: dict[str, Any] = {"nargs": "?", "const": True} if parameter.kind == "bool" else {}
        parser.add_argument(
            f"--{parameter.name}",
            type=partial(_read, parameter),
            default=None,
            metavar=parameter.kind.upper(),
            help=parameter.help + choices + default,
            **extra,
        )
    parser.error = _refuse  # type: ignore[method-assign]  # the SDK makes the parser
    parser.usage = SUPPRESS
    return parser


def _read(parameter: Parameter, text: str) -> int | float | bool | str | None:
    """Turn a text into a number or truth; ranges and choices are the settings' to check."""
    if parameter.kind == "bool":
        if text.lower() not in WORDS:
            raise ArgumentTypeError(f"{text!r} is not true or false")
        return WORDS[text.lower()]
    if parameter.kind == "int":
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", text):
            raise ArgumentTypeError(f"{text!r} is not an integer")
        return int(text)
    if parameter.kind == "float":
        try:
            return float(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a number") from None
    if parameter.optional and not text:
        return None
    return Addresses(text) if parameter.name == "streams" else text


def _refuse(message: str) -> NoReturn:
    """Log the parser's complaint as one line with its code, and end."""
    unknown = re.match(r"unrecognized arguments: --([\w-]+)", message)
    if unknown:
        names = [parameter.name for parameter in PARAMETERS]
        close = difflib.get_close_matches(unknown[1].replace("_", "-"), names, n=1)
        meant = f"Did you mean --{close[0]}?" if close else "See -H for the parameters"
        error = ParameterError("there is no such parameter", where=unknown[1], hint=meant)
    else:
        where, _, what = message.removeprefix("argument --").partition(": ")
        error = ParameterError(what, where=where, hint="See -H for the parameters")
    logging.getLogger("service").error("%s", error.line)
    raise SystemExit(error.exit_status)


def local_path(reference: str, folder: Path, parameter: str) -> Path:
    """Find a file or folder given as a path, below `folder` or where we are, or as a file URL."""
    text = reference.removeprefix("urn:")
    if text.startswith("file:"):
        path = Path(unquote(urlsplit(text.replace("#", "%23").replace("?", "%3F")).path))
        if path.exists():
            return path
    elif reference.startswith("urn:") or "://" in reference:
        raise ParameterError(
            f"{reference!r} is not on this machine",
            where=parameter,
            hint="Give a file or folder; an address of a video is one of --streams"
            if "://" in reference and parameter.startswith("video")
            else "Give a file or folder; URNs and addresses are for orders on the platform",
        )
    else:
        for path in (folder / reference, Path(reference)):
            if path.exists():
                return path
    raise ParameterError(f"there is no file or folder {reference!r}", where=parameter)


def remote(reference: str, parameter: str) -> str:
    """Give back the URN or address of something on the platform; ParameterError for anything else."""
    if re.match(r"(urn:(ivcap:|https?:)|https?:)", reference):
        return reference
    raise ParameterError(f"{reference!r} is no URN of the platform", where=parameter)
