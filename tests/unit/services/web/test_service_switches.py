"""Switches of whole services: what SIGTERM and verification do without them."""

import importlib
import json
import time
from types import SimpleNamespace
from uuid import UUID

import pytest

from services.drivers.http import Answer
from services.resilience import Deadline, OutcomeUnknown, Switches
from services.web import serving
from services.web.environment import Environment
from services.web.health import Health
from services.web.jwks import RemoteVerifier
from services.web.problems import Problem
from services.web.tokens import Verifier

ME = {"id": str(UUID(int=5)), "email": "a@b.cd", "role": "editor", "token_id": "t", "issued_at": 1}


def built(service, off=""):
    """Build a service; nothing is started."""
    module = importlib.import_module(f"services.{service.replace('-', '_')}.main")
    return module.build(Environment({"SERVICE_PROFILE": "lab", "RESILIENCE_DISABLE": off}))


def stop(off, monkeypatch):
    """Let SIGTERM arrive, and return whether the server was asked to finish, and the exit code."""
    codes = []
    monkeypatch.setattr(serving.os, "_exit", codes.append)
    server = SimpleNamespace(should_exit=False)
    switches = Switches({"gateway.drain"}, off)
    service = SimpleNamespace(
        health=Health(service="gateway", edges=()), common=SimpleNamespace(service="gateway", switches=switches)
    )
    serving._stop(server, service)
    assert service.health.draining
    return server.should_exit, codes


def test_sigterm_lets_what_is_in_flight_finish(monkeypatch):
    """Drained: readiness says no and the server winds down. With `drain` off it is gone at once."""
    assert stop((), monkeypatch) == (True, [])
    assert stop({"gateway.drain"}, monkeypatch)[1] == [0]


def test_the_pools_of_widget_core_are_two():
    """With `bulkhead.split` off bulk work has no edge of its own."""
    names = [edge.name for edge in built("widget-core").health.edges]
    joined = [edge.name for edge in built("widget-core", "widget-core.postgres.bulkhead.split").health.edges]
    assert ("widget-core.postgres.bulk" in names, "widget-core.postgres.bulk" in joined) == (True, False)


def test_reconciliation_is_background_work():
    """With `reconcile` off nobody compares ORB Core with the record."""
    whole, naive = built("widget-core"), built("widget-core", "widget-core.reconcile")
    assert len(whole.background) - len(naive.background) == 1


def test_tokens_are_verified_here():
    """With `verify.local` off the security service is asked about every token."""
    from services.web.jwks import verifier  # noqa: PLC0415 - beside what it is about
    from services.web.metrics import Metrics  # noqa: PLC0415 - as above

    for off, kind in (("", Verifier), ("gateway.verify.local", RemoteVerifier)):
        assert isinstance(verifier(built("gateway", off).common, None, Metrics()), kind)


class Security:
    """A security service with one opinion."""

    def __init__(self, status, document):
        self.answer = Answer(status=status, headers={}, body=json.dumps(document).encode())

    async def call(self, call, deadline):
        """Say it."""
        assert call.path.endswith("/me")
        assert deadline.remaining() > 0
        return self.answer


@pytest.mark.parametrize("me", [None, [], {}, {**ME, "issued_at": "x"}, {**ME, "role": 5}])
def test_an_opinion_that_makes_no_sense_is_none(run, me):
    """It neither lets anybody in nor breaks anything here."""
    with pytest.raises(OutcomeUnknown):
        run(RemoteVerifier(Security(200, me))("token", Deadline.after(1, time.monotonic)))


@pytest.mark.parametrize(("status", "expected"), [(200, ME["id"]), (401, 401), (500, 503)])
def test_asking_remotely_fails_closed(run, status, expected):
    """Accepted, refused, or not to be judged now."""
    verify = RemoteVerifier(Security(status, ME))
    try:
        found = run(verify("token", Deadline.after(1, time.monotonic))).user_id
    except Problem as problem:
        found = problem.status
    assert found == expected
