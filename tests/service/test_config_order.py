"""Orders whose settings are in a file: local, on the platform, and the record of an earlier order."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.platform_double.proxy import DataProxy
from tests.results import files
from tests.service.run import ORDER, TINY, Service

WORDS = ("--outputs", "pseudo,labels", "--max-img-size", "0.005MP", "--min-confidence", "0.5")
SAID = "outputs: [pseudo, labels]\nmax_img_size: 0.005MP\nmin-confidence: 0.5\n"


@pytest.fixture
def ready(service: Service, photos: list[bytes]) -> Service:
    """The service with three photographs in its in-dir."""
    for number, body in enumerate(photos):
        (service.folder / "in" / f"{number}.jpg").write_bytes(body)
    return service


def run(service: Service, *words: str) -> dict[str, bytes]:
    """Run an order on the photographs, take its products out of the folder of results, and give them."""
    ran = service.run("--model", TINY, "--images", service.folder / "in", *words)
    assert ran.status == 0, ran.said
    assert ran.left == []
    made = {name: path.read_bytes() for name, path in files(service.out).items()}
    for path in service.out.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return made


def test_an_order_is_run_again_by_its_record(ready: Service) -> None:
    """With run.json as its config file an order gives the same bytes; only times differ."""
    first = run(ready, *WORDS)
    config = ready.folder / "first.json"
    config.write_bytes(first["run.json"])
    again = run(ready, "--config", str(config))
    other = run(ready, "--config", str(config), "--min-confidence", "0")

    timed = {"run.json"}
    assert len(first) > 8
    assert set(first) == set(again)
    assert [] == [name for name in set(first) - timed if first[name] != again[name]]
    told = [json.loads(made["run.json"]) for made in (first, again, other)]
    assert told[0]["settings"] == told[1]["settings"]
    assert told[0]["provenance"]["result-digest"] == told[1]["provenance"]["result-digest"]
    assert told[2]["settings"] == {**told[0]["settings"], "min-confidence": 0.0}


def test_a_file_below_in_dir_says_what_words_say(ready: Service) -> None:
    """YAML by its name in in-dir, and the words of the command line, give one order."""
    (ready.folder / "in" / "dive.yaml").write_text(SAID)  # no image: a row that was skipped, of both orders
    ways = [run(ready, *WORDS), run(ready, "--config", "dive.yaml")]

    assert ways[0]["survey.csv"] == ways[1]["survey.csv"]
    settings = [json.loads(made["run.json"])["settings"] for made in ways]
    assert settings[0] == settings[1]


def test_a_config_file_on_the_platform(service: Service, double: DataProxy, photos: list[bytes]) -> None:
    """An artifact is fetched like the model; a default that the order gives, too, does not hide it."""
    model, photo, config = double.add(TINY.read_bytes()), double.add(photos[0]), double.add(SAID.encode())
    given = ("--model", model.urn, "--image", photo.urn, "--config", config.urn)
    words = ("--outputs", "auto", "--batch-size", "1", "--max-img-size", "", "--min-confidence", "0.25")

    ran = service.order(*given, *words, env=double.environment(ORDER))

    assert ran.status == 0, ran.said
    assert ran.left == []
    settings = json.loads(double.delivered()["run.json"].body)["settings"]
    assert (["pseudo", "labels"], 5000, 0.25) == (
        settings["outputs"], settings["max-img-size"], settings["min-confidence"],
    )  # fmt: skip
    fetched = [r.path.rsplit("/", 1)[-1] for r in double.seen("artifact", method="GET")]
    assert [config.urn, model.urn, photo.urn] == fetched


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (
            b"batch-sise: 4",
            2,
            "E_PARAMETER {urn}, batch-sise: there is no such parameter. Did you mean batch-size?",
        ),
        (b"model: urn:ivcap:artifact:1", 2, "E_PARAMETER {urn}, model: it names a file or an artifact"),
        (b"x" * (5 << 20), 5, "E_SOURCE {urn}: it is larger than 4194304 bytes"),
        (None, 5, "E_SOURCE {urn}: the data proxy responded 404"),
    ],
    ids=["unknown", "artifact", "huge", "missing"],
)
def test_a_wrong_config_file_ends_the_order_at_once(
    service: Service, double: DataProxy, body: bytes | None, status: int, says: str
) -> None:
    """One line says the artifact and the entry; neither model nor image is fetched, and nothing is left."""
    model, photo = double.add(TINY.read_bytes()), double.add(b"")
    urn = "urn:ivcap:artifact:none" if body is None else double.add(body).urn

    words = ("--model", model.urn, "--image", photo.urn, "--config", urn)
    ran = service.order(*words, env=double.environment(ORDER))

    assert ran.status == status, ran.said
    (line,) = ran.errors
    assert line.startswith(says.format(urn=urn))
    assert {urn} == {r.path.rsplit("/", 1)[-1] for r in double.seen("artifact")}
    assert ran.left == []
    assert double.products == {}
