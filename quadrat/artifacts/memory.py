"""Pictures in memory as sources: each is a file while it is measured, and so goes the way of all files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from quadrat.artifacts.folder import pull_file
from quadrat.errors import ParameterError
from quadrat.types import ImageU8, Source

KIND = "array"


class Pictures:
    """Holds arrays until they are pulled, once each."""

    def __init__(self) -> None:
        self._held: dict[str, ImageU8] = {}
        self._count = 0

    def add(self, picture: object) -> Source:
        """Take a picture (h, w, 3) uint8, red first, or (h, w) uint8 grey; ParameterError for another array."""
        array = np.array(picture)  # its own: a camera's buffer may hold the next picture soon
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

    def pull(self, source: Source) -> AbstractContextManager[Path]:
        """Give a file with the picture, which is gone afterwards; other sources are files already."""
        picture = self._held.pop(source.urn, None)
        return pull_file(source) if picture is None else _written(picture)


@contextmanager
def _written(picture: ImageU8) -> Iterator[Path]:
    from PIL import Image

    body = BytesIO()  # Pillow overlooks a disk that is full
    Image.fromarray(picture).save(body, "BMP")
    with TemporaryDirectory(prefix="quadrat-") as folder:
        path = Path(folder) / "picture.bmp"
        path.write_bytes(body.getbuffer())
        yield path
