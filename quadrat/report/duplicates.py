"""Which images duplicate earlier ones, decided in the final order of the records."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from quadrat.media.facts import DUPLICATE_BITS
from quadrat.records import ImageFacts, ModelRecord, SourceRecord

_WORDS = 4
"""Words of 64 bits in a hash."""
_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)
"""The number of ones in each byte."""


@dataclass(slots=True)
class _Seen:
    """Images that can have duplicates: the name of each by its digest, and names and hashes in order."""

    by_digest: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    hashes: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((_WORDS, 64), np.uint64))

    def find(self, image: ImageFacts) -> str:
        """Return the name of the first image that this one duplicates; empty if there is none."""
        name = self.by_digest.get(image.digest, "")
        if name or not _is_hashed(image):
            return name
        near = np.flatnonzero(_ones(self.hashes[:, : len(self.names)] ^ _hash(image)) <= DUPLICATE_BITS)
        return self.names[near[0]] if near.size else ""

    def add(self, image: ImageFacts, name: str) -> None:
        """Add an image that duplicates none."""
        self.by_digest[image.digest] = name
        if not _is_hashed(image):
            return
        if len(self.names) == self.hashes.shape[1]:
            self.hashes = np.concatenate([self.hashes, np.zeros_like(self.hashes)], axis=1)
        self.hashes[:, len(self.names)] = _hash(image)[:, 0]
        self.names.append(name)


class Duplicates:
    """Finds duplicates among the images of an order; give it the records in their final order.

    An image duplicates an earlier one if their bytes are equal or their hashes are close. Flat images have no
    meaningful hash, so only equal bytes count. An image without flags is only compared with images without flags:
    otherwise the totals without flagged images would have neither a thumbnail nor its full picture.
    """

    def __init__(self) -> None:
        self._clean, self._flagged = _Seen(), _Seen()

    def original(self, record: SourceRecord) -> str:
        """Return the name of the image that the record's image duplicates; empty if there is none."""
        image = record.image
        if image is None or image.skipped:
            return ""
        found = self._clean.find(image)
        if not found and image.flags:
            found = self._flagged.find(image)
        if not found:
            (self._flagged if image.flags else self._clean).add(image, record.source.name)
        return found


def marked(record: SourceRecord, original: str, *, skip: bool) -> SourceRecord:
    """Return the record as the tables show it: with the flag `duplicate` and its status.

    `original` is the name of the image that it duplicates, or empty. With `skip`, a duplicate counts as skipped.
    """
    image = record.image
    if image is None:
        return record
    if original:
        image = replace(image, flags=(*image.flags, "duplicate"), duplicate_of=original)
        record = replace(record, image=image)
    if original and skip:
        parts = tuple(ModelRecord(part.model, part.task) for part in record.models)
        reason = f"it is a duplicate of {original}"
        return replace(record, status="skipped", faults=(), reason=reason, models=parts)
    if not image.flags or record.status != "ok":
        return record
    words = {"duplicate": f"a duplicate of {original}"}
    if image.depth is not None:
        words["depth"] = f"of {image.depth.bits} bits judging by its values"
    each = [words.get(flag, flag) for flag in image.flags]
    return replace(record, status="flagged", reason=f"it is {', '.join(each)}")


def _is_hashed(image: ImageFacts) -> bool:
    return image.picture is not None and "flat" not in image.flags


def _hash(image: ImageFacts) -> NDArray[np.uint64]:
    """Return the hash as a column of words."""
    text = image.picture.hash if image.picture is not None else ""
    return np.frombuffer(bytes.fromhex(text), np.uint64)[:, None]


def _ones(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count the ones in each column of words; NumPy before version 2 needs a table."""
    if hasattr(np, "bitwise_count"):
        return np.asarray(np.bitwise_count(words).sum(axis=0, dtype=np.int64))
    pieces = np.ascontiguousarray(words.T).view(np.uint8)
    return np.asarray(_ONES[pieces].sum(axis=1, dtype=np.int64))
