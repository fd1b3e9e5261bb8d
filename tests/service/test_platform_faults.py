"""Orders over HTTP when something goes wrong: what fails, what goes on, and what nobody loses."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.platform_double.proxy import DataProxy
from tests.platform_double.state import Artifact, Queue
from tests.service.run import ORDER, TABLES, TINY, Ran, Service, ServiceProcess, rows, statuses


class Case:
    """An order of a queue of three images, ready to run."""

    def __init__(self, service: Service | ServiceProcess, double: DataProxy, photos: list[bytes]) -> None:
        self.service, self.double = service, double
        self.model = double.add(TINY.read_bytes())
        self.photos = [double.add(body) for body in photos]
        self.queue: Queue = double.queue(self.photos)

    @property
    def words(self) -> tuple[str, ...]:
        """The command line."""
        return ("--model", self.model.urn, "--images", self.queue.urn, "--retry-seconds", "2")

    def run(self, *words: str) -> Ran:
        """Run it to its end; it must say nothing of Python."""
        ran = self.service.order(*self.words, *words, env=self.double.environment(ORDER))
        assert "Traceback" not in ran.said
        assert ran.left == []
        return ran

    def table(self) -> bytes:
        """The table delivered last."""
        return self.double.delivered()["survey.csv"].body

    def name(self, artifact: Artifact) -> str:
        """The name of an image's product."""
        return artifact.urn.rsplit(":", 1)[-1] + ".pseudo.png"


@pytest.fixture
def case(service: Service, double: DataProxy, photos: list[bytes]) -> Case:
    """An order of three images, in this process."""
    return Case(service, double, photos)


@pytest.fixture
def case_of_a_process(process: ServiceProcess, double: DataProxy, photos: list[bytes]) -> Case:
    """The same order, as a process."""
    return Case(process, double, photos)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 404}, "404"),
        ({"status": 403}, "403"),
    ],
)
def test_one_image_cannot_be_had(case: Case, fault: dict[str, Any], said: str) -> None:
    """An image that is gone or forbidden is a failed row, acknowledged; the others go on."""
    case.double.fail("artifact", method="GET", part=case.photos[1].urn, **fault)

    ran = case.run()

    assert ran.status == 0, ran.said
    assert statuses(case.table()) == ["flagged", "failed", "flagged"]
    (row,) = [r for r in rows(case.table()) if r["status"] == "failed"]
    assert (row["image"], row["code"]) == (case.photos[1].urn, "E_SOURCE")
    assert said in row["reason"]
    assert len(case.queue.acked) == 3


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 429}, "429"),
        ({"status": 500}, "500"),
        ({"truncate": True}, "ended early"),
        ({"drop": "unheard"}, "no connection"),
    ],
)
def test_one_image_cannot_be_had_at_the_moment(case: Case, fault: dict[str, Any], said: str) -> None:
    """An image that the platform does not return for long is a failed row, and stays in its queue for a later order."""
    photo = case.photos[1]
    case.double.fail("artifact", method="GET", part=photo.urn, **fault)

    ran = case.run()

    assert ran.status == 0, ran.said
    assert statuses(case.table()) == ["flagged", "failed", "flagged"]
    (row,) = [r for r in rows(case.table()) if r["status"] == "failed"]
    assert (row["image"], row["code"]) == (photo.urn, "E_UNAVAILABLE")
    assert said in row["reason"]
    assert [photo] == [item.artifact for item in case.queue.unacked.values()]
    assert len(case.queue.acked) == 2


@pytest.mark.parametrize(
    "fault",
    [{"truncate": True}, {"drop": "unheard"}, {"status": 429}, {"status": 503}, {"drop": "heard"}],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_what_fails_once_is_asked_for_again(case: Case, fault: dict[str, Any], chunked: bool) -> None:
    """A download that breaks once is made again, and nobody notices."""
    case.double.chunked = chunked
    for artifact in (case.model, case.photos[0]):
        case.double.fail("artifact", method="GET", part=artifact.urn, times=1, **fault)

    assert case.run().status == 0
    assert statuses(case.table()) == ["flagged"] * 3


def test_all_images_cannot_be_had(case_of_a_process: Case) -> None:
    """Where no image comes the order fails with the status of its images, and the table says why."""
    case = case_of_a_process
    for photo in case.photos:
        case.double.fail("artifact", method="GET", part=photo.urn, status=403)

    ran = case.run()

    assert ran.status == 5
    assert [line.split()[0] for line in ran.errors] == ["E_ALL_FAILED"]
    assert statuses(case.table()) == ["failed"] * 3


def test_the_model_cannot_be_had(case_of_a_process: Case) -> None:
    """Without its model the order fails in one line, and no image is taken from the queue."""
    case = case_of_a_process
    case.double.fail("artifact", part=case.model.urn, status=404)

    ran = case.run()

    assert ran.status == 3
    (line,) = ran.errors
    assert line.startswith(f"E_MODEL {case.model.urn}: ")
    assert case.queue.given == 0


def test_the_model_is_no_archive(case: Case) -> None:
    """A model artifact that is something else is the model's fault."""
    case.model = case.double.add(b"<html>503</html>")
    ran = case.run()

    assert (ran.status, len(ran.errors), case.queue.given) == (3, 1, 0)


def test_an_empty_queue(case: Case) -> None:
    """An order without images fails and says so."""
    case.queue.waiting.clear()
    ran = case.run()

    assert ran.status == 5
    assert [line.split()[0] for line in ran.errors] == ["E_NO_IMAGES"]


def test_head_is_refused(case: Case) -> None:
    """A proxy that does not answer HEAD costs nothing where the address itself has the URN."""
    case.double.fail("artifact", method="HEAD", status=405)

    assert case.run().status == 0
    assert [p.metadata[0].get("image") for p in case.double.products.values()][:3] == [
        p.urn for p in case.photos
    ]


def test_an_item_without_a_token(case: Case) -> None:
    """An item that cannot be acknowledged is measured all the same."""
    case.double.fail("queue", method="GET", times=1, without="X-Ack-Token")

    assert case.run().status == 0
    assert statuses(case.table()) == ["flagged"] * 3
    assert len(case.queue.acked) == 2


def test_a_queue_that_stays_out_of_order(case: Case) -> None:
    """A queue that answers 500 for ever ends the order in one line and not with 0; what was done stays done."""
    case.double.fail("queue", method="GET", part=case.queue.urn, status=500)

    ran = case.run()

    assert ran.status == 5
    (line,) = ran.errors
    assert case.queue.urn in line
    assert "500" in line


def test_a_queue_that_is_out_for_a_moment(case: Case) -> None:
    """Two answers of 500 are waited out."""
    case.double.fail("queue", method="GET", status=500, times=2)
    case.double.fail("queue", method="DELETE", status=500, times=2)

    assert case.run().status == 0
    assert len(case.queue.acked) == 3


def test_a_token_that_is_worth_nothing_any_more(case: Case) -> None:
    """A token that ran out while we measured (404) is no reason to end the order: its products are out."""
    case.double.fail("queue", method="DELETE", status=404, times=1)

    ran = case.run()

    assert ran.status == 0, ran.said
    assert statuses(case.table()) == ["flagged"] * 3


@pytest.mark.parametrize(("kind", "fault"), [("product", {"status": 429}), ("metadata", {"status": 503})])
def test_a_post_is_refused_twice(case: Case, kind: str, fault: dict[str, Any]) -> None:
    """A post that the proxy refuses twice is made a third time, and every product is there once."""
    case.double.fail(kind, times=2, **fault)

    assert case.run().status == 0
    assert [p.name for p in case.double.products.values()] == [
        *map(case.name, case.photos),
        *TABLES,
    ]
    assert all(len(p.metadata) == 1 for p in case.double.products.values())


@pytest.mark.parametrize(("kind", "fault"), [("product", {"status": 500}), ("metadata", {"status": 403})])
def test_a_post_is_refused_for_ever(case: Case, kind: str, fault: dict[str, Any]) -> None:
    """A product that cannot be delivered ends the order in one line that names its image, which is not acknowledged.

    The tables are tried all the same.
    """
    case.double.fail(kind, **fault)

    ran = case.run()

    assert ran.status == 6
    *tables, line = ran.errors
    assert line.startswith("E_DELIVERY ")
    assert case.photos[0].urn in line
    assert {"survey.csv", "run.json"} == {
        name for name in ("survey.csv", "run.json") if name in " ".join(tables)
    }
    assert case.name(case.photos[0]) in line
    assert case.queue.acked == []
    assert case.photos[0].urn in [item.artifact.urn for item in case.queue.unacked.values()]


def test_a_post_that_may_have_been_taken_is_not_made_again(case: Case) -> None:
    """Where the proxy hangs up after a product came, the order fails rather than deliver it twice."""
    case.double.fail("product", drop="heard", times=1)

    ran = case.run()

    assert ran.status == 6, ran.said
    names = [case.name(case.photos[0]), *TABLES]
    assert names == [p.name for p in case.double.products.values()]
    assert case.queue.acked == []


def test_killed_in_the_middle_and_run_again(process: ServiceProcess, case_of_a_process: Case) -> None:
    """After kill -9 only images whose products are out are acknowledged; a second run does the others."""
    case = case_of_a_process
    held = case.double.fail("artifact", method="GET", part=case.photos[1].urn, hold=True, times=1)
    started = process.start_order(*case.words, env=case.double.environment(ORDER))
    case.double.wait_for("queue", method="DELETE")
    os.killpg(started.pid, signal.SIGKILL)
    assert process.finish(started).status == -signal.SIGKILL
    assert list(case.double.delivered()) == [case.name(case.photos[0])]
    assert next(item.artifact for item in case.queue.unacked.values()) == case.photos[1]
    for path in case.service.tmp.iterdir():  # kill -9 leaves what it finds
        path.rename(case.service.folder / path.name)

    held.release()
    case.queue.redeliver()
    assert case.run().status == 0

    assert list(case.double.delivered()) == [*map(case.name, case.photos), *TABLES]
    assert len(case.double.products) == 7
    assert statuses(case.table()) == ["flagged", "flagged"]
    assert (len(case.queue.acked), case.queue.unacked) == (3, {})


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_terminated_in_the_middle(
    process: ServiceProcess, case_of_a_process: Case, ending: signal.Signals
) -> None:
    """SIGTERM, or Ctrl-C, ends the order with its status and a table, leaves nothing, and acknowledges only what is out."""
    case = case_of_a_process
    held = case.double.fail("artifact", method="GET", part=case.photos[1].urn, hold=True)
    started = process.start_order(*case.words, env=case.double.environment(ORDER))
    case.double.wait_for("queue", method="DELETE")
    for _ in range(3):  # as an impatient user does; the second and third change nothing
        started.send_signal(ending)
    held.release()
    ran = process.finish(started)

    assert ran.status == 128 + ending, ran.said
    assert ran.left == []
    assert "Traceback" not in ran.said
    assert all(len(p.metadata) == 1 for p in case.double.products.values())
    assert list(case.double.delivered()) == [case.name(case.photos[0]), *TABLES]
    assert len(case.queue.acked) == 1
