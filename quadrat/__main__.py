"""`python -m quadrat`: the command `quadrat`, for a Python whose scripts are not on the path."""

from quadrat.cli import start

if __name__ == "__main__":
    raise SystemExit(start())
