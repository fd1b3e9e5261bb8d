"""The rules of the house that a machine can see."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES, FUNCTION_LINES = 400, 50
# What a machine has and another has not, and hosts that packages come from. Written so that this file has none.
MACHINE = re.compile(
    r"(?<![\w.])/(?:work|root|home/\w+|opt|var/tmp|Users)/\w"
    r"|https?://registry\.|https?://[^\s\"']*/(?:simple|debian)(?:/|\b)"
)
FORBIDDEN_CALLS = {"print", "exit", "quit", "sys.exit", "breakpoint"}


def project_files(*patterns: str) -> list[Path]:
    """List the project's own files that match: what git knows and what it would take."""
    command = ["git", "ls-files", "-z", "--cached", "--"]
    globs = [f":(glob){pattern}" for pattern in patterns]
    listed = subprocess.run([*command, *globs], cwd=ROOT, capture_output=True, text=True, check=True)
    return [
        ROOT / name for name in sorted(set(listed.stdout.split("\0"))) if name and (ROOT / name).is_file()
    ]


def long_modules(path: Path) -> list[str]:
    """Give the module if it is longer than the house allows."""
    lines = len(path.read_text("utf-8").splitlines())
    return [f"{path.name}: {lines} lines"] if lines > MODULE_LINES else []


def long_functions(path: Path) -> list[str]:
    """List the functions that are longer than the house allows, decorators and docstring counted."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if (length := (node.end_lineno or first) - first + 1) > FUNCTION_LINES:
                found.append(f"{path.name}:{first} {node.name}: {length} lines")
    return found


def undocumented(path: Path) -> list[str]:
    """List public modules, classes, functions and methods without a docstring."""
    tree = ast.parse(path.read_text("utf-8"))
    found = [] if ast.get_docstring(tree) else [path.name]

    def look(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                if not node.name.startswith("_") and not ast.get_docstring(node):
                    found.append(f"{path.name}:{node.lineno} {node.name}")
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    look(node.body)

    look(tree.body)
    return found


def rude(path: Path) -> list[str]:
    """List prints, exits, asserts, globals and `**kwargs` that pass through."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        word = ""
        if isinstance(node, ast.Call) and ast.unparse(node.func) in FORBIDDEN_CALLS:
            word = ast.unparse(node.func)
        elif isinstance(node, ast.Assert | ast.Global):
            word = type(node).__name__.lower()
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.args.kwarg:
            word = f"**{node.args.kwarg.arg}"
        if word:
            found.append(f"{path.name}:{node.lineno} {word}")
    return found


def machine_paths(path: Path) -> list[str]:
    """List the lines that name a machine's folder or a package registry."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        return []  # a picture or an archive
    return [f"{path.name}:{n} {line.strip()[:80]}" for n, line in enumerate(lines, 1) if MACHINE.search(line)]


def over(check, paths) -> list[str]:
    """Collect what a check finds in files, each with its folder."""
    return [f"{path.parent.relative_to(ROOT)}/{line}" for path in paths for line in check(path)]


def test_modules_are_short():
    """A module has at most 400 lines, a test's too."""
    paths = project_files("**/*.py")
    assert len(paths) > 20
    found = over(long_modules, paths)
    assert not found, "\n".join(found)


def test_functions_are_short():
    """A function has at most 50 lines; a test may be a long scenario."""
    found = over(long_functions, [p for p in project_files("**/*.py") if "tests" not in p.parts])
    assert not found, "\n".join(found)


def test_everything_public_says_what_it_is_for():
    """Every public module, class, function and method of the product has a docstring."""
    found = over(undocumented, project_files("quadrat/**/*.py", "tools/*.py", "export_model/*.py", "*.py"))
    assert not found, "\n".join(found)


def test_the_package_neither_prints_nor_exits():
    """The package raises and logs; only command lines speak and end."""
    found = over(rude, project_files("quadrat/**/*.py", "predictor.py"))
    assert not found, "\n".join(found)


def test_no_file_names_a_machine():
    """A clone works anywhere: no folder of one machine, no host of one registry."""
    found = over(machine_paths, project_files("**"))
    assert not found, "\n".join(found)


@pytest.fixture
def module(tmp_path):
    """A function that writes a module and gives its path."""

    def write(text: str) -> Path:
        (tmp_path / "module.py").write_text(text)
        return tmp_path / "module.py"

    return write


def test_length_is_seen(module):
    """One line more than allowed is found, the allowed number is not."""
    assert long_modules(module("x = 1\n" * 400)) == []
    assert long_modules(module("x = 1\n" * 401)) == ["module.py: 401 lines"]
    assert long_functions(module("def f():\n" + "    x = 1\n" * 49)) == []
    assert long_functions(module("@d\ndef f():\n" + "    x = 1\n" * 49)) == ["module.py:1 f: 51 lines"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f(): ...\n", ["module.py", "module.py:1 f"]),
        ('"""M."""\nclass A:\n    """A."""\n    def f(self): ...\n', ["module.py:4 f"]),
        ('"""M."""\ndef _f(): ...\nclass _A:\n    def f(self): ...\n', []),
    ],
)
def test_a_missing_docstring_is_seen(module, text, names):
    """A public thing without words is found; a private one needs none."""
    assert undocumented(module(text)) == names


@pytest.mark.parametrize(
    "line", ["print(1)", "sys.exit(1)", "assert True", "def f(**kwargs): ...", "def g():\n    global x"]
)
def test_rudeness_is_seen(module, line):
    """Each thing that the house forbids is found."""
    assert len(rude(module(line + "\n"))) == 1


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("open('/wo" + "rk/main/x')", 1),
        ("root = /va" + "r/tmp/x", 1),
        ("http" + "s://registry.example.org/x", 1),
        ("pip --index-url http" + "s://host.example/simple/", 1),
        ("mkdir /data/in /tmp/x", 0),
        ("a net/work/place and http" + "s://example.org/simpler", 0),
    ],
)
def test_a_machine_is_seen(module, line, seen):
    """A machine's folder and a registry's host are found, other paths are not."""
    assert len(machine_paths(module(line + "\n"))) == seen
