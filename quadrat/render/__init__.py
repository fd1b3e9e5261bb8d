"""Predictions -> pictures."""
