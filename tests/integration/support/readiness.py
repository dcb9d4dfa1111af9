"""Waiting until the platform is there, and until it is well again."""

from collections.abc import Callable, Mapping
from typing import Final

import pytest
import requests

from chaos.clock import wait_for
from chaos.errors import LabError
from services.client import ApiGatewayClient, new_key
from tests.integration.support.metrics import metric
from tests.integration.support.stack import Platform

READY_WITHIN_S: Final = 60.0
STEADY_WITHIN_S: Final = 12.0
CREATED: Final = 201
REVOCATIONS_AGE: Final = "revocations_age_seconds"
FRESH_S: Final = 2.0
"""Far from the grace, after which the gateway lets no change through."""


def wait_ready(
    urls: Mapping[str, str], within_s: float = READY_WITHIN_S, wait: Callable[..., object] = wait_for
) -> None:
    """Return when every service answers its ``/health``; else fail the test with what was last seen.

    Args:
        urls: by the name that people know the service by, such as "API Gateway".
        within_s: seconds that each of them has.
        wait: how it is waited, as ``chaos.clock.wait_for``.
    """
    with requests.Session() as session:
        session.trust_env = False
        for name, url in urls.items():
            last = ["nothing"]
            try:
                wait(lambda url=url, last=last: _answers(session, url, last), what=name, within_s=within_s)
            except LabError:
                pytest.fail(f"{name} not ready after {within_s:g}s; {url}/health last: {last[0]}", pytrace=False)


def services(platform: Platform) -> dict[str, str]:
    """Every service by the name that people know it by."""
    return {
        "API Gateway": platform.gateway,
        "Widget Core": platform.widget_core,
        "ORB Core": platform.orb_core,
        "Security Service": platform.security,
    }


def exercise(client: ApiGatewayClient) -> bool:
    """Send one request of every ordinary kind; whether all of them went well.

    Each edge sees traffic this way: a breaker is only tried, and closed, by calls.
    """
    try:
        made = client.create_widget({"name": "exercise"}, key=new_key())
        if made.status_code != CREATED or made.json()["state"] != "active":
            return False
        wid = made.json()["id"]
        answers = [
            client.get_widget(wid),
            client.get_native(wid),
            client.list_widgets(limit=1),
            client.me(),
            client.delete_widget(wid, key=new_key()),
        ]
    except requests.RequestException:
        return False
    return all(answer.ok and "X-Degraded" not in answer.headers for answer in answers)


def steady(platform: Platform, exercise: Callable[[], bool]) -> None:
    """Return when the platform is well: every fault healed, no breaker open, revocations fresh.

    Args:
        platform: which.
        exercise: sends ordinary requests, without which no breaker would ever be tried; tells whether all went well.
    """
    if platform.lab:
        platform.lab.restore()
    wait_for(
        lambda: exercise() and not degraded(platform),
        what="the platform is well",
        within_s=STEADY_WITHIN_S,
        every_s=0.05,
    )


def degraded(platform: Platform) -> list[str]:
    """The edges and functions that some service reports as degraded, or will soon."""
    with requests.Session() as session:
        session.trust_env = False
        found = []
        for name, url in services(platform).items():
            try:
                found += session.get(f"{url}/health/ready", timeout=2).json()["degraded"]
            except requests.RequestException:
                found.append(name)
        if not found and metric(ApiGatewayClient(platform.gateway, session=session), REVOCATIONS_AGE) > FRESH_S:
            found.append("revocations")
        return found


def _answers(session: requests.Session, url: str, last: list[str]) -> bool:
    try:
        response = session.get(f"{url}/health", timeout=2)
    except requests.RequestException as error:
        last[0] = f"{type(error).__name__}"
        return False
    last[0] = f"{response.status_code} {response.text[:200]}"
    return response.ok
