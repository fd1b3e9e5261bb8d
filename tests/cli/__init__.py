"""Tests of the command `quadrat`."""
