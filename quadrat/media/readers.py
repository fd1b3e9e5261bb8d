"""Readers of videos, sequences and streams, by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from quadrat.errors import VideoFormatError
from quadrat.parameters import FrameSettings, StreamSettings
from quadrat.protocols import Reader
from quadrat.types import Blob, Source

READERS: Mapping[str, str] = MappingProxyType(
    {
        "video": "quadrat.media.video:open_video",
        "sequence": "quadrat.media.sequence:open_sequence",
        "stream": "quadrat.media.stream:open_stream",
    }
)


def open_reader(source: Source, blob: Blob | None, frames: FrameSettings, streams: StreamSettings) -> Reader:
    """Open a video, a sequence or a stream; `blob` is its file or folder, or None for a stream.

    Raises VideoFormatError for any other medium, and the errors of the medium's own reader.
    """
    path = blob.content if blob is not None and isinstance(blob.content, Path) else None
    fits = blob is None if source.media == "stream" else path is not None
    if source.media not in READERS or not fits:
        raise VideoFormatError(
            f"a source of kind {source.media!r} {'without' if path is None else 'with'} a file is not a video",
            where=source.name,
        )
    module, _, name = READERS[source.media].partition(":")
    opener = getattr(importlib.import_module(module), name)
    reader: Reader = opener(source, frames, streams) if path is None else opener(path, source, frames)
    return reader
