"""quadrat measures images with a user's own model: masks, cover, tables and a report."""

__version__ = "0.1.0"
