"""`quadrat run MODEL PHOTOS...`: measure files, folders, patterns and addresses with a model.

Images, videos and streams are separate orders, one after the other: their tables have different columns, and some
parameters apply to one of them only. If a command names several kinds, each gets a folder in the folder of results.
"""

from __future__ import annotations

import logging
import shlex
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quadrat.cli.inputs import (
    USAGE,
    Inputs,
    described,
    find_models,
    index_in,
    is_model,
    sort_inputs,
    values_for,
)
from quadrat.cli.log import LOG
from quadrat.cli.words import strict
from quadrat.errors import ParameterError, ResultsError
from quadrat.parameters import GROUPS, NAMES_OF_FILES, Settings, parse
from quadrat.parameters import Inputs as InputParameters
from quadrat.parameters.applies import MEDIA
from quadrat.platforms.arguments import add_arguments, local_path
from quadrat.platforms.ivcap_order import OrderContext, complete
from quadrat.stores.entries import FOLDER as LEDGER
from quadrat.stores.folder import LOCAL_ORDER, FolderStore
from quadrat.stores.paths import results_in
from quadrat.stores.places import Places
from quadrat.stores.streams import list_streams
from quadrat.task_kinds import needs_model

if TYPE_CHECKING:
    from quadrat.protocols import Store

USAGE_LINE = "usage: quadrat run MODEL PHOTOS... [-o OUT] [parameters]\n\n"
ABOUT = """\
Measure photographs, videos and streams with a model. The archive states its task: cover of classes, objects,
labels of pictures, vectors, or enhanced pictures.

Files, folders with their sub-folders, patterns and addresses can be mixed. If there are several kinds, images,
videos and streams are measured one after the other, each with its own tables in a folder of the results.
"""
EXAMPLES = """\
examples:
  quadrat run model.tgz photos -o results
  quadrat run model.tgz "reef/*.jpg" extra.png -o results --outputs overlay
  quadrat run fish.tgz dive.mp4 -o results --frame-seconds 1
  quadrat run fish.tgz photos dives -o results          images and videos
  quadrat run fish.tgz rtsp://camera/1 --stream-seconds 60
  quadrat run fish.tgz timelapse --sequence --sequence-rate 2
  quadrat run a.tgz,b.tgz photos                        two models, each image decoded once
  quadrat run fish.tgz,species.tgz photos --index       the species of each fish, and an index to search in

exit status: 0 the tables are delivered, 2 a wrong parameter, 3 the model, 4 the engine, 5 nothing could be
measured, 6 the results cannot be written, 130 or 143 interrupted. Single images may have failed; see survey.csv.
"""

_FIRST = "The model is the first word: quadrat run MODEL PHOTOS..."
_WORDS = "Write pictures, videos and folders without an option: quadrat run MODEL PHOTOS..."
_OUT = "-o or --out names the folder of results; --outputs chooses the pictures"
MEANT = {
    "--model": _FIRST, "--models": _FIRST, "-m": _FIRST, "--image": _WORDS, "--images": _WORDS, "--video": _WORDS,
    "--videos": _WORDS, "--output": _OUT, "--out-dir": _OUT, "--output-dir": _OUT, "--results": _OUT,
}  # fmt: skip
"""Hints for options that this command does not have."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One order of a command: its kind of media, its settings, its store, and where its results go."""

    media: str
    settings: Settings
    store: Store
    out: Path


def parser(meant: Mapping[str, str] = MEANT) -> ArgumentParser:
    """Return the parser of the command, with the parameters in their groups; `meant` as in `strict`."""
    made = ArgumentParser(
        prog="quadrat run",
        description=USAGE_LINE + ABOUT,
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help="model archive, model.tgz; several are one word: a.tgz,b.tgz",
    )
    made.add_argument("photos", metavar="PHOTOS", nargs="*", help="files, folders, patterns, addresses")
    made.add_argument("-o", "--out", type=Path, metavar="OUT", help="folder of results [runs/DATE-MODEL]")
    made.add_argument(
        "--sequence", action="store_true", help="read each folder of images as one video, in order of name"
    )
    made.add_argument(
        "--config", metavar="FILE", help="settings by name, as JSON or YAML, or an earlier run.json"
    )
    add_arguments(made, [group for group in GROUPS if group is not InputParameters], bare_switches=True)
    return strict(made, meant)


def main(words: Sequence[str]) -> int:
    """Measure, and return the exit status: 0, or that of the first order that failed."""
    given = parser().parse_intermixed_args(words)
    log = logging.getLogger(LOG)
    planned = plan(given)
    if len(planned) > 1:
        kinds = ", then ".join(f"{described(each.media)} into {each.out}" for each in planned)
        log.info("Measuring %s", kinds)
    from quadrat.job import run_order  # after the parameters are checked, because it loads arrays

    status = 0
    for each in planned:
        try:
            outcome = run_order(each.settings, each.store, log)
        except SystemExit:  # by a signal
            again = shlex.join(_continuing(words, given, _whole_out(planned)))
            log.info("Results so far are in %s. To continue: quadrat run %s", each.out, again)
            raise
        status = status or outcome.exit_status
        if outcome.exit_status not in (0, 5):
            break
        if has_results(each.out):
            log.info("Results are in %s", each.out)
    if given.out is None:
        link_latest(_whole_out(planned))
    return status


def has_results(out: Path) -> bool:
    """Return True if an order has delivered something for its user into `out`."""
    return out.is_dir() and any(not each.name.startswith(".") for each in out.iterdir())


def _continuing(words: Sequence[str], given: Namespace, out: Path) -> list[str]:
    """Return the words that continue a run in `out`: its own folder, and nothing that discards its results."""
    kept = [word for word in words if not word.startswith("--overwrite")]
    place = out.parent if given.into else out
    return kept if given.out else [*kept, "-o", str(place)]


def _whole_out(planned: Sequence[Planned]) -> Path:
    """Return the folder of results of the whole command."""
    return planned[0].out if len(planned) == 1 else planned[0].out.parent


def link_latest(out: Path) -> None:
    """Make `latest` beside a folder of results a link to it, if it exists and the file system has links."""
    latest = out.parent / "latest"
    if out.is_dir() and (latest.is_symlink() or not latest.exists()):
        with suppress(OSError):
            latest.unlink(missing_ok=True)
            latest.symlink_to(out.name, target_is_directory=True)


def plan(given: Namespace) -> list[Planned]:
    """Return the orders of a command; ParameterError for anything that can be refused before the first starts."""
    values = _values(given)
    with_model = needs_model(values.get("task")) or _names_model(given)
    if not with_model:
        given.model, given.photos = None, [given.model, *given.photos] if given.model else []
    if not given.photos:
        if given.model and not is_model(given.model):
            what = "there is only one word, and it is not a model archive: the model is missing"
            alone = f"; to enhance without a model, quadrat enhance {given.model}" if given.enhance else ""
            hint = f"Write quadrat run model.tgz {given.model}{alone}"
            raise ParameterError(what, where=given.model, hint=hint)
        missing = "PHOTOS" if given.model or not with_model else "MODEL"
        raise ParameterError("it is required", where=missing, hint=f"{USAGE}; see quadrat run --help")
    models = find_models(given.model, given.photos) if with_model else []
    out = results_in(given.out or default_out(models[0].name if models else values["task"]), given.into)
    inputs = sort_inputs(given.photos, out.absolute(), sequences=given.sequence)
    kinds = inputs.media
    _check_results(out, kinds)
    planned = []
    for media in kinds:
        others = [kind for kind in kinds if kind != media]
        settings = _settings(values_for(values, media, others), media)
        place = out / described(media) if others else out
        sources = _sources(inputs, media, out, given, settings)
        store = FolderStore(
            models,
            sources,
            place,
            LOCAL_ORDER,
            moving=media != "image",
            overwrite=bool(given.overwrite),
            index=index_in(local_path(given.from_index, Path(), "from-index"), "from-index")
            if given.from_index
            else None,
        )
        planned.append(Planned(media, settings, store, place))
    return planned


def _check_results(out: Path, kinds: Sequence[str]) -> None:
    """Raise ResultsError if the folder has results of another choice of kinds, which would stay beside the new ones."""
    places = [out] if len(kinds) > 1 else [out / described(kind) for kind in MEDIA]
    for place in places:
        if (place / LEDGER).is_dir():
            what = (
                "it holds results of a run with "
                + ("one kind" if len(kinds) > 1 else "several kinds")
                + " of sources"
            )
            hint = "Give another folder of results, or --into NAME for a new one in it"
            raise ResultsError(what, where=str(place), hint=hint)


def _settings(values: dict[str, Any], media: str) -> Settings:
    """Check the parameters of one order; hints do not name options that only the service has."""
    try:
        return parse({**values, f"{media}s": "given"})
    except ParameterError as error:
        raise error.at(error.where, error.hint.partition(", or give --")[0]) from None


def default_out(model: str) -> Path:
    """Return the folder of results of a command that names none; `model` is the archive's file name, or the task."""
    name = model.removesuffix(".tgz") or "run"
    return Path("runs") / f"{datetime.now().astimezone():%Y-%m-%d-%H%M%S}-{name}"


def _names_model(given: Namespace) -> bool:
    """Return True if the first word is a model, for a task that can do without one."""
    first = given.model or ""
    return bool(given.photos) and (first.endswith(".tgz") or is_model(first, missing=False))


def _values(given: Namespace) -> dict[str, Any]:
    """Return the parameters of the command line over those of its config file."""
    own = {
        name: value
        for name, value in vars(given).items()
        if name not in ("model", "photos", "out", "sequence")
    }
    completed = complete(own, OrderContext(LOCAL_ORDER, Path(), Path()))
    return {name: value for name, value in completed.items() if name not in NAMES_OF_FILES}


def _sources(inputs: Inputs, media: str, out: Path, given: Namespace, settings: Settings) -> Any:
    """Return the sources of one kind of media, as the store takes them."""
    if media == "stream":
        return list_streams(" ".join(inputs.streams))
    places = inputs.images if media == "image" else inputs.videos
    return Places(
        places,
        out.absolute(),
        moving=media == "video",
        sequences=given.sequence,
        both=len(inputs.media) > 1,
        instances=settings.instances,
    )
