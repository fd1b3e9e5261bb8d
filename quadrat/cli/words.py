"""How the commands treat a mistyped option: one line with a code, not the whole usage."""

from __future__ import annotations

import difflib
import re
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import PurePath
from typing import NoReturn

from quadrat.errors import ParameterError


def strict(parser: ArgumentParser, meant: Mapping[str, str] | None = None) -> ArgumentParser:
    """Make a parser raise ParameterError for a wrong option, and accept no abbreviations.

    `meant` holds the hints for words that users write by mistake, by the option, or by the suffix of a file that
    belongs to no option; a hint may contain the word as {}.
    """
    options = [option for action in parser._actions for option in action.option_strings]  # noqa: SLF001 - argparse has no public list

    def refuse(message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        if unknown:
            word = unknown[1].split("=")[0]
            known = (meant or {}).get(word if word.startswith("-") else PurePath(word).suffix.lower())
            what = "there is no such option" if word.startswith("-") else "it belongs to no option"
            if known is not None:
                raise ParameterError(what, where=unknown[1], hint=known.format(unknown[1]))
            close = difflib.get_close_matches(word, options, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"See {parser.prog} --help"
            raise ParameterError(what, where=unknown[1], hint=hint)
        where, _, what = message.rpartition("argument ")[2].partition(": ")
        raise ParameterError(what or message, where=where if what else "", hint=f"See {parser.prog} --help")

    parser.allow_abbrev = False
    parser.error = refuse  # type: ignore[method-assign]  # its way to exit
    return parser
