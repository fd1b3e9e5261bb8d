"""Upload a model archive and its metadata to IVCAP with the platform's command-line tool."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from export_model import ARTIFACT, metadata_path
from quadrat.errors import DeliveryError, ParameterError, QuadratError

CHUNK = 20_000_000
SECONDS = 600


def main(arguments: Sequence[str] | None = None) -> int:
    """Upload and return the exit status: 0, 2 for a missing file, 6 if the tool fails."""
    parser = argparse.ArgumentParser(prog="upload.py", description=__doc__)
    parser.add_argument("archive", type=Path, help="model.tgz, with its metadata beside it")
    parser.add_argument(
        "--ivcap", default="ivcap", metavar="COMMAND", help="the tool, with its options if needed [ivcap]"
    )
    parser.add_argument("--name", help="name of the artifact; by default that of the archive")
    given = parser.parse_args(arguments)
    try:
        print(upload(shlex.split(given.ivcap), given.archive, given.name or given.archive.stem))
    except QuadratError as error:
        print(error.line, file=sys.stderr)
        return error.exit_status
    return 0


def upload(tool: Sequence[str], path: Path, name: str) -> str:
    """Create the artifact, then add its metadata with the URN filled in; return the URN.

    Raises ParameterError for a missing file, DeliveryError if the tool fails.
    """
    if not tool:
        raise ParameterError("it names no program", where="--ivcap")
    metadata = metadata_path(path)
    for file in (path, metadata):
        if not file.is_file():
            raise ParameterError(
                "there is no such file" + ("" if file.is_absolute() else f" in {Path.cwd()}"),
                where=str(file), hint="Run export.py first",
            )  # fmt: skip
    words = aspect_words(tool)  # first, because an artifact without metadata is useless
    text = run(
        tool, ["--silent", "artifact", "create", "-n", name, "-f", str(path), "--chunk-size", str(CHUNK)]
    )
    urn = text.split()[-1] if text.split() else ""
    if not urn.startswith("urn:"):
        raise DeliveryError(
            f"it did not return the URN of an artifact, but {text[:200]!r}", where=shlex.join(tool)
        )
    filled = metadata.read_text(encoding="utf-8").replace(ARTIFACT, urn)
    run(tool, ["--timeout", str(SECONDS), *words, urn, "-f", "-"], filled)
    return urn


def aspect_words(tool: Sequence[str]) -> list[str]:
    """Return the command by which this version of the tool adds metadata: `aspect add`, or `metadata add` before v0.35."""
    for words in (["aspect", "add"], ["metadata", "add"]):
        if _done(tool, [*words, "--help"], "").returncode == 0:
            return words
    raise DeliveryError("it has neither aspect add nor metadata add", where=shlex.join(tool))


def run(tool: Sequence[str], words: Sequence[str], text: str = "") -> str:
    """Run the tool with `text` as its input and return its output; DeliveryError if it fails."""
    done = _done(tool, words, text)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise DeliveryError(
            f"{' '.join(words[:3])} ended with {done.returncode}: {last}", where=shlex.join(tool)
        )
    return done.stdout


def _done(tool: Sequence[str], words: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
    """Run the tool to its end, whatever its exit status; DeliveryError if it cannot be started."""
    try:
        return subprocess.run([*tool, *words], input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DeliveryError(
            f"cannot run {tool[0]}: {error.strerror}", hint="Give its path with IVCAP=..., or --ivcap COMMAND"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
