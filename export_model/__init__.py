"""Make model archives: from PaddleSeg, torch or ONNX to model.tgz, and verify that they run."""

from __future__ import annotations

from pathlib import Path

ARTIFACT = "@@ARTIFACT@@"
"""The placeholder in the metadata for the URN that the upload returns."""


def metadata_path(archive: Path) -> Path:
    """Return the path of the metadata of an archive: NAME-meta.json for NAME.tgz."""
    return archive.with_name(f"{archive.stem}-meta.json")
