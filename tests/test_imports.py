"""Every module can be imported on a system without POSIX, such as Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WITHOUT_POSIX = """
import builtins, importlib, os, pkgutil, signal, socket, sys
from pathlib import Path

root = Path(sys.argv[1])
sys.path.insert(0, str(root))
MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "syslog", "readline")
NAMES = {
    os: ("fork", "forkpty", "getuid", "geteuid", "getgid", "getpgid", "killpg", "setsid", "sendfile", "posix_fallocate",
         "sched_getaffinity", "sched_getscheduler", "statvfs", "sysconf", "mkfifo", "pread", "uname", "O_NOFOLLOW",
         "O_NONBLOCK", "O_DIRECTORY", "WIFEXITED", "WNOHANG"),
    signal: ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGCHLD", "SIGXCPU", "SIGXFSZ",
             "pthread_sigmask", "setitimer", "sigwait"),
    socket: ("AF_UNIX",),
}


def ours():
    found = [module.name for module in pkgutil.walk_packages([str(root / "quadrat")], "quadrat.")]
    return ["quadrat", "predictor", "infer_service", "export_model.verify", *(
        name for name in found if not name.endswith("__main__"))]


for name in ours():
    importlib.import_module(name)  # the libraries that they import may use POSIX
for name in [name for name in sys.modules if name.split(".")[0] in ("quadrat", "predictor", "infer_service", "export_model")]:
    del sys.modules[name]
for module, names in NAMES.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
plain = builtins.__import__


def blocked(name, globals=None, *rest):
    file = (globals or {}).get("__file__") or ""
    if name.split(".")[0] in MODULES and file.startswith((str(root / "quadrat"), str(root / "export_model"))):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return plain(name, globals, *rest)


builtins.__import__ = blocked
failed = []
for name in ours():
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{name}: {type(error).__name__}: {error}")
print("\\n".join(failed))
os._exit(bool(failed))
"""


@pytest.mark.process
def test_no_import_needs_posix() -> None:
    """All modules import without fcntl, resource and their like, and without what only POSIX has in os and signal."""
    done = subprocess.run(
        [sys.executable, "-u", "-c", WITHOUT_POSIX, str(ROOT)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.process
@pytest.mark.parametrize(
    "line", ["import fcntl", "import signal\nX = signal.SIGKILL", "from resource import setrlimit"]
)
def test_a_module_that_needs_posix_is_seen(tmp_path: Path, line: str) -> None:
    """Each of the two kinds of need fails the test above."""
    (tmp_path / "quadrat").mkdir()
    (tmp_path / "quadrat" / "__init__.py").write_text("")
    (tmp_path / "quadrat" / "posix_only.py").write_text(line)
    (tmp_path / "export_model").mkdir()
    for name in ("predictor.py", "infer_service.py", "export_model/__init__.py", "export_model/verify.py"):
        (tmp_path / name).write_text("")
    done = subprocess.run(
        [sys.executable, "-u", "-c", WITHOUT_POSIX, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("quadrat.posix_only")
