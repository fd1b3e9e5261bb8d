"""Embeddings: one vector for each picture, frame or object."""
