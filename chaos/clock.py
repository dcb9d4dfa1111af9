"""The lab's one clock, and waiting for a condition instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from chaos.errors import LabError

T = TypeVar("T")

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


now_ns = time.monotonic_ns
"""Nanoseconds of ``CLOCK_MONOTONIC``: comparable between all processes of this machine."""


def since_boot_s() -> float:
    """Seconds since the machine started, its sleep included; comparable between all processes of this machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def seconds(ns: int) -> float:
    """*ns* nanoseconds in seconds."""
    return ns / NS_PER_S


def sleep_until(when_ns: int) -> None:
    """Return at *when_ns*, at once when that has passed."""
    if (left := when_ns - now_ns()) > 0:
        time.sleep(left / NS_PER_S)


def wait_for(condition: Callable[[], T | None], *, what: str, within_s: float, every_s: float = 0.005) -> T:
    """Ask *condition* again and again until it returns something true, and return that.

    Args:
        condition: called at least once; falsy means "not yet".
        what: what is waited for, for the error: "Postgres accepts connections".
        within_s: seconds until it counts as failed.
        every_s: seconds between two questions.

    Raises:
        LabError: *condition* was still false after *within_s*.
    """
    deadline_ns = now_ns() + int(within_s * NS_PER_S)
    while not (answer := condition()):
        if now_ns() >= deadline_ns:
            msg = f"gave up after {within_s:g} s waiting until {what}"
            raise LabError(msg)
        time.sleep(every_s)
    return answer
