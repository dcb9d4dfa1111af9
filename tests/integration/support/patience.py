"""What a patient client does, and what a busy machine may do to a platform whose limits are a few milliseconds.

Nothing here forgives a wrong answer: a request is repeated with its key while the platform says "not now", and a
workflow is looked at again only when the platform itself has counted a call between its services that failed.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import pytest
import requests

from chaos.clock import wait_for
from chaos.errors import LabError
from services.client import ServiceClient, new_key
from services.client.widgets import WidgetCalls
from tests.integration.support.metrics import metric

PATIENT_S: Final = 15.0
"""Longer than three pauses of a breaker."""

BUSY: Final = frozenset({429, 503})
NOT_NOW: Final = BUSY | {409}
ROUNDS: Final = 20
CALLS: Final = "resilience_calls_total"


def decided(
    send: Callable[[str], requests.Response], not_now: frozenset[int] = NOT_NOW, within_s: float = PATIENT_S
) -> requests.Response:
    """The answer to *send*, called with one and the same key until it is none of *not_now*.

    Raises:
        LabError: it still was after *within_s*.
    """
    key = new_key()

    def once() -> tuple[requests.Response] | None:
        answer = send(key)
        return None if answer.status_code in not_now else (answer,)  # a response with 4xx is false by itself

    return wait_for(once, what="the request is decided", within_s=within_s, every_s=0.02)[0]


def made(client: WidgetCalls, data: Mapping[str, Any]) -> dict[str, Any]:
    """A new widget, as it was answered: what a test begins with."""
    answer = decided(lambda key: client.create_widget(data, key=key))
    assert answer.status_code == 201, answer.text
    widget: dict[str, Any] = answer.json()
    return widget


def all_made(client: WidgetCalls, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """New widgets, made in one request, as they were answered."""
    answer = decided(lambda key: client.create_widgets(data, key=key))
    assert answer.status_code == 201, answer.text
    widgets: list[dict[str, Any]] = answer.json()["widgets"]
    return widgets


def eventually(condition: Callable[[], bool], within_s: float = PATIENT_S) -> bool:
    """Whether *condition* becomes true within that time: for an assertion, where waiting in vain is the finding."""
    with suppress(LabError):
        return wait_for(condition, what="it is so", within_s=within_s)
    return False


class Calm:
    """Looks at what is promised while every call between services succeeds, such as where an answer comes from."""

    def __init__(self, *clients: ServiceClient) -> None:
        self._clients = clients

    def __call__(self, workflow: Callable[[], None]) -> None:
        """Run *workflow*, and again when an assertion fails while the platform counted a failed call of its own."""
        for _ in range(ROUNDS):
            before = self._failed()
            try:
                workflow()
            except AssertionError:
                if self._failed() == before:
                    raise
            else:
                return
        pytest.fail(f"calls between services failed in each of {ROUNDS} rounds")

    def _failed(self) -> float:
        return sum(metric(client, CALLS) - metric(client, CALLS, outcome="ok") for client in self._clients)
