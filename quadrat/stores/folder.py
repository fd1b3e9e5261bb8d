"""A store on the local disk: reads sources from one folder and writes products into another."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from quadrat.errors import DeliveryError, NotAnImageError, ParameterError, SourceError
from quadrat.stores.listing import file_urn, list_images, list_videos
from quadrat.stores.paths import exists
from quadrat.types import Blob, Failure, Product, Source, StoreItem

LOCAL_ORDER = "urn:ivcap:order:00000000-0000-0000-0000-000000000000"


class FolderStore:
    """Reads a model archive and a folder of images (or one image), and delivers into `out`.

    With `moving`, `images` is a folder of videos, or one video. It can also be a list of sources (streams), or
    anything else that gives the same sources at each iteration.
    """

    def __init__(
        self,
        model: Path | Sequence[Path],
        images: Path | Iterable[StoreItem],
        out: Path,
        order: str = LOCAL_ORDER,
        *,
        moving: bool = False,
    ) -> None:
        models = [model] if isinstance(model, Path) else list(model)
        for archive in models:
            must_exist(archive, "model")
        if isinstance(images, Path):
            must_exist(images, "videos" if moving else "images")
        self.moving = moving
        self.order = order
        self._archives = models
        self._images = images
        self._out = out

    def check(self) -> None:
        """Raise DeliveryError if no file can be written into the folder of results."""
        try_to_write(self._out)

    @contextmanager
    def models(self) -> Iterator[Mapping[str, Path]]:
        """Give the model archives themselves, by their URNs."""
        yield {file_urn(archive): archive for archive in self._archives}

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
        """Write the product and its metadata, both or neither; DeliveryError if that fails."""
        return file_urn(write_product(self._out, product))

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

    def taken(self) -> Sequence[str]:
        """Return the names in the folder of results."""
        return names_in(self._out)


@contextmanager
def pull_file(source: Source) -> Iterator[Blob]:
    """Give a local file or folder; SourceError if it cannot be opened."""
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


def names_in(folder: Path) -> Sequence[str]:
    """Return the names in a folder; none if it does not exist yet."""
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def try_to_write(folder: Path) -> None:
    """Write a file into the folder, or its nearest existing parent, and remove it; DeliveryError if that fails."""
    existing = next((place for place in (folder, *folder.parents) if os.path.lexists(place)), folder)
    file = existing / f".quadrat-{secrets.token_hex(8)}"
    try:
        write_whole(file, bytes(4096))  # a single byte may fit on a disk that has no free block
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:  # also after a signal
        with suppress(OSError):
            file.unlink()


def write_product(folder: Path, product: Product) -> Path:
    """Write `<name>` and `<name>-meta.json`, whole or not at all; DeliveryError if that fails."""
    target = folder / product.name
    if product.name in ("", "..") or target.name != product.name:
        raise DeliveryError(f"{product.name!r} is not a file name")
    aspect = folder / f"{product.name}-meta.json"
    body = to_json({**product.metadata, "$entity": file_urn(target)}, product.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise DeliveryError("a file with this name exists already", where=str(target))
        write_whole(aspect, body)
        try:
            write_whole(target, product.body)
        except BaseException:  # also after a signal
            aspect.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cannot_write(target, error) from error
    return target


def write_whole(path: Path, body: bytes | Path) -> None:
    """Write bytes, or copy a file, to a draft in the same folder and rename it, so that nobody sees a partial file."""
    draft = path.parent / f".quadrat-{secrets.token_hex(8)}"
    try:
        with draft.open("xb") as file:
            if isinstance(body, bytes):
                file.write(body)
            else:
                with body.open("rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def is_full(error: OSError) -> bool:
    """Return True if an error means that there is no room left."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cannot_write(path: Path | str, error: OSError) -> DeliveryError:
    """Return a DeliveryError for an error of the disk, with a hint."""
    full = is_full(error)
    what = "the disk is full" if full else "the file cannot be written"
    hint = "Free some space, or deliver into another folder" if full else "Check the folder of results"
    return DeliveryError(f"{what} ({error.strerror})", where=str(path), hint=hint)


def to_json(metadata: Mapping[str, Any], name: str) -> bytes:
    """Return metadata as strict JSON; DeliveryError for values that JSON does not have, such as NaN."""
    try:
        return json.dumps(metadata, indent=2, ensure_ascii=True, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise DeliveryError(f"the metadata is not strict JSON ({error})", where=name) from error


def must_exist(path: Path, parameter: str) -> None:
    """Raise ParameterError if the path that a parameter names does not exist."""
    if not exists(path, parameter):
        raise ParameterError(f"there is no file or folder {str(path)!r}", where=parameter)
