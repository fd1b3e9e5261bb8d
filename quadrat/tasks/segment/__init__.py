"""Semantic segmentation: network outputs -> one class and one confidence per pixel."""
