"""The service's own argument parser and order context, imported here alone for all tests of whole orders."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from quadrat.platforms.arguments import add_arguments
from quadrat.platforms.ivcap_order import OrderContext

__all__ = ["OrderContext", "parse_arguments"]


def parse_arguments(words: Sequence[str]) -> dict[str, Any]:
    """Parse a command line as the SDK does; SystemExit with the status for words that it refuses."""
    return vars(add_arguments(ArgumentParser()).parse_args(words))
