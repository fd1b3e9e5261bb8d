"""What an order does with a failure, a product and the sources that are left, each by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat import job
from quadrat.errors import (
    AllFailedError,
    DeliveryError,
    EngineRunError,
    NoImagesError,
    NotAnImageError,
    QuadratError,
    SourceError,
    StoppedError,
    UnavailableError,
)
from quadrat.executors.delivery import Delivery
from quadrat.executors.listing import Listing
from quadrat.executors.policy import FailurePolicy
from quadrat.records import ModelRecord, SourceRecord, Status
from quadrat.report.names import Names
from quadrat.stores.folder import FolderStore
from quadrat.types import Failure, Media, Product, Reading, Source
from tests.moving import LOG, RECTANGLES, film, order, swim
from tests.values import settings_of

LOST = EngineRunError("no memory", where="a")
PRODUCT = Product("a.png", "image/png", b"", {})


def record(
    status: Status, error: QuadratError | None = LOST, media: Media = "image", name: str = "a"
) -> SourceRecord:
    """Make the record of a source; one that moves was read."""
    reading = None if media == "image" else Reading((8, 8))
    return SourceRecord(
        Source(f"urn:{name}", name, media), status, (error,) if error else (), reading=reading
    )


def policy(*, moving: bool = False, **settings: object) -> FailurePolicy:
    """Make the policy of an order."""
    return FailurePolicy(settings_of(**settings), "survey.csv", moving=moving)


def test_an_order_goes_on_after_a_failure_unless_it_is_to_stop() -> None:
    """By default nothing ends it. With on-error=stop the first failure does, and the first source that a model measured only in part or not at all."""
    for each in (record("failed"), record("partial"), record("partial", media="video"), record("ok", None)):
        policy().check(each)
    policy(on_error="stop").check(record("ok", None))
    capped = ModelRecord("reef", "detect", measured=1, faults=(LOST,))
    failed = ModelRecord("sand", "segment", faults=(LOST,))
    policy(on_error="stop").check(replace(record("partial"), models=(capped,)))
    with pytest.raises(StoppedError, match="measured only in part"):
        policy(on_error="stop").check(replace(record("partial"), models=(capped, failed)))
    with pytest.raises(StoppedError, match="measured only in part, E_ENGINE_RUN a: no memory"):
        policy(on_error="stop").check(record("partial", media="video"))
    with pytest.raises(StoppedError, match="stopped at the first image that failed"):
        policy(on_error="stop").check(record("failed"))


@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_so_many_failures_are_allowed(allowed: int) -> None:
    """One more ends the order; other records do not count."""
    check = policy(max_failures=allowed).check
    for _ in range(allowed):
        check(record("failed"))
        check(record("ok", None))
        check(record("skipped", NotAnImageError("a text")))
    with pytest.raises(StoppedError, match=f"{allowed + 1} images? failed, and max-failures is {allowed}"):
        check(record("failed"))


@pytest.mark.parametrize(
    ("media", "text"),
    [
        (["image"], "1 image failed"),
        (["video", "video"], "2 videos failed"),
        (["video", "stream", "stream"], "3 sources failed"),
    ],
)
def test_failures_are_named_by_their_kind(media: list[Media], text: str) -> None:
    """Several kinds are sources."""
    decided = policy()
    for each in media:
        decided.check(record("failed", media=each))
    with pytest.raises(AllFailedError, match=f"nothing could be measured: {text}") as caught:
        decided.conclude({"failed": len(media)}, measured=0, blank=0)
    assert "See survey.csv for the reasons" == caught.value.hint


def test_an_order_that_measured_something_is_none_that_failed() -> None:
    """Whatever else became of its sources."""
    policy().conclude({"failed": 3, "skipped": 2}, measured=1, blank=2)


def test_an_order_that_measured_nothing_says_why() -> None:
    """Frames without anything to see, and files of another kind, have hints of their own."""
    with pytest.raises(NoImagesError, match="no frame was measured in the 2 sources") as caught:
        policy(moving=True).conclude({"skipped": 2}, measured=0, blank=2)
    assert "leave --skip-black out" in caught.value.hint
    for moving, name, hint in (
        (False, "dive.mp4", "For videos give --videos"),
        (True, "a.jpg", "For images give"),
    ):
        decided = policy(moving=moving)
        decided.check(record("skipped", NotAnImageError("no"), name=f"sub/{name}"))
        decided.check(record("skipped", NotAnImageError("no"), name="notes.txt"))
        with pytest.raises(NoImagesError, match=r"2 files were skipped, 1 of them") as caught:
            decided.conclude({"skipped": 2}, measured=0, blank=0)
        assert hint in caught.value.hint
        assert ("videos" if moving else "images") == caught.value.where


class Store:
    """A store that can be made to refuse."""

    order = "urn:order"
    moving = False

    def __init__(self, *sources: Source) -> None:
        self.listed = sources
        self.error: Exception | None = None
        self.acknowledged: list[Source] = []
        self.released: list[Source] = []

    def check(self) -> None:
        """Refuse to begin."""
        if self.error is not None:
            raise self.error

    def deliver(self, product: Product) -> str:
        """Refuse, or give the URN."""
        self.check()
        return f"urn:{product.name}"

    def acknowledge(self, source: Source) -> None:
        """Note it."""
        self.acknowledged.append(source)

    def release(self, source: Source) -> None:
        """Note it."""
        self.released.append(source)

    def sources(self) -> Iterator[Any]:
        """List a failure and the sources."""
        yield Failure(Source("urn:x", "x"), "list", NotAnImageError("no"))
        yield from self.listed

    relist = sources


def test_a_delivery_is_counted_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products that are refused take time and do not count; the source in hand is known."""
    now = iter((0.0, 2.0, 10.0, 11.0, 20.0, 20.5))
    monkeypatch.setattr("quadrat.executors.delivery.perf_counter", lambda: next(now))
    store: Any = Store()
    delivery, source = Delivery(store), Source("urn:a", "a")

    assert "urn:a.png" == delivery.deliver(PRODUCT, source)
    assert (source, False, 2.0, 1) == (delivery.source, delivery.refused, delivery.seconds, delivery.count)
    delivery.deliver(PRODUCT)
    assert (None, 3.0, 2) == (delivery.source, delivery.seconds, delivery.count)
    store.error = DeliveryError("the disk is full")
    with pytest.raises(DeliveryError):
        delivery.deliver(PRODUCT, source)
    assert (True, 3.5, 2) == (delivery.refused, delivery.seconds, delivery.count)


def test_what_was_not_available_is_not_acknowledged() -> None:
    """A source that failed for good is done; one that the platform did not return stays for a later order."""
    store: Any = Store()
    delivery, source, other = Delivery(store), Source("urn:a", "a"), Source("urn:b", "b")
    delivery.acknowledge(SourceRecord(source, "failed", (SourceError("404 Not Found"),)))
    delivery.acknowledge(SourceRecord(other, "failed", (SourceError("odd"), UnavailableError("429"))))

    assert [source] == store.acknowledged
    assert [other] == store.released


def test_an_error_of_ours_is_no_refusal() -> None:
    """Only what the store says is."""
    store: Any = Store()
    store.error = ZeroDivisionError("odd")
    delivery = Delivery(store)
    with pytest.raises(ZeroDivisionError):
        delivery.deliver(PRODUCT)
    assert (False, 0) == (delivery.refused, delivery.count)


def test_a_listing_gives_every_source_a_stem_and_knows_what_is_left() -> None:
    """Failures pass; what was seen is not left."""
    first, second = Source("urn:1", "a.png"), Source("urn:2", "sub/a.png")

    class Again(Store):
        def relist(self) -> Iterator[Source]:
            yield from self.listed

    store: Any = Again(first, second)
    listing = Listing(store, Names())
    failed, one, two = listing

    assert isinstance(failed, Failure)
    assert isinstance(one, Source)
    assert isinstance(two, Source)
    assert (2, "a", "a-2") == (listing.total, one.stem, two.stem)
    assert [0, 1, 2] == [listing.place(source) for source in (failed.source, one, two)]
    assert [second] == list(listing.left(["urn:1"]))
    empty: Any = Again()
    assert Listing(empty, Names()).total is None


def test_a_store_that_takes_nothing_ends_the_order_before_it_begins(tmp_path: Path) -> None:
    """A full folder of results is known before a night's work, and before a model is loaded."""
    store: Any = Store()
    store.error = DeliveryError("the disk is full")
    outcome = job.run_order(settings_of(), store, LOG)

    assert (6, store.error, {}, 0) == (outcome.exit_status, outcome.error, outcome.counts, outcome.products)


def test_the_benchmark_counts_measured_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that were skipped took no time of the network."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("quadrat.job.timing_lines", lambda *_, **how: told.append(how) or [])
    (tmp_path / "in").mkdir()
    dark = np.zeros((144, 192, 3), np.uint8)
    film(tmp_path / "in" / "a.mp4", [dark if n < 2 else frame for n, frame in enumerate(swim(5))])
    ran = order(RECTANGLES, tmp_path / "in", tmp_path / "out", benchmark=True, skip_black=True)

    (how,) = told
    assert (0, 3, "frame") == (ran.status, how["images"], how["unit"])
    assert {"decode", "infer", "encode", "deliver"} <= set(how["seconds"])
    assert how["seconds"]["deliver"] > 0
    assert how["wall"] > 0


def test_the_error_that_ended_an_order_is_reported_though_its_tables_fail_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """That they could not be delivered is logged."""

    class Broken(FolderStore):
        def acknowledge(self, source: Source) -> None:
            raise ZeroDivisionError("odd")

        def deliver(self, product: Product) -> str:
            if product.name.endswith((".csv", ".json", ".jsonl")):
                raise DeliveryError("the disk is full", where=product.name)
            return super().deliver(product)

    source = film(tmp_path / "a.mp4", swim(2))
    store = Broken(RECTANGLES, [source], tmp_path / "out", moving=True)
    with pytest.raises(ZeroDivisionError, match="odd"):
        job.run_order(settings_of(), store, LOG)
    assert "the disk is full" in caplog.messages[-1]


def test_the_benchmark_leaves_out_warm_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that stands still, the time of the order is what was taken from it."""
    told: list[float] = []
    monkeypatch.setattr("quadrat.job.perf_counter", lambda: 0.0)
    monkeypatch.setattr("quadrat.job.timing_lines", lambda *_, **how: told.append(how["wall"]) or [])
    source = film(tmp_path / "a.mp4", swim(2))
    ran = order(RECTANGLES, [source], tmp_path / "out", benchmark=True)

    assert 0 == ran.status
    assert told[0] < 0


def test_the_log_begins_with_the_model(tmp_path: Path) -> None:
    """It has the name that the order gives it, or its own."""
    film(tmp_path / "a.mp4", swim(2))
    for name, shown in (("", "rectangles"), ("reef-7", "reef-7")):
        ran = order(
            RECTANGLES, tmp_path / "a.mp4", tmp_path / "out", **({"model_name": name} if name else {})
        )
        assert ran.infos[0].startswith(f"Model {shown!r} runs on ")
