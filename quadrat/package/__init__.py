"""What a model.tgz says: safe unpacking, the manifest, and the original PaddleSeg form."""

from quadrat.package.archive import open_archive

__all__ = ["open_archive"]
