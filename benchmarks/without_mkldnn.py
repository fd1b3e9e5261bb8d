"""Run the original service with oneDNN off, as it was when it was written: only calls disable_mkldnn()."""

from __future__ import annotations

# paddle 2.6 must come after zlib and its users, or its own zlib is found first (SIGSEGV)
import runpy
import sys
import tarfile  # noqa: F401 - for its effect, see above
import zlib  # noqa: F401 - for its effect, see above

import PIL.Image  # noqa: F401 - for its effect, see above
import paddle.inference

_create = paddle.inference.create_predictor


def _create_without(config):  # noqa: ANN001, ANN202 - runs under the original's Python 3.9 beside its untyped code
    config.disable_mkldnn()
    return _create(config)


paddle.inference.create_predictor = _create_without
sys.argv = sys.argv[1:]
sys.path.insert(0, ".")
runpy.run_path(sys.argv[0], run_name="__main__")
