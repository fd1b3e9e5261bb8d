"""The index of results: a SQLite database of pictures, frames and objects with their classes and vectors."""
