"""Which parts of a frame a fold has received."""

from __future__ import annotations

from quadrat.errors import QuadratError
from quadrat.types import FrameKey


class ReceivedParts:
    """Tracks the parts of one frame by number, from 0 to `count` - 1, in any order.

    Its errors have the code E_INTERNAL: only a fault in the pipeline causes them.
    """

    def __init__(self, frame: FrameKey, count: int) -> None:
        self._frame = frame
        self._received = bytearray(count)

    def mark(self, number: int) -> None:
        """Record a part. Raises QuadratError if the frame has no such part, or has received it already."""
        if not 0 <= number < len(self._received):
            raise self._fault(f"part {number} does not exist; the frame has {len(self._received)} parts")
        if self._received[number]:
            raise self._fault(f"part {number} was added twice")
        self._received[number] = 1

    def check_complete(self) -> None:
        """Raise QuadratError unless all parts have been received."""
        missing = self._received.count(0)
        if missing:
            raise self._fault(
                f"{missing} of {len(self._received)} parts are missing, the first is part {self._received.index(0)}"
            )

    def _fault(self, what: str) -> QuadratError:
        where = f"{self._frame.source}, frame {self._frame.index}"
        return QuadratError(what, where=where, hint="Please report this")
