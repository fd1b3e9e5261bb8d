"""Waiting for what another thread or process does; a limit ends a test that hangs and measures no pace."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec

LIMIT_S = 60.0
P = ParamSpec("P")


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Return as soon as a condition holds; TimeoutError, which names `what`, if it never does."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {limit_s:g} seconds")
        time.sleep(0.005)


def wait_until_still(count: Callable[[], int], looks: int = 20) -> int:
    """Return a count once it has not changed for `looks` looks in a row: nobody works on."""
    last, same = count(), 0
    while same < looks:
        time.sleep(0.005)
        now = count()
        last, same = now, same + 1 if now == last else 0
    return last


def repeated(test: Callable[P, None]) -> Callable[P, None]:
    """Make a test that compares times pass if it passes in one of three tries: a busy machine may stop it in any."""

    @wraps(test)
    def tries(*args: P.args, **kwargs: P.kwargs) -> None:
        for _ in range(2):
            with suppress(AssertionError):
                return test(*args, **kwargs)
        return test(*args, **kwargs)

    return tries
