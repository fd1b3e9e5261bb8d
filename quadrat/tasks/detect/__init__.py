"""Object detection: network outputs -> boxes, scores and classes in source pixels."""
