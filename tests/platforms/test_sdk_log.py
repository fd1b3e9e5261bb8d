"""The SDK's log: no forged lines, and no kilobyte of parameters."""

from __future__ import annotations

import io
import logging
from collections import namedtuple
from collections.abc import Iterator

import pytest

from quadrat.platforms.sdk_log import EscapingFormatter, tame

Given = namedtuple("ServiceArgs", ["model", "images", "outputs", "streams"])


@pytest.fixture
def stream() -> io.StringIO:
    """What the loggers write."""
    return io.StringIO()


@pytest.fixture
def logs(stream: io.StringIO) -> Iterator[list[logging.Logger]]:
    """Two loggers that share a handler, as those of the SDK do."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    made = [logging.getLogger(name) for name in ("test.ivcap", "test.service")]
    for log in made:
        log.handlers, log.propagate = [handler], False
        log.setLevel(logging.DEBUG)
    yield made
    for log in made:
        log.handlers, log.propagate = [], True


def test_a_name_cannot_forge_a_line(logs: list[logging.Logger], stream: io.StringIO) -> None:
    """Control characters of arguments are escaped, whoever logs them; a traceback keeps its lines."""
    tame(logs, local=True)
    logs[1].info("[%d/1] %s: sand 100 %%", 1, "a\nERROR service b\x1b[31m\u202e.jpg")
    try:
        raise ValueError("x")
    except ValueError:
        logs[0].exception("it\nfailed")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "INFO test.service [1/1] a\\nERROR service b\\x1b[31m\\u202e.jpg: sand 100 %"
    assert lines[1] == "ERROR test.ivcap it\\nfailed"
    assert lines[2].startswith("Traceback")


@pytest.mark.parametrize("local", [True, False])
def test_parameters_are_not_listed(logs: list[logging.Logger], stream: io.StringIO, *, local: bool) -> None:
    """On a laptop the line is dropped; on the platform it has the parameters that are given."""
    tame(logs, local=local)
    logs[0].info("Starting service with '%s'", Given("m.tgz", None, "none", None))
    logs[0].info("Checking")
    shown = "INFO test.ivcap Starting service with 'ServiceArgs(model='m.tgz', outputs='none')'\n"
    assert stream.getvalue() == ("" if local else shown) + "INFO test.ivcap Checking\n"


def test_a_handler_is_wrapped_once(logs: list[logging.Logger]) -> None:
    """The loggers share a handler, and calling it again changes nothing."""
    tame(logs, local=True)
    first = logs[0].handlers[0].formatter
    tame(logs, local=True)
    assert isinstance(first, EscapingFormatter)
    assert logs[0].handlers[0].formatter is first
    assert len(logs[0].handlers[0].filters) == 1
