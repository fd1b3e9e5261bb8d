"""The ledger of a store that keeps none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from quadrat.records import SourceRecord
from quadrat.types import Source


class NoLedger:
    """Knows nothing of earlier runs; `folder` holds temporary files."""

    part: Path | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, identity: Mapping[str, str]) -> None:
        """Do nothing."""

    def known(self, _source: Source) -> SourceRecord | None:
        """Return None: every source is measured."""
        return None

    def commit(self, record: SourceRecord, *, whole: bool = True) -> None:
        """Do nothing."""

    def make_room(self, *, reached: bool) -> None:
        """Do nothing."""

    def complete(self) -> None:
        """Do nothing."""
