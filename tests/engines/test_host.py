from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from quadrat.engines import host, start
from quadrat.engines.host import MAX_TIMEOUTS, HostedEngine
from quadrat.engines.limits import Limits
from quadrat.errors import (
    DeviceError,
    EngineMemoryError,
    EngineRunError,
    EngineTimeoutError,
    EngineUnavailableError,
    GraphError,
)
from quadrat.parameters import EngineSettings
from quadrat.types import ModelPackage
from tests.engines.conftest import ROLES
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
Hosted = Callable[..., HostedEngine]


@pytest.fixture
def hosted(tiny: ModelPackage, log: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    """Host an engine of tests/engines/faulty.py, and close it after the test."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made: list[HostedEngine] = []

    def make(
        name: str,
        timeout_s: float = 60,
        settings: EngineSettings | None = None,
        limits: Limits | None = None,
        at_once: int = 1,
    ) -> HostedEngine:
        target = name if ":" in name else f"tests.engines.faulty:{name}"
        engine = HostedEngine(
            target,
            tiny,
            settings or EngineSettings(),
            log,
            limits=limits or Limits(load_s=timeout_s),
            at_once=at_once,
        )
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


def gone(pid: int) -> bool:
    """Return True if the process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_hosted_engine_is_the_engine_that_it_hosts(
    hosted: Hosted, tiny: ModelPackage, noise: NDArray[np.float32], log: logging.Logger
) -> None:
    """Names, specs and bytes are the same as in this process, from another process."""
    inside = start(tiny, EngineSettings(engine="fake"), log)
    outside = hosted("quadrat.engines.fake:start")
    assert outside.outputs == inside.outputs
    assert (outside.name, outside.version, outside.device) == ("fake", "1", "cpu")
    mine, theirs = inside.run(noise, list(ROLES)), outside.run(noise, list(ROLES))
    for name in ROLES:
        assert theirs[name].tobytes() == mine[name].tobytes()
    assert outside.pid not in (None, os.getpid())


def test_any_engine_can_be_hosted(
    hosted: Hosted, tiny: ModelPackage, noise: NDArray[np.float32], log: logging.Logger
) -> None:
    """OpenVINO gives the same results in a child."""
    here = start(tiny, EngineSettings(), log).run(noise, ["labels"])["labels"]
    there = hosted("quadrat.engines.openvino:start").run(noise, ["labels"])["labels"]
    np.testing.assert_array_equal(here, there)


def test_our_errors_cross_the_border_as_they_are(hosted: Hosted, noise: NDArray[np.float32]) -> None:
    """Class, message, place and hint are kept, at the start and on a batch; the child survives."""
    with pytest.raises(DeviceError) as caught:
        hosted("refusing_start")
    assert str(caught.value) == "capacitor: no flux. Wait for lightning"
    engine = hosted("moody")
    pid = engine.pid
    with pytest.raises(EngineRunError, match="not in the mood"):
        engine.run(np.full_like(noise, 3), ["labels"])
    assert engine.run(noise, ["labels"])["labels"].shape == (2, 24, 40)
    assert engine.pid == pid


def test_an_interpreter_that_is_not_there_is_an_error(tiny: ModelPackage, log: logging.Logger) -> None:
    """The error states the reason, and no file stays open."""
    with pytest.raises(EngineUnavailableError, match="could not be started"):
        HostedEngine("quadrat.engines.fake:start", tiny, EngineSettings(), log, python="/no/such/python")


def test_a_crash_while_reading_the_network_is_the_models_fault(hosted: Hosted) -> None:
    """SIGSEGV at the start is a GraphError with the signal's name."""
    with pytest.raises(GraphError, match="terminated by SIGSEGV while reading the network"):
        hosted("crashing_start")


def test_an_exit_at_the_start_gives_its_status_and_last_word(hosted: Hosted) -> None:
    """An exit is not a crash: the engine is at fault, and the error contains its last line."""
    with pytest.raises(EngineRunError, match=r"exit status 7 \(last word\)"):
        hosted("leaving_start")


def test_a_start_that_takes_too_long_is_ended(hosted: Hosted) -> None:
    """The time limit applies, and no process stays."""
    with pytest.raises(EngineRunError, match="took more than 1 s"):
        hosted("slow_start", timeout_s=1)  # which would take an hour


def test_a_crash_on_a_batch_costs_that_batch_only(hosted: Hosted, noise: NDArray[np.float32]) -> None:
    """The batch is an EngineRunError with the signal's name; the next one gets a new child."""
    engine = hosted("moody")
    first = engine.pid
    with pytest.raises(EngineRunError, match="terminated by SIGSEGV while running a batch"):
        engine.run(np.full_like(noise, 1), ["labels"])
    assert engine.run(noise, ["labels"])["labels"].shape == (2, 24, 40)
    assert engine.pid not in (None, first)


def test_a_child_that_always_dies_is_given_up(
    hosted: Hosted, noise: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After MAX_DEATHS in a row no further child is started."""
    monkeypatch.setattr(host, "MAX_DEATHS", 3)
    engine = hosted("moody")
    for _ in range(3):
        with pytest.raises(EngineRunError, match="SIGSEGV"):
            engine.run(np.full_like(noise, 1), ["labels"])
    with pytest.raises(EngineRunError, match="died 3 times in a row"):
        engine.run(noise, ["labels"])


def test_only_deaths_in_a_row_count(
    hosted: Hosted, noise: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that has answered in between begins anew, however often it died before."""
    monkeypatch.setattr(host, "MAX_DEATHS", 3)
    engine = hosted("moody")
    for _ in range(4):
        with pytest.raises(EngineRunError, match="SIGSEGV"):
            engine.run(np.full_like(noise, 1), ["labels"])
        assert engine.run(noise, ["labels"])["labels"].shape == (2, 24, 40)


def test_a_batch_that_takes_too_long_is_ended(hosted: Hosted, noise: NDArray[np.float32]) -> None:
    """The limit of a run is not that of the start; the next batch gets a new child."""
    engine = hosted("moody")
    with pytest.raises(EngineTimeoutError, match="running a batch took more than 0 s"):
        engine.run(np.full_like(noise, 2), ["labels"], 0.3)
    assert engine.run(noise, ["labels"])["labels"].shape == (2, 24, 40)


def test_after_a_few_batches_that_take_too_long_no_other_is_tried(
    hosted: Hosted, noise: NDArray[np.float32]
) -> None:
    """Each of them costs the time of the limit."""
    engine = hosted("moody")
    for _ in range(MAX_TIMEOUTS):
        with pytest.raises(EngineTimeoutError, match="took more than"):
            engine.run(np.full_like(noise, 2), ["labels"], 0.1)
    with pytest.raises(EngineTimeoutError, match="was not run"):
        engine.run(noise, ["labels"])


def test_a_child_that_takes_too_much_memory_is_ended(hosted: Hosted, noise: NDArray[np.float32]) -> None:
    """The error states the limit; the next batch gets a new child."""
    engine = hosted("moody", limits=Limits(memory=300 * 10**6))
    with pytest.raises(EngineMemoryError, match="more than the limit of 300 MB"):
        engine.run(np.full_like(noise, 4), ["labels"])
    assert engine.run(noise, ["labels"])["labels"].shape == (2, 24, 40)


def test_an_array_that_is_not_of_numbers_is_an_error_of_the_engine(
    hosted: Hosted, noise: NDArray[np.float32]
) -> None:
    """Texts do not end the child."""
    engine = hosted("moody")
    pid = engine.pid
    with pytest.raises(EngineRunError, match="not of numbers"):
        engine.run(np.full_like(noise, 5), ["labels"])
    assert engine.pid == pid


def test_only_the_guilty_of_several_batches_fails(hosted: Hosted, noise: NDArray[np.float32]) -> None:
    """One crashes while the other is at work: both are run again, each alone."""
    engine = hosted("moody", at_once=2)
    results: dict[int, object] = {}
    ready = threading.Barrier(2)

    def run(mood: int) -> None:
        ready.wait()
        try:
            results[mood] = engine.run(np.full_like(noise, mood), ["labels"])["labels"].shape
        except EngineRunError as error:
            results[mood] = error

    for _ in range(3):
        threads = [threading.Thread(target=run, args=(mood,)) for mood in (1, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (2, 24, 40) == results[6]
        assert "SIGSEGV" in str(results[1])


def test_kill_9_in_the_middle_of_a_batch_is_named(hosted: Hosted, noise: NDArray[np.float32]) -> None:
    """SIGKILL, as from the kernel's OOM killer, is reported."""
    engine = hosted("moody")
    pid = engine.pid
    assert pid is not None
    threading.Timer(0.5, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(EngineRunError, match=r"SIGKILL.*out of memory"):
        engine.run(np.full_like(noise, 2), ["labels"])
    assert gone(pid)


def test_close_ends_the_child_and_closes_twice(hosted: Hosted, noise: NDArray[np.float32]) -> None:
    """No process is left, and a closed engine raises EngineRunError."""
    engine = hosted("working")
    pid = engine.pid
    assert pid is not None
    engine.close()
    engine.close()
    assert gone(pid)
    with pytest.raises(EngineRunError, match="closed"):
        engine.run(noise, ["labels"])


def test_what_the_child_says_goes_to_the_log(hosted: Hosted, caplog: pytest.LogCaptureFixture) -> None:
    """The child's output is logged at debug level, or at info level with print-detail."""
    with caplog.at_level(logging.INFO):
        hosted("working").close()
        assert "hello from" not in caplog.text
        hosted("working", settings=EngineSettings(print_detail=True)).close()
        assert "hello from" in caplog.text


@pytest.mark.process
@pytest.mark.parametrize("mood", [0, 2])
def test_the_child_dies_with_its_parent(tiny: ModelPackage, mood: int) -> None:
    """A parent killed while its child idles (0) or works on a batch (2) leaves no process behind."""
    code = f"""
import logging, threading, time
import numpy as np
from pathlib import Path
from quadrat.engines.host import MAX_TIMEOUTS, HostedEngine
from quadrat.parameters import EngineSettings
from tests.engines.conftest import package_of, ROLES
package = package_of(Path({str(tiny.engines["onnx"])!r}), outputs=ROLES)
engine = HostedEngine("tests.engines.faulty:moody", package, EngineSettings(), logging.getLogger())
if {mood}:
    batch = np.full((1, 3, 4, 4), {mood}, np.float32)
    threading.Thread(target=engine.run, args=(batch, ["labels"]), daemon=True).start()
    time.sleep(0.5)
print(engine.pid, flush=True)
time.sleep(3600)
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: gone(pid), "the child's end")
