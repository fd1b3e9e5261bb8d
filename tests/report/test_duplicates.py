"""Duplicates are found in the order of the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quadrat.facts import PictureFacts
from quadrat.media.facts import DUPLICATE_BITS
from quadrat.records import ImageFacts, ModelRecord, SourceRecord
from quadrat.report import duplicates
from quadrat.report.duplicates import Duplicates, marked
from quadrat.types import Source

HASH = "0f" * 32


def record(name: str, digest: str = "", near: str = HASH, flags: tuple[str, ...] = ()) -> SourceRecord:
    """Make the record of an image that was measured."""
    picture = PictureFacts(0.5, 0.2, 0.3, 0.0, near)
    image = ImageFacts((10, 20), (10, 20), digest or name, {}, picture=picture, flags=flags)
    return SourceRecord(
        Source(f"urn:{name}", name), "ok", image=image, models=(ModelRecord("m", "detect", 1),)
    )


def flipped(count: int) -> str:
    """Give a hash that differs from HASH in this many bits."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(HASH), np.uint8))
    bits[:count] ^= 1
    return np.packbits(bits).tobytes().hex()


def originals(*records: SourceRecord) -> list[str]:
    """Give what each record duplicates."""
    found = Duplicates()
    return [found.original(each) for each in records]


def test_the_first_one_is_the_original() -> None:
    """By its bytes or by its hash, up to the threshold; a duplicate is never an original."""
    near, far = flipped(DUPLICATE_BITS), flipped(DUPLICATE_BITS + 1)
    assert originals(record("a"), record("b"), record("c", near=near), record("d", near=far)) == [
        "",
        "a",
        "a",
        "",
    ]
    twice = flipped(2 * DUPLICATE_BITS)
    assert originals(record("a"), record("b", near=near), record("c", near=twice)) == ["", "a", ""]


def test_many_images_are_compared_with_all() -> None:
    """The list of hashes grows."""
    rng = np.random.default_rng(0)
    hashes = [rng.bytes(32).hex() for _ in range(300)]
    first = [record(f"{n}", near=each) for n, each in enumerate(hashes)]
    again = [record(f"again-{n}", near=each) for n, each in enumerate(hashes)]
    assert originals(*first, *again) == [""] * 300 + [str(n) for n in range(300)]


def test_ones_are_counted_alike_by_old_and_new_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words of 64 bits, in columns."""
    words = np.random.default_rng(1).integers(0, 2**63, (4, 50)).astype(np.uint64)
    new = duplicates._ones(words)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert new.tolist() == duplicates._ones(words).tolist()
    assert new[0] == sum(int(word).bit_count() for word in words[:, 0])


def test_flat_pictures_are_duplicates_only_byte_by_byte() -> None:
    """Two black photographs have the same hash, but are not the same photograph."""
    flat = ("flat",)
    assert originals(record("a", "1", flags=flat), record("b", "2", flags=flat), record("c", "1", flags=flat)) == [
        "", "", "a",
    ]  # fmt: skip


def test_the_full_picture_of_a_thumbnail_is_no_duplicate() -> None:
    """Otherwise the totals without flagged images would have neither."""
    thumbnail = record("thumb.jpg", flags=("small",))
    assert originals(thumbnail, record("full.jpg"), record("thumb2.jpg", flags=("small",))) == [
        "",
        "",
        "full.jpg",
    ]


def test_what_was_not_measured_has_no_duplicates() -> None:
    """A skipped image is no original, and neither is a source without facts."""
    dark = record("a")
    assert dark.image is not None
    skipped = replace(dark, image=replace(dark.image, skipped="dark"))
    assert originals(skipped, replace(record("b"), image=None), record("c")) == ["", "", ""]


def test_a_marked_record_has_flag_and_status() -> None:
    """Flags make ok flagged, and leave partial; with skip a duplicate has no values."""
    plain, dark = record("a"), record("b", flags=("dark",))
    assert marked(plain, "", skip=True) is plain
    assert (marked(dark, "", skip=False).status, marked(dark, "", skip=False).reason) == (
        "flagged",
        "it is dark",
    )
    assert marked(dark, "x.jpg", skip=False).reason == "it is dark, a duplicate of x.jpg"
    assert marked(replace(dark, status="partial"), "", skip=False).status == "partial"
    copy = marked(plain, "x.jpg", skip=False)
    assert copy.image is not None
    assert (copy.status, copy.image.flags, copy.image.duplicate_of) == ("flagged", ("duplicate",), "x.jpg")
    left_out = marked(plain, "x.jpg", skip=True)
    assert (left_out.status, left_out.reason) == ("skipped", "it is a duplicate of x.jpg")
    assert [part.measured for part in left_out.models] == [0]
