"""Make model archives: from PaddleSeg, torch or ONNX to model.tgz, and prove that they run."""
