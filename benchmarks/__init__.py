"""Benchmarks: each prints a table of peers and us, measured side by side in one run."""
