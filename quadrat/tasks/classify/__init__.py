"""Classification: one label for a picture, or several."""
