"""A limit on the memory of the frames between reading and the end of the chain, over all stages and sources.

A frame of 8K takes a hundred megabytes in each stage that holds it, and its decoder keeps a dozen more. Queues are
limited in frames, which suits frames of ordinary size; this limit is in bytes.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from contextlib import suppress

from quadrat.geometry import HW
from quadrat.media.size import working_hw
from quadrat.pipeline.joined import JOINED
from quadrat.pipeline.models import Pass
from quadrat.pipeline.state import SourceState
from quadrat.pipeline.track import HELD

BUDGET_BYTES = 2_000_000_000
"""Frames in flight, and the decoders and encoders of open videos, take at most this much, or what one video needs at least."""
DECODER_FRAMES = 12
"""Frames that a decoder keeps: references, and one for each of its threads; most streams need fewer."""

ENCODER_FRAMES = 16
"""Frames that the encoder of an annotated video keeps."""
FILES_PER_SOURCE = 4
"""Files that an open video takes: itself, its annotated video, its objects, and one to spare."""
FILES_BESIDE = 24
"""Files that are kept for the rest of the process, beside those that are open when reading begins."""

_RGB, _YUV = 3, 1.5
_POLL_S = 0.05
LOG = logging.getLogger("quadrat")


class FrameBudget:
    """Counts the bytes of the frames in flight, and makes readers wait while there are too many.

    A source that has no more frames in flight than the stages may hold back (`least`) never waits: without its next
    frame, those would never be released.
    """

    def __init__(self, models: Pass) -> None:
        self.least = 1 + HELD * sum(models[name].kind.tracks for name in models.whole)
        self._max_img_size = models.frames.max_img_size
        outputs = models.settings.pictures.outputs
        scales = [getattr(model.task, "scale", 1) ** 2 for model in models.values()]
        self._drawn = 0 if "none" in outputs else sum(scales) + (JOINED in outputs)
        enlarged = sum(
            scale for scale, model in zip(scales, models.values(), strict=True) if not model.kind.measures
        )
        self._views = len({model.steps for model in models.values() if model.steps}) + enlarged
        self._most = BUDGET_BYTES
        self._changed = threading.Condition()
        self._used = 0
        self._frames: Counter[int] = Counter()

    def frame_bytes(self, hw: HW) -> int:
        """Return the bytes that a frame of a source of `hw` takes: as it is read, with each variant of steps, and drawn."""
        read = working_hw(hw, self._max_img_size)
        return _RGB * ((1 + self._views) * read[0] * read[1] + self._drawn * hw[0] * hw[1])

    def source_bytes(self, hw: HW) -> int:
        """Return the bytes that an open video of `hw` takes: its decoder, its encoders, and the frames that may wait."""
        coded = DECODER_FRAMES + self._drawn * ENCODER_FRAMES
        return int(coded * _YUV * hw[0] * hw[1]) + self.least * self.frame_bytes(hw)

    def has_room(self, open_hws: list[HW]) -> bool:
        """Return True if another video may be opened beside those of these sizes; it is taken to be as large as the largest."""
        needs = [self.source_bytes(hw) for hw in open_hws]
        return not needs or sum(needs) + max(needs) <= self._most

    def add(self, state: SourceState, hw: HW, stop: threading.Event, waiting: threading.Event) -> None:
        """Add a frame of a source, once there is room or `stop` is set; `waiting` is set meanwhile."""
        size, owner = self.frame_bytes(hw), id(state)
        with self._changed:
            while self._used + size > self._most and self._frames[owner] >= self.least and not stop.is_set():
                waiting.set()
                self._changed.wait(_POLL_S)
            waiting.clear()
            self._used += size
            self._frames[owner] += 1

    def remove(self, state: SourceState, hw: HW) -> None:
        """Remove a frame that has left the chain."""
        with self._changed:
            self._used -= self.frame_bytes(hw)
            self._frames[id(state)] -= 1
            if not self._frames[id(state)]:
                del self._frames[id(state)]
            self._changed.notify_all()


def files_at_once(wanted: int) -> int:
    """Return how many videos may be open at once: `wanted`, or as many as the process may open files for."""
    most = _most_files()
    if most is None:
        return wanted
    in_use = 16
    with suppress(OSError):
        in_use = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    at_once = max(1, min(wanted, (most - in_use - FILES_BESIDE) // FILES_PER_SOURCE))
    if at_once < wanted:
        LOG.warning(
            "%d videos are read at once instead of %d, because the process may open only %d files (ulimit -n)",
            at_once, wanted, most,
        )  # fmt: skip
    return at_once


def _most_files() -> int | None:
    """Return how many files the process may open; None if there is no limit, or on a system that states none."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most: int = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if most == resource.RLIM_INFINITY else most
