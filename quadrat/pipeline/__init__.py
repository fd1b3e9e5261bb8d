"""The path from sources to results: bounded, ordered, with failures as values."""
