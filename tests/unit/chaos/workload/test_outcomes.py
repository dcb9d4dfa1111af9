"""A client claims no more about its operation than it can know."""

import asyncio

import aiohttp
import pytest

from chaos.history import Outcome
from chaos.workload.outcomes import from_error, from_status, over_all, worth_retrying


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "ok"),
        (201, "ok"),
        (204, "ok"),
        (303, "ok"),
        (304, "ok"),
        (302, "fail"),
        (307, "fail"),
        (400, "fail"),
        (404, "fail"),
        (409, "fail"),
        (412, "fail"),
        (429, "fail"),
        (408, "info"),
        (500, "info"),
        (502, "info"),
        (503, "info"),
        (504, "info"),
    ],
)
def test_a_status_tells_ok_refused_or_unknown(status: int, outcome: str) -> None:
    """A 5xx of a gateway leaves open whether the core acted; a 4xx does not."""
    assert from_status(status) == Outcome(outcome)


def test_only_a_refused_connection_is_certain_not_to_have_acted() -> None:
    """A time-out or a reset after sending leaves the outcome open."""
    refused = aiohttp.ClientConnectorError.__new__(aiohttp.ClientConnectorError)
    unknown_name = aiohttp.ClientConnectorDNSError.__new__(aiohttp.ClientConnectorDNSError)
    assert from_error(refused) is from_error(unknown_name) is Outcome.FAIL
    assert from_error(asyncio.CancelledError()) is Outcome.INFO
    assert from_error(aiohttp.ConnectionTimeoutError()) is Outcome.INFO
    assert from_error(TimeoutError()) is Outcome.INFO
    assert from_error(aiohttp.ServerDisconnectedError()) is Outcome.INFO
    assert from_error(ConnectionResetError()) is Outcome.INFO


def test_a_client_tries_again_only_where_that_may_help() -> None:
    """Rejections are final; silence, 5xx and "later" are not."""
    assert [s for s in (None, 200, 400, 404, 409, 408, 425, 429, 500, 503) if worth_retrying(s)] == [
        None,
        408,
        425,
        429,
        500,
        503,
    ]


@pytest.mark.parametrize(
    ("attempts", "outcome"),
    [
        ("ok", "ok"),
        ("info ok", "ok"),
        ("fail ok", "ok"),
        ("info fail", "info"),
        ("info fail fail", "info"),
        ("fail fail", "fail"),
        ("fail info", "info"),
    ],
)
def test_an_operation_is_what_all_its_attempts_allow(attempts: str, outcome: str) -> None:
    """A retry that succeeds makes it ok; a refusal says nothing about an earlier unknown attempt."""
    assert over_all([Outcome(attempt) for attempt in attempts.split()]) is Outcome(outcome)
