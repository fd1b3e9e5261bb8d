"""Open a model.tgz: unpack it by strict rules and read its manifest. No code from the archive runs."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from quadrat.errors import ArchiveFormatError, ArchiveUnsafeError, ModelError
from quadrat.package.gzipped import gunzip
from quadrat.package.manifest import read_package
from quadrat.package.members import Member, list_members, shown
from quadrat.types import ModelPackage

_log = logging.getLogger(__name__)

KEPT = frozenset(
    {".yaml", ".yml", ".json", ".pdmodel", ".pdiparams", ".info", ".onnx", ".npy", ".md", ".txt"}
)
"""Suffixes of files that are unpacked."""
KEPT_NAMES = frozenset({"license", "licence", "notice", "readme", "copying"})
"""Names without a suffix that are unpacked."""
CODE = frozenset(
    {
        ".pkl", ".pickle", ".dill", ".joblib", ".pt", ".pth", ".pt2", ".ts", ".torchscript", ".ckpt", ".mar",
        ".pdparams", ".pdopt", ".py", ".pyc", ".sh", ".bat", ".exe", ".so", ".dll", ".dylib", ".jar",
    }
)  # fmt: skip
"""Suffixes of files that run code, or can run code when they are loaded."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_PIECE = 1 << 20
_SENDFILE = sys.platform.startswith("linux")
"""Elsewhere sendfile writes to sockets only, or does not exist."""


def open_archive(path: Path, into: Path) -> ModelPackage:
    """Unpack the model archive at `path` into a fresh folder (mode 0700) below `into` and read its manifest.

    The caller removes the folder with `into`; after an error nothing is left. Raises ModelError, or a subclass, for any
    fault of the archive, with the file name of the archive in `where`.
    """
    root: Path | None = None
    try:
        root = Path(tempfile.mkdtemp(prefix="model-", dir=into))
        with tempfile.TemporaryFile(dir=into) as tar:
            digest = gunzip(path, tar)
            files = _wanted(list_members(tar))
            for member in files:
                _copy(tar, member, root)
        return read_package(_home(root, files), name=path.name.split(".")[0] or "model", digest=digest)
    except BaseException as error:
        if root:
            shutil.rmtree(root, ignore_errors=True)
        if isinstance(error, ModelError):
            where = f"{path.name}: {error.where}" if error.where else path.name
            raise error.at(where) from None
        if isinstance(error, OSError):
            raise ModelError(
                f"the model archive cannot be unpacked: {error.strerror}", where=str(into),
                hint="Free some space, or use a folder that is writable",
            ) from None  # fmt: skip
        raise


def _wanted(members: Sequence[Member]) -> list[Member]:
    """Drop files that a model does not need (dot-files, pictures, logs) and refuse files that can run code."""
    files, left_out = [], []
    for member in members:
        path = member.path
        if path.suffix.lower() in CODE:
            raise ArchiveUnsafeError(
                "a file of this kind can run code when it is loaded", where=shown(str(path)),
                hint="Export the model to .pdmodel, PIR .json or .onnx, and pack it without this file",
            )  # fmt: skip
        hidden = any(part.startswith(".") for part in path.parts)
        known = path.suffix.lower() in KEPT or path.name.lower() in KEPT_NAMES
        if known and not hidden:
            files.append(member)
        elif not hidden:
            left_out.append(shown(str(path)))
    if left_out:
        _log.info("not unpacked, because a model does not need them: %s", ", ".join(left_out[:10]))
    return files


def _copy(tar: IO[bytes], member: Member, root: Path) -> None:
    """Write one file below `root` with mode 0600; it must not exist yet."""
    target = root / member.path
    folder = root
    for part in member.path.parts[:-1]:
        folder /= part
        folder.mkdir(mode=0o700, exist_ok=True)
    at, end = member.offset, member.offset + member.size
    with os.fdopen(os.open(target, _CREATE, 0o600), "wb", buffering=0) as out:
        while at < end:  # copying in the kernel is twice as fast as through our memory
            sent = _copy_some(tar, at, end - at, out)
            if not sent:
                raise ArchiveFormatError("the tar ends early", where=shown(str(member.path)))
            at += sent


def _copy_some(tar: IO[bytes], at: int, count: int, out: IO[bytes]) -> int:
    """Copy up to `count` bytes and return how many; 0 at the end of the tar."""
    if _SENDFILE:
        return os.sendfile(out.fileno(), tar.fileno(), at, count)
    tar.seek(at)
    piece = tar.read(min(count, _PIECE))
    out.write(piece)
    return len(piece)


def _home(root: Path, files: Sequence[Member]) -> Path:
    """Return the folder of the manifest: the root, or the only folder in it."""
    manifest = {PurePosixPath("deploy.yaml"), PurePosixPath("meta.json")}
    if manifest & {member.path for member in files}:
        return root
    tops = {member.path.parts[0] for member in files if len(member.path.parts) > 1}
    alone = len(tops) == 1 and all(len(member.path.parts) > 1 for member in files)
    return root / tops.pop() if alone else root
