"""Print requirements from pyproject.toml or a requirements file for `pip install -r`, so that versions are stated once.

extras.py export --only torch: only torch.
extras.py export test --without torch paddleseg: two extras without two packages.
extras.py --base --only ivcap-sdk-service --plain: one run-time requirement without its marker.
extras.py --file requirements.txt --without paddleseg: a requirements file without one package.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def name_of(requirement: str) -> str:
    """Return a requirement's package name, in lower case with dashes."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[._-]+", "-", found.group().lower()) if found else ""


def from_pyproject(extras: Sequence[str], *, base: bool = False, path: Path = PYPROJECT) -> list[str]:
    """Return the requirements of `extras` in order, without duplicates; raise KeyError for an unknown extra."""
    project = tomllib.loads(path.read_text("utf-8"))["project"]
    wanted = list(project["dependencies"]) if base else []
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return list(dict.fromkeys(wanted))


def from_file(path: Path) -> list[str]:
    """Return the lines of a requirements file without comments and blank lines."""
    text = (re.sub(r"(^|\s)#.*", "", line).strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in text if line]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return exit status 2 for an unknown extra or package."""
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=kind)
    parser.add_argument("extra", nargs="*", help="an extra of pyproject.toml")
    parser.add_argument("--base", action="store_true", help="include the run-time requirements")
    parser.add_argument("--file", type=Path, help="read a requirements file instead of pyproject.toml")
    parser.add_argument("--only", nargs="+", default=[], metavar="PACKAGE")
    parser.add_argument("--without", nargs="*", default=[], metavar="PACKAGE")
    parser.add_argument("--plain", action="store_true", help="omit environment markers")
    args = parser.parse_args(argv)
    try:
        wanted = from_file(args.file) if args.file else from_pyproject(args.extra, base=args.base)
    except KeyError as error:
        parser.error(f"pyproject.toml has no extra {error}")
    names = {name_of(line) for line in wanted}
    only, without = {name_of(p) for p in args.only}, {name_of(p) for p in args.without}
    if missing := only - names:
        parser.error(f"no such requirement: {', '.join(sorted(missing))}")
    for line in wanted:
        if (not only or name_of(line) in only) and name_of(line) not in without:
            sys.stdout.write((line.split(";")[0].strip() if args.plain else line) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
