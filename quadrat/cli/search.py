"""`quadrat search INDEX [PHOTOS...]`: look in the index of an earlier run."""

from __future__ import annotations

import logging
import re
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from quadrat.cli.inputs import USAGE, described, find_models, index_in, sort_inputs
from quadrat.cli.log import LOG
from quadrat.cli.run import has_results, link_latest
from quadrat.cli.words import strict
from quadrat.errors import ParameterError
from quadrat.parameters import GROUPS, INPUTS, NAMES_OF_FILES, SEARCH, Inputs, SearchSettings, Settings, parse
from quadrat.parameters.inputs import IndexInput
from quadrat.parameters.orders import PictureSettings
from quadrat.platforms.arguments import add_arguments, local_path
from quadrat.platforms.ivcap_order import OrderContext, complete
from quadrat.stores.folder import LOCAL_ORDER, FolderStore
from quadrat.stores.paths import is_gzip, results_in
from quadrat.stores.places import Places

USAGE_LINE = "usage: quadrat search INDEX [PHOTOS... --model MODEL] [-o OUT] [parameters]\n\n"
ABOUT = """\
Find pictures, frames and objects in an index.tgz, which quadrat run --index delivers.

With PHOTOS and the embedding archive that made the index, find what looks most like them. Without, find the rows that
--where selects, what is like --like-row, near-duplicates, outliers, or rows that cover all others (--find).
The results are a table (results.csv), the same as JSON (results.json) and a contact sheet (results.jpg).
"""
EXAMPLES = """\
examples:
  quadrat search index.tgz --where "class = fish and score > 0.8 and site = reef-3"
  quadrat search index.tgz shark.jpg --model embedding.tgz -o found
  quadrat search index.tgz --like-row 17 --max-results 50
  quadrat search index.tgz --find duplicates --min-similarity 0.98
  quadrat search index.tgz --find spread --max-results 100     what to label next

exit status: 0 the results are delivered, 2 a wrong parameter or filter, 3 the model, 4 the engine, 5 the index or the
pictures cannot be used, 6 the results cannot be written, 130 or 143 interrupted.
"""
PICTURES = "Write quadrat search index.tgz PHOTOS... --model embedding.tgz"
_COMPARISON = re.compile(r"[=<>~]")
_FILTER = 'A filter is the value of --where: --where "class = fish and score > 0.5"'
MEANT = {
    **dict.fromkeys(("--query", "--filter", "--sql", "--class", "--words", "--text"), _FILTER),
    **dict.fromkeys(
        ("--duplicates", "--outliers", "--spread"), "Write --find duplicates, outliers or spread"
    ),
    **dict.fromkeys(("--limit", "--top", "--number", "-n", "-k"), "--max-results sets the number of rows"),
    **dict.fromkeys(("--threshold", "--similarity"), "--min-similarity sets the least similarity"),
    **dict.fromkeys(("--image", "--images", "--photo", "--photos", "--picture"), PICTURES),
}
"""Hints for options that this command does not have."""
WHERE = "INDEX"


def parser() -> ArgumentParser:
    """Return the parser of the command, with the parameters in their groups."""
    made = ArgumentParser(
        prog="quadrat search",
        description=USAGE_LINE + ABOUT,
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "search_index", metavar=WHERE, nargs="?", help="index of an earlier run, index.tgz, or its folder"
    )
    made.add_argument("photos", metavar="PHOTOS", nargs="*", help="pictures or videos to look for")
    made.add_argument("-m", "--model", metavar="MODEL", help="the embedding archive that made the index")
    made.add_argument("-o", "--out", type=Path, metavar="OUT", help="folder of results [runs/DATE-search]")
    made.add_argument("--config", metavar="FILE", help="settings by name, as JSON or YAML")
    left_out = (Inputs, IndexInput, PictureSettings)
    others = (group for group in GROUPS if group not in (*left_out, SearchSettings))
    add_arguments(made, [SearchSettings, *others], bare_switches=True)
    return strict(made, MEANT)


def main(words: Sequence[str]) -> int:
    """Search, and return the exit status."""
    given = parser().parse_intermixed_args(words)
    log = logging.getLogger(LOG)
    try:
        store, settings, out = plan(given)
    except ParameterError as error:
        raise error.at(error.where, error.hint.replace(USAGE, PICTURES)) from None
    from quadrat.job import run_order  # after the parameters are checked, because it loads arrays

    outcome = run_order(settings, store, log)
    if outcome.exit_status in (0, 5) and has_results(out):
        log.info("Results are in %s", out)
    if given.out is None:
        link_latest(out)
    return outcome.exit_status


def plan(given: Namespace) -> tuple[FolderStore, Settings, Path]:
    """Return the store, the settings and the folder of results; ParameterError for what can be refused at once."""
    if not given.search_index:
        hint = 'Write quadrat search index.tgz --where "class = fish"; see quadrat search --help'
        raise ParameterError("it is required", where=WHERE, hint=hint)
    index = _index(given)
    _check_words(given.photos)
    if bool(given.photos) != bool(given.model):
        missing = "--model" if given.photos else "PHOTOS"
        raise ParameterError(
            "pictures and the model that made the index go together",
            where=missing,
            hint=PICTURES,
        )
    named = Path("runs") / f"{datetime.now().astimezone():%Y-%m-%d-%H%M%S}-{SEARCH}"
    out = results_in(given.out or named, given.into)
    values = _values(given)
    models = find_models(given.model, given.photos) if given.model else []
    if not given.photos:
        store = FolderStore([], [], out, LOCAL_ORDER, overwrite=bool(given.overwrite), index=index)
        return store, parse(values), out
    inputs = sort_inputs(given.photos, out.absolute())
    if len(inputs.media) != 1 or inputs.streams:
        raise ParameterError(
            "give either images or videos to look for", where="PHOTOS", hint="Write a command for each"
        )
    (media,) = inputs.media
    places = Places(inputs.images or inputs.videos, out.absolute(), moving=media == "video")
    store = FolderStore(
        models,
        places,
        out,
        LOCAL_ORDER,
        moving=media == "video",
        overwrite=bool(given.overwrite),
        index=index,
    )
    return store, parse({**values, f"{described(media)}": "given"}), out


def _check_words(photos: Sequence[str]) -> None:
    """Raise ParameterError for a filter among the pictures, with or without quotes."""
    if any(_COMPARISON.search(word) and not Path(word).exists() for word in photos):
        hint = f'Write --where "{" ".join(photos)}"'
        raise ParameterError("it is a filter, not a picture", where=" ".join(photos), hint=hint)


def _index(given: Namespace) -> Path:
    """Return the path of the index: the first word, or the index.tgz in a folder of results.

    Raises ParameterError for a folder without one, and for archives among the pictures.
    """
    word = given.search_index
    index = local_path(word, Path(), WHERE)
    archive = next((photo for photo in given.photos if is_gzip(Path(photo))), None)
    if archive is not None and not is_gzip(index) and not index.is_dir():
        what, hint = (
            f"it is not an index, but {archive!r} may be",
            f"Write the index first: quadrat search {archive} {word}",
        )
        raise ParameterError(what, where=word, hint=hint)
    if archive is not None:
        hint = f"Name the embedding archive by --model: quadrat search {word} PHOTOS... --model {archive}"
        raise ParameterError("it is an archive, not a picture or a video", where=archive, hint=hint)
    return index_in(index, word)


def _values(given: Namespace) -> dict[str, Any]:
    """Return the parameters of the command line over those of its config file."""
    own = {
        name: value
        for name, value in vars(given).items()
        if name not in ("search_index", "photos", "model", "out", *INPUTS)
    }
    completed = complete(own, OrderContext(LOCAL_ORDER, Path(), Path()))
    if completed.get("task") not in (None, SEARCH):
        raise ParameterError("this command searches", where="task", hint="Leave it out, or write quadrat run")
    kept = {name: value for name, value in completed.items() if name not in NAMES_OF_FILES}
    return {**kept, "task": SEARCH}
