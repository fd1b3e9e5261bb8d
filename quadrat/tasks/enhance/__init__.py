"""Enhancement: better pictures instead of measurements."""
