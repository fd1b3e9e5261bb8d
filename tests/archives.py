"""Build small model archives for tests: valid ones in the original form, and bad ones by one knob each.

build(tmp_path / "m.tgz")                                      a valid archive; its network is rubbish
build(path, contents(classes=[...], transforms=[...]))         other words in the manifest
build(path, contents(network=("model.onnx", body)))            a network of your own
build(path, extra=[Entry("../escape.txt", b"x")])              a bad member beside the good ones
build(path, cut=4) / build(path, flip=9000) / build(path, tail=b"junk")    damage after packing
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ABSENT: Any = object()
"""Given for a key of the manifest, or for a file: leave it out."""

CLASSES = (
    {"id": "urn:ibenthos:segmentation:class:sand", "name": "sand", "def_color": [200, 180, 120]},
    {"id": "urn:ibenthos:segmentation:class:seagrass", "name": "seagrass", "def_color": [0, 200, 0]},
)


@dataclass(frozen=True)
class Entry:
    """One tar member, as bad as need be; `size` is what the header claims, None for the truth."""

    name: str
    body: bytes = b""
    type: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o644
    size: int | None = None
    pax: Mapping[str, str] = field(default_factory=dict)


def meta(**changes: Any) -> dict[str, Any]:
    """Give meta.json's values in the original form; `self_test` stands for "self-test"."""
    values = {
        "$schema": "urn:ibenthos:schema:paddle.seg.model.1",
        "name": "tiny",
        "model": {"type": "Tiny", "num_classes": len(CLASSES)},
        "classes": list(CLASSES),
        "shape": [-1, 3, -1, -1],
    }
    values |= {key.replace("_", "-") if key == "self_test" else key: v for key, v in changes.items()}
    return {key: value for key, value in values.items() if value is not ABSENT}


def deploy(**changes: Any) -> dict[str, Any]:
    """Give deploy.yaml's values in the original form."""
    values = {"model": "model.pdmodel", "params": "model.pdiparams", "transforms": [{"type": "Normalize"}]}
    return {"Deploy": {key: value for key, value in (values | changes).items() if value is not ABSENT}}


def contents(
    *,
    network: tuple[str, bytes] = ("model.pdmodel", b"a network"),
    params: bytes | None = b"weights" * 1000,
    transforms: Sequence[Mapping[str, Any]] = ({"type": "Normalize"},),
    files: Mapping[str, Any] = {},
    **changes: Any,
) -> dict[str, bytes]:
    """Give an archive's files; `changes` go into meta.json and `files` replace or (ABSENT) remove files.

    `classes` without `model` sets num_classes to fit, so that only the fault asked for is there.
    """
    if isinstance(changes.get("classes"), list) and "model" not in changes:
        changes["model"] = {"type": "Tiny", "num_classes": max(1, len(changes["classes"]))}
    name, body = network
    manifest = deploy(
        model=name,
        params=ABSENT if params is None else "model.pdiparams",
        transforms=[dict(each) for each in transforms],
    )
    parts: dict[str, Any] = {
        "deploy.yaml": yaml.safe_dump(manifest).encode(),
        "meta.json": json.dumps(meta(**changes)).encode(),
        name: body,
        "model.pdiparams": ABSENT if params is None else params,
    }
    return {key: value for key, value in (parts | dict(files)).items() if value is not ABSENT}


def tar(entries: Iterable[Entry], form: int = tarfile.GNU_FORMAT) -> bytes:
    """Give the bytes of a tar of `entries`; names go in as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.linkname, info.mode = entry.type, entry.link, entry.mode
            info.size, info.pax_headers = len(entry.body), dict(entry.pax)
            if entry.size is None:
                archive.addfile(info, io.BytesIO(entry.body))
            else:
                info.size = entry.size
                out.write(info.tobuf(form) + entry.body + b"\0" * (-len(entry.body) % 512))
                archive.offset = out.tell()
    return out.getvalue()


def build(
    path: Path,
    files: Mapping[str, bytes] | None = None,
    *,
    extra: Iterable[Entry] = (),
    top: str = "./",
    form: int = tarfile.GNU_FORMAT,
    cut: int = 0,
    flip: int | None = None,
    tail: bytes = b"",
) -> Path:
    """Write an archive and return its path.

    `top` goes before every file's name; `cut` drops that many bytes from the end; `flip` turns one bit
    (counted from the start, modulo the length); `tail` is put after the end.
    """
    given = contents() if files is None else files
    entries = [Entry(top + name, body) for name, body in given.items()]
    data = bytearray(gzip.compress(tar([*entries, *extra], form), mtime=0))
    if flip is not None:
        data[flip // 8 % len(data)] ^= 1 << flip % 8
    path.write_bytes(bytes(data[: len(data) - cut]) + tail)
    return path
