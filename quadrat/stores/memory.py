"""Pictures in memory as sources."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ParameterError
from quadrat.stores.folder import pull_file
from quadrat.types import Blob, Source

KIND = "array"


class Pictures:
    """Holds arrays until they are pulled, once each."""

    def __init__(self) -> None:
        self._held: dict[str, NDArray[np.uint8]] = {}
        self._count = 0

    def add(self, picture: object) -> Source:
        """Take a picture (h, w, 3) uint8 RGB, or (h, w) uint8 grey, and return its source.

        Raises ParameterError for any other array.
        """
        array = np.array(picture, order="C")  # a copy: a camera's buffer may hold the next picture soon
        grey_or_rgb = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
        if array.dtype != np.uint8 or not grey_or_rgb or not array.size:
            raise ParameterError(
                f"an array of {array.dtype} with the shape {array.shape}",
                where="images",
                hint="Give pictures as (height, width, 3) uint8, red first, or as (height, width) uint8",
            )
        urn = f"urn:{KIND}:{self._count}"
        self._held[urn] = array
        self._count += 1
        return Source(urn, f"{KIND} {self._count - 1}")

    def pull(self, source: Source) -> AbstractContextManager[Blob]:
        """Give the picture of a source from `add`, which is then forgotten; any other source is a local file."""
        picture = self._held.pop(source.urn, None)
        return pull_file(source) if picture is None else nullcontext(Blob(picture))
