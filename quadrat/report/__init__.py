"""Predictions -> metadata aspects and tables."""
