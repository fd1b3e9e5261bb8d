"""What every task's report does, whatever it reports of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from quadrat.parameters import Settings
from quadrat.report.names import Names
from quadrat.report.survey import Survey
from quadrat.types import Ended, ModelPackage, Product, Provenance, Result, Source


class Report(Protocol):
    """Turns results into products and into rows of the survey; its caller delivers."""

    def begin(self, source: Source) -> None:
        """Take the names of a video's products; if called in the order of the listing, every run gives the same."""

    def image(self, result: Result) -> Iterator[Product]:
        """Yield the products of one image; its rows are written once the last is delivered."""

    def frame(self, result: Result) -> None:
        """Take one frame of a video, sequence or stream, a skipped one too."""

    def ended(self, ended: Ended) -> Iterator[Product]:
        """Yield the products of a source whose frames have all come; then write its rows."""

    def tables(self) -> Iterator[Product]:
        """Yield the tables of the whole order, survey.csv excepted; their files last until `close`."""

    def said(self, result: Result) -> str:
        """Say in a few words what one picture shows."""

    def summed(self, ended: Ended) -> str:
        """Say in a few words what a source showed, once its products are delivered."""

    def close(self) -> None:
        """Delete what is in the folder for files under way."""


class MakeReport(Protocol):
    """How a report is made."""

    def __call__(
        self,
        package: ModelPackage,
        settings: Settings,
        provenance: Provenance,
        *,
        names: Names,
        survey: Survey,
        folder: Path,
    ) -> Report:
        """Make it; files under way go into `folder`/report. ParameterError for outputs that the task lacks."""


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Round a number that may be missing; scores are known to about three digits."""
    return None if value is None else round(value, digits)


def plain(text: str) -> str:
    """Replace what UTF-8 cannot hold, as names of files may."""
    return text.encode("utf-8", "replace").decode()


Kept = TypeVar("Kept")


class Sources(Generic[Kept]):
    """What is kept of each video under way; made where its first word comes, with a number of its own."""

    def __init__(self, make: Callable[[Source, int], Kept]) -> None:
        self._make = make
        self._kept: dict[str, Kept] = {}
        self._count = 0

    def of(self, source: Source) -> Kept:
        """Give what is kept of a source."""
        if source.urn not in self._kept:
            self._count += 1
            self._kept[source.urn] = self._make(source, self._count)
        return self._kept[source.urn]

    def take(self, source: Source) -> Kept:
        """Give it for the last time."""
        kept = self.of(source)
        del self._kept[source.urn]
        return kept


def mime_of(video: Path) -> str:
    """Give the mime type of a drawn video."""
    return "video/webm" if video.suffix == ".webm" else "video/mp4"
