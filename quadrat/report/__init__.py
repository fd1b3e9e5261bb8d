"""Records -> tables, aspects and progress: everything that is written about results."""
