"""An exit that a signal asks for happens, wherever the signal arrives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from quadrat import interrupts

BEGIN = """
import gc, os, signal, sys, time
from quadrat import interrupts

interrupts.install()
me = os.getpid()
"""
PLACES = {
    "finaliser": """
class Slow:
    def __del__(self):
        os.kill(me, signal.SIGTERM)
        for _ in range(1000):
            pass


thing = Slow()
del thing
time.sleep(30)
""",
    "discarded": """
try:
    os.kill(me, signal.SIGTERM)
    time.sleep(30)
except BaseException:
    pass
time.sleep(30)
""",
    "import": """
import discards
time.sleep(30)
""",
    "callback": """
import ctypes

@ctypes.CFUNCTYPE(None)
def call():
    os.kill(me, signal.SIGTERM)
    for _ in range(1000):
        pass

call()
time.sleep(30)
""",
}
DISCARDS = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass
except BaseException:
    raise SystemError("half a module")
"""


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that finds the modules in `folder`."""
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{Path(__file__).parent.parent}"}
    return subprocess.run(
        [sys.executable, "-c", BEGIN + program],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.process
@pytest.mark.parametrize("place", PLACES)
def test_a_signal_is_never_lost(place: str, tmp_path: Path) -> None:
    """Python and C code discard exceptions in places; the process still ends with the signal's status, silently."""
    (tmp_path / "discards.py").write_text(DISCARDS)
    done = run(PLACES[place], tmp_path)

    assert 128 + signal.SIGTERM == done.returncode
    assert "" == done.stdout
    assert "" == done.stderr or place == "callback", "ctypes reports what it discards by itself"


@pytest.mark.process
def test_cleaning_up_is_not_disturbed(tmp_path: Path) -> None:
    """However long `finally` takes, and whatever signal comes meanwhile: the first sets the status."""
    program = """
try:
    os.kill(me, signal.SIGINT)
    time.sleep(30)
finally:
    for _ in range(5):
        os.kill(me, signal.SIGTERM)
        time.sleep(2 * interrupts.PERIOD_S)
    print("cleaned")
"""
    done = run(program, tmp_path)
    assert (128 + signal.SIGINT, "cleaned\n", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.process
def test_a_closed_terminal_ends_neither_the_process_nor_its_children(tmp_path: Path) -> None:
    """SIGHUP goes to a whole group."""
    program = """
import subprocess
os.setsid()
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
os.killpg(0, signal.SIGHUP)
child.communicate(b"\\n")
print(child.returncode)
"""
    done = run(program, tmp_path)
    assert (0, "0\n", "") == (done.returncode, done.stdout, done.stderr)


@pytest.fixture
def handlers() -> Iterator[None]:
    """Handlers and hook as they were, afterwards; no exit is raised again."""
    numbers = (*interrupts.ENDINGS, signal.SIGHUP)
    before, hook = {number: signal.getsignal(number) for number in numbers}, sys.unraisablehook
    yield
    interrupts.leave()
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("first", interrupts.ENDINGS)
def test_a_second_signal_does_not_disturb_the_exit(handlers: None, first: int) -> None:
    """Whichever came first sets the status; what comes while files are finished is ignored, also after the end."""
    interrupts.install()
    with pytest.raises(SystemExit) as caught:
        signal.raise_signal(first)
    for number in interrupts.ENDINGS:
        signal.raise_signal(number)
    assert 128 + first == caught.value.code
    interrupts.leave()
    del caught
    signal.raise_signal(first)


def test_a_handler_installed_twice_keeps_what_it_knows(handlers: None) -> None:
    """The command installs it first of all, and the service again: the exit is raised once."""
    interrupts.install()
    with pytest.raises(SystemExit) as caught:
        signal.raise_signal(signal.SIGINT)
    interrupts.install()
    signal.raise_signal(signal.SIGTERM)
    assert 128 + signal.SIGINT == caught.value.code


def test_after_leaving_a_new_program_may_begin(handlers: None) -> None:
    """Signals that an earlier one got do not count."""
    interrupts.install()
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGINT)
    interrupts.leave()
    interrupts.install()
    with pytest.raises(SystemExit) as caught:
        signal.raise_signal(signal.SIGTERM)
    assert 128 + signal.SIGTERM == caught.value.code


@pytest.mark.process
@pytest.mark.parametrize("number", interrupts.ENDINGS)
def test_a_signal_while_python_ends_changes_no_status(number: int, tmp_path: Path) -> None:
    """The results are complete by then."""
    program = f"""
class Last:
    def __del__(self):
        os.kill(me, {int(number)})

sys.kept = Last()
interrupts.leave()
"""
    done = run(program, tmp_path)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
