"""Bytes to frames and back: one decoding policy for every picture, and the encoders of the products."""
