"""What a workload sends, as values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.lab import Lab


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One client call.

    Attributes:
        operation: what it is to the checkers, such as "read" or "create".
        path: below the platform's front door, or a whole URL.
        key: what it is about; checkers group by it.
        value: what it writes, unique within the run.
        idempotency_key: sent as ``Idempotency-Key``, the same for all attempts.
        attempts: how often the client tries while the outcome is unknown.
        within_s: how long it waits for one answer.
    """

    operation: str
    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    key: str | None = None
    value: Any = None
    idempotency_key: str | None = None
    attempts: int = 1
    within_s: float = 5.0


Plan = Callable[[Lab], Iterator[Request]]
"""Prepares the platform (users, rows) and then yields requests without end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenLoop:
    """Requests at planned moments, however slowly the platform answers.

    Attributes:
        plan: what to send.
        rate: requests per second.
    """

    plan: Plan
    rate: float
