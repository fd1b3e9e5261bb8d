"""Convert one Paddle network to ONNX: `python paddle_to_onnx.py MODEL PARAMS OUT`.

It runs in a separate process because the converter aborts instead of raising, and because it may be installed in another
virtual environment. It needs only paddle2onnx (2.x also needs paddle).
"""

import sys

OPSET = 17


def main(model: str, params: str, out: str) -> None:
    """Write `out`. Errors end in a traceback, whose last line the parent process shows."""
    import paddle2onnx  # type: ignore[import-not-found,unused-ignore]  # only in the export environments

    if not model.endswith(".pdmodel"):
        import paddle  # noqa: F401 - PIR needs paddle's symbols
    paddle2onnx.export(model, params, out, opset_version=OPSET)


if __name__ == "__main__":
    main(*sys.argv[1:])
