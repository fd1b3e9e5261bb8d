"""`quadrat doctor`: check this machine, and what each engine can do on it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from quadrat import __version__
from quadrat.cli.words import strict
from quadrat.errors import EngineUnavailableError, QuadratError, printable

EXAMPLES = """\
examples:
  quadrat doctor        each line is ok, or says what is missing and what to do

exit status: 0 if at least one engine can run a network here, else 4.
"""
LEAST_FREE = 1 << 30
"""Bytes of free space in the folder for temporary files below which large videos may fail."""
SCRIPTS = {"Chinese": "海", "Japanese": "さ", "Korean": "산", "Thai": "ก", "Devanagari": "घ"}
"""Scripts that the font of quadrat lacks, each with a letter."""
PACKING = {"onnx": "pack", "torch": "export", "paddle": "export", "paddleseg": "export"}
"""Libraries for quadrat pack, and the extra that installs each."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: its subject, whether it is in order, and details. None means optional and absent."""

    subject: str
    good: bool | None
    text: str

    def __str__(self) -> str:
        mark = {True: "ok", False: "PROBLEM", None: "-"}[self.good]
        return printable(f"{self.subject:<17}{mark:<9}{self.text}")


def parser() -> ArgumentParser:
    """Return the parser of the command."""
    return strict(
        ArgumentParser(
            prog="quadrat doctor",
            description="Check this machine, and what each engine can do on it.",
            epilog=EXAMPLES,
            formatter_class=RawDescriptionHelpFormatter,
        )
    )


def main(words: Sequence[str]) -> int:
    """Print the findings; return 0 if at least one engine can run a network here, else 4."""
    parser().parse_args(words)
    able = False
    for check in (machine, engines, codecs, places, fonts, packing):
        for finding in check():
            able = able or (check is engines and finding.good is True)
            sys.stdout.write(f"{finding}\n")
    if not able:
        sys.stdout.write("No engine can run a network here. Run python -m pip install quadrat again\n")
    return 0 if able else EngineUnavailableError.exit_status


def machine() -> Iterator[Finding]:
    """Describe the versions, processor and memory."""
    from quadrat.engines.common import gpu_count, usable_cores

    yield Finding(
        "quadrat", True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}"
    )
    memory = _memory()
    text = f"{usable_cores()} of {os.cpu_count()} cores" + (
        f", {memory / 2**30:.1f} GiB of memory" if memory else ""
    )
    yield Finding("machine", True, text)
    count = gpu_count()
    yield Finding("gpu", True if count else None, f"{count} NVIDIA" if count else "no NVIDIA GPU was found")


def engines() -> Iterator[Finding]:
    """Check each engine: its version, the networks that it reads, and the devices and precisions here."""
    checks: dict[str, Callable[[], str]] = {"openvino": _openvino, "onnx": _onnx, "paddle": _paddle}
    for name, check in checks.items():
        try:
            yield Finding(name, True, check())
        except QuadratError as error:
            optional = name == "paddle"
            yield Finding(name, None if optional else False, str(error))


def _openvino() -> str:
    from quadrat.engines import openvino

    core = openvino.shared_core()
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    has = [name for name, (_, capability) in openvino.PRECISIONS.items() if capability in able]
    return (
        f"{metadata.version('openvino')}: {' and '.join(openvino.FORMATS)} files on the CPU, {', '.join(has)}"
    )


def _onnx() -> str:
    from quadrat.engines import onnx

    found = onnx.library().get_available_providers()
    devices = "the CPU and the GPU" if set(onnx.GPU) & set(found) else "the CPU"
    return f"{metadata.version('onnxruntime')}: onnx files on {devices}, fp32"


def _paddle() -> str:
    found = util.find_spec("paddle")
    if found is None:
        what = "not installed; only PIR archives (model.json) and int8 need it"
        raise EngineUnavailableError(
            what, hint="Install it with python -m pip install '.[paddle]' in the project's folder"
        )
    return "installed: pdmodel and PIR files on the CPU or GPU"


def codecs() -> Iterator[Finding]:
    """Check that videos can be read and each codec of annotated videos be written."""
    import av

    from quadrat.media.video_write import ENCODERS

    missing = [name for name, encoder in ENCODERS.items() if encoder not in av.codecs_available]
    text = (
        f"av {metadata.version('av')}: writes {', '.join(name for name in ENCODERS if name not in missing)}"
    )
    yield Finding(
        "video", not missing, text + (f"; {', '.join(missing)} cannot be written" if missing else "")
    )


def places() -> Iterator[Finding]:
    """Check the folders for temporary files and compiled networks."""
    from quadrat.engines.common import cache_folder

    scratch = Path(tempfile.gettempdir())
    free = shutil.disk_usage(scratch).free
    text = f"{scratch}, {free / 2**30:.1f} GiB free"
    little = free < LEAST_FREE
    yield Finding("temporary", not little, text + "; set TMPDIR to a folder with more" * little)
    cache = cache_folder()
    existing = next((each for each in (cache, *cache.parents) if each.exists()), None) if cache else None
    writable = existing is not None and os.access(existing, os.W_OK)
    text = f"{cache}" if writable else f"{cache} cannot be written, so networks are compiled at every start"
    yield Finding("cache", writable, text + "; set QUADRAT_CACHE_DIR" * (not writable))


def fonts() -> Iterator[Finding]:
    """List the scripts for which there is no font; names in them are replaced by the number of their class."""
    from quadrat.render.text import font_of

    missing = [script for script, letter in SCRIPTS.items() if font_of(letter) is None]
    text = "every script that was tried can be drawn"
    if missing:
        text = f"none for {', '.join(missing)}; install Noto fonts, or set QUADRAT_FONTS to a folder of fonts"
    yield Finding("fonts", None if missing else True, text)


def packing() -> Iterator[Finding]:
    """List the libraries for quadrat pack."""
    for library, extra in PACKING.items():
        there = util.find_spec(library) is not None
        text = (
            "installed"
            if there
            else f"not installed; python -m pip install '.[{extra}]' in the project's folder"
        )
        yield Finding(f"pack: {library}", there or None, text)


def _memory() -> int | None:
    """Return the bytes of memory of this machine, if the system can tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None
