"""What the child sends can be read by the parent."""

from __future__ import annotations

import pickle
from multiprocessing import Pipe

import pytest

from quadrat.errors import EngineRunError, VideoTruncatedError
from quadrat.executors.child import portable, send


class OddError(Exception):
    """An error that cannot be made anew from its arguments."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place}: {why}")


@pytest.mark.parametrize(
    "error",
    [EngineRunError("no", where="a", hint="b"), VideoTruncatedError("torn"), OSError(5, "x"), MemoryError()],
)
def test_an_error_that_can_be_pickled_stays_what_it_is(error: Exception) -> None:
    """Its type and text reach the parent, which reports it as it would report its own."""
    copy = pickle.loads(pickle.dumps(portable(error)))

    assert (type(error), str(error)) == (type(copy), str(copy))


def test_another_error_is_sent_as_its_text() -> None:
    """The parent gets a line that names the type."""
    assert "OddError: a: b" == str(pickle.loads(pickle.dumps(portable(OddError("a", "b")))))


def test_an_answer_that_cannot_be_pickled_is_an_error_with_its_number() -> None:
    """The parent waits for the answer to this request, and raises why there is none."""
    near, far = Pipe()
    send(near, ("answer", 7, lambda: None))
    kind, number, error = far.recv()

    assert ("error", 7) == (kind, number)
    assert "pickle" in str(error)
