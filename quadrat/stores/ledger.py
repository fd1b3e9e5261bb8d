"""The ledger of a folder of results: what was measured, from which content, and which files that gave.

It lies in the folder `.quadrat` of the results. A run that was killed is repeated with the same command, and measures
only what the ledger does not have, or what has changed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from quadrat.errors import DeliveryError, ResultsError
from quadrat.records import SourceRecord
from quadrat.stores.entries import (
    FOLDER,
    PART,
    Begun,
    Entry,
    Files,
    Written,
    checked_name,
    column_files,
    content_digest,
    difference,
    is_final,
    metadata_name,
    signature_of,
    with_paths,
)  # fmt: skip
from quadrat.stores.files import cannot_write, digest_of, place, remove_empty, to_json, write_draft
from quadrat.stores.journal import Journal
from quadrat.stores.listing import file_urn
from quadrat.stores.lock import FileLock
from quadrat.stores.temporary import temporary_folder
from quadrat.types import Product, Source

LOG = logging.getLogger("quadrat")
RESERVE = 1 << 20
"""Bytes that are kept free for the tables, if the disk has ten times as many."""
TABLES = ("survey.csv", "run.json")
"""Files that show that a folder without a ledger holds results."""
CHOICE = "Give --into NAME for a new folder in it, --overwrite to replace them, or another folder of results"


class FolderLedger:
    """The ledger of the results in `out`; with `overwrite`, earlier results are replaced.

    `folder` holds temporary files: beside the results, or in TMPDIR if that disk has much more room. `part` is the file
    of the growing table; None if a file of the user's has its name.
    """

    def __init__(self, out: Path, *, overwrite: bool = False, in_folders: bool = True) -> None:
        self.out = out
        self._in_folders = in_folders
        self.folder = self._own = out / FOLDER
        self.part: Path | None = None
        self._work, self._aside = self._own / "work", self._own / "replaced"
        self._columns = self._own / "columns"
        self._journal = Journal(self._own / "journal")
        self._overwrite = overwrite
        self._entries: dict[str, int] = {}
        self._owned: dict[str, tuple[str, ...]] = {}
        self._tables: dict[str, str] = {}
        self._fresh: dict[str, Files] = {}
        self._signatures: dict[str, str] = {}
        self._listed: set[str] = set()
        self._current: set[str] = set()

    @contextmanager
    def open(self) -> Iterator[FolderLedger]:
        """Lock the folder of results while the context is open. Raises ResultsError if another run has it."""
        with ExitStack() as stack:
            try:
                new = [each for each in (self._own, self.out, *self.out.parents) if not each.exists()]
                self._own.mkdir(parents=True, exist_ok=True)
                stack.callback(remove_empty, new)
                lock = FileLock(self._own / "lock")
                taken = lock.acquire()
                if taken:
                    stack.callback(self._close, lock)
                    shutil.rmtree(self._work, ignore_errors=True)
                    self._work.mkdir()
                    self._reserve()
                    self.folder = stack.enter_context(self._scratch())
            except OSError as error:
                raise cannot_write(self.out, error) from error
            if not taken:
                hint = "Wait until it has ended, or give --into NAME or another folder of results"
                raise ResultsError("another run is writing into the folder", where=str(self.out), hint=hint)
            yield self

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Give a folder for temporary files: beside the results, or in TMPDIR if that disk has half as much room again."""
        with suppress(OSError):
            if shutil.disk_usage(tempfile.gettempdir()).free > 1.5 * shutil.disk_usage(self._own).free:
                with temporary_folder("order") as folder:
                    yield folder
                return
        (self._work / "order").mkdir()
        yield self._work / "order"

    def _reserve(self) -> None:
        """Take some room on the disk, which `make_room` gives back for the tables."""
        size = min(RESERVE, shutil.disk_usage(self._work).free // 10)
        with suppress(OSError):
            (self._work / "reserve").write_bytes(bytes(size))

    def make_room(self, *, reached: bool) -> None:
        """Give the room back that was kept free for the tables.

        If the order has `reached` all its sources, and some of an earlier run are gone or can no longer be measured, their
        products and the tables that list them are set aside, except products whose names another source has by now.
        """
        (self._work / "reserve").unlink(missing_ok=True)
        gone = (
            [offset for urn, offset in self._entries.items() if urn not in self._current] if reached else []
        )
        if not gone:
            return
        left = (self._journal.read(offset) for urn, offset in self._entries.items() if urn in self._current)
        kept = {name for entry in left for name in entry.files}
        names = [name for offset in gone for name in self._journal.read(offset).files if name not in kept]
        with suppress(OSError):
            for name in (*names, *self._tables):
                if self.out.joinpath(name).is_file():
                    self._set_aside(name)
        LOG.warning("%d earlier sources are gone; their results are now in %s", len(gone), self._aside)

    def _close(self, lock: FileLock) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        lock.release(remove=not self._journal.path.exists())

    def begin(self, identity: Mapping[str, str]) -> None:
        """Begin a run, or continue an earlier one with the same identity.

        Raises ResultsError if the folder holds the results of another order, DeliveryError if it cannot be written.
        """
        try:
            self._begin(dict(identity))
        except OSError as error:
            raise cannot_write(self.out, error) from error

    def _begin(self, identity: dict[str, str]) -> None:
        earlier = self._read()
        found = next((name for name in TABLES if (self.out / name).exists()), "")
        if not self._overwrite:
            if earlier is None and found:
                self._refuse(f"it holds results that this version cannot continue ({found})")
            elif earlier is not None and (what := difference(earlier.identity, identity)):
                self._refuse(f"it holds the results of another order: {what}")
        if earlier is not None or not (self.out / PART).exists():
            self.part = self.out / PART
            self.part.unlink(missing_ok=True)
        if self._overwrite or earlier is None:
            self._discard()
            self._journal.path.unlink(missing_ok=True)
            self._journal.add(Begun(identity))
        else:
            self._remove_orphans()

    def _refuse(self, what: str) -> None:
        raise ResultsError(what, where=str(self.out), hint=CHOICE)

    def _read(self) -> Begun | None:
        """Read what earlier runs have written, and return how the first began; None if there was none."""
        begun: Begun | None = None
        for offset, value in self._journal.scan(repair=True):
            if isinstance(value, Begun):
                begun = begun or value
            elif isinstance(value, Written):
                self._own_files(value.files)
                self._tables |= value.files if value.table else {}
            elif isinstance(value, Entry):
                self._entries[value.urn] = offset
                self._not_tables(value.files)
                self._own_files(value.files)
        return begun

    def _own_files(self, files: Files) -> None:
        for name, digest in files.items():
            checked_name(name)
            self._owned[name] = (*(each for each in self._owned.get(name, ()) if each != digest), digest)

    def _discard(self) -> None:
        """Remove all results of earlier runs; files that somebody has changed are set aside."""
        for name in self._owned:
            self._remove(name)
        self._entries.clear()
        self._owned.clear()
        self._tables.clear()
        shutil.rmtree(self._columns, ignore_errors=True)

    def _remove_orphans(self) -> None:
        """Remove the files of sources whose record is missing, because the process was killed before."""
        known = set(self._tables)
        for offset in self._entries.values():
            known |= set(self._journal.read(offset).files)
        for name in [each for each in self._owned if each not in known]:
            path = self.out / name
            if path.is_file() and not self._is_ours(name):
                del self._owned[name]  # the file was there before, and the product was refused
            else:
                self._remove(name)

    def _is_ours(self, name: str) -> bool:
        """Return True if a file is as the ledger has written it, or the empty file that stands for one."""
        path = self.out / name
        return path.stat().st_size == 0 or digest_of(path) in self._owned.get(name, ())

    def _remove(self, name: str) -> None:
        path = self.out / name
        if path.is_file():
            if self._is_ours(name):
                path.unlink()
            else:
                self._keep_changed(name)
        remove_empty([each for each in path.parents if each != self.out and self.out in each.parents])

    def _keep_changed(self, name: str) -> None:
        LOG.warning(
            "%s was changed after it was written; the changed file is now %s", name, self._set_aside(name)
        )

    def _set_aside(self, name: str) -> Path:
        """Move a file, so that nothing of a user's is lost, and return its new path."""
        aside, number = self._aside / name, 1
        while aside.exists():
            number += 1
            aside = self._aside / f"{name}.{number}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        (self.out / name).replace(aside)
        return aside

    def known(self, source: Source) -> SourceRecord | None:
        """Return the record of a source that need not be measured again: neither it nor a product has changed."""
        self._listed.add(source.urn)
        signature = self._signatures[source.urn] = signature_of(source)
        offset = self._entries.get(source.urn)
        if offset is None:
            return None
        try:
            entry: Entry = self._journal.read(offset)
            unchanged = entry.stem == source.stem and (
                (signature and entry.signature == signature)
                or (entry.digest and content_digest(source) == entry.digest)
            )
            if (
                entry.record is None
                or not unchanged
                or any(digest_of(self.out / name) != own for name, own in entry.files.items())
            ):
                return None
        except OSError:
            return None
        self._current.add(source.urn)
        return self._with_columns(entry.record)

    def _with_columns(self, record: SourceRecord) -> SourceRecord:
        """Return a record whose columns lead to the ledger's own files, wherever the folder is now."""
        return with_paths(record, lambda path: self._columns / path.name)

    def write(self, product: Product) -> Path:
        """Write a product and its metadata, both or neither, and return its path; DeliveryError if that fails."""
        name = checked_name(product.name)
        is_table = (
            "/" not in name and "image" not in product.metadata
        )  # the aspects of its source's products name it
        target, aspect = self.out / name, metadata_name(name, in_folders=self._in_folders)
        body = to_json({**product.metadata, "$entity": file_urn(target)}, product.name)
        drafts: dict[str, Path] = {}
        files: dict[str, str] = {}
        try:
            for each, content in ((aspect, body), (name, product.body)):
                ours = isinstance(content, Path) and content.is_relative_to(self.folder)
                drafts[each], files[each] = write_draft(self._work, content, link=ours)
            replaced = {each for each, digest in files.items() if self._may_replace(each, digest)}
            self._journal.add(Written(files, is_table))
            self._own_files(files)
            self._place(drafts, replaced)
        except FileExistsError as error:
            for each in [] if self._overwrite else files:
                if self.out.joinpath(each).is_file() and not self._is_ours(each):
                    self._owned.pop(each, None)
            raise DeliveryError("a file with this name exists already", where=str(target)) from error
        except OSError as error:
            raise cannot_write(target, error) from error
        finally:
            for draft in drafts.values():
                draft.unlink(missing_ok=True)
        if is_table:
            self._tables |= files
            self._current.update(files)
        self._fresh[name] = files
        return target

    def _not_tables(self, names: Iterable[str]) -> None:
        """Note that files belong to a source: the metadata of some products of videos does not name it."""
        for name in names:
            self._tables.pop(name, None)

    def _may_replace(self, name: str, digest: str) -> bool:
        """Return True if there is a file to replace, and False if there is none.

        Sets a file aside that somebody has changed. Raises FileExistsError if it is not the ledger's, unless it has
        the same content (the ledger has lost its end if the machine lost power) or `overwrite` is set.
        """
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(path):
            return False
        if name not in self._owned and not self._overwrite and digest_of(path) != digest:
            raise FileExistsError
        if self._is_ours(name) or digest_of(path) == digest:
            return True
        self._keep_changed(name)
        return False

    def _place(self, drafts: Mapping[str, Path], replaced: set[str]) -> None:
        placed: list[Path] = []
        try:
            for name, draft in drafts.items():
                place(draft, self.out / name, replace=name in replaced)
                if name not in replaced:
                    placed.append(self.out / name)
        except BaseException:  # also after a signal
            for path in placed:
                path.unlink(missing_ok=True)
            raise

    def commit(self, record: SourceRecord, *, whole: bool = True) -> None:
        """Note a source whose products are written. One that is not `whole`, or failed, is measured again."""
        urn, files = record.source.urn, dict[str, str]()
        signature = self._signatures.pop(urn, "")
        for name in record.products:
            files |= self._fresh.pop(name, {})
        self._not_tables(files)
        digest = record.image.digest if record.image else record.reading.digest if record.reading else ""
        live = record.source.media == "stream"
        again = live or not whole or not is_final(record) or not digest
        if again and not files:
            return
        if live:
            urn = hashlib.sha256(urn.encode()).hexdigest()
        try:
            kept = None if again else with_paths(record, self._keep_columns)
            self._entries[urn] = self._journal.add(
                Entry(urn, record.source.stem, signature, digest, files, kept)
            )
        except OSError as error:
            raise cannot_write(self._journal.path, error) from error
        self._current.add(urn)
        self._listed.add(urn)

    def _keep_columns(self, path: Path) -> Path:
        """Keep a file of columns beyond the end of this run."""
        self._columns.mkdir(exist_ok=True)
        draft, digest = write_draft(self._work, path, link=True)
        draft.replace(self._columns / digest)
        return self._columns / digest

    def complete(self) -> None:
        """Remove what is no longer part of the results, after an order that has reached all its sources.

        This is what an earlier run delivered of sources that have changed and can no longer be measured. A full disk
        is no error: the next run does it.
        """
        try:
            self._complete()
        except OSError as error:
            LOG.warning("The ledger could not be shortened (%s)", error.strerror)

    def _complete(self) -> None:
        draft = Journal(self._work / "journal")
        draft.path.unlink(missing_ok=True)
        current: dict[str, str] = {name: own for name, own in self._tables.items() if name in self._current}
        columns: set[str] = set()
        draft.add(next(value for _, value in self._journal.scan() if isinstance(value, Begun)))
        draft.add(Written(dict(current), table=True))
        for urn, offset in self._entries.items():
            if urn in self._current:
                entry: Entry = self._journal.read(offset)
                draft.add(entry)
                current |= entry.files
                if entry.record is not None:
                    columns |= {path.name for path in column_files(entry.record)}
        for name in [each for each in self._owned if each not in current]:
            self._remove(name)
        for path in self._columns.iterdir() if self._columns.exists() else ():
            if path.name not in columns:
                path.unlink()
        with draft.path.open("r+b") as file:
            os.fsync(file.fileno())
        draft.path.replace(self._journal.path)
