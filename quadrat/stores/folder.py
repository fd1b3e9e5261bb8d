"""A store on the local disk: reads sources from one folder and writes products into another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from quadrat.errors import DeliveryError, NotAnImageError, ParameterError, SourceError
from quadrat.stores.files import try_to_write
from quadrat.stores.instance import is_token, read_instance
from quadrat.stores.instances import Instances
from quadrat.stores.ledger import FolderLedger
from quadrat.stores.listing import file_urn, list_images, list_videos
from quadrat.stores.paths import exists
from quadrat.stores.places import Places
from quadrat.types import Blob, Failure, Product, Source, StoreItem

LOCAL_ORDER = "urn:ivcap:order:00000000-0000-0000-0000-000000000000"


class FolderStore:
    """Reads a model archive and a folder of images (or one image), and delivers into `out`.

    With `moving`, `images` is a folder of videos, or one video. It can also be a list of sources (streams), or
    anything else that gives the same sources at each iteration. With `overwrite`, results of another order in `out`
    are replaced; otherwise they are refused. With `in_folders`, products lie in folders by kind, like their sources;
    otherwise all are in one folder, each beside its metadata, as on the platform.
    """

    def __init__(
        self,
        model: Path | Sequence[Path],
        images: Path | Iterable[StoreItem],
        out: Path,
        order: str = LOCAL_ORDER,
        *,
        moving: bool = False,
        overwrite: bool = False,
        in_folders: bool = True,
        index: Path | None = None,
    ) -> None:
        models = [model] if isinstance(model, Path) else list(model)
        for archive in models:
            must_exist(archive, "model")
        if isinstance(images, Path):
            must_exist(images, "videos" if moving else "images")
        if index is not None:
            must_exist(index, "from-index")
            if overwrite and out.resolve() in index.resolve().parents:
                raise ParameterError(
                    "it lies in the folder of results, and overwrite would remove it first",
                    where="from-index",
                    hint="Give another folder of results",
                )
        self._index = index
        self.moving = moving
        self.in_folders = in_folders
        self.order = order
        self._archives = models
        self._images = images
        self._out = out
        self._overwrite = overwrite
        self._ledger: FolderLedger | None = None

    def check(self) -> None:
        """Raise DeliveryError if no file can be written into the folder of results."""
        try_to_write(self._out)

    @contextmanager
    def ledger(self) -> Iterator[FolderLedger]:
        """Open the ledger of the results. Raises ResultsError if another run is writing into the folder."""
        with FolderLedger(self._out, overwrite=self._overwrite, in_folders=self.in_folders).open() as ledger:
            self._ledger = ledger
            try:
                yield ledger
            finally:
                self._ledger = None

    @property
    def place(self) -> str:
        """The folder or file with the sources; streams, which give other frames each time, have the time instead."""
        if isinstance(self._images, Path):
            return file_urn(self._images)
        if isinstance(self._images, Places | Instances):
            return self._images.described
        return f"live streams from {datetime.now(UTC).isoformat(timespec='microseconds')}"

    @contextmanager
    def models(self) -> Iterator[Mapping[str, Path]]:
        """Give the model archives themselves, by their URNs."""
        yield {file_urn(archive): archive for archive in self._archives}

    @contextmanager
    def index(self) -> Iterator[Path | None]:
        """Give the index itself, if there is one."""
        yield self._index

    def sources(self) -> Iterator[StoreItem]:
        """Yield the images or videos in order of name, and a Failure for every other file."""
        if not isinstance(self._images, Path):
            yield from self._images
        elif self.moving:
            yield from list_videos(self._images, self._out)
        else:
            yield from list_images(self._images, self._out)

    def pull(self, source: Source) -> AbstractContextManager[Blob]:
        """Give the file itself; SourceError if it cannot be read."""
        return pull_file(source)

    def deliver(self, product: Product) -> str:
        """Write the product and its metadata, both or neither; DeliveryError if that fails.

        Its name may be a path below the folder of results. The ledger must be open.
        """
        if self._ledger is None:
            raise DeliveryError("the folder of results is not open", where=str(self._out))
        return file_urn(self._ledger.write(product))

    def acknowledge(self, source: Source) -> None:
        """Do nothing: a folder needs no acknowledgement."""

    def release(self, source: Source) -> None:
        """Do nothing: a folder keeps its files."""

    def relist(self) -> Iterator[Source]:
        """List the sources again, including those that cannot be read, without skipped files."""
        for item in self.sources():
            if isinstance(item, Source):
                yield item
            elif isinstance(item, Failure) and not isinstance(item.error, NotAnImageError):
                yield item.source


@contextmanager
def pull_file(source: Source) -> Iterator[Blob]:
    """Give a local file or folder, or a picture in a list of instances; SourceError if it cannot be opened."""
    if is_token(source.token):
        yield Blob(_read_instance(source))
        return
    path = Path(source.token)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise SourceError(
            "it is a pipe or a device, not a file",
            where=source.name,
            hint="Give live video with --streams",
        )
    try:
        if not path.is_dir():
            path.open("rb").close()
    except OSError as error:
        raise SourceError(f"the file cannot be read ({error.strerror})", where=source.name) from error
    yield Blob(path)


def _read_instance(source: Source) -> bytes:
    try:
        return read_instance(source.token)
    except SourceError as error:
        raise error.at(source.name) from error
    except OSError as error:
        raise SourceError(f"its list cannot be read ({error.strerror})", where=source.name) from error


def must_exist(path: Path, parameter: str) -> None:
    """Raise ParameterError if the path that a parameter names does not exist."""
    if not exists(path, parameter):
        raise ParameterError(f"there is no file or folder {str(path)!r}", where=parameter)
