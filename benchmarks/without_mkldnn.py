"""Run the original service with oneDNN disabled, as it ran when it was written."""

from __future__ import annotations

# Import zlib and its users before paddle 2.6, whose own zlib would otherwise be found first (SIGSEGV).
import runpy
import sys
import tarfile  # noqa: F401 - for its effect, see above
import zlib  # noqa: F401 - for its effect, see above

import PIL.Image  # noqa: F401 - for its effect, see above
import paddle.inference

_create = paddle.inference.create_predictor


def _create_without_mkldnn(config):  # noqa: ANN001, ANN202 - runs in the original's Python 3.9, with untyped code
    config.disable_mkldnn()
    return _create(config)


paddle.inference.create_predictor = _create_without_mkldnn
sys.argv = sys.argv[1:]
sys.path.insert(0, ".")
runpy.run_path(sys.argv[0], run_name="__main__")
