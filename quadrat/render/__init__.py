"""Draw predictions on pictures."""
