"""Waits on conditions, so that nothing in the test bed sleeps for a guessed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class HopelessError(Exception):
    """The condition can't come true any more; waiting ends at once."""


def wait_until(
    condition: Callable[[], T | None], *, timeout: float, what: str, interval: float = 0.05
) -> T:
    """The first truthy value of `condition`; an exception counts as not yet."""
    deadline = time.monotonic() + timeout
    while True:
        outcome: object
        try:
            value = condition()
            if value:
                return value
            outcome = value
        except HopelessError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever fails may work the next time
            outcome = error
        if time.monotonic() >= deadline:
            cause = outcome if isinstance(outcome, Exception) else None
            raise TimeoutError(f"{what}: not within {timeout:g} s; last: {outcome!r}") from cause
        time.sleep(interval)
