"""Say how many sources were shrunk before measuring, which changes the cover of thin structures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from quadrat.parameters.declare import TILED
from quadrat.parameters.sizes import size_words
from quadrat.report.base import ModelFacts
from quadrat.types import Media


def shrunk_text(shrunk: Counter[Media], models: Sequence[ModelFacts], *, tiled: bool) -> str:
    """Return a sentence on the `shrunk` sources (at least one), by kind of media.

    Models can differ in their usual sizes, and a source counts if any of them sees it smaller. Such a source exceeds the
    least of the sizes, so that the sentence names this one, and the models that have it. `tiled` is True if the order
    measures in tiles; otherwise the sentence proposes it where a task has tiles.
    """
    count, kinds = shrunk.total(), list(shrunk)
    kind = kinds[0] if len(kinds) == 1 else "source"
    given = {each.in_force["max-img-size"] for each in models if each.in_force["max-img-size"]}
    size = (
        min(given) if len(given) > 1 else next(iter(given), -1)
    )  # only usual sizes differ, and those are pixels
    named = dict.fromkeys(each.plain_name for each in models if each.in_force["max-img-size"] == size)
    those = f" for {' and '.join(named)}" if set(named) != {each.plain_name for each in models} else ""
    were, them = (f"{kind} was", "it") if count == 1 else (f"{kind}s were", "them")
    tiles = ", --tile-size in tiles" if not tiled and any(each.task in TILED for each in models) else ""
    return (
        f"{count} {were} shrunk to {size_words(size)}{those}; --max-img-size -1 measures {them} whole{tiles}"
    )
