"""How the commands treat a mistyped option: one line with a code, not the whole usage."""

from __future__ import annotations

import difflib
import re
from argparse import ArgumentParser
from typing import NoReturn

from quadrat.errors import ParameterError


def strict(parser: ArgumentParser) -> ArgumentParser:
    """Make a parser raise ParameterError for a wrong option, and accept no abbreviations."""
    options = [option for action in parser._actions for option in action.option_strings]  # noqa: SLF001 - argparse has no public list

    def refuse(message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        if unknown:
            close = difflib.get_close_matches(unknown[1].split("=")[0], options, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"See {parser.prog} --help"
            raise ParameterError("there is no such option", where=unknown[1], hint=hint)
        where, _, what = message.rpartition("argument ")[2].partition(": ")
        raise ParameterError(what or message, where=where if what else "", hint=f"See {parser.prog} --help")

    parser.allow_abbrev = False
    parser.error = refuse  # type: ignore[method-assign]  # its way to exit
    return parser
