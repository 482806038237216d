"""Waiting for a condition, the only way in which these tests wait."""

import time
from typing import Callable, TypeVar

from .environment import seconds

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, timeout: float = 10.0, every: float = 0.005) -> T:
    """Returns the first true value of `condition()`; fails after `timeout` seconds (scaled), naming `what`."""
    deadline = time.monotonic() + seconds(timeout)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {seconds(timeout):.1f} s in vain for {what}; last value: {value!r}")
        time.sleep(every)
