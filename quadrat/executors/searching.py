"""The index that an order begins with, what an order makes of it, and searches that measure nothing."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from quadrat import __version__
from quadrat.errors import ParameterError, printable
from quadrat.index.archive import unpacked
from quadrat.parameters import SEARCH, Settings
from quadrat.protocols import Ledger, Store
from quadrat.report.base import BUILT_IN, Fold, ModelFacts
from quadrat.report.indexing import IndexFold
from quadrat.report.names import Names
from quadrat.report.searching import Results, SearchFold
from quadrat.types import Product, Provenance


@contextmanager
def open_index(store: Store, settings: Settings) -> Iterator[Path | None]:
    """Give the checked database of the index that the order begins with; None if it begins with none.

    Raises ParameterError if a search has no index, or an index would not be used; IndexFileError for a damaged one.
    """
    with store.index() as packed:
        if packed is None:
            if settings.order.task == SEARCH:
                raise ParameterError(
                    f"task={SEARCH} looks in an index",
                    where="from-index",
                    hint="Give --from-index index.tgz, which an order with --index delivers",
                )
            yield None
            return
        if settings.order.task != SEARCH and not settings.search.index:
            raise ParameterError(
                "the order does not use it",
                where="from-index",
                hint=f"Add --index to append to it, or --task {SEARCH} to look in it",
            )
        with unpacked(packed) as database:
            yield database


def index_folds(
    models: Sequence[ModelFacts],
    names: Names,
    folder: Path,
    base: Path | None,
    settings: Settings,
    *,
    log: logging.Logger,
) -> list[Fold]:
    """Return what makes index.tgz and the results of a search of an order's records.

    Raises IndexFileError or ParameterError for an index that does not fit the models.
    """
    folds: list[Fold] = []
    search = settings.search
    if search.index:
        folds.append(IndexFold(models, names, folder, base))
    if settings.order.task == SEARCH and base is not None:
        if search.find != "matches" or search.like_row is not None:
            name = "find" if search.like_row is None else "like-row"
            raise ParameterError(
                "it looks at the index alone",
                where=name,
                hint=f"Leave the pictures and the model, or --{name}, out",
            )
        folds.append(
            SearchFold(
                models, names, folder, base, search, notify=lambda line: log.info("%s", printable(line))
            )
        )
    return folds


def searched(
    settings: Settings, store: Store, ledger: Ledger, base: Path, log: logging.Logger
) -> Iterator[Product]:
    """Yield the results of a search that measures nothing. Raises QueryError or IndexFileError."""
    search = settings.search
    if search.index:
        raise ParameterError(
            "nothing is measured", where="index", hint="Leave it out, or give pictures and a model"
        )
    with base.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    ledger.begin({"version": __version__, "task": SEARCH, "index": digest})
    found = Results(base, search, (), ledger.folder)
    who = Provenance(
        store.order, f"{BUILT_IN}{SEARCH}", digest, settings.result_digest, __version__, "none", "", "", ""
    )
    yield from found.products(Names(in_folders=store.in_folders), who)
    for line in found.lines():
        log.info("%s", printable(line))
