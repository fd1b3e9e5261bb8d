"""The one path from sources to results: bounded, ordered, carrying failures as values."""
