"""The rooms import downwards only, one file knows the SDK, and heavy libraries wait until they are used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    "stores", "package", "media", "steps", "transforms", "engines", "tasks", "tracking", "render", "index", "report",
    "pipeline", "executors", "platforms",
)  # fmt: skip
"""The rooms of the design, lowest first; a room may be there before it has a module."""
COMMON = (
    "errors", "types", "predictions", "facts", "geometry", "protocols", "console", "formats", "interrupts", "parameters", "records",
    "task_kinds", "",
)  # fmt: skip
"""What every module may import; "" is quadrat itself, which has the version."""
RECORDS = ("quadrat/task_kinds.py", "quadrat/tasks/*/kind.py")
"""Files that name the parts of a task in every room, as text: each room resolves its own part when it uses it."""
PARAMETERS = "parameters"
"""The common room that is a folder: it imports only errors, and itself."""
FREE = ("job", "cli", "__main__")
"""Modules beside the rooms that may import anything, and that nothing else imports."""
TOP = ("infer_service", "predictor", "tests", "tools", "export_model", "examples", "benchmarks")
HEAVY = ("openvino", "onnxruntime", "onnx", "paddle", "paddleseg", "torch", "ivcap_sdk_service")
SDK_FILE = "quadrat/platforms/ivcap_order.py"


@dataclass(frozen=True)
class Import:
    """One import of a file: where it stands, what it names, and whether importing the file runs it."""

    path: str
    line: int
    module: str
    at_start: bool

    def __str__(self) -> str:
        """Give the place and the module."""
        return f"{self.path}:{self.line} imports {self.module}"


def walk(node: ast.AST, at_start: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Go through a tree; what stands in a function or under TYPE_CHECKING does not run at the start."""
    for child in ast.iter_child_nodes(node):
        lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        )
        yield child, at_start
        yield from walk(child, at_start and not lazy)


def absolute(path: Path, node: ast.ImportFrom, name: str) -> str:
    """Give the full name of what `from ... import name` names, relative imports resolved."""
    if not node.level:
        return f"{node.module}.{name}"
    package = list(path.parent.parts)[: len(path.parent.parts) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else []), name])


def plug_ins(node: ast.AST) -> list[str]:
    """Give the modules of `module:attribute` texts, by which plug-ins are found."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        module, colon, name = node.value.partition(":")
        if colon and name.isidentifier() and all(part.isidentifier() for part in module.split(".")):
            return [module] if module.startswith("quadrat.") else []
    return []


def imports(root: Path, path: Path) -> list[Import]:
    """Read every import of a file, those in functions and those of plug-ins too."""
    relative = path.relative_to(root)
    found = []
    for node, at_start in walk(ast.parse(path.read_text("utf-8"))):
        names = [] if any(relative.match(record) for record in RECORDS) else plug_ins(node)
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [absolute(relative, node, alias.name) for alias in node.names]
        found += [Import(str(relative), getattr(node, "lineno", 0), name, at_start) for name in names]
    return found


def everything(root: Path) -> list[Import]:
    """Read the imports of the whole package."""
    return [one for path in sorted((root / "quadrat").rglob("*.py")) for one in imports(root, path)]


def room(root: Path, module: str) -> str:
    """Give the room of a module of ours: its folder, or the module's own name beside them."""
    first = module.split(".")[1]
    inside = (root / "quadrat" / first).is_dir() or (root / "quadrat" / f"{first}.py").is_file()
    return first if inside else ""


def allowed(here: str, there: str) -> bool:
    """Whether a module of room `here` may import one of room `there`."""
    if here == PARAMETERS:
        return there in (here, "errors")
    if here in (there, *FREE) or there in COMMON:
        return True
    return here in ROOMS and there in ROOMS and ROOMS.index(there) < ROOMS.index(here)


def upward(root: Path) -> list[str]:
    """List the arrows that point up, or out to the top-level files."""
    bad = []
    for one in everything(root):
        parts = Path(one.path).parts
        here = parts[1] if len(parts) > 2 else Path(parts[1]).stem.replace("__init__", "")
        ours = one.module.startswith("quadrat.")
        if one.module.split(".")[0] in TOP or (ours and not allowed(here, room(root, one.module))):
            bad.append(str(one))
    return bad


def sdk_users(root: Path) -> list[str]:
    """List the imports of the platform's SDK outside the one file that may."""
    every = [*everything(root), *(i for path in sorted(root.glob("*.py")) for i in imports(root, path))]
    return [str(one) for one in every if one.module.startswith("ivcap_sdk_service") and one.path != SDK_FILE]


def eager(root: Path) -> list[str]:
    """List the imports of heavy libraries that run when our modules are imported."""
    every = [*everything(root), *(i for path in sorted(root.glob("*.py")) for i in imports(root, path))]
    return [str(one) for one in every if one.at_start and one.module.split(".")[0] in HEAVY]


def test_no_arrow_points_up():
    """Every module imports the common words, its own room and lower rooms."""
    assert not (found := upward(ROOT)), "\n".join(found)


def test_one_file_knows_the_sdk():
    """Only the order adapter imports the platform's SDK."""
    assert not (found := sdk_users(ROOT)), "\n".join(found)


def test_heavy_libraries_wait():
    """No engine and no SDK is imported with a module."""
    assert not (found := eager(ROOT)), "\n".join(found)


def test_every_folder_is_a_room():
    """A folder that is no room of the design escapes no rule."""
    folders = {p.name for p in (ROOT / "quadrat").iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders <= {*ROOMS, *COMMON, *FREE}


@pytest.fixture
def house(tmp_path):
    """A small tree with three rooms, and a function that writes one file of it."""
    for name in ("errors", "geometry", "job"):
        (tmp_path / "quadrat").mkdir(exist_ok=True)
        (tmp_path / "quadrat" / f"{name}.py").write_text("")
    for name in ("media", "tasks", "platforms", "parameters"):
        (tmp_path / "quadrat" / name).mkdir()
        (tmp_path / "quadrat" / name / "__init__.py").write_text("")

    def write(path: str, text: str) -> Path:
        (tmp_path / path).write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("quadrat/media/images.py", "from quadrat.tasks import segment\n"),
        ("quadrat/media/images.py", "from quadrat import tasks\n"),
        ("quadrat/media/images.py", "import quadrat.tasks.segment\n"),
        ("quadrat/media/images.py", "from ..tasks import segment\n"),
        ("quadrat/media/images.py", "def f():\n    import quadrat.tasks\n"),
        ("quadrat/media/__init__.py", "KINDS = {'mask': 'quadrat.tasks.segment:Segment'}\n"),
        ("quadrat/media/images.py", "from quadrat.job import run_order\n"),
        ("quadrat/errors.py", "from quadrat.media import images\n"),
        ("quadrat/parameters/parse.py", "from quadrat.media import kinds\n"),
        ("quadrat/parameters/parse.py", "from quadrat.geometry import HW\n"),
        ("quadrat/tasks/segment.py", "import predictor\n"),
        ("quadrat/__init__.py", "from quadrat.media import images\n"),
    ],
)
def test_an_upward_arrow_is_seen(house, path, text):
    """Each way of writing an import against the order fails the first test."""
    assert len(upward(house(path, text))) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("quadrat/tasks/segment.py", "from quadrat.media import images\nfrom quadrat.errors import X\n"),
        ("quadrat/tasks/segment.py", "from . import other\nfrom ..media import images\n"),
        (
            "quadrat/tasks/__init__.py",
            "KINDS = {'segment': 'quadrat.tasks.segment:Segment'}\nTEXT = 'a: b'\n",
        ),
        ("quadrat/job.py", "from quadrat.tasks import segment\n"),
        ("quadrat/media/images.py", "from quadrat.parameters import FrameSettings\n"),
        (
            "quadrat/parameters/parse.py",
            "from quadrat.errors import X\nfrom quadrat.parameters import groups\n",
        ),
        ("quadrat/tasks/segment.py", "from quadrat import __version__\nimport numpy\n"),
        ("quadrat/task_kinds.py", "TASKS = {'segment': 'quadrat.tasks.segment:KIND'}\n"),
    ],
)
def test_a_downward_arrow_is_let_through(house, path, text):
    """What the design allows passes."""
    assert upward(house(path, text)) == []


def test_a_second_user_of_the_sdk_is_seen(house):
    """The SDK in another file fails the second test, in its own file it does not."""
    house("quadrat/platforms/ivcap_order.py", "def f():\n    import ivcap_sdk_service\n")
    root = house("infer_service.py", "def f():\n    from ivcap_sdk_service import Service\n")
    assert [line.split(":")[0] for line in sdk_users(root)] == ["infer_service.py"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("import openvino\n", 1),
        ("try:\n    from onnxruntime import InferenceSession\nexcept ImportError:\n    pass\n", 1),
        ("class A:\n    import paddle.inference\n", 1),
        ("def f():\n    import openvino\n", 0),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import onnxruntime\n", 0),
    ],
)
def test_an_eager_import_is_seen(house, text, seen):
    """A heavy library at module level fails the third test, in a function it does not."""
    assert len(eager(house("quadrat/media/images.py", text))) == seen
