"""The command `quadrat`: measure, pack, verify and describe from a terminal.

quadrat run MODEL PHOTOS... -o OUT
quadrat COMMAND --help
"""

from __future__ import annotations

from quadrat import console, interrupts


def start() -> int:
    """Run the command of this process, and return its exit status; the script `quadrat` calls it."""
    interrupts.install()  # before the rest is imported
    console.protect()
    try:
        from quadrat.cli.commands import main

        return main()
    finally:
        interrupts.leave()
        console.release()
