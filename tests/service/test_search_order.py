"""An index and searches on the platform: the index is an artifact that an order fetches, and one that it delivers."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.networks import colour_archive
from tests.platform_double.proxy import DataProxy
from tests.service.run import ORDER, Ran, Service


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    """An archive whose vector is the mean colour."""
    return colour_archive(tmp_path / "colour.tgz").read_bytes()


def order(service: Service, double: DataProxy, *words: str) -> Ran:
    """Run an order against the double."""
    return service.order(*words, "--executor", "local", env=double.environment(ORDER))


def found(double: DataProxy) -> list[str]:
    """Return the sources that a search has found, and forget its products."""
    rows = list(csv.DictReader(io.StringIO(double.delivered()["results.csv"].body.decode())))
    return [row["image"] for row in rows]


def test_an_index_is_made_appended_to_and_searched(service, double, photos, model):
    """By words and by a picture; the index is fetched by its URN."""
    archive = double.add(model, "model")
    artifacts = [double.add(body, mime="image/jpeg") for body in photos]
    queue = double.queue(artifacts[:2], ("url", "urn"))
    words = ["--model", archive.urn]
    ran = order(service, double, *words, "--images", queue.urn, "--index", "true")
    assert ran.status == 0, ran.said
    first = double.add(double.delivered()["index.tgz"].body, "index.tgz")

    double.products.clear()
    more = double.queue(artifacts, ("url", "urn"))
    appended = [*words, "--images", more.urn, "--index", "true", "--from-index", first.urn]
    assert order(service, double, *appended).status == 0
    index = double.delivered()["index.tgz"]
    assert index.metadata[0]["rows"] == 3
    second = double.add(index.body, "index.tgz")

    double.products.clear()
    ran = order(service, double, "--task", "search", "--from-index", second.urn, "--where", "kind = image")
    assert ran.status == 0, ran.said
    assert found(double) == [each.urn for each in artifacts]
    assert ran.left == []

    double.products.clear()
    asked = [
        "--task",
        "search",
        "--from-index",
        second.urn,
        "--image",
        artifacts[1].urn,
        "--max-results",
        "1",
    ]
    assert order(service, double, *words, *asked).status == 0
    assert found(double) == [artifacts[1].urn]


def test_an_index_that_is_not_there_or_damaged_ends_the_order(service, double, photos, model):
    """Before anything is measured; nothing is acknowledged."""
    archive = double.add(model, "model")
    queue = double.queue([double.add(photos[0], mime="image/jpeg")], ("url", "urn"))
    for body, code in ((None, "E_SOURCE"), (b"no index", "E_INDEX")):
        urn = "urn:ivcap:artifact:none" if body is None else double.add(body, "index.tgz").urn
        given = ["--model", archive.urn, "--images", queue.urn, "--index", "true", "--from-index", urn]
        ran = order(service, double, *given, "--retry-seconds", "0")
        assert ran.status == 5, ran.said
        assert any(code in line for line in ran.errors), ran.said
    assert queue.acked == []
    assert not double.products


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task", "search"], "E_PARAMETER from-index"),
        (["--task", "search", "--image", "a.png", "--from-index", "i.tgz"], "E_PARAMETER model"),
        (["--where", "class = cod", "--image", "a.png", "--model", "m.tgz"], "E_PARAMETER where"),
    ],
)
def test_what_is_missing_is_named(service, words, message):
    """As for every order."""
    for name in ("a.png", "i.tgz", "m.tgz"):
        (service.folder / "in" / name).touch()
    ran = service.run(*words)
    assert ran.status == 2, ran.said
    assert any(message in line for line in ran.errors), ran.said
