"""Convert one Paddle network to ONNX: `python paddle_to_onnx.py MODEL PARAMS OUT`.

A process of its own, because the converter aborts instead of raising, and may live in another
virtual environment than the export. Needs nothing but paddle2onnx (2.x also needs paddle).
"""

import sys

OPSET = 17


def main(model: str, params: str, out: str) -> None:
    """Write `out`; errors leave as a traceback whose last line the parent shows."""
    import paddle2onnx  # type: ignore[import-not-found,unused-ignore]  # only in the export environments

    if not model.endswith(".pdmodel"):
        import paddle  # noqa: F401 - PIR needs paddle's own symbols
    paddle2onnx.export(model, params, out, opset_version=OPSET)


if __name__ == "__main__":
    main(*sys.argv[1:])
