"""Orders on a list of instances: files and bytes give the same, and a bad instance fails alone."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests import results
from tests.classifiers import color_archive
from tests.service.run import ROOT, TINY, Service, rows

SCENES = ROOT / "examples" / "scenes"
RECTANGLES = ROOT / "examples" / "models" / "rectangles.tgz"


def in_bytes(path: Path) -> dict[str, Any]:
    """Give a file as an instance of its bytes."""
    return {"img_bytes": {"b64": base64.b64encode(path.read_bytes()).decode()}}


@pytest.fixture
def pictures(service: Service) -> list[str]:
    """The names of two photographs in the folder of inputs."""
    names = []
    for path in sorted(SCENES.rglob("*.*"))[:2]:
        (service.folder / "in" / path.name).write_bytes(path.read_bytes())
        names.append(path.name)
    return names


def write(service: Service, *values: Any) -> Path:
    """Write JSON lines into the folder of inputs."""
    path = service.folder / "in" / "list.jsonl"
    path.write_text("".join(f"{v if isinstance(v, str) else json.dumps(v)}\n" for v in values), "utf-8")
    return path


def measured(table: Path) -> list[dict[str, str]]:
    """Give the rows of a table without the columns that name the source and the product."""
    named = ("image", "name", "product", "flags", "status", "reason")
    return [{key: value for key, value in row.items() if key not in named} for row in rows(table)]


@pytest.mark.parametrize(
    ("kind", "executor"), [("masks", "local"), ("objects", "isolated"), ("labels", "local")]
)
def test_files_and_bytes_give_the_same(
    service: Service, pictures: list[str], kind: str, executor: str
) -> None:
    """Products and numbers of bytes are those of the file, bit for bit, for every task and executor."""
    folder = service.folder / "in"
    archive = service.folder / "colors.tgz"
    model = {"masks": TINY, "objects": RECTANGLES}.get(kind) or color_archive(archive)
    write(service, *[each for name in pictures for each in ({"filenames": name}, in_bytes(folder / name))])
    ran = service.run("--model", model, "--images", "list.jsonl", "--executor", executor)
    assert ran.status == 0, ran.said
    names = list(dict.fromkeys(row["name"] for row in rows(service.out / "survey.csv")))
    assert names == [pictures[0], "line-000002", pictures[1], "line-000004"]
    for number, name in enumerate(pictures):
        own = [path for path in results.paths(service.out) if path.name.startswith(Path(name).stem)]
        assert own
        for path in own:
            twin = path.with_name(path.name.replace(Path(name).stem, f"line-{2 * number + 2:06d}", 1))
            if not path.name.endswith("-meta.json"):
                assert twin.read_bytes() == path.read_bytes()
        survey = service.out / "survey.csv"
        pair = [
            [row for row, whole in zip(measured(survey), rows(survey), strict=True) if whole["name"] == each]
            for each in (name, f"line-{2 * number + 2:06d}")
        ]
        assert pair[0] == pair[1]
    if kind == "labels":
        lines = (service.out / "predictions.jsonl").read_text("utf-8").splitlines()
        found = [json.loads(line) for line in lines]
        assert [each["name"] for each in found] == names
        same = [{**each, "name": "", "source": "", "status": "", "flags": []} for each in found]
        assert (same[0], same[2]) == (same[1], same[3])


def test_a_bad_instance_fails_alone_and_a_longer_list_continues(
    service: Service, pictures: list[str]
) -> None:
    """Each has its line and its code in the table. Adding a line measures only that one."""
    first = in_bytes(service.folder / "in" / pictures[0])
    bad = ["nonsense", {"filenames": "../x.jpg"}, {"img_bytes": {"b64": "AAA"}}, {"filenames": "none.jpg"}]
    write(service, first, *bad)
    words = ("--model", TINY, "--images", "list.jsonl", "--max-instance-bytes", 10**7)
    ran = service.run(*map(str, words))
    assert ran.status == 0, ran.said
    found = {row["name"]: row["code"] for row in rows(service.out / "survey.csv")}
    assert found == {
        "line-000001": "", "line-000002": "E_INSTANCE", "line-000003": "E_INSTANCE", "line-000004": "E_INSTANCE",
        "none.jpg": "E_SOURCE",
    }  # fmt: skip
    write(service, first, *bad, {"filenames": pictures[1]})
    ran = service.run(*map(str, words))
    assert "1 unchanged since an earlier run" in ran.said
    assert [row["name"] for row in rows(service.out / "survey.csv") if row["status"] != "failed"][-1] == (
        pictures[1]
    )


def test_limits_are_checked_before_anything_is_measured(service: Service, pictures: list[str]) -> None:
    """Too many instances are an error of the order; one that is too long fails alone."""
    write(service, in_bytes(service.folder / "in" / pictures[0]), {"filenames": pictures[1]})
    ran = service.run("--model", TINY, "--images", "list.jsonl", "--max-instances", "1")
    assert ran.status == 2
    assert any("E_PARAMETER max-instances" in line for line in ran.errors)
    assert not (service.out / "survey.csv").exists()
    ran = service.run("--model", TINY, "--images", "list.jsonl", "--max-instance-bytes", "1000")
    assert ran.status == 0, ran.said
    assert next(row["code"] for row in rows(service.out / "survey.csv")) == "E_INSTANCE"
