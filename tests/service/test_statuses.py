"""What a user gets wrong: the exit status, one line that names it, no traceback and nothing left."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.platform_double.proxy import DataProxy
from tests.results import files
from tests.service.run import ORDER, TINY, Orders, Ran, Service, ServiceProcess

PHOTO = "quadrat.jpg"
GOOD = ("--model", str(TINY), "--image", PHOTO)


def check_refused(ran: Ran, status: int, code: str) -> str:
    """Check that a run ended with this status and said so in one line; return the line."""
    assert ran.status == status, ran.said
    (line,) = ran.errors
    assert line.startswith(f"{code} ")
    assert "Traceback" not in ran.said
    assert "usage:" not in ran.said
    assert ran.left == []
    return line


def with_photo(orders: Orders, photos: list[bytes]) -> None:
    """Put one photograph into the in-dir."""
    (orders.folder / "in" / PHOTO).write_bytes(photos[0])


@pytest.fixture
def ready(service: Service, photos: list[bytes]) -> Service:
    """The service in this process, with one photograph in its in-dir."""
    with_photo(service, photos)
    return service


@pytest.fixture
def ready_process(process: ServiceProcess, photos: list[bytes]) -> ServiceProcess:
    """The service as a process, with one photograph in its in-dir."""
    with_photo(process, photos)
    return process


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--colour", "red"), "colour: there is no such parameter"),
        (("--batchsize", "2"), "Did you mean --batch-size?"),
        (("--batch-size", "two"), "batch-size"),
        (("--batch-size", "1e3"), "batch-size"),
        (("--batch-size", "1_000"), "batch-size"),
        (("--batch-size", "0"), "batch-size"),
        (("--batch-size",), "batch-size"),
        (("--max-img-size", "0"), "max-img-size"),
        (("--max-img-size", "-7"), "max-img-size"),
        (("--cpu-threads", "10000000"), "cpu-threads"),
        (("--max-failures", "-2"), "max-failures"),
        (("--min-confidence", "high"), "min-confidence"),
        (("--min-confidence", "nan"), "min-confidence"),
        (("--min-confidence", "inf"), "min-confidence"),
        (("--min-confidence", "1.5"), "min-confidence"),
        (("--device", "tpu"), "device"),
        (("--device", "CPU"), "device"),
        (("--engine", "tensorflow"), "engine"),
        (("--use-trt", "perhaps"), "use-trt"),
        (("--use-trt",), "use-trt"),
        (("--precision", "int8"), "precision"),
        (("--outputs", "pseudo,pdf"), "outputs"),
        (("--outputs", ","), "outputs"),
        (("--images", "."), "image"),
    ],
)
def test_a_wrong_parameter(ready: Service, words: tuple[str, ...], named: str) -> None:
    """Any wrong parameter, or two that do not go together, is status 2 and a line that names it."""
    ran = ready.run(*GOOD, *words)

    assert named in check_refused(ran, 2, "E_PARAMETER")
    assert list(ready.out.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--model", str(TINY)), "image"),
        (("--image", PHOTO), "model"),
        (("--model", "no-such.tgz", "--image", PHOTO), "model"),
        (("--model", str(TINY), "--image", "no-such.jpg"), "image"),
        (("--model", str(TINY), "--images", "no-such-folder"), "images"),
        (("--model", "urn:ivcap:artifact:1", "--image", PHOTO), "model"),
        (("--model", str(TINY), "--images", "urn:ivcap:queue:1"), "images"),
        (("--model", "https://models.example/model.tgz", "--image", PHOTO), "model"),
    ],
)
def test_what_is_not_there(ready: Service, words: tuple[str, ...], named: str) -> None:
    """A model or image that is not given, not there, or not on this machine is status 2 and a line that names it."""
    assert f" {named}" in check_refused(ready.run(*words), 2, "E_PARAMETER")


@pytest.mark.parametrize(
    "words", [("--model", "{model}"), ("--image", "{photo}"), ("--model", "{model}", "--image", "/a")]
)
def test_what_is_not_given_on_the_platform(
    service: Service, double: DataProxy, words: tuple[str, ...]
) -> None:
    """The same holds for an order on the platform: no request is made before the parameters are right."""
    urns = {"model": double.add(TINY.read_bytes()).urn, "photo": double.add(b"").urn}

    ran = service.order(*[word.format(**urns) for word in words], env=double.environment(ORDER))

    check_refused(ran, 2, "E_PARAMETER")
    assert double.requests == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "E_MODEL_FORMAT"),
        (b"<html>503</html>", "E_MODEL_FORMAT"),
        (TINY.read_bytes()[:5000], "E_MODEL_FORMAT"),
        (gzip.compress(bytes(10240)), "E_MODEL_MANIFEST"),
    ],
)
def test_a_bad_model(ready: Service, tmp_path: Path, body: bytes, code: str) -> None:
    """A model that is empty, a page, cut off or without content is status 3."""
    (tmp_path / "bad.tgz").write_bytes(body)

    check_refused(ready.run("--model", tmp_path / "bad.tgz", "--image", PHOTO), 3, code)
    assert list(ready.out.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("--batchsize", "2"), 2, "E_PARAMETER"),
        (("--images", "."), 2, "E_PARAMETER"),
        (("--model", "bad.tgz"), 3, "E_MODEL_FORMAT"),
        # no driver is visible, whatever the machine has: never a silent run on something else
        (("--device", "gpu"), 4, "E_DEVICE"),
        (("--device", "gpu", "--use-trt"), 4, "E_DEVICE"),
        (("--image", "notes.txt"), 5, "E_ALL_FAILED"),
    ],
)
def test_a_process_ends_with_the_same_status(
    ready_process: ServiceProcess, words: tuple[str, ...], status: int, code: str
) -> None:
    """What `run` returns is what the process exits with, through the SDK; its line is on the same output."""
    (ready_process.folder / "in" / "bad.tgz").write_bytes(b"<html>503</html>")
    (ready_process.folder / "in" / "notes.txt").write_text("windy")
    given = [
        word for pair in zip(GOOD[::2], GOOD[1::2], strict=True) if pair[0] not in words for word in pair
    ]
    hidden = {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "none"}

    ran = ready_process.run(*given, *words, env=hidden)

    check_refused(ran, status, code)
    tables = {"run.json", "run.json-meta.json", "survey.csv", "survey.csv-meta.json"}
    made = {name for name in files(ready_process.out) if not name.startswith(("images", "totals"))}
    assert made == (tables if status == 5 else set())


def test_nothing_to_measure(service: Service) -> None:
    """A folder without one image is status 5; the table tells what was in it."""
    (service.folder / "in" / "notes.txt").write_text("windy")

    ran = service.run("--model", TINY, "--images", service.folder / "in")

    check_refused(ran, 5, "E_NO_IMAGES")
    assert sorted(files(service.out)) == [
        "run.json", "run.json-meta.json", "survey.csv", "survey.csv-meta.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code"),
    [((), "E_ALL_FAILED"), (("--on-error", "stop"), "E_STOPPED"), (("--max-failures", "0"), "E_STOPPED")],
)
def test_nothing_could_be_measured(
    service: Service, photos: list[bytes], words: tuple[str, ...], code: str
) -> None:
    """Images that are all damaged, or one too many, are status 5; the table tells why."""
    for number in range(2):
        (service.folder / "in" / f"{number}.jpg").write_bytes(photos[0][:900])

    ran = service.run("--model", TINY, "--images", service.folder / "in", *words)

    assert ran.status == 5, ran.said
    assert [line.split()[0] for line in ran.errors][-1] == code
    assert "Traceback" not in ran.said
    assert ran.left == []
    assert (service.out / "survey.csv").exists()


def test_a_result_folder_that_is_not_there(ready_process: ServiceProcess) -> None:
    """The SDK itself refuses a folder of results that does not exist."""
    folders = (
        "--ivcap:in-dir",
        ready_process.folder / "in",
        "--ivcap:out-dir",
        ready_process.folder / "none",
    )
    ran = ready_process.run_bare(*GOOD, *folders)

    assert ran.status == 2, ran.said
    assert "out-dir" in ran.said
    assert "Traceback" not in ran.said


def test_a_result_folder_that_takes_no_file(ready_process: ServiceProcess) -> None:
    """It is known before the model is loaded, not at the end of a long video, and has the status of a failed delivery."""
    ran = ready_process.run(*GOOD, largest=1)

    line = check_refused(ran, 6, "E_DELIVERY")
    assert f"{ready_process.out}: the disk is full" in line
    assert "Model " not in ran.said
    assert [] == list(ready_process.out.iterdir())
