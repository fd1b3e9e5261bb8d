"""Upload a model archive and its metadata to IVCAP with the platform's command line tool."""

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
    """Upload; return 0, 2 for a missing file, 6 where the tool fails."""
    parser = argparse.ArgumentParser(prog="upload.py", description=__doc__)
    parser.add_argument("archive", type=Path, help="model.tgz; its metadata lies beside it")
    parser.add_argument(
        "--ivcap", default="ivcap", metavar="COMMAND", help="the tool, with options if need be [ivcap]"
    )
    parser.add_argument("--name", help="the artifact's name; else the archive's")
    given = parser.parse_args(arguments)
    try:
        print(upload(shlex.split(given.ivcap), given.archive, given.name or given.archive.stem))
    except QuadratError as error:
        print(error.line, file=sys.stderr)
        return error.exit_status
    return 0


def upload(tool: Sequence[str], path: Path, name: str) -> str:
    """Create the artifact, then add its metadata with the URN filled in; return the URN.

    Raises ParameterError for a missing file, DeliveryError where the tool fails.
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
    words = aspect_words(tool)  # asked first: an artifact without metadata would be of no use
    said = run(
        tool, ["--silent", "artifact", "create", "-n", name, "-f", str(path), "--chunk-size", str(CHUNK)]
    )
    urn = said.split()[-1] if said.split() else ""
    if not urn.startswith("urn:"):
        raise DeliveryError(f"it named no artifact but {said[:200]!r}", where=shlex.join(tool))
    filled = metadata.read_text(encoding="utf-8").replace(ARTIFACT, urn)
    run(tool, ["--timeout", str(SECONDS), *words, urn, "-f", "-"], filled)
    return urn


def aspect_words(tool: Sequence[str]) -> list[str]:
    """Tell how this version of the tool adds metadata: `aspect add`, or `metadata add` before v0.35."""
    for words in (["aspect", "add"], ["metadata", "add"]):
        if _done(tool, [*words, "--help"], "").returncode == 0:
            return words
    raise DeliveryError("it has neither aspect add nor metadata add", where=shlex.join(tool))


def run(tool: Sequence[str], words: Sequence[str], text: str = "") -> str:
    """Run the tool with `text` on its input and return what it prints; DeliveryError where it fails."""
    done = _done(tool, words, text)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
        raise DeliveryError(
            f"{' '.join(words[:3])} ended with {done.returncode}: {said}", where=shlex.join(tool)
        )
    return done.stdout


def _done(tool: Sequence[str], words: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
    """Run the tool to its end, however it ends; DeliveryError where there is none."""
    try:
        return subprocess.run([*tool, *words], input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DeliveryError(
            f"cannot run {tool[0]}: {error.strerror}", hint="Name it: IVCAP=..., or --ivcap COMMAND"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
