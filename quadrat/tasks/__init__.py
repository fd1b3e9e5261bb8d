"""Network outputs -> predictions in source pixels; one folder per task, with a record of it in kind.py."""
