"""The exporter states what a model about objects measures."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from export_model.export import main
from tests.networks import brightness_onnx


def pack(folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Pack a small network; give the exit status and meta.json."""
    network, out = folder / "net.onnx", folder / "net.tgz"
    network.write_bytes(brightness_onnx(("logits",)))
    status = main(
        ["--onnx", f"{network}", "--class", "sand", "--class", "fish", "--range", "0", "1", *options, "--save-path", f"{out}"]
    )  # fmt: skip
    if not out.exists():
        return status, {}
    with tarfile.open(out) as tar:
        member = next(each for each in tar.getmembers() if each.name.endswith("meta.json"))
        file = tar.extractfile(member)
        assert file is not None
        return status, json.load(file)


def test_what_is_given_is_stated(tmp_path: Path) -> None:
    """And nothing else: what is left out has its usual value."""
    options = (
        "--on",
        "objects",
        "--padding",
        "0.2",
        "--of-class",
        "fish",
        "--of-class",
        "crab",
        "--not-object",
        "sand",
    )
    status, meta = pack(tmp_path, *options)

    assert 0 == status
    assert ("objects", {"padding": 0.2, "classes": ["fish", "crab"], "background": "sand"}) == (
        meta["on"], meta["objects"],
    )  # fmt: skip
    assert None is pack(tmp_path, "--on", "objects", "--not-object", "none")[1]["objects"]["background"]


def test_a_network_of_whole_frames_states_nothing(tmp_path: Path) -> None:
    """Its meta.json is as it was before there were cascades."""
    assert not {"on", "objects"} & set(pack(tmp_path)[1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--padding", "0.2"), "E_PARAMETER --padding: it only goes with --on objects"),
        (("--not-object", "sand"), "E_PARAMETER --not-object: it only goes with --on objects"),
        (
            ("--on", "objects", "--padding", "-1"),
            "E_MODEL_MANIFEST meta.json: objects.padding: it is not a number",
        ),
    ],
)
def test_anything_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    """In one line, and nothing is written."""
    status, meta = pack(tmp_path, *options)

    assert status in (2, 3)
    assert {} == meta
    assert said in capsys.readouterr().err
