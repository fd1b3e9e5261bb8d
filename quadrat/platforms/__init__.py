"""Adapters to the platforms that start quadrat."""
