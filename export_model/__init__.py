"""Make model archives: from PaddleSeg, torch or ONNX to model.tgz, and prove that they run."""

from __future__ import annotations

from pathlib import Path

ARTIFACT = "@@ARTIFACT@@"
"""Stands in the metadata for the URN that the upload will give."""


def metadata_path(archive: Path) -> Path:
    """Where the metadata of an archive lies: NAME.tgz -> NAME-meta.json."""
    return archive.with_name(f"{archive.stem}-meta.json")
