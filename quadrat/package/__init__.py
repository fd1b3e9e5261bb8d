"""Model archives: unpack them safely, read their manifest, and write them."""

from quadrat.package.archive import open_archive

__all__ = ["open_archive"]
