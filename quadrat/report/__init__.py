"""Records -> tables, aspects and progress."""
